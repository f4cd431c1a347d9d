/**
 * From values to `DaemonOptions`: defaults, folders, and conflicts between settings.
 */
import { dirname, isAbsolute, join, resolve } from "@std/path";
import { runtimeDirectory, type SocketName, socketPath, type TcpAddress } from "@inferd/client/paths";
import { DEFAULT_NAMESPACE } from "@inferd/client/protocol";
import { huggingFaceTokenPath } from "../models/transfer/access.ts";
import { isBuiltIn } from "../models/built_in.ts";
import { blobPath, isModelName, modelsHome } from "../models/store/layout.ts";
import { readShardName } from "../models/file/shards.ts";
import type { ConfigFile, FileBackend, FileModel } from "./file.ts";
import type { Env } from "./flags.ts";
import { checkFolders, homeDirectory } from "./home.ts";
import type { LoadedConfig } from "./load.ts";
import {
  type AcceleratorSetting,
  type BackendConfig,
  BUILT_IN_MODEL,
  type DaemonOptions,
  DEFAULT_DRAIN_TIMEOUT_SECS,
  DEFAULT_PARALLEL,
  DEFAULT_QUEUE_DEPTH,
  DEFAULT_READY_TIMEOUT_SECS,
  DEFAULT_REMOTE_TIMEOUT_SECS,
  type Listen,
  type LlamaBackendConfig,
} from "./options.ts";
import { type SettingName, SETTINGS, type SettingValues, UsageError } from "./settings.ts";
import { missingModel, type NamedModel, storedModel, storedModelFrom } from "./stored_model.ts";

/** What the machine says, passed in so that tests can say otherwise. */
export interface Machine {
  readonly env: Env;
  /** `null` where there is none (Windows). */
  readonly uid: number | null;
  /** `Deno.build.os`. */
  readonly platform: string;
  /** All there is. */
  readonly memoryBytes: number;
}

/**
 * Fill in what was not given. A flag goes before its variable, both before the file.
 *
 * @param given What flags and environment say.
 * @param machine Where the folders are.
 * @param config What the configuration file says.
 * @returns Everything the daemon needs but the keys, see `withKeys`.
 * @throws {UsageError} If two settings contradict each other.
 */
export function resolveOptions(given: SettingValues, machine: Machine, config?: LoadedConfig): DaemonOptions {
  checkFolders(machine.env);
  const values = withFile(given, config);
  const runtimeDir = runtimeDirectory(machine);
  const store = storeRoot(machine, config);
  const models = backends(given, machine, config);
  const autoPull = config?.content.auto_pull ?? true;
  const apiKeyFile = config?.content.api_key_file;
  const home = machine.env("HOME");
  return {
    backends: models,
    runtimeDir,
    listen: listen(values, runtimeDir),
    rpcSocket: path(values.rpcAddr) ?? socketPath(runtimeDir, "rpc"),
    namespace: values.namespace ?? DEFAULT_NAMESPACE,
    adminSocket: path(values.adminAddr) ?? socketPath(runtimeDir, "admin"),
    ...(values.group === undefined ? {} : { group: values.group }),
    ...(values.apiKey === undefined ? {} : { apiKey: values.apiKey }),
    ...(apiKeyFile === undefined || config === undefined ? {} : { apiKeyFile: config.place(apiKeyFile) }),
    lockPath: path(values.lock) ?? join(runtimeDir, "inferd.lock"),
    ...(store === undefined ? {} : { modelsHome: store }),
    ...(autoPull && models.some(isFetched) ? { huggingFace: huggingFace(machine.env) } : {}),
    ...(config?.content.model_autoselect === undefined ? {} : { autoselected: true }),
    autoPull,
    parallel: values.parallel ?? DEFAULT_PARALLEL,
    queueDepth: values.queueDepth ?? DEFAULT_QUEUE_DEPTH,
    readyTimeoutSecs: values.readyTimeoutSecs ?? DEFAULT_READY_TIMEOUT_SECS,
    drainTimeoutSecs: values.drainTimeoutSecs ?? DEFAULT_DRAIN_TIMEOUT_SECS,
    logDir: path(values.logDir) ?? join(homeOr(runtimeDir, machine), "logs"),
    logLevel: values.logLevel ?? "info",
    ...(home ? { home } : {}),
    cacheDir: join(homeOr(runtimeDir, machine), "cache"),
  };
}

