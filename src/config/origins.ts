/**
 * The resolved configuration as a list: every key, its value, and where that is from. Secrets are never among it, only
 * whether there is one.
 */
import { redactText } from "../log/redact.ts";
import type { FileBackend } from "./file.ts";
import type { ParsedFlags } from "./flags.ts";
import type { LoadedConfig } from "./load.ts";
import type { BackendConfig, DaemonOptions, TcpAddress } from "./options.ts";
import type { Machine } from "./resolve.ts";
import { type SettingName, SETTINGS } from "./settings.ts";

/** One value of the configuration. */
export interface OriginatedValue {
  /** As the configuration file calls it, or would. */
  readonly key: string;
  /** `null`: nothing is set, and nothing takes its place. */
  readonly value: unknown;
  /** `flag --x`, `environment X`, `file /path: key`, or `default`. */
  readonly origin: string;
}

/** What the values are made from. */
export interface OriginSources {
  readonly flags: ParsedFlags;
  readonly machine: Machine;
  readonly config: LoadedConfig | undefined;
  /** Resolved, without the keys that are kept elsewhere. */
  readonly options: DaemonOptions;
}

const DEFAULT = "default";

/**
 * Say of every value where it is from.
 *
 * @param sources What was given, and what came of it.
 * @returns The values, backends last.
 */
export function configValues(sources: OriginSources): OriginatedValue[] {
  const { options } = sources;
  const { listen } = options;
  const from = new Origins(sources);
  return [
    row("runtime_dir", options.runtimeDir, from.variable("XDG_RUNTIME_DIR")),
    row("listen.uds", listen.infer.socket, from.setting("uds", "listen.uds")),
    row("listen.tcp", address(listen.infer.tcp), from.setting("tcp", "listen.tcp")),
    row("listen.v2_addr", listen.v2.socket, from.setting("v2Addr", "listen.v2_addr")),
    row("listen.v2_tcp", address(listen.v2.tcp), from.setting("v2Tcp", "listen.v2_tcp")),
    row("listen.embed_addr", listen.embed.socket, from.setting("embedAddr", "listen.embed_addr")),
    row("listen.embed_tcp", address(listen.embed.tcp), from.setting("embedTcp", "listen.embed_tcp")),
    row("listen.rerank_addr", listen.rerank.socket, from.setting("rerankAddr", "listen.rerank_addr")),
    row("listen.rerank_tcp", address(listen.rerank.tcp), from.setting("rerankTcp", "listen.rerank_tcp")),
    row("listen.rpc_addr", options.rpcSocket, from.setting("rpcAddr", "listen.rpc_addr")),
    row("admin_addr", options.adminSocket, from.setting("adminAddr", "admin_addr")),
    row("namespace", options.namespace, from.setting("namespace", "namespace")),
    row("group", options.group ?? null, from.setting("group", "group")),
    row("api_key", isSet(options.apiKey ?? options.apiKeyFile), from.setting("apiKey", "api_key_file")),
    ...options.apiKeyFile === undefined ? [] : [row("api_key_file", options.apiKeyFile, from.file("api_key_file"))],
    row("lock", options.lockPath, from.setting("lock", "lock")),
    row("parallel", options.parallel, from.setting("parallel", "parallel")),
    row("queue_depth", options.queueDepth, from.setting("queueDepth", "queue_depth")),
    row("ready_timeout_secs", options.readyTimeoutSecs, from.setting("readyTimeoutSecs", "ready_timeout_secs")),
    row("drain_timeout_secs", options.drainTimeoutSecs, from.setting("drainTimeoutSecs", "drain_timeout_secs")),
    row("log_dir", options.logDir, from.setting("logDir", "log_dir")),
    row("log_level", options.logLevel, from.setting("logLevel", "log_level")),
    modelStore(sources, from),
    row("auto_pull", options.autoPull, from.file("auto_pull")),
    ...options.backends.flatMap((backend, index) => backendValues(backend, index, { sources, from })),
  ];
}

function row(key: string, value: unknown, origin: string): OriginatedValue {
  return { key, value: typeof value === "string" ? redactText(value) : value, origin };
}

/** Where single values are from. */
class Origins {
  readonly #sources: OriginSources;

  constructor(sources: OriginSources) {
    this.#sources = sources;
  }

  /** Of a setting, with the keys of the file behind it, the nearest first. */
  setting(name: SettingName, ...keys: readonly string[]): string {
    const { values, fromFlags } = this.#sources.flags;
    if (fromFlags.has(name)) return `flag --${SETTINGS[name].flag}`;
    return values[name] === undefined ? this.file(...keys) : `environment ${SETTINGS[name].env}`;
  }

  /** Of the first of these keys that the file has. */
  file(...keys: readonly string[]): string {
    const { config } = this.#sources;
    const key = config && keys.find((key) => at(config.content, key) !== undefined);
    return config === undefined || key === undefined ? DEFAULT : `file ${config.path}: ${key}`;
  }

