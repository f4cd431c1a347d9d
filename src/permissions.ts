/**
 * What the daemon asks of Deno: every permission, what it is for, and whether it is needed after boot. The flags are
 * made from the same list as what is given back.
 */
import { dirname, join } from "@std/path";
import type { DaemonOptions } from "./config/options.ts";
import { LIBC_PATHS } from "./server/peer.ts";
import { BUILT_IN_URL, builtInModelFile } from "./models/built_in.ts";

/** One permission. */
interface Need {
  readonly name: "read" | "write" | "net" | "run" | "ffi" | "sys" | "env";
  readonly value: string;
  /** Not needed any more when the inference sockets are bound. */
  readonly bootOnly: boolean;
}

/** What `options` do not say. */
export interface PermissionContext {
  /** Names of the environment variables that configuration reads. */
  readonly env: readonly string[];
  /** The program that runs the engine. */
  readonly execPath: string;
  /** Given where a path of the configuration is relative to it. */
  readonly workingDirectory?: string;
  /** For tests; absent: where the built-in model really is. */
  readonly builtInUrl?: URL;
}

/** Which of the daemon's permissions are left. */
export interface LeftPermissions {
  /** `name=value`, or `name` alone where it is held for everything. */
  readonly left: readonly string[];
}

/**
 * The Deno flags a daemon with these options needs, and no other.
 *
 * @param options What the daemon is told.
 * @param context What else decides.
 * @returns The flags, in a fixed order.
 */
export function permissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return flags(needs(options, context));
}

/**
 * The Deno flags a client of such a daemon needs, and no other.
 *
 * @param options What the daemon is told.
 * @param context As for `permissionFlags`.
 * @returns The flags, in a fixed order.
 */
export function clientPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  const { inferSocket, adminSocket, inferTcp } = options;
  const sockets = [inferSocket, adminSocket];
  const hosts = sockets.map((path) => `unix:${path}`);
  if (inferTcp !== undefined) hosts.push(hostOf(inferTcp.hostname, inferTcp.port));
  const list = (name: Need["name"], values: readonly string[]): Need[] =>
    values.map((value) => ({ name, value, bootOnly: false }));
  return flags([
    ...list("read", context.workingDirectory === undefined ? sockets : [...sockets, context.workingDirectory]),
    ...list("write", sockets),
    ...list("net", hosts),
    ...list("sys", ["uid"]),
    ...list("env", context.env),
  ]);
}

function flags(list: readonly Need[]): string[] {
  const values = new Map<string, Set<string>>();
  for (const { name, value } of list) {
    const found = values.get(name) ?? new Set();
    values.set(name, found.add(value));
  }
  // Without it a terminal would be asked for what was not given, and the daemon would stand still meanwhile.
  return [
    "--no-prompt",
    ...[...values].map(([name, set]) =>
      `--allow-${name}=${[...set].map((value) => value.replaceAll(",", ",,")).join(",")}`
    ),
  ];
}

/**
 * Give back what was needed only for booting. A permission that is held for everything (`-A`, `--allow-read`) cannot
 * be narrowed and stays.
 *
 * @param options As for `permissionFlags`.
 * @param context As for `permissionFlags`.
 * @returns What is left, asked of Deno and not computed.
 */
export function dropBootPermissions(options: DaemonOptions, context: PermissionContext): LeftPermissions {
  const all = needs(options, context);
  const kept = new Set(all.filter(({ bootOnly }) => !bootOnly).map(key));
  const whole = new Set(NAMES.filter((name) => isGranted({ name })));
  for (const need of all) {
    if (need.bootOnly && !kept.has(key(need)) && !whole.has(need.name)) Deno.permissions.revokeSync(descriptor(need));
  }
  const single = all.filter((need) => !whole.has(need.name) && isGranted(descriptor(need)));
  return { left: [...whole, ...new Set(single.map(key))] };
}

const NAMES = ["read", "write", "net", "run", "ffi", "sys", "env"] as const;

function needs(options: DaemonOptions, context: PermissionContext): Need[] {
  const { runtimeDir, lockPath, inferSocket, adminSocket, inferTcp, group, logDir } = options;
  const pidFile = join(dirname(lockPath), "inferd.pid");
  const list: Need[] = [];
  const boot = (name: Need["name"], ...values: string[]): void => {
    for (const value of values) list.push({ name, value, bootOnly: true });
  };
  const keep = (name: Need["name"], ...values: string[]): void => {
    for (const value of values) list.push({ name, value, bootOnly: false });
  };

  boot("read", runtimeDir, lockPath, pidFile);
  boot("write", runtimeDir, lockPath);
  // Removed at the end, and the generation socket comes and goes with the engine.
  keep("read", adminSocket, inferSocket, logDir);
  keep("write", adminSocket, inferSocket, pidFile, logDir);
  boot("net", `unix:${adminSocket}`);
  keep("net", `unix:${inferSocket}`);
  if (inferTcp !== undefined) keep("net", hostOf(inferTcp.hostname, inferTcp.port));
  // A group's name is looked up each time the socket is bound.
  if (group !== undefined && !/^\d+$/.test(group)) keep("read", "/etc/group");

  for (const backend of options.backends) {
    if (backend.kind !== "llamacpp") continue;
    keep("run", context.execPath);
    if (backend.modelPath !== undefined) {
      keep("read", backend.modelPath);
      continue;
    }
    const cacheDir = options.cacheDir ?? runtimeDir;
    const url = context.builtInUrl ?? BUILT_IN_URL;
    keep("read", builtInModelFile(cacheDir, url));
    if (url.protocol !== "file:") {
      boot("read", cacheDir);
      boot("write", cacheDir);
      boot("net", url.host);
    }
  }
  // Peer credentials.
  if (Deno.build.os === "linux") boot("ffi", ...LIBC_PATHS);
  // Whether the runtime directory is ours.
  boot("sys", "uid");
  boot("env", ...context.env);
  if (context.workingDirectory !== undefined) boot("read", context.workingDirectory);
  return list;
}

function hostOf(hostname: string, port: number): string {
  return `${hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname}:${port}`;
}

function key(need: Need): string {
  return `${need.name}=${need.value}`;
}

function isGranted(asked: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(asked).state === "granted";
}

function descriptor({ name, value }: Need): Deno.PermissionDescriptor {
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
      return { name, kind: value as "uid" };
    case "env":
      return { name, variable: value };
  }
}
