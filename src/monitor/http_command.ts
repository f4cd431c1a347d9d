/** Command line of the HTTP bridge, as `serve` starts it. */
import { type Env, givenVariables } from "../config/flags.ts";
import { settingFlags } from "../config/merge.ts";
import type { DaemonOptions } from "../config/options.ts";
import { HTTP_SETTINGS, SETTINGS, type SettingValues } from "../config/schema.ts";
import { HUGGING_FACE_VARIABLES } from "../models/transfer/access.ts";
import type { ProcessCommand } from "./daemon_command.ts";
import { moduleArguments } from "./module_arguments.ts";
import { httpDenoFlags, httpNeeds, type PermissionContext } from "./permissions/permissions.ts";
import { TELEMETRY_VARIABLES } from "./telemetry.ts";

/** Flag of `inferd http`: exit at EOF on stdin, and so together with the parent process. */
export const UNTIL_EOF_FLAG = "until-eof";

/** The API key is not an argument, because any local user can read those. */
export function httpCommand(options: DaemonOptions, values: SettingValues, { context, env }: {
  readonly context: PermissionContext;
  readonly env: Env;
}): ProcessCommand {
  const { apiKey, ...open } = values;
  const known: readonly string[] = HTTP_SETTINGS;
  const given = Object.fromEntries(Object.entries(open).filter(([name]) => known.includes(name)));
  const own = [`--${UNTIL_EOF_FLAG}`, ...settingFlags(given)];
  return {
    command: context.execPath,
    args: moduleArguments(import.meta.resolve("../cli/http_main.ts"), own, {
      needs: httpNeeds(options, context),
      context,
      deno: httpDenoFlags(options),
    }),
    env: {
      ...(options.http.enabled ? givenVariables(env, TELEMETRY_VARIABLES) : {}),
      ...(options.http.pullInto === undefined ? {} : givenVariables(env, HUGGING_FACE_VARIABLES)),
      ...(apiKey === undefined ? {} : { [SETTINGS.apiKey.names.env]: apiKey }),
    },
  };
}
