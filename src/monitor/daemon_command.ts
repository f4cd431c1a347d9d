/** Command line and environment of the daemon, as `serve` starts it. */
import { type Env, givenVariables } from "../config/flags.ts";
import type { DaemonOptions } from "../config/options.ts";
import { moduleArguments } from "./module_arguments.ts";
import { daemonNeeds } from "./permissions/daemon_needs.ts";
import { daemonEnvironment, type PermissionContext } from "./permissions/permissions.ts";

/** Start command of a process. */
export interface ProcessCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The complete environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** @throws {UsageError} If a permission that the daemon needs cannot be passed to it. */
export function daemonCommand(
  options: DaemonOptions,
  args: readonly string[],
  { context, env, program }: {
    readonly context: PermissionContext;
    readonly env: Env;
    /** The daemon's main module. */
    readonly program: string;
  },
): ProcessCommand {
  return {
    command: context.execPath,
    args: moduleArguments(program, args, { needs: daemonNeeds(options, context), context }),
    // LD_* variables make any program run arbitrary code; passing them on takes unrestricted `--allow-run`, which the
    // daemon lacks.
    env: givenVariables(env, daemonEnvironment(options, context).filter((name) => !name.startsWith("LD_"))),
  };
}
