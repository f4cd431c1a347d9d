/**
 * The Deno permissions of each command: what each one is for and whether it is needed after boot. The flags and the
 * permissions dropped after boot come from the same list.
 */
import { dirname } from "@std/path";
import type { DaemonOptions, HuggingFaceOptions, LlamaBackendConfig } from "../config/options.ts";
import { HTTP_CLIENT_ENV, proxyFor } from "../backend/openai/http_client.ts";
import { linkTarget } from "./link_targets.ts";
import { descriptor, flags, isFile, isGranted, key, type Need } from "./need.ts";
import { pullNeeds, WORKER_PERMISSIONS_FLAG, workerPermissions } from "./pull_needs.ts";
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

/** Inputs besides the options. */
export interface PermissionContext {
  /** Environment variables that the configuration reads. */
  readonly env: readonly string[];
  /** The executable that runs the engine. */
  readonly execPath: string;
  /** In an executable whose own permissions are fixed: the arguments that make `execPath` run this program. */
  readonly self?: readonly string[];
  /** Given if the configuration has relative paths. */
  readonly workingDirectory?: string;
  /** Path of the configuration file, whether or not it exists. */
  readonly configPath?: string;
  /** Endpoint and token file of Hugging Face; asked for only if HTTP clients may download. */
  readonly huggingFace?: () => HuggingFaceOptions;
  /** For tests; default: the location of the built-in model. */
  readonly builtInUrl?: URL;
}

/** The daemon's remaining permissions. */
export interface LeftPermissions {
  /** `name=value`, or just `name` if unrestricted. */
  readonly left: readonly string[];
}

/**
 * Compute exactly the Deno flags that a daemon with these options needs.
 *
 * @param options The daemon's options.
 * @param context Further inputs.
 * @returns The flags, in a fixed order.
 * @throws {UsageError} If a path contains a comma, which Deno's flags cannot express.
 */
export function permissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return flags(daemonNeeds(options, context));
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

/**
 * List the environment variables passed to a daemon with these options; it gets no others.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The names.
 */
export function daemonEnvironment(options: DaemonOptions, context: PermissionContext): readonly string[] {
  const read = daemonNeeds(options, context).filter(({ name }) => name === "env").map(({ value }) => value);
  return [...new Set([...read, ...RUNTIME_ENVIRONMENT])];
}

/**
 * Compute the Deno flags for `inferd serve`, which starts such a daemon and drops all of them but `run` once it runs.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags, in a fixed order.
 */
export function monitorPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return flags(monitorNeeds(options, context));
}

/**
 * The flags that `inferd serve` needs and this process lacks.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags; empty if nothing is missing.
 */
export function missingMonitorFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return missing(monitorNeeds(options, context));
}

function monitorNeeds(options: DaemonOptions, context: PermissionContext): Need[] {
  const { modelsHome, backends } = options;
  const list = (name: Need["name"], values: readonly (string | undefined)[]): Need[] =>
    values.filter((value) => value !== undefined).map((value) => ({ name, value, bootOnly: true }));
  const pullInto = options.http.enabled ? options.http.pullInto : undefined;
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

/**
 * Compute exactly the Deno flags that a client of such a daemon needs.
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
 * Compute the Deno flags for `inferd http` with such a daemon: those of a client, plus one listening address, plus
 * those for downloads if clients may ask for them.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags, in a fixed order.
 */
export function httpPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return [...httpDenoFlags(options), ...flags(httpNeeds(options, context))];
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
    { name: "net", value: hostOf(address.hostname, address.port), bootOnly: false },
    // Used to refuse debuggers; dropped before the bridge listens.
    ...LIBC_PATHS.map((path): Need => ({ name: "ffi", value: path, bootOnly: true })),
    ...options.apiKeyFile === undefined ? [] : [{ name: "read" as const, value: options.apiKeyFile, bootOnly: false }],
    ...pullInto === undefined ? [] : pullNeeds(workerPermissions(pullInto, context.huggingFace?.() ?? {})),
  ];
}

/**
 * Compute the Deno flags for `inferd doctor` with such a daemon: the daemon's own, plus read access everywhere.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags, in a fixed order.
 */
export function doctorPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  const list = daemonNeeds(options, context).filter(({ name }) => name !== "read");
  const own: Need[] = [
    // It starts engines itself.
    { name: "run", value: context.execPath, bootOnly: false },
    ...ENGINE_ENVIRONMENT.map((value): Need => ({ name: "env", value, bootOnly: false })),
    // Free disk space.
    { name: "sys", value: "statfs", bootOnly: false },
    // Limit on context size.
    { name: "sys", value: "systemMemoryInfo", bootOnly: false },
  ];
  return [...flags([...list, ...own]), "--allow-read"];
}

