/**
 * Gives a child process permissions that Deno's flags cannot express, because a path has a comma: as a permission set in
 * a configuration file. The file is in memory, belongs to this process and vanishes with it.
 */
import config from "../../../deno.json" with { type: "json" };
import { UsageError } from "../../config/setting/usage_error.ts";
import { permittedLibcPaths } from "../../server/kernel.ts";

/** Values by permission: `{ read: ["/a,b"] }`. */
export type PermissionSet = Readonly<Record<string, readonly string[]>>;

const MFD_CLOEXEC = 1;
const MEMORY_FILE = {
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
} as const;

/**
 * Write a permission set for child processes, which may be started as long as this process runs.
 *
 * @returns Arguments of `deno run`.
 * @throws {UsageError} If this system has no files in memory, or this process may not call libc.
 */
export function passPermissionSet(set: PermissionSet): string[] {
  const bytes = new TextEncoder().encode(JSON.stringify(configuration(set)));
  for (const path of Deno.build.os === "linux" ? permittedLibcPaths() : []) {
    let libc: Deno.DynamicLibrary<typeof MEMORY_FILE>;
    try {
      libc = Deno.dlopen(path, MEMORY_FILE);
    } catch {
      continue; // libc is elsewhere on this system
    }
    const file = libc.symbols.memfd_create(new TextEncoder().encode("permissions.json\0"), MFD_CLOEXEC);
    if (file < 0 || libc.symbols.write(file, bytes, BigInt(bytes.length)) !== BigInt(bytes.length)) continue;
    return ["-P", "--config", `/proc/${Deno.pid}/fd/${file}`];
  }
  return refusePermissionSet(set, "This takes Linux and --allow-ffi; otherwise use another path");
}

/** @throws {UsageError} Always: only flags will do. `help` says what to do instead. */
export function refusePermissionSet(
  set: PermissionSet,
  help = `Put ${JSON.stringify({ permissions: { default: set } })} into deno.json and run "deno run --no-prompt -P"`,
): never {
  const path = Object.values(set).flat().find(hasComma);
  throw new UsageError(`Cannot express ${JSON.stringify(path)} as a flag of Deno: it has a comma. ${help}`);
}

/** Whether a value cannot be part of a flag. */
export function hasComma(value: string): boolean {
  return value.includes(",");
}

/** It replaces the checkout's own `deno.json`, whose imports are needed; published modules have none. */
function configuration(set: PermissionSet): unknown {
  const permissions = { default: set };
  const root = new URL("../../../", import.meta.url);
  if (root.protocol !== "file:") return { lock: false, permissions };
  const { imports: mapped, links = [] }: {
    readonly imports: Readonly<Record<string, string>>;
    readonly links?: readonly string[];
  } = config;
  const absolute = (path: string): string => path.startsWith("./") ? new URL(path, root).href : path;
  const client = ["@inferd/client", "@inferd/client/paths", "@inferd/client/protocol"];
  const imports = Object.entries(mapped).map(([name, target]) => [name, absolute(target)]);
  return {
    lock: false,
    links: links.map(absolute),
    imports: Object.fromEntries([...imports, ...client.map((name) => [name, import.meta.resolve(name)])]),
    permissions,
  };
}
