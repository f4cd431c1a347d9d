/**
 * The Deno permissions of each command: what each one is for and whether it is needed after boot. The flags and the
 * permissions dropped after boot come from the same list.
 */
import { dirname } from "node:path";
import type { DaemonOptions, HuggingFaceOptions } from "../../config/options.ts";
import { type DaemonContext, daemonNeeds, inferenceSockets, isNamed, named } from "./daemon_needs.ts";
import { linkTarget } from "./link_targets.ts";
import { asFlags, descriptor, flags, isFile, isGranted, key, type Need, needs } from "./need.ts";
import { hasComma, type PermissionSet, refusePermissionSet } from "./permission_set.ts";
import { pullNeeds, WORKER_PERMISSIONS_FLAG, workerPermissions } from "./pull_needs.ts";
import { localModels } from "../../config/backends/draft.ts";
import { hostOf, tcpHosts } from "./hosts.ts";
import { ENGINE_ENVIRONMENT } from "../../engine/ipc/command.ts";
import { privateSocketPath } from "../../processes/orders.ts";
import { LIBC_PATHS } from "../../server/kernel.ts";
import { HUGGING_FACE_VARIABLES } from "../../models/transfer/access.ts";
import { hashCachePath } from "../../models/file/hash_cache.ts";
import { manifestsDir } from "../../models/store/layout.ts";
import { fetchPermissions } from "../../libraries/fetch/fetch_command.ts";
import { TELEMETRY_VARIABLES } from "../telemetry.ts";

/** Inputs besides the options. */
export interface PermissionContext extends DaemonContext {
  /** The executable that runs the engine. */
  readonly execPath: string;
  /** In an executable whose own permissions are fixed: the arguments that make `execPath` run this program. */
  readonly self?: readonly string[];
  /** Endpoint and token file of Hugging Face; asked for only if HTTP clients may download. */
  readonly huggingFace?: () => HuggingFaceOptions;
  /** Formats permissions that flags cannot express; default: refuses them. */
  readonly passSet?: (set: PermissionSet) => readonly string[];
}

/** The daemon's remaining permissions. */
export interface LeftPermissions {
  /** `name=value`, or just `name` if unrestricted. */
  readonly left: readonly string[];
}

/**
 * Compute exactly the Deno flags that a daemon with these options needs.
 *
 * @throws {UsageError} If Deno's flags cannot express a path, and `passSet` is not given.
 */
export function permissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return express(daemonNeeds(options, context), context);
}

/**
 * Variables that Deno itself, and the processes that download, read from the daemon's environment without a permission.
 */
const RUNTIME_ENVIRONMENT = [
  ...[
    "DENO_DIR",
    "HOME",
    "PATH",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "TMPDIR",
    "TZ",
    "NO_COLOR",
    "TERM",
    "DENO_NO_UPDATE_CHECK",
  ],
  // TLS trust store. Needed for downloads behind a proxy that re-signs TLS.
  ...["DENO_CERT", "DENO_TLS_CA_STORE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"],
  ...["NPM_CONFIG_REGISTRY", "NPM_TOKEN", "NODE_AUTH_TOKEN", "JSR_URL", "DENO_AUTH_TOKENS"],
] as const;

/** List the environment variables passed to a daemon with these options; it gets no others. */
export function daemonEnvironment(options: DaemonOptions, context: PermissionContext): readonly string[] {
  const read = daemonNeeds(options, context).filter(({ name }) => name === "env").map(({ value }) => value);
  return [...new Set([...read, ...RUNTIME_ENVIRONMENT])];
}

/**
 * Compute the Deno flags for `inferd serve`, which starts such a daemon and drops all of them but `run` once it runs.
 */
export function monitorPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return flags(
    monitorNeeds(options, context),
    // Unrestricted where flags cannot express a path, as with `deno task start`: it keeps nothing but `run`.
    (set) =>
      Object.entries(set).flatMap(([name, values]) =>
        values.some(hasComma) ? [`--allow-${name}`] : asFlags({ [name]: values })
      ),
  );
}

/** The flags that `inferd serve` needs and this process lacks. */
export function missingMonitorFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return missing(monitorNeeds(options, context));
}

function monitorNeeds(options: DaemonOptions, context: PermissionContext): Need[] {
  const { modelsHome, backends } = options;
  const list = (name: Need["name"], values: readonly (string | undefined)[]): Need[] => needs(name, values, true);
  const pullInto = options.http.enabled ? options.http.pullInto : undefined;
  const looksUp = localModels(backends).some(isNamed);
  return [
    ...list("read", [
      context.workingDirectory,
      context.configPath,
      looksUp && modelsHome !== undefined ? manifestsDir(modelsHome) : undefined,
    ]),
    ...list("run", [context.execPath]),
    // Used to refuse debuggers.
    ...list("ffi", LIBC_PATHS),
    ...list("sys", ["uid", ...options.autoselected ? ["systemMemoryInfo"] : []]),
    ...list("env", [...new Set([...daemonEnvironment(options, context), ...ENGINE_ENVIRONMENT])]),
    ...options.http.enabled ? list("env", TELEMETRY_VARIABLES) : [],
    ...pullInto === undefined
      ? []
      : [...list("env", HUGGING_FACE_VARIABLES), ...list("read", [linkTarget(pullInto)?.followed])],
    ...list("read", named(options, context).filter(isFile).map(({ value }) => linkTarget(value)?.followed)),
  ];
}

