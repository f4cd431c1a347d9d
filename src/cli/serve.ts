/**
 * `inferd serve`: the monitor. Computes the daemon's exact permissions from flags, environment and file, starts it with
 * them, starts the processes it orders, and waits for it to exit.
 */
import { requireKeys } from "../config/exposure.ts";
import { type Machine, readOptions } from "../config/resolve.ts";
import { SERVE_SETTINGS } from "../config/schema.ts";
import { childCommands } from "../monitor/child_commands.ts";
import { daemonCommand } from "../monitor/daemon_command.ts";
import { superviseDaemon } from "../monitor/daemon_process.ts";
import { passPermissionSet } from "../monitor/permissions/permission_set.ts";
import { missingMonitorFlags } from "../monitor/permissions/permissions.ts";
import { type Command, parseCommand } from "./command.ts";
import { permissionContext } from "./permissions.ts";
import { checkPlatform } from "./platform.ts";
import { ignoreHangUp, refuseDebugger, resetSignals } from "./process_guard.ts";
import { complain } from "./terminal/output.ts";
import { CALLED_AS_VARIABLE, calledAsWords, typed } from "../config/setting/typed_command.ts";

export const serve: Command = {
  name: "serve",
  usage: "serve [FLAGS]",
  summary: "Run the daemon in the foreground until SIGTERM or SIGINT",
  settings: SERVE_SETTINGS,
  flags: [],
  notes: [
    "The daemon is a child process with exactly the permissions that its flags, environment and configuration file need,",
    `whatever this command was given; "${typed("permissions")}" prints them. Signals and the exit code are passed on.`,
  ],
  exits: [
    "0 drained",
    "1 could not start, the reason is on stderr",
    "2 bad flags, environment or configuration file",
    "128+N the daemon was ended by signal N",
  ],

  async run(args, { machine }): Promise<number> {
    checkPlatform(machine.platform);
    resetSignals();
    return await runMonitor(args, machine, { program: import.meta.resolve("./daemon_main.ts") });
  },
};

/**
 * Run the monitor in this process.
 *
 * @param how The daemon's main module, and in tests `PermissionContext.self`.
 * @throws {UsageError} If flags, environment or configuration file are wrong.
 */
export async function runMonitor(args: readonly string[], machine: Machine, { program, ...how }: {
  readonly program: string;
  readonly self?: readonly string[];
}): Promise<number> {
  refuseDebugger();
  const flags = parseCommand({ flags: [], settings: SERVE_SETTINGS }, args, machine.env, 0);
  const options = await readOptions(flags.values, machine);
  requireKeys(options);
  const context = { ...permissionContext(flags.values, machine.env), passSet: passPermissionSet, ...how };
  const missing = missingMonitorFlags(options, context);
  if (missing.length > 0) {
    complain(
      `inferd: Cannot start the daemon without ${missing.join(" ")}. "${typed("permissions serve")}" prints all flags`,
    );
    return 1;
  }
  const command = daemonCommand(options, args, {
    context,
    env: (name) => name === CALLED_AS_VARIABLE ? calledAsWords() : machine.env(name),
    program,
  });
  const children = childCommands(options, flags.values, { context, env: command.env, own: machine.env });
  // A request to reload must not kill a daemon that does not take signals yet.
  ignoreHangUp();
  const { code, failure } = await superviseDaemon(command, children);
  if (failure !== undefined) complain(`inferd: ${failure}`);
  return code;
}
