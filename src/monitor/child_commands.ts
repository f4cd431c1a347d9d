/** Commands of the child processes that the daemon may order. Computed once, before the daemon runs. */
import type { Env } from "../config/flags.ts";
import type { DaemonOptions } from "../config/options.ts";
import type { SettingValues } from "../config/schema.ts";
import { engineCommand } from "../engine/ipc/command.ts";
import { chatWrappersCommand, fetchCommand } from "../libraries/fetch/fetch_command.ts";
import { privateSocketPath } from "../processes/orders.ts";
import type { ChildCommand, ChildCommands } from "./children.ts";
import { httpCommand } from "./http_command.ts";
import { passPermissionSet } from "./permissions/permission_set.ts";
import type { PermissionContext } from "./permissions/permissions.ts";

/** The start command of every child process; reloading the configuration does not change them. */
export function childCommands(
  options: DaemonOptions,
  values: SettingValues,
  { context, env, own }: {
    readonly context: PermissionContext;
    readonly env: Readonly<Record<string, string>>;
    readonly own: Env;
  },
): ChildCommands {
  const socket = privateSocketPath(options);
  const cacheDir = options.cacheDir ?? options.runtimeDir;
  const child = (
    { command, args, env: further = {} }: {
      readonly command: string;
      readonly args: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
    },
    more: Pick<ChildCommand, "isNumbered" | "prints">,
  ): ChildCommand => ({
    command,
    args: more.isNumbered ? [...args, socket] : args,
    // These variables make any program run arbitrary code; Deno passes them on only with unrestricted `--allow-run`.
    env: Object.fromEntries(Object.entries(further).filter(([name]) => !name.startsWith("LD_"))),
    ...more,
  });
  const { self } = context;
  const engine = engineCommand(self);
  const libraries = fetchCommand(cacheDir, options.home, { socket, passSet: passPermissionSet, self });
  const chatFormats = chatWrappersCommand();
  const http = httpCommand(options, values, { context, env: own });
  return {
    engine: child(engine, { isNumbered: true, prints: "daemon" }),
    libraries: child({ ...libraries, env: { ...env, ...libraries.env } }, { isNumbered: true, prints: "daemon" }),
    chat_formats: child({ ...chatFormats, env: { ...env, ...chatFormats.env } }, {
      isNumbered: false,
      prints: "daemon",
    }),
    ...(options.http.enabled
      ? { http: child({ ...http, env: { ...env, ...http.env } }, { isNumbered: false, prints: "own" }) }
      : {}),
  };
}