/** Compute exactly the Deno flags that a client of such a daemon needs. */
export function clientPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return express(clientNeeds(options, context), context);
}

function clientNeeds(options: DaemonOptions, context: PermissionContext): Need[] {
  const sockets = [...inferenceSockets(options), options.rpcSocket, options.adminSocket];
  const hosts = [...sockets.map((path) => `unix:${path}`), ...tcpHosts(options)];
  return [
    ...needs("read", [...sockets, context.workingDirectory, context.configPath]),
    ...needs("write", sockets),
    ...needs("net", hosts),
    ...needs("sys", ["uid"]),
    ...needs("env", context.env),
  ];
}

/**
 * Compute the Deno flags for `inferd http` with such a daemon: those of a client, plus one listening address, plus
 * those for downloads if clients may ask for them.
 */
export function httpPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return [...httpDenoFlags(options), ...express(httpNeeds(options, context), context)];
}

/** The flags that the bridge needs before it listens, to reach these sockets and to refuse debuggers, and lacks. */
export function missingHttpFlags(sockets: readonly string[]): string[] {
  return missing([
    ...(["read", "write"] as const).flatMap((name) => needs(name, sockets)),
    ...needs("net", sockets.map((path) => `unix:${path}`)),
    ...needs("ffi", LIBC_PATHS, true),
  ]);
}

/** Flags of `deno run` besides permissions. */
export function httpDenoFlags({ http: { pullInto } }: DaemonOptions): string[] {
  return pullInto === undefined ? [] : [WORKER_PERMISSIONS_FLAG];
}

/** What those flags permit. */
export function httpNeeds(options: DaemonOptions, context: PermissionContext): Need[] {
  const { address, pullInto } = options.http;
  return [
    ...clientNeeds(options, context),
    ...needs("net", [hostOf(address.hostname, address.port)]),
    // Used to refuse debuggers; dropped before the bridge listens.
    ...needs("ffi", LIBC_PATHS, true),
    ...needs("read", [options.apiKeyFile]),
    ...pullInto === undefined ? [] : pullNeeds(workerPermissions(pullInto, context.huggingFace?.() ?? {})),
  ];
}

/** Compute the Deno flags for `inferd doctor` with such a daemon: the daemon's own, plus read access everywhere. */
export function doctorPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  const list = daemonNeeds(options, context).filter(({ name }) => name !== "read");
  const own = [
    // It starts engines itself.
    ...needs("run", [context.execPath]),
    ...needs("env", ENGINE_ENVIRONMENT),
    // Free disk space, and the limit on the context's size.
    ...needs("sys", ["statfs", "systemMemoryInfo"]),
  ];
  return [...express([...list, ...own], context), "--allow-read"];
}

/** Compute the Deno flags of the process that fetches native libraries for such a daemon. */
export function fetcherPermissionFlags(
  options: DaemonOptions,
  { passSet = refusePermissionSet }: PermissionContext,
): string[] {
  const { cacheDir = options.runtimeDir, home } = options;
  return fetchPermissions(cacheDir, home, { socket: privateSocketPath(options), passSet });
}

/** The flags that a daemon with these options needs and this process lacks. */
export function missingPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return missing(daemonNeeds(options, context));
}

/** Format permissions as arguments of `deno run`. */
export function express(
  list: readonly Need[],
  { passSet = refusePermissionSet }: Pick<PermissionContext, "passSet">,
): string[] {
  return flags(list, passSet);
}

function missing(list: readonly Need[]): string[] {
  return flags(list.filter((need) => !isGranted(descriptor(need))), asFlags).slice(1);
}

/** The flags that newly added backends need, also for starting them, and this process lacks. */
export function missingForBackends(
  options: DaemonOptions,
  backends: DaemonOptions["backends"],
  context: PermissionContext,
): string[] {
  const others = new Set(daemonNeeds({ ...options, backends: [] }, context).map(key));
  const hashes = dirname(hashCachePath(options));
  const own = daemonNeeds({ ...options, backends }, context).filter((need) =>
    !others.has(key(need)) &&
    // The environment was saved at boot, and the folder of the hashes created if there are any.
    !(need.bootOnly && (need.name === "env" || need.value === hashes))
  );
  return missing(own);
}

/**
 * Drop the permissions needed only for boot. An unrestricted grant (`-A`, `--allow-read`) cannot be narrowed and stays
 * if serving needs any part of it.
 *
 * @returns The remaining permissions, as queried from Deno.
 */
export function dropBootPermissions(options: DaemonOptions, context: PermissionContext): LeftPermissions {
  const all = daemonNeeds(options, context);
  const kept = new Set(all.filter(({ bootOnly }) => !bootOnly).map(key));
  const whole = new Set(NAMES.filter((name) => isGranted({ name })));
  // A permission that serving never needs is dropped entirely, however it was granted.
  for (const name of [...whole].filter((name) => !all.some((need) => need.name === name && !need.bootOnly))) {
    Deno.permissions.revokeSync({ name });
    whole.delete(name);
  }
  for (const need of all) {
    if (need.bootOnly && !kept.has(key(need)) && !whole.has(need.name)) Deno.permissions.revokeSync(descriptor(need));
  }
  const single = all.filter((need) => !whole.has(need.name) && isGranted(descriptor(need)));
  return { left: [...whole, ...new Set(single.map(key))] };
}

const NAMES = ["read", "write", "net", "run", "ffi", "sys", "env"] as const;
