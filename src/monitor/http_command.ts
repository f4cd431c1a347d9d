/** Command line of the HTTP bridge, as `serve` starts it. */
import { type Env, givenVariables } from "../config/flags.ts";
import { settingFlags } from "../config/merge.ts";
import type { DaemonOptions } from "../config/options.ts";
import { HTTP_SETTINGS, SETTINGS, type SettingValues } from "../config/schema.ts";
import { HUGGING_FACE_VARIABLES } from "../models/transfer/access.ts";
import { httpPermissionFlags, type PermissionContext } from "./permissions.ts";
import { TELEMETRY_VARIABLES } from "./telemetry.ts";

/** Flag of `inferd http`: exit at EOF on stdin, and so together with the parent process. */
export const UNTIL_EOF_FLAG = "until-eof";

/** Start command of the bridge. */
export interface HttpCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Compute the bridge's start command. The API key is not an argument, because any local user can read those.
 *
 * @param options The daemon's options.
 * @param values Values from the command line and the environment.
 * @param from Further inputs for permissions, and this process's environment.
 * @returns The command. An executable made by `deno compile` starts with all of its permissions and drops those the
 * bridge never needs.
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
      ...(options.http.enabled ? givenVariables(env, TELEMETRY_VARIABLES) : {}),
      ...(options.http.pullInto === undefined ? {} : givenVariables(env, HUGGING_FACE_VARIABLES)),
      ...(apiKey === undefined ? {} : { [SETTINGS.apiKey.names.env]: apiKey }),
    },
  };
}
