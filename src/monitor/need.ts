/** One permission as Deno knows it: its flag, its descriptor, whether this process has it. */
import { UsageError } from "../config/setting/usage_error.ts";

/** One permission. */
export interface Need {
  readonly name: "read" | "write" | "net" | "run" | "ffi" | "sys" | "env";
  readonly value: string;
  /** Not needed any more when the inference sockets are bound. */
  readonly bootOnly: boolean;
}

/**
 * The flags of `deno run` for a list of permissions.
 *
 * @param list The permissions.
 * @returns The flags, each permission once, in order.
 * @throws {UsageError} If a path has a comma: Deno's flags have no way to name it.
 */
export function flags(list: readonly Need[]): string[] {
  const values = new Map<string, Set<string>>();
  for (const { name, value } of list) {
    if (value.includes(",")) {
      throw new UsageError(
        `Cannot run with exact permissions for ${
          JSON.stringify(value)
        }: Deno's --allow-${name} takes no comma in a path. ` +
          "Use another path",
      );
    }
    const found = values.get(name) ?? new Set();
    values.set(name, found.add(value));
  }
  // Otherwise Deno would prompt on a terminal for a missing permission and block the daemon.
  return [
    "--no-prompt",
    ...[...values].map(([name, set]) => `--allow-${name}=${[...set].join(",")}`),
  ];
}

/** What tells two permissions apart. */
export function key(need: Need): string {
  return `${need.name}=${need.value}`;
}

/** Whether it is the path of a file. */
export function isFile({ name }: Need): boolean {
  return name === "read" || name === "write";
}

/** Whether this process has it. */
export function isGranted(asked: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(asked).state === "granted";
}

/** How Deno is asked for it. */
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