/**
 * The flags that a daemon with these options needs and this process lacks.
 *
 * @param options The daemon's options.
 * @param context As for `permissionFlags`.
 * @returns The flags; empty if nothing is missing.
 */
export function missingPermissionFlags(options: DaemonOptions, context: PermissionContext): string[] {
  return missing(daemonNeeds(options, context));
}

function missing(list: readonly Need[]): string[] {
  return flags(list.filter((need) => !isGranted(descriptor(need)))).slice(1);
}

/**
 * The flags that newly added backends need, also for starting them, and this process lacks.
 *
 * @param options The daemon's options.
 * @param backends The new backends.
 * @param context As for `permissionFlags`.
 * @returns The flags; empty if nothing is missing.
 */
export function missingForBackends(
  options: DaemonOptions,
  backends: DaemonOptions["backends"],
  context: PermissionContext,
): string[] {
  const others = new Set(daemonNeeds({ ...options, backends: [] }, context).map(key));
  // The engine's environment was saved at boot.
  for (const value of ENGINE_ENVIRONMENT) others.add(key({ name: "env", value, bootOnly: true }));
  const own = daemonNeeds({ ...options, backends }, context).filter((need) => !others.has(key(need)));
  return flags(own.filter((need) => !isGranted(descriptor(need)))).slice(1);
}

/**
 * Drop the permissions needed only for boot. An unrestricted grant (`-A`, `--allow-read`) cannot be narrowed and stays
 * if serving needs any part of it.
 *
 * @param options As for `permissionFlags`.
 * @param context As for `permissionFlags`.
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

/** What `permissionFlags` permits. */
export function daemonNeeds(options: DaemonOptions, context: PermissionContext): Need[] {
  return named(options, context).flatMap((need) => {
    const link = isFile(need) ? linkTarget(need.value) : undefined;
    return link === undefined ? [need] : [need, { ...need, value: link.target }];
  });
}

/** The permissions with paths as configured, before links are resolved. */
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
  // Sockets are removed at shutdown, and the inference sockets come and go with the engines.
  keep("read", adminSocket, ...sockets, logDir);
  keep("write", adminSocket, ...sockets, pidFile, logDir);
  // Sockets whose files were removed are bound again.
  keep("net", ...[adminSocket, ...sockets].map((path) => `unix:${path}`), ...tcpHosts(options));
  // The group name is looked up each time the socket is bound.
  if (group !== undefined && !/^\d+$/.test(group)) keep("read", "/etc/group");

  // Processes started by the monitor connect here, also after a configuration reload.
  const privateSocket = privateSocketPath(options);
  keep("read", privateSocket);
  keep("write", privateSocket);
  keep("net", `unix:${privateSocket}`);

  /** A model's files and their download sources. */
  const files = (backend: LlamaBackendConfig): void => {
    const { modelsHome } = options;
    if (backend.source !== undefined && options.autoPull && modelsHome !== undefined) {
      boot("read", modelsHome);
      boot("write", modelsHome);
      boot("net", ...pullHosts(backend.source.url));
      boot("env", ...HUGGING_FACE_VARIABLES);
      if (options.huggingFace?.tokenPath !== undefined) boot("read", options.huggingFace.tokenPath);
    } else if (modelsHome !== undefined && isNamed(backend)) {
      // A reloaded configuration may name another model of the store.
      keep("read", manifestsDir(modelsHome), blobsDir(modelsHome));
    }
    if (backend.modelPath !== undefined) {
      // The other shards of a split model are found by file name or listed by the store.
      keep("read", ...backend.parts?.map(({ path }) => path) ?? shardPaths(backend.modelPath));
      return;
    }
    if (backend.source !== undefined) {
      // The names of its blobs are not known before the download.
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
      // Deno checks the server's address even if only the proxy is connected to.
      keep("net", ...proxy === undefined ? [] : [proxyHost(proxy)], remoteHost(backend.baseUrl));
      boot("env", ...HTTP_CLIENT_ENV);
      if (backend.apiKeyEnv !== undefined) boot("env", backend.apiKeyEnv);
    }
    if (backend.kind !== "llamacpp") continue;
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
  // Ownership of the runtime directory.
  boot("sys", "uid", ...options.autoselected ? ["systemMemoryInfo"] : []);
  boot("env", ...context.env, ...NOTIFY_VARIABLES);
  if (context.workingDirectory !== undefined) boot("read", context.workingDirectory);
  // Read again at SIGHUP.
  for (const path of [context.configPath, options.apiKeyFile]) if (path !== undefined) keep("read", path);
  return list;
}

/** Whether the model is looked up in the store by name. */
function isNamed({ stored, missing, source }: Pick<LlamaBackendConfig, "stored" | "missing" | "source">): boolean {
  return stored !== undefined || missing !== undefined || source !== undefined;
}

function inferenceSockets({ listen }: DaemonOptions): string[] {
  return Object.values(listen).map(({ socket }) => socket);
}