/**
 * What was given, and behind it what the file says of the same things.
 *
 * @param given What flags and environment say.
 * @param config What the configuration file says.
 * @returns Both together; what the file says of models and backends is not among it.
 */
export function withFile(given: SettingValues, config: LoadedConfig | undefined): SettingValues {
  if (config === undefined) return given;
  const { content, place } = config;
  const { listen = {} } = content;
  const file: { [Name in keyof SettingValues]: SettingValues[Name] | undefined } = {
    tcp: listen.tcp,
    v2Tcp: listen.v2_tcp,
    embedTcp: listen.embed_tcp,
    rerankTcp: listen.rerank_tcp,
    namespace: content.namespace,
    group: content.group,
    parallel: content.parallel,
    queueDepth: content.queue_depth,
    readyTimeoutSecs: content.ready_timeout_secs,
    drainTimeoutSecs: content.drain_timeout_secs,
    logLevel: content.log_level,
  };
  const paths = {
    uds: listen.uds,
    v2Addr: listen.v2_addr,
    embedAddr: listen.embed_addr,
    rerankAddr: listen.rerank_addr,
    rpcAddr: listen.rpc_addr,
    adminAddr: content.admin_addr,
    lock: content.lock,
    logDir: content.log_dir,
  };
  for (const name of Object.keys(paths) as (keyof typeof paths)[]) {
    const found = paths[name];
    if (found !== undefined) file[name] = place(found);
  }
  return { ...Object.fromEntries(Object.entries(file).filter(([, value]) => value !== undefined)), ...given };
}

/**
 * Whether a value is a path that only means something together with the working directory.
 *
 * @param values What was given.
 * @returns Whether there is one; to resolve it costs the permission to read the working directory.
 */
export function hasRelativePath(values: SettingValues): boolean {
  return [
    values.config,
    values.model !== undefined && isModelFile(values.model) ? values.model : undefined,
    values.adminAddr,
    values.lock,
    values.logDir,
    values.libraryDir,
    ...SOCKETS.map((name) => values[name]),
  ]
    .some((path) => path !== undefined && !isAbsolute(path));
}

const SOCKETS = ["uds", "v2Addr", "embedAddr", "rerankAddr", "rpcAddr"] as const;
const PATHS: ReadonlySet<SettingName> = new Set([
  "config",
  "model",
  "adminAddr",
  "lock",
  "logDir",
  "libraryDir",
  ...SOCKETS,
]);

/**
 * Values as flags again, for another process with another working directory.
 *
 * @param values What was given.
 * @returns `--flag=value`, every path absolute.
 */
export function settingFlags(values: SettingValues): string[] {
  return Object.entries(values).map(([key, value]) => {
    const name = key as SettingName;
    const isPath = PATHS.has(name) && (name !== "model" || isModelFile(String(value)));
    const text = typeof value === "string" ? isPath ? resolve(value) : value : textOf(value);
    return `--${SETTINGS[name].flag}=${text}`;
  });
}