  /** Of the first of these variables that is set. */
  variable(...names: readonly string[]): string {
    const name = names.find((name) => this.#sources.machine.env(name));
    return name === undefined ? DEFAULT : `environment ${name}`;
  }
}

/** What a file has at `listen.tcp` or `backends[0].model.name`. */
function at(content: unknown, key: string): unknown {
  let found = content;
  for (const part of key.split(/[.[\]]+/).filter((part) => part !== "")) {
    found = typeof found === "object" && found !== null ? (found as Record<string, unknown>)[part] : undefined;
  }
  return found;
}

function modelStore({ config, machine, options }: OriginSources, from: Origins): OriginatedValue {
  const variables = machine.platform === "darwin" ? ["MODELS_HOME"] : ["MODELS_HOME", "XDG_DATA_HOME"];
  const isInFile = config?.content.models_home !== undefined;
  return row(
    "models_home",
    options.modelsHome ?? null,
    isInFile ? from.file("models_home") : from.variable(...variables),
  );
}

function backendValues(
  backend: BackendConfig,
  index: number,
  { sources, from }: { sources: OriginSources; from: Origins },
): OriginatedValue[] {
  const entry = fileEntry(sources, index);
  // A model alone stands for a backend of its own.
  const inFile = entry === "model" ? undefined : `backends[${index}].`;
  const keyed = (key: string, value: unknown, origin: string): OriginatedValue =>
    row(`backends[${index}].${key}`, value, origin);
  const own = (key: string): string => from.file(`${inFile}${key}`);
  /** What flags say unless the file says it of this backend. */
  const either = (key: string, name: SettingName): string => entry === undefined ? from.setting(name) : own(key);
  const head = [
    keyed("kind", backend.kind, either("kind", "backend")),
    keyed("name", backend.name, entry === undefined ? DEFAULT : own("name")),
  ];
  if (backend.kind === "mock") {
    return [...head, keyed("script", backend.script, either("script", "mockScript"))];
  }
  if (backend.kind === "openai-compat") {
    const { apiKeyEnv, baseUrl } = backend;
    const isThere = apiKeyEnv === undefined ? undefined : isSet(sources.machine.env(apiKeyEnv) || undefined);
    return [
      ...head,
      keyed("base_url", withoutPassword(baseUrl), own("base_url")),
      keyed("model", backend.model, own("model")),
      keyed("api_key_env", apiKeyEnv ?? null, own("api_key_env")),
      ...isThere === undefined ? [] : [keyed("api_key", isThere, `environment ${apiKeyEnv}`)],
      keyed("timeout_secs", backend.timeoutSecs, own("timeout_secs")),
      keyed("proxy", backend.proxy === undefined ? null : withoutPassword(backend.proxy), own("proxy")),
    ];
  }
  const model = (key: string, name: SettingName): string =>
    entry === undefined
      ? from.setting(name)
      : from.file(inFile === undefined ? `model.${key}` : `${inFile}model.${key}`);
  const engine = (key: string, name: SettingName): string =>
    from.setting(name, ...entry === undefined || inFile === undefined ? [key] : [`${inFile}${key}`, key]);
  const isPath = entry === undefined
    ? backend.modelPath !== undefined
    : entry !== "model" && entry.kind === "llamacpp"
    ? entry.model.path !== undefined
    : sources.config?.content.model?.path !== undefined;
  return [
    ...head,
    keyed("model.name", backend.modelName, isPath ? model("path", "model") : model("name", "model")),
    keyed(
      "model.path",
      backend.modelPath ?? null,
      isPath ? model("path", "model") : DEFAULT,
    ),
    keyed("model.sha256", backend.modelSha256 ?? null, model("sha256", "modelSha256")),
    keyed("n_ctx", backend.contextTokens ?? null, engine("n_ctx", "contextTokens")),
    keyed("n_gpu_layers", backend.gpuLayers ?? null, engine("n_gpu_layers", "gpuLayers")),
    keyed("threads", backend.threads ?? null, engine("threads", "threads")),
    keyed("accelerator", backend.accelerator ?? "auto", engine("accelerator", "accelerator")),
    keyed("library_dir", backend.libraryDir ?? null, engine("library_dir", "libraryDir")),
    keyed(
      "parallel",
      backend.parallel ?? sources.options.parallel,
      backend.parallel === undefined ? from.setting("parallel", "parallel") : own("parallel"),
    ),
    keyed("embed", backend.embed ?? null, own("embed")),
    keyed("pooling", backend.pooling ?? null, own("pooling")),
    keyed("warm", backend.warm?.length ?? 0, own("warm")),
  ];
}

/** What the file says of this backend; `model`: it names a model alone; `undefined`: flags and environment made it. */
function fileEntry({ config, flags }: OriginSources, index: number): FileBackend | "model" | undefined {
  const { values } = flags;
  if (config === undefined || values.backend !== undefined || values.model !== undefined) return undefined;
  if (config.content.model !== undefined) return "model";
  return config.content.backends?.[index];
}

function address(tcp: TcpAddress | undefined): string | null {
  if (tcp === undefined) return null;
  return `${tcp.hostname.includes(":") ? `[${tcp.hostname}]` : tcp.hostname}:${tcp.port}`;
}

function isSet(secret: string | undefined): string {
  return secret === undefined ? "not set" : "set";
}

/** A URL as it may be shown. */
function withoutPassword(url: string): string {
  const parsed = new URL(url);
  if (parsed.username === "" && parsed.password === "" && parsed.search === "") return url;
  if (parsed.username !== "") parsed.username = "***";
  if (parsed.password !== "") parsed.password = "***";
  for (const name of [...parsed.searchParams.keys()]) parsed.searchParams.set(name, "***");
  return parsed.href;
}
