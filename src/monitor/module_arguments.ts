/** Command lines of this program's modules, each in a process of its own with exact permissions. */
import { confinedArguments } from "../confinement/confined.ts";
import { flags, lists, type Need } from "./need.ts";

/**
 * Compute the arguments that run a module.
 *
 * @param module Its URL.
 * @param args Its own arguments.
 * @param permitted Its permissions, and `PermissionContext.self`; `deno`: further flags of `deno run`.
 * @returns Arguments of `PermissionContext.execPath`.
 * @throws {UsageError} If Deno's flags are used and cannot express a permission.
 */
export function moduleArguments(module: string, args: readonly string[], { needs, self, deno = [] }: {
  readonly needs: readonly Need[];
  readonly self: readonly string[] | undefined;
  readonly deno?: readonly string[];
}): string[] {
  if (self === undefined) return ["run", "--quiet", ...deno, ...flags(needs), module, ...args];
  return confinedArguments(module, args, { permissions: lists(needs), self });
}
