/** What the daemon needs permission for. */
import { dirname } from "node:path";
import type { DaemonOptions, LlamaBackendConfig } from "../../config/options.ts";
import { localModels } from "../../config/backends/draft.ts";
import { HTTP_CLIENT_ENV, proxyFor } from "../../backend/openai/http_client.ts";
import { proxyHost, pullHosts, remoteHost, tcpHosts } from "./hosts.ts";
import { linkTarget } from "./link_targets.ts";
import { isFile, type Need, needs } from "./need.ts";
import { pidPathOf } from "../../config/sockets.ts";
import { privateSocketPath } from "../../processes/orders.ts";
import { LIBC_PATHS } from "../../server/kernel.ts";
import { NOTIFY_VARIABLES } from "../../service/notifier.ts";
import { HUGGING_FACE_VARIABLES } from "../../models/transfer/access.ts";
import { BUILT_INS, builtInModelFile, isBuiltIn } from "../../models/built_in.ts";
import { HashCache, hashCachePath, keepsHashes } from "../../models/file/hash_cache.ts";
import { blobsDir, manifestsDir } from "../../models/store/layout.ts";
import { shardPaths } from "../../models/file/shards.ts";

/** Inputs besides the options. */
export interface DaemonContext {
  /** Environment variables that the configuration reads. */
  readonly env: readonly string[];
  /** Given if the configuration has relative paths. */
  readonly workingDirectory?: string;
  /** Path of the configuration file, whether or not it exists. */
  readonly configPath?: string;
  /** For tests; default: the location of the built-in model. */
  readonly builtInUrl?: URL;
}

/** All that it needs, at boot or as long as it runs. */
export function daemonNeeds(options: DaemonOptions, context: DaemonContext): Need[] {
  return named(options, context).flatMap((need) => {
    const link = isFile(need) ? linkTarget(need.value) : undefined;
    return link === undefined ? [need] : [need, { ...need, value: link.target }];
  });
}

/** The same with paths as configured, before links are resolved. */
export function named(options: DaemonOptions, context: DaemonContext): Need[] {
  const { runtimeDir, lockPath, adminSocket, group, logDir } = options;
  const sockets = [...inferenceSockets(options), options.rpcSocket];
  const pidFile = pidPathOf(lockPath);
  const list: Need[] = [];
  const boot = (name: Need["name"], ...values: (string | undefined)[]): void =>
    void list.push(...needs(name, values, true));
  const keep = (name: Need["name"], ...values: (string | undefined)[]): void => void list.push(...needs(name, values));

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
      boot("read", options.huggingFace?.tokenPath);
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
      // Every reload may create another client.
      keep("env", ...HTTP_CLIENT_ENV);
      boot("env", backend.apiKeyEnv);
    }
    if (backend.kind !== "llamacpp") continue;
    // Read again at SIGHUP.
    keep("read", backend.chatTemplate, ...(backend.lora ?? []).map(({ path }) => path));
  }
  for (const model of localModels(options.backends)) files(model);
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
  boot("read", context.workingDirectory);
  // Read again at SIGHUP.
  keep("read", context.configPath, options.apiKeyFile);
  return list;
}

/** Whether the model is looked up in the store by name. */
export function isNamed(
  { stored, missing, source }: Pick<LlamaBackendConfig, "stored" | "missing" | "source">,
): boolean {
  return stored !== undefined || missing !== undefined || source !== undefined;
}

export function inferenceSockets({ listen }: DaemonOptions): string[] {
  return Object.values(listen).map(({ socket }) => socket);
}
