/**
 * `inferd permissions`: prints the Deno flags of every process for a configuration, or those of one process on a single
 * line for `$(…)` in a shell.
 */
import type { Env } from "../config/flags.ts";
import { configPath } from "../config/load.ts";
import { hasRelativePath } from "../config/merge.ts";
import { huggingFace, readOptions } from "../config/resolve.ts";
import { environment, SERVE_SETTINGS, type SettingValues } from "../config/schema.ts";
import { quoted } from "../config/setting/typed_command.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import {
  clientPermissionFlags,
  doctorPermissionFlags,
  fetcherPermissionFlags,
  httpPermissionFlags,
  monitorPermissionFlags,
  type PermissionContext,
  permissionFlags,
} from "../monitor/permissions/permissions.ts";
import { ENGINE_PERMISSIONS } from "../engine/ipc/command.ts";
import { type Command, parseCommand } from "./command.ts";
import { print } from "./terminal/output.ts";

const ROLES = {
  serve: monitorPermissionFlags,
  daemon: permissionFlags,
  engine: () => [...ENGINE_PERMISSIONS],
  fetcher: fetcherPermissionFlags,
  client: clientPermissionFlags,
  http: httpPermissionFlags,
  doctor: doctorPermissionFlags,
} as const;

export const permissions: Command = {
  name: "permissions",
  usage: "permissions [serve|daemon|engine|fetcher|client|http|doctor] [FLAGS OF serve]",
  summary: "Print the exact Deno flags that each process of this configuration gets",
  words: Object.keys(ROLES),
  settings: SERVE_SETTINGS,
  flags: [],
  exits: ["0 done", "2 bad flags, environment or configuration file"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 1);
    const options = await readOptions(flags.values, machine);
    const context = permissionContext(flags.values, machine.env);
    const role = flags.rest[0];
    if (role === undefined) {
      for (const [name, flagsOf] of Object.entries(ROLES)) {
        print(`${name}: ${described(() => line(flagsOf(options, context)))}`);
      }
      return 0;
    }
    if (!isRole(role)) {
      throw new UsageError(
        `Unknown role ${JSON.stringify(role)}. Use serve, daemon, engine, fetcher, client, http or doctor`,
      );
    }
    print(line(ROLES[role](options, context)));
    return 0;
  },
};

/** The flags, or why there are none. */
function described(flags: () => string): string {
  try {
    return flags();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

/** Flags ready for pasting. */
function line(flags: readonly string[]): string {
  return flags.map(quoted).join(" ");
}

function isRole(text: string): text is keyof typeof ROLES {
  return Object.hasOwn(ROLES, text);
}

/** Collect the inputs for permissions besides the daemon's options. */
export function permissionContext(values: SettingValues, env: Env): PermissionContext {
  const config = configPath(values, env);
  return {
    env: environment(),
    execPath: Deno.execPath(),
    huggingFace: () => huggingFace(env),
    ...(Deno.build.standalone ? { self: [] } : {}),
    ...(hasRelativePath(values) ? { workingDirectory: Deno.cwd() } : {}),
    ...(config === undefined ? {} : { configPath: config.path }),
  };
}
