/**
 * What the daemon asks of Deno: every permission, what it is for, and whether it is needed after boot. The flags are
 * made from the same list as what is given back.
 */
import { dirname } from "@std/path";
import type { DaemonOptions, LlamaBackendConfig } from "../config/options.ts";
import { HTTP_CLIENT_ENV, proxyFor } from "../backend/openai/http_client.ts";
import { linkTarget } from "./link_targets.ts";
import { descriptor, flags, isFile, isGranted, key, type Need } from "./need.ts";
import { draftOf } from "../config/backends/draft.ts";
import { hostOf, proxyHost, pullHosts, remoteHost, tcpHosts } from "./hosts.ts";
import { pidPathOf } from "../config/sockets.ts";
import { ENGINE_ENVIRONMENT } from "../engine/ipc/command.ts";
import { privateSocketPath } from "../processes/orders.ts";
import { LIBC_PATHS } from "../server/kernel.ts";
import { NOTIFY_VARIABLES } from "../service/notifier.ts";
import { HUGGING_FACE_VARIABLES } from "../models/transfer/access.ts";
import { BUILT_INS, builtInModelFile, isBuiltIn } from "../models/built_in.ts";
import { HashCache, hashCachePath, keepsHashes } from "../models/file/hash_cache.ts";
import { blobsDir, manifestsDir } from "../models/store/layout.ts";
import { shardPaths } from "../models/file/shards.ts";
import { TELEMETRY_VARIABLES } from "./telemetry.ts";

/** What `options` do not say. */
export interface PermissionContext {
  /** Names of the environment variables that configuration reads. */
  readonly env: readonly string[];
  /** The program that runs the engine. */
  readonly execPath: string;
  /** No monitor starts what the daemon needs: it does so itself. */
  readonly isAlone?: boolean;
  /** Given where a path of the configuration is relative to it. */
  readonly workingDirectory?: string;
  /** Where the configuration file is, or would be. */
  readonly configPath?: string;
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
 * @param options The daemon's options.
 * @param context What else decides.
 * @returns The flags, in a fixed order.
 * @throws {UsageError} If a path has a comma: Deno's flags have no way to name it.
 */
export function permissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return flags(needs(options, context));
}

/** What Deno itself and the processes that fetch read of the daemon's environment, without asking for a permission. */
const RUNTIME_ENVIRONMENT = [
  ...["DENO_DIR", "HOME", "PATH", "XDG_CACHE_HOME", "TMPDIR", "TZ", "NO_COLOR", "TERM", "DENO_NO_UPDATE_CHECK"],
  // Whom Deno trusts in TLS. Where a company's proxy signs, downloads need it.
  ...["DENO_CERT", "DENO_TLS_CA_STORE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"],
  ...["NPM_CONFIG_REGISTRY", "NPM_TOKEN", "NODE_AUTH_TOKEN", "JSR_URL", "DENO_AUTH_TOKENS"],
] as const;

/**
 * The variables that a daemon with these options gets; it has no other.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns Their names.
 */
export function daemonEnvironment(options: DaemonOptions, context: PermissionContext): readonly string[] {
  const read = needs(options, context).filter(({ name }) => name === "env").map(({ value }) => value);
  return [...new Set([...read, ...RUNTIME_ENVIRONMENT])];
}

/**
 * The Deno flags the process needs that starts such a daemon, `inferd serve`. It gives back all of them but `run` when
 * the daemon runs.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags, in a fixed order.
 */
export function monitorPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return flags(monitorNeeds(options, context));
}

/**
 * The flags that `inferd serve` needs and this process was not given.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags; none where nothing is missing.
 */
export function missingMonitorFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return missing(monitorNeeds(options, context));
}

function monitorNeeds(options: DaemonOptions, context: PermissionContext): Need[] {
  const { modelsHome, backends } = options;
  const list = (name: Need["name"], values: readonly (string | undefined)[]): Need[] =>
    values.filter((value) => value !== undefined).map((value) => ({ name, value, bootOnly: true }));
  const looksUp = backends.some((backend) =>
    backend.kind === "llamacpp" && (isNamed(backend) || (backend.draft !== undefined && isNamed(backend.draft)))
  );
  return [
    ...list("read", [
      context.workingDirectory,
      context.configPath,
      looksUp && modelsHome !== undefined ? manifestsDir(modelsHome) : undefined,
    ]),
    ...list("run", [context.execPath]),
    // Takes away the debugger.
    ...list("ffi", LIBC_PATHS),
    ...list("sys", ["uid", ...options.autoselected ? ["systemMemoryInfo"] : []]),
    ...list("env", [...new Set([...daemonEnvironment(options, context), ...ENGINE_ENVIRONMENT])]),
    ...options.http.enabled ? list("env", TELEMETRY_VARIABLES) : [],
    ...list("read", named(options, context).filter(isFile).map(({ value }) => linkTarget(value)?.followed)),
  ];
}

