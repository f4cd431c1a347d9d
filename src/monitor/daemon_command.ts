/** The command line and the environment of the daemon, as `serve` starts it. */
import type { Env } from "../config/flags.ts";
import type { DaemonOptions } from "../config/options.ts";
import { daemonEnvironment, type PermissionContext, permissionFlags } from "./permissions.ts";

/** How to start the daemon. */
export interface DaemonCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * How to start a daemon.
 *
 * @param options What it will find from the same flags, environment and file.
 * @param args The flags of `serve`, as they were given.
 * @param from What else decides on permissions, this process's environment, and the program.
 * @returns The command.
 * @throws {UsageError} If Deno's flags have no way to name what the daemon needs.
 */
export function daemonCommand(
  options: DaemonOptions,
  args: readonly string[],
  { context, env, program }: {
    readonly context: PermissionContext;
    readonly env: Env;
    /** The daemon's main module. */
    readonly program: string;
  },
): DaemonCommand {
  return {
    command: context.execPath,
    args: [
      "run",
      "--quiet",
      ...permissionFlags(options, context),
      program,
      ...args,
    ],
    env: Object.fromEntries(
      daemonEnvironment(options, context)
        // Only a process that may start anything may pass these on, and the daemon could not: they make any program run
        // any code.
        .filter((name) => !name.startsWith("LD_"))
        .map((name) => [name, env(name)] as const)
        .filter((entry): entry is [string, string] => entry[1] !== undefined),
    ),
  };
}
