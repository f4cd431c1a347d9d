/** Command lines of this program's modules, each in a process of its own with exact permissions. */
import { confinedArguments } from "../confinement/confined.ts";
import { lists, type Need } from "./permissions/need.ts";
import { express, type PermissionContext } from "./permissions/permissions.ts";

/**
 * Compute the arguments that run a module.
 *
 * @param module Its URL.
 * @param args Its own arguments.
 * @param permitted Its permissions, and how to express them; `deno`: further flags of `deno run`.
 * @returns Arguments of `PermissionContext.execPath`.
 * @throws {UsageError} If Deno's flags are used and cannot express a permission.
 */
export function moduleArguments(module: string, args: readonly string[], { needs, context, deno = [] }: {
  readonly needs: readonly Need[];
  readonly context: Pick<PermissionContext, "self" | "passSet">;
  readonly deno?: readonly string[];
}): string[] {
  const { self } = context;
  if (self === undefined) return ["run", "--quiet", ...deno, ...express(needs, context), module, ...args];
  return confinedArguments(module, args, { permissions: lists(needs), self });
}