/**
 * The Deno flags a client of such a daemon needs, and no other.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags, in a fixed order.
 */
export function clientPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return flags(clientNeeds(options, context));
}

function clientNeeds(options: DaemonOptions, context: PermissionContext): Need[] {
  const sockets = [...inferenceSockets(options), options.rpcSocket, options.adminSocket];
  const hosts = [...sockets.map((path) => `unix:${path}`), ...tcpHosts(options)];
  const list = (name: Need["name"], values: readonly string[]): Need[] =>
    values.map((value) => ({ name, value, bootOnly: false }));
  return [
    ...list("read", [...sockets, context.workingDirectory, context.configPath].filter((path) => path !== undefined)),
    ...list("write", sockets),
    ...list("net", hosts),
    ...list("sys", ["uid"]),
    ...list("env", context.env),
  ];
}

/**
 * The Deno flags that `inferd http` needs for such a daemon: those of a client, and one address to listen on.
 *
 * @param options What the daemon is told.
 * @param context As for `permissionFlags`.
 * @returns The flags, in a fixed order.
 */
export function httpPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  const { address } = options.http;
  return flags([
    ...clientNeeds(options, context),
    { name: "net", value: hostOf(address.hostname, address.port), bootOnly: false },
    // To refuse a debugger; given back before it listens.
    ...LIBC_PATHS.map((path): Need => ({ name: "ffi", value: path, bootOnly: true })),
    ...options.apiKeyFile === undefined ? [] : [{ name: "read" as const, value: options.apiKeyFile, bootOnly: false }],
  ]);
}

/**
 * The Deno flags that `inferd doctor` needs for such a daemon: what the daemon may do, and to look everywhere.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags, in a fixed order.
 */
export function doctorPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  const list = needs(options, context).filter(({ name }) => name !== "read");
  const own: Need[] = [
    // It starts engines itself.
    { name: "run", value: context.execPath, bootOnly: false },
    ...ENGINE_ENVIRONMENT.map((value): Need => ({ name: "env", value, bootOnly: false })),
    // How much space is left on a disk.
    { name: "sys", value: "statfs", bootOnly: false },
    // How large contexts can be.
    { name: "sys", value: "systemMemoryInfo", bootOnly: false },
  ];
  return [...flags([...list, ...own]), "--allow-read"];
}

/**
 * The flags a daemon with these options needs and this process was not given.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags; none where nothing is missing.
 */
export function missingPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return missing(needs(options, context));
}

function missing(list: readonly Need[]): string[] {
  return flags(list.filter((need) => !isGranted(descriptor(need)))).slice(1);
}

/**
 * What backends need that are added to a daemon, and this process does not have: also what was needed only for booting.
 *
 * @param options The daemon's options.
 * @param backends The backends that are new.
 * @param context As for `permissionFlags`.
 * @returns The flags; none where nothing is missing.
 */
export function missingForBackends(
  options: DaemonOptions,
  backends: DaemonOptions["backends"],
  context: PermissionContext,
): string[] {
  const others = new Set(needs({ ...options, backends: [] }, context).map(key));
  // The engine's environment is remembered from the boot.
  for (const value of ENGINE_ENVIRONMENT) others.add(key({ name: "env", value, bootOnly: true }));
  const own = needs({ ...options, backends }, context).filter((need) => !others.has(key(need)));
  return flags(own.filter((need) => !isGranted(descriptor(need)))).slice(1);
}

/**
 * Give back what was needed only for booting. A permission that is held for everything (`-A`, `--allow-read`) and that
 * serving needs a part of cannot be narrowed and stays.
 *
 * @param options As for `permissionFlags`.
 * @param context As for `permissionFlags`.
 * @returns What is left, asked of Deno and not computed.
 */