function textOf(value: NonNullable<SettingValues[SettingName]>): string {
  if (typeof value !== "object") return String(value);
  if (!("hostname" in value)) return JSON.stringify(value);
  const { hostname, port } = value as TcpAddress;
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** The other inference sockets stand next to the first, wherever that is. */
function listen(values: SettingValues, runtimeDir: string): DaemonOptions["listen"] {
  const infer = path(values.uds) ?? socketPath(runtimeDir, "infer");
  const beside = (name: SocketName): string => socketPath(dirname(infer), name);
  const entry = (socket: string, tcp: TcpAddress | undefined): Listen =>
    tcp === undefined ? { socket } : { socket, tcp };
  return {
    infer: entry(infer, values.tcp),
    v2: entry(path(values.v2Addr) ?? beside("infer.v2"), values.v2Tcp),
    embed: entry(path(values.embedAddr) ?? beside("infer.embed"), values.embedTcp),
    rerank: entry(path(values.rerankAddr) ?? beside("infer.rerank"), values.rerankTcp),
  };
}

function path(given: string | undefined): string | undefined {
  return given === undefined ? undefined : resolve(given);
}

/** Whether a backend's model may have to be fetched. */
function isFetched(backend: BackendConfig): boolean {
  return backend.kind === "llamacpp" && backend.source !== undefined;
}

/** Where Hugging Face is, and where the token of who asks it may be; the token itself is a secret, see `withKeys`. */
function huggingFace(env: Env): NonNullable<DaemonOptions["huggingFace"]> {
  const [endpoint, tokenPath] = [env("HF_ENDPOINT"), huggingFaceTokenPath(env)];
  return { ...(endpoint ? { endpoint } : {}), ...(tokenPath === undefined ? {} : { tokenPath }) };
}

function homeOr(runtimeDir: string, machine: Machine): string {
  const home = homeDirectory(machine.env);
  return home ? join(home, ".inferd") : runtimeDir;
}

/** What the command line says of backends goes before all the file says of them. */
function backends(given: SettingValues, machine: Machine, config: LoadedConfig | undefined): BackendConfig[] {
  const content = config?.content;
  const model = content?.model ?? (given.model === undefined ? autoselected(machine, content) : undefined);
  const ofFile = content?.backends ?? (model === undefined ? undefined : [
    { kind: "llamacpp" as const, name: "llamacpp", model },
  ]);
  if (config === undefined || ofFile === undefined || given.backend !== undefined || given.model !== undefined) {
    return [backend(given, machine, config)];
  }
  if (given.mockScript !== undefined) throw new UsageError("--mock-script goes with --backend mock only");
  if (given.modelSha256 !== undefined) throw new UsageError("--model-sha256 goes with --model only");
  return ofFile.map((entry) => fileBackend(entry, { given, machine, config }));
}

/** The first model of the file's list that this machine has the memory for. */
function autoselected(machine: Machine, content: ConfigFile | undefined): FileModel | undefined {
  const list = content?.model_autoselect;
  if (list === undefined) return undefined;
  const found = list.find(({ min_memory_bytes: least = 0 }) => least === 0 || machine.memoryBytes >= least);
  if (found !== undefined) return found.model;
  const least = Math.min(...list.map(({ min_memory_bytes = 0 }) => min_memory_bytes));
  throw new UsageError(
    `No model of "model_autoselect" fits: this machine has ${machine.memoryBytes} bytes of memory, the smallest asks ` +
      `for ${least}`,
  );
}

/** A backend by flags and environment alone; of the file only what holds for any backend. */
function backend(values: SettingValues, machine: Machine, config: LoadedConfig | undefined): BackendConfig {
  const kind = values.backend ?? "llamacpp";
  if (kind === "mock") {
    for (const [name, flag] of [["model", "--model"], ["modelSha256", "--model-sha256"]] as const) {
      if (values[name] !== undefined) throw new UsageError(`${flag} does not go with --backend mock`);
    }
    return { kind, name: "mock", script: values.mockScript ?? {} };
  }
  if (values.mockScript !== undefined) throw new UsageError("--mock-script goes with --backend mock only");
  return {
    kind,
    name: "llamacpp",
    ...pinned(
      values.model === undefined ? { modelName: BUILT_IN_MODEL } : givenModel(values.model, storeRoot(machine, config)),
      values.modelSha256,
    ),
    ...engineOptions(values, {}, config),
  };
}

/** A model as a flag or a variable names it: a file, one of the store, a built-in one. */
function givenModel(text: string, root: string | undefined): NamedModel {
  if (isModelFile(text)) return { modelName: nameOfFile(text), modelPath: resolve(text) };
  const stored = storedModel(root, text);
  if (stored !== undefined) return stored;
  if (isBuiltIn(text)) return { modelName: text };
  // Nobody calls a model so: it is the path of a file that is not there.
  if (/\.gguf$/i.test(text)) return { modelName: nameOfFile(text), modelPath: resolve(text) };
  return missingModel(root, text, true);
}

/** A model with the hash that the operator has given. */
function pinned(model: NamedModel, sha256: string | undefined): NamedModel {
  if (sha256 === undefined) return model;
  return { ...model, modelSha256: sha256, ...(model.stored === undefined ? {} : { stored: "hash" }) };
}

/** Whether a text is the path of a file: it cannot be a name, or there is such a file. */
function isModelFile(text: string): boolean {
  if (!isModelName(text)) return true;
  try {
    return Deno.statSync(text).isFile;
  } catch {
    return false; // not there, or not to be looked at: then it is not among what this process is to read
  }
}

function fileBackend(
  entry: FileBackend,
  from: { readonly given: SettingValues; readonly machine: Machine; readonly config: LoadedConfig },
): BackendConfig {
  const { given, machine, config } = from;
  const { name } = entry;
  if (entry.kind === "mock") return { kind: "mock", name, script: entry.script ?? {} };
  if (entry.kind === "openai-compat") {
    return {
      kind: "openai-compat",
      name,
      baseUrl: entry.base_url.replace(/\/+$/, ""),
      model: entry.model,
      ...(entry.api_key_env === undefined ? {} : { apiKeyEnv: entry.api_key_env }),
      timeoutSecs: entry.timeout_secs ?? DEFAULT_REMOTE_TIMEOUT_SECS,
      ...(entry.proxy === undefined ? {} : { proxy: entry.proxy }),
    };
  }
  const { parallel, embed, pooling, warm } = entry;
  return {
    kind: "llamacpp",
    name,
    ...fileModel(entry.model, machine, config),
    ...engineOptions(given, entry, config),
    ...(parallel === undefined ? {} : { parallel }),
    ...(embed === undefined ? {} : { embed }),
    ...(pooling === undefined ? {} : { pooling }),
    ...(warm === undefined ? {} : { warm }),
  };
}

function fileModel(
  model: FileModel,
  machine: Machine,
  config: LoadedConfig,
): NamedModel & Pick<LlamaBackendConfig, "source"> {
  const sha256 = model.sha256 === undefined ? {} : { modelSha256: model.sha256 };
  if (model.path !== undefined) {
    const modelPath = config.place(model.path);
    return { modelName: nameOfFile(modelPath), modelPath, ...sha256 };
  }
  const modelName = model.name ?? BUILT_IN_MODEL;
  if (isBuiltIn(modelName) && model.source_url === undefined) return { modelName, ...sha256 };
  const root = storeRoot(machine, config);
  if (model.source_url === undefined) return modelByName(root, modelName, model.sha256);
  if (root === undefined) return missingModel(root, modelName, false);
  const { sha256: hash, source_url: url, size_bytes: sizeBytes, license } = model;
  const source = {
    url,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(license === undefined ? {} : { license }),
  };
  if (hash === undefined) {
    return { ...(storedModelFrom(root, modelName, url) ?? { modelName }), source };
  }
  // Of several files, the manifest tells which; it is read when it is there for certain.
  const modelPath = readShardName(new URL(url).pathname) === undefined ? blobPath(root, hash) : undefined;
  return { modelName, ...(modelPath === undefined ? {} : { modelPath }), modelSha256: hash, source };
}

/** A model that has to be in the store. */
function modelByName(root: string | undefined, name: string, sha256: string | undefined): NamedModel {
  const stored = storedModel(root, name);
  if (sha256 !== undefined && root !== undefined && stored?.parts === undefined) {
    return { modelName: name, modelPath: blobPath(root, sha256), modelSha256: sha256, stored: "hash" };
  }
  if (stored === undefined) return missingModel(root, name, false);
  return pinned(stored, sha256);
}

/** The model store's folder. */
function storeRoot(machine: Machine, config: LoadedConfig | undefined): string | undefined {
  const home = config?.content.models_home;
  return config === undefined || home === undefined ? modelsHome(machine) : config.place(home);
}

/** Context, layers, accelerator, threads and library: a flag goes before what the file says of the backend, that before what it says of all. */
function engineOptions(
  given: SettingValues,
  entry: {
    readonly n_ctx?: number | undefined;
    readonly n_gpu_layers?: number | undefined;
    readonly accelerator?: AcceleratorSetting | undefined;
    readonly threads?: number | undefined;
    readonly library_dir?: string | undefined;
  },
  config: LoadedConfig | undefined,
): Pick<LlamaBackendConfig, "contextTokens" | "gpuLayers" | "accelerator" | "threads" | "libraryDir"> {
  const content = config?.content;
  const contextTokens = given.contextTokens ?? entry.n_ctx ?? content?.n_ctx;
  const gpuLayers = given.gpuLayers ?? entry.n_gpu_layers ?? content?.n_gpu_layers;
  const accelerator = given.accelerator ?? entry.accelerator ?? content?.accelerator;
  const threads = given.threads ?? entry.threads ?? content?.threads;
  const inFile = entry.library_dir ?? content?.library_dir;
  const libraryDir = path(given.libraryDir) ?? (inFile === undefined ? undefined : config?.place(inFile));
  return {
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(gpuLayers === undefined ? {} : { gpuLayers }),
    ...(accelerator === undefined ? {} : { accelerator }),
    ...(threads === undefined ? {} : { threads }),
    ...(libraryDir === undefined ? {} : { libraryDir }),
  };
}

function nameOfFile(path: string): string {
  return path.split(/[/\\]/).at(-1)?.replace(/\.gguf$/i, "") || path;
}
