/** `inferd permissions`: the Deno flags a configuration needs, on one line, for a shell's `$(…)`. */
import { parseFlags } from "../config/flags.ts";
import { hasRelativePath, resolveOptions } from "../config/resolve.ts";
import { ENVIRONMENT, type SettingName, SETTINGS, type SettingValues, UsageError } from "../config/settings.ts";
import { clientPermissionFlags, type PermissionContext, permissionFlags } from "../permissions.ts";
import type { Command } from "./command.ts";

export const permissions: Command = {
  name: "permissions",
  usage: "permissions [serve|client] [FLAGS OF serve]",
  summary: "The exact Deno flags this configuration needs, ready to paste",
  settings: Object.keys(SETTINGS) as SettingName[],
  flags: [],
  exits: ["0", "2 bad flags or environment"],

  run(args, { machine }): Promise<number> {
    const flags = parseFlags(args, machine.env, { settings: this.settings, words: 1 });
    const options = resolveOptions(flags.values, machine);
    const role = flags.rest[0] ?? "serve";
    if (role !== "serve" && role !== "client") {
      throw new UsageError(`Cannot tell permissions of ${JSON.stringify(role)}: must be serve or client`);
    }
    const context = permissionContext(flags.values);
    const list = role === "serve" ? permissionFlags(options, context) : clientPermissionFlags(options, context);
    console.log(list.join(" "));
    return Promise.resolve(0);
  },
};

/**
 * What decides on permissions beside the daemon's options.
 *
 * @param values What was given.
 * @returns The context of this process.
 */
export function permissionContext(values: SettingValues): PermissionContext {
  return {
    env: ENVIRONMENT,
    execPath: Deno.execPath(),
    ...(hasRelativePath(values) ? { workingDirectory: Deno.cwd() } : {}),
  };
}
