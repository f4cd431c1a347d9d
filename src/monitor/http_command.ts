/** The command line of the bridge to HTTP, as `serve` starts it. */
import type { Env } from "../config/flags.ts";
import { settingFlags } from "../config/merge.ts";
import type { DaemonOptions } from "../config/options.ts";
import { HTTP_SETTINGS, SETTINGS, type SettingValues } from "../config/schema.ts";
import { httpPermissionFlags, type PermissionContext } from "./permissions.ts";
import { telemetry } from "./telemetry.ts";

/** A flag of `inferd http`: it ends when its standard input does, and so with whoever started it. */
export const UNTIL_EOF_FLAG = "until-eof";

/** How to start the bridge. */
export interface HttpCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * How to start the bridge for a daemon. The key is not among the arguments: any user of the machine can read those.
 *
 * @param options What the daemon is told.
 * @param values What was given on the command line and in the environment.
 * @param from What else decides on permissions, and this process's environment.
 * @returns The command. An executable made by `deno compile` has its permissions to begin with, and gives back those
 * that the bridge never needs.
 */
export function httpCommand(options: DaemonOptions, values: SettingValues, { context, env }: {
  readonly context: PermissionContext;
  readonly env: Env;
}): HttpCommand {
  const { apiKey, ...open } = values;
  const known: readonly string[] = HTTP_SETTINGS;
  const given = Object.fromEntries(Object.entries(open).filter(([name]) => known.includes(name)));
  const own = ["http", `--${UNTIL_EOF_FLAG}`, ...settingFlags(given)];
  return {
    command: context.execPath,
    args: Deno.build.standalone ? own : [
      "run",
      "--quiet",
      ...httpPermissionFlags(options, context),
      import.meta.resolve("../../main.ts"),
      ...own,
    ],
    env: {
      ...(options.http.enabled ? telemetry(env) : {}),
      ...(apiKey === undefined ? {} : { [SETTINGS.apiKey.names.env]: apiKey }),
    },
  };
}
