/** One Deno permission: its flag, its descriptor, whether it is granted. */
import { hasComma, type PermissionSet } from "./permission_set.ts";

/** A required permission. */
export interface Need {
  readonly name: "read" | "write" | "net" | "run" | "ffi" | "sys" | "env";
  readonly value: string;
  /** Not needed after the inference sockets are bound. */
  readonly bootOnly: boolean;
}

/** Permissions of one kind; `undefined` values are none. */
export function needs(name: Need["name"], values: readonly (string | undefined)[], bootOnly = false): Need[] {
  return values.filter((value) => value !== undefined).map((value) => ({ name, value, bootOnly }));
}

/** Arguments of `deno run`, in order and without duplicates; `passSet` formats what flags cannot express. */
export function flags(list: readonly Need[], passSet: (set: PermissionSet) => readonly string[]): string[] {
  const set = lists(list);
  // Otherwise Deno would prompt on a terminal for a missing permission and block the daemon.
  return ["--no-prompt", ...Object.values(set).flat().some(hasComma) ? passSet(set) : asFlags(set)];
}

/** Format permissions as flags, for Deno or, whatever they contain, for people. */
export function asFlags(set: PermissionSet): string[] {
  return Object.entries(set).map(([name, values]) => `--allow-${name}=${values.join()}`);
}

/** Values by permission name, in order and without duplicates: the permissions of a worker. */
export function lists(list: readonly Need[]): Readonly<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const { name, value } of list) {
    const values = found[name] ??= [];
    if (!values.includes(value)) values.push(value);
  }
  return found;
}

/** Identity of a permission. */
export function key(need: Need): string {
  return `${need.name}=${need.value}`;
}

/** Whether it is a permission for a path. */
export function isFile({ name }: Need): boolean {
  return name === "read" || name === "write";
}

/** Whether this process has the permission. */
export function isGranted(asked: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(asked).state === "granted";
}

/** Deno's descriptor of the permission. */
export function descriptor({ name, value }: Need): Deno.PermissionDescriptor {
  switch (name) {
    case "read":
    case "write":
    case "ffi":
      return { name, path: value };
    case "net":
      return { name, host: value };
    case "run":
      return { name, command: value };
    case "sys":
      return { name, kind: value as "uid" | "systemMemoryInfo" };
    case "env":
      return { name, variable: value };
  }
}
