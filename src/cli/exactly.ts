/**
 * Runs client commands from tasks in a child process with exactly the permissions their arguments, environment and
 * configuration file require. `$(…)` in a shell cannot pass such flags if a path contains a space.
 */
import { type Machine, readOptions } from "../config/resolve.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { passPermissionSet } from "../monitor/permissions/permission_set.ts";
import {
  clientPermissionFlags,
  doctorPermissionFlags,
  httpPermissionFlags,
} from "../monitor/permissions/permissions.ts";
import { type Command, parseCommand } from "./command.ts";
import { permissionContext } from "./permissions.ts";

/** Precedes the command's name on the command line of `main.ts`. */
export const EXACT_ARGUMENT = "--exact-permissions";

/** Access to files given by the user, by command. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  generate: ["--allow-read"],
  chat: ["--allow-read", "--allow-write"],
};
/** Enough for a command to print its help, and for `doctor` to report an invalid configuration. */
const LEAST = ["--no-prompt", "--allow-env", "--allow-read", "--allow-sys=uid,systemMemoryInfo", "--allow-run"];
/** Relayed signals. A terminal sends Ctrl-C to every process of the group. */
const RELAYED: readonly Deno.Signal[] = Deno.stdin.isTerminal()
  ? ["SIGTERM", "SIGHUP"]
  : ["SIGTERM", "SIGHUP", "SIGINT"];

/** @throws {UsageError} If the command line is wrong. */
export async function runExactly(command: Command, args: readonly string[], machine: Machine): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      ...await flagsOf(command, args, machine),
      ...program(command, args),
      ...args,
    ],
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const relays = RELAYED.map((signal): [Deno.Signal, () => void] => [signal, () => child.kill(signal)]);
  if (Deno.stdin.isTerminal()) relays.push(["SIGINT", () => {}]);
  for (const [signal, relay] of relays) Deno.addSignalListener(signal, relay);
  const { code } = await child.status;
  for (const [signal, relay] of relays) Deno.removeSignalListener(signal, relay);
  return code;
}

async function flagsOf(command: Command, args: readonly string[], machine: Machine): Promise<readonly string[]> {
  if (asksForHelp(args)) return LEAST;
  const { values } = parseCommand(command, args, machine.env);
  const context = { ...permissionContext(values, machine.env), passSet: passPermissionSet };
  try {
    const options = await readOptions(values, machine);
    if (command.name === "doctor") return doctorPermissionFlags(options, context);
    if (command.name === "http") return httpPermissionFlags(options, context);
    const [exact, more] = [clientPermissionFlags(options, context), FILES[command.name] ?? []];
    return [...exact.filter((flag) => !more.some((whole) => flag.startsWith(`${whole}=`))), ...more];
  } catch (error) {
    // Reporting such errors is its purpose.
    if (command.name === "doctor" && error instanceof UsageError) return LEAST;
    throw error;
  }
}

/** The bridge's own module can be loaded without reading files. */
function program(command: Command, args: readonly string[]): readonly string[] {
  if (command.name === "http" && !asksForHelp(args)) return [import.meta.resolve("./http_main.ts")];
  return [import.meta.resolve("../../main.ts"), command.name];
}

function asksForHelp(args: readonly string[]): boolean {
  return args.includes("--help") || args.includes("-h");
}
