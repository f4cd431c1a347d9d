/** The commands of what the monitor starts for the daemon. They are computed once, before the daemon runs. */
import type { Env } from "../config/flags.ts";
import type { DaemonOptions } from "../config/options.ts";
import type { SettingValues } from "../config/schema.ts";
import { engineCommand } from "../engine/ipc/command.ts";
import { chatWrappersCommand, fetchCommand } from "../libraries/fetch/fetch_command.ts";
import { privateSocketPath } from "../processes/orders.ts";
import type { ChildCommand, ChildCommands } from "./children.ts";
import { httpCommand } from "./http_command.ts";
import type { PermissionContext } from "./permissions.ts";

/**
 * How to start everything that a daemon may order.
 *
 * @param options What the daemon finds.
 * @param values What was given on the command line and in the environment.
 * @param from What else decides on permissions, the daemon's environment, and this process's own.
 * @returns The commands. No configuration that is read again changes them.
 */
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
    // These make any program run any code, and only a process that may start anything can pass them on.
    env: Object.fromEntries(Object.entries(further).filter(([name]) => !name.startsWith("LD_"))),
    ...more,
  });
  const engine = engineCommand();
  const libraries = fetchCommand(cacheDir, options.home, socket);
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
