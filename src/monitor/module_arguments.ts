/** Command lines of this program's modules, each in a process of its own with exact permissions. */
import { confinedArguments } from "../confinement/confined.ts";
import { lists, type Need } from "./permissions/need.ts";
import { express, type PermissionContext } from "./permissions/permissions.ts";

/** @throws {UsageError} If Deno's flags are used and cannot express a permission. */
export function moduleArguments(module: string, args: readonly string[], { needs, context, deno = [] }: {
  readonly needs: readonly Need[];
  readonly context: Pick<PermissionContext, "self" | "passSet">;
  readonly deno?: readonly string[];
}): string[] {
  const { self } = context;
  if (self === undefined) return ["run", "--quiet", ...deno, ...express(needs, context), module, ...args];
  return confinedArguments(module, args, { permissions: lists(needs), self });
}