export function dropBootPermissions(options: DaemonOptions, context: PermissionContext): LeftPermissions {
  const all = needs(options, context);
  const kept = new Set(all.filter(({ bootOnly }) => !bootOnly).map(key));
  const whole = new Set(NAMES.filter((name) => isGranted({ name })));
  // What serving never needs goes as a whole, however it was given.
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

function needs(options: DaemonOptions, context: PermissionContext): Need[] {
  return named(options, context).flatMap((need) => {
    const link = isFile(need) ? linkTarget(need.value) : undefined;
    return link === undefined ? [need] : [need, { ...need, value: link.target }];
  });
}

/** With the paths as they were given. */
function named(options: DaemonOptions, context: PermissionContext): Need[] {
  const { runtimeDir, lockPath, adminSocket, group, logDir } = options;
  const sockets = [...inferenceSockets(options), options.rpcSocket];
  const pidFile = pidPathOf(lockPath);
  const list: Need[] = [];
  const boot = (name: Need["name"], ...values: string[]): void => {
    for (const value of values) list.push({ name, value, bootOnly: true });
  };
  const keep = (name: Need["name"], ...values: string[]): void => {
    for (const value of values) list.push({ name, value, bootOnly: false });
  };

  boot("read", runtimeDir, lockPath, pidFile);
  boot("write", runtimeDir, lockPath);
  // Removed at the end, and the inference sockets come and go with the engines.
  keep("read", adminSocket, ...sockets, logDir);
  keep("write", adminSocket, ...sockets, pidFile, logDir);
  // Sockets whose files somebody removes are bound again.
  keep("net", ...[adminSocket, ...sockets].map((path) => `unix:${path}`), ...tcpHosts(options));
  // A group's name is looked up each time the socket is bound.
  if (group !== undefined && !/^\d+$/.test(group)) keep("read", "/etc/group");

  if (context.isAlone) {
    // The bridge to HTTP is started at boot. Where an engine needs this too, it is kept and the bridge can be restarted.
    if (options.http.enabled) boot("run", context.execPath);
  } else {
    // What the monitor starts comes here, also for a configuration that is read again.
    const path = privateSocketPath(options);
    keep("read", path);
    keep("write", path);
    keep("net", `unix:${path}`);
  }

  /** The files of a model, and where they come from. */
  const files = (backend: LlamaBackendConfig): void => {
    const { modelsHome } = options;
    if (backend.source !== undefined && options.autoPull && modelsHome !== undefined) {
      boot("read", modelsHome);
      boot("write", modelsHome);
      boot("net", ...pullHosts(backend.source.url));
      boot("env", ...HUGGING_FACE_VARIABLES);
      if (options.huggingFace?.tokenPath !== undefined) boot("read", options.huggingFace.tokenPath);
    } else if (modelsHome !== undefined && isNamed(backend)) {
      // A configuration that is read again may name another model of the store.
      keep("read", manifestsDir(modelsHome), blobsDir(modelsHome));
    }
    if (backend.modelPath !== undefined) {
      // Of a split model the others are found by their names, or the store tells.
      keep("read", ...backend.parts?.map(({ path }) => path) ?? shardPaths(backend.modelPath));
      return;
    }
    if (backend.source !== undefined) {
      // Which blobs it will have is known when it is there.
      if (modelsHome !== undefined) keep("read", blobsDir(modelsHome));
      return;
    }
    const { modelName: name } = backend;
    if (!isBuiltIn(name)) return;
    const cacheDir = options.cacheDir ?? runtimeDir;
    const url = context.builtInUrl ?? BUILT_INS[name].url;
    keep("read", builtInModelFile({ name, cacheDir, url }));
    if (url.protocol !== "file:") {
      boot("read", cacheDir);
      boot("write", cacheDir);
      boot("net", url.host);
    }
  };
  for (const backend of options.backends) {
    if (backend.kind === "openai-compat") {
      const proxy = proxyFor(backend);
      // Deno asks for the server too where the proxy alone is connected to.
      keep("net", ...proxy === undefined ? [] : [proxyHost(proxy)], remoteHost(backend.baseUrl));
      boot("env", ...HTTP_CLIENT_ENV);
      if (backend.apiKeyEnv !== undefined) boot("env", backend.apiKeyEnv);
    }
    if (backend.kind !== "llamacpp") continue;
    if (context.isAlone) keep("run", context.execPath);
    if (backend.chatTemplate !== undefined) boot("read", backend.chatTemplate);
    boot("read", ...(backend.lora ?? []).map(({ path }) => path));
    files(backend);
    const draft = draftOf(backend);
    if (draft !== undefined) files(draft);
  }
  if (keepsHashes(options)) {
    const cache = hashCachePath(options);
    boot("read", dirname(cache));
    boot("write", dirname(cache));
    keep("read", ...HashCache.files(cache));
    keep("write", ...HashCache.files(cache));
  }
  // Peer credentials.
  boot("ffi", ...LIBC_PATHS);
  // Whether the runtime directory is ours.
  boot("sys", "uid", ...options.autoselected ? ["systemMemoryInfo"] : []);
  boot("env", ...context.env, ...NOTIFY_VARIABLES);
  if (context.isAlone && options.backends.some(({ kind }) => kind === "llamacpp")) boot("env", ...ENGINE_ENVIRONMENT);
  if (context.workingDirectory !== undefined) boot("read", context.workingDirectory);
  // Read again on SIGHUP.
  for (const path of [context.configPath, options.apiKeyFile]) if (path !== undefined) keep("read", path);
  return list;
}

/** Whether a model is looked up in the store by its name. */
function isNamed({ stored, missing, source }: Pick<LlamaBackendConfig, "stored" | "missing" | "source">): boolean {
  return stored !== undefined || missing !== undefined || source !== undefined;
}

function inferenceSockets({ listen }: DaemonOptions): string[] {
  return Object.values(listen).map(({ socket }) => socket);
}
