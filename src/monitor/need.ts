/** One Deno permission: its flag, its descriptor, whether it is granted. */
import { UsageError } from "../config/setting/usage_error.ts";

/** A required permission. */
export interface Need {
  readonly name: "read" | "write" | "net" | "run" | "ffi" | "sys" | "env";
  readonly value: string;
  /** Not needed after the inference sockets are bound. */
  readonly bootOnly: boolean;
}

/**
 * Format permissions as flags of `deno run`.
 *
 * @param list The permissions.
 * @returns The flags in order, without duplicates.
 * @throws {UsageError} If a path contains a comma, which Deno's flags cannot express.
 */
export function flags(list: readonly Need[]): string[] {
  for (const { name, value } of list) {
    if (value.includes(",")) {
      throw new UsageError(
        `Cannot run with exact permissions for ${
          JSON.stringify(value)
        }: Deno's --allow-${name} does not allow a comma in a path. ` +
          "Use another path",
      );
    }
  }
  // Otherwise Deno would prompt on a terminal for a missing permission and block the daemon.
  return [
    "--no-prompt",
    ...Object.entries(lists(list)).map(([name, values]) => `--allow-${name}=${values.join(",")}`),
  ];
}

/** Values by permission name, in order and without duplicates: the permissions of a worker. */
export function lists(list: readonly Need[]): Readonly<Partial<Record<Need["name"], string[]>>> {
  const found: Partial<Record<Need["name"], string[]>> = {};
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
