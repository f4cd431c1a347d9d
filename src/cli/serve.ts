/**
 * `inferd serve`: boot, serve, drain on a signal. What happens in between is `daemon/boot.ts`'s.
 */
import { rememberEngineEnvironment } from "../engine/ipc/command.ts";
import { loadConfig, withKeys } from "../config/load.ts";
import { resolveOptions } from "../config/resolve.ts";
import { SERVE_SETTINGS } from "../config/schema.ts";
import { type Daemon, startDaemon } from "../daemon/boot.ts";
import { httpCommand } from "../monitor/http_command.ts";
import { HttpProcess } from "../monitor/http_process.ts";
import { type Command, parseCommand } from "./command.ts";
import { permissionContext } from "./permissions.ts";
import { checkPlatform } from "./platform.ts";
import { refuseDebugger } from "./refuse_debugger.ts";
import { complain } from "./terminal/output.ts";

/** Exit codes of a process that a second signal ended, as shells count them. */
const SIGNALS: readonly (readonly [Deno.Signal, number])[] = Deno.build.os === "windows"
  ? [["SIGINT", 130]]
  : [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]];

/** Within this time, in milliseconds, the same signal again is the first one handed on by another process. */
const RELAY_MS = 150;

export const serve: Command = {
  name: "serve",
  usage: "[serve] [FLAGS]",
  summary: "Run the daemon in the foreground until SIGTERM or SIGINT",
  settings: SERVE_SETTINGS,
  flags: [],
  exits: ["0 drained", "1 could not start, the reason is on stderr", "2 bad flags, environment or configuration file"],

  async run(args, { machine }): Promise<number> {
    checkPlatform(machine.platform);
    refuseDebugger();
    rememberEngineEnvironment();
    const flags = parseCommand(this, args, machine.env, 0);
    const config = await loadConfig(flags.values, machine.env);
    const options = withKeys(resolveOptions(flags.values, machine, config), machine.env);
    let daemon: Daemon | undefined;
    let asked: { readonly by: Deno.Signal; readonly at: number } | undefined;
    const handlers = SIGNALS.map(([signal, code]): [Deno.Signal, () => void] => [signal, () => {
      const now = performance.now();
      // A Ctrl-C goes to the whole terminal group, and `npx` and `deno task` forward it; `timeout` sends its signal to
      // the process and to the group.
      if (asked?.by === signal && now - asked.at < RELAY_MS) return;
      if (asked !== undefined) Deno.exit(code);
      asked = { by: signal, at: now };
      void daemon?.drain();
    }]);
    for (const [signal, handler] of handlers) Deno.addSignalListener(signal, handler);
    try {
      const context = permissionContext(flags.values, machine.env);
      const command = httpCommand(options, flags.values, context);
      daemon = await startDaemon(options, {
        dropPermissions: context,
        ...(options.http.enabled ? { startBeside: (log): HttpProcess => new HttpProcess(command, { log }) } : {}),
      });
      // A signal that came while there was nothing to drain yet.
      if (asked !== undefined) void daemon.drain();
      await daemon.ready;
      await daemon.done;
      return 0;
    } catch (error) {
      if (asked !== undefined && daemon !== undefined) {
        await daemon.done;
        return 0;
      }
      complain(`inferd: ${error instanceof Error ? error.message : String(error)}`);
      return 1;
    } finally {
      for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
    }
  },
};
