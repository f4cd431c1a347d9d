/** The backends as they are configured: where their models are, and the objects that answer for them. */
import type { LoadPhase } from "@inferd/client/protocol";
import { LlamaBackend } from "../backend/llama/llama.ts";
import type { LoadedModels } from "../backend/on_demand/loaded_models.ts";
import { OnDemandBackend, type Room } from "../backend/on_demand/on_demand.ts";
import { MockBackend } from "../backend/mock.ts";
import type { BackendConfig, DaemonOptions } from "../config/options.ts";
import type { Backend } from "../inference/backend.ts";
import type { LibraryFetcher } from "../libraries/fetch/fetcher.ts";
import type { ActivityLog } from "../log/log.ts";
import { builtInModelPath, isBuiltIn } from "../models/built_in.ts";
import { type FileIdentity, hashModelFile } from "../models/file/model_file.ts";
import type { ModelHashes } from "../models/file/model_hashes.ts";

/** A backend whose model is on this machine. */
export interface LocatedBackend {
  readonly config: BackendConfig;
  /** Model files that were hashed on their way here, so that they are not read again. */
  readonly verified?: readonly FileIdentity[];
}

/** What models are located with. */
export interface LocateOptions {
  readonly options: DaemonOptions;
  readonly log: ActivityLog;
  readonly onPhase: (phase: LoadPhase) => void;
  readonly signal: AbortSignal;
  /** Holds models for as long as they are served. */
  readonly built: AsyncDisposableStack;
}

/**
 * Where a backend's model is; fetched first where it may be, and then nobody removes it while it is served.
 *
 * @throws {Error} If it is not here and cannot be fetched; the message is for the operator.
 */
export async function locateModel(config: BackendConfig, locate: LocateOptions): Promise<LocatedBackend> {
  return await locateFile(await readBeside(config, locate.signal), locate);
}

/** What else a local model is made of: the text of its template, and what its adapters hash to. */
async function readBeside(config: BackendConfig, signal: AbortSignal): Promise<BackendConfig> {
  if (config.kind !== "llamacpp") return config;
  const { name, chatTemplate, lora } = config;
  const template = chatTemplate === undefined
    ? {}
    : { templateText: await reading(name, chatTemplate, () => Deno.readTextFile(chatTemplate, { signal })) };
  const loraSha256: string[] = [];
  for (const { path } of lora ?? []) {
    loraSha256.push(await reading(name, path, async () => (await hashModelFile(path, signal)).sha256));
  }
  return { ...config, ...template, ...(lora === undefined ? {} : { loraSha256 }) };
}

async function reading(backend: string, path: string, read: () => Promise<string>): Promise<string> {
  try {
    return await read();
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Error
      ? error.message
      : String(error);
    throw new Error(`Cannot read "${path}" of backend "${backend}": ${reason}`, { cause: error });
  }
}

async function locateFile(config: BackendConfig, locate: LocateOptions): Promise<LocatedBackend> {
  const { options, log, onPhase, signal, built } = locate;
  if (config.kind !== "llamacpp") return { config };
  if (config.missing !== undefined) throw new Error(config.missing);
  if (config.source !== undefined || config.stored !== undefined) {
    // Loaded where it is needed, as the backends are.
    const { holdModel } = await import("./models_at_boot.ts");
    const held = built.use(await holdModel(config, options, { onPhase, log, signal }));
    const { located, verified } = held;
    return { config: { ...config, ...located }, ...(verified === undefined ? {} : { verified }) };
  }
  if (config.modelPath !== undefined) return { config };
  const { modelName: name } = config;
  if (!isBuiltIn(name)) throw new Error(`Backend "${config.name}" has no model`);
  const cacheDir = options.cacheDir ?? options.runtimeDir;
  return { config: { ...config, modelPath: await builtInModelPath({ name, cacheDir, onPhase, signal }) } };
}

/** What backends are made with. */
export interface CreateOptions {
  readonly options: Pick<DaemonOptions, "parallel" | "readyTimeoutSecs">;
  readonly fetcher: LibraryFetcher;
  readonly hashes: ModelHashes;
  /** Where models share the memory; absent: every model is loaded at boot and stays. */
  readonly loaded?: LoadedModels;
}

/** After so long without a request a model leaves that was loaded for one, unless the configuration says otherwise. */
const IDLE_UNLOAD_SECS = 300;

/** Whether some model is not to be in memory all the time, so that it has to be known what is. */
export function loadsOnDemand(configs: readonly BackendConfig[]): boolean {
  return configs.some((config) =>
    config.kind === "llamacpp" && (config.load === "on_demand" || (config.idleUnloadSecs ?? 0) > 0)
  );
}

/** The backend of a configuration; it is not started. */
export async function createBackend(
  { config, verified }: LocatedBackend,
  create: CreateOptions,
  index = 0,
): Promise<Backend> {
  const { options: { parallel, readyTimeoutSecs }, fetcher, hashes, loaded } = create;
  if (config.kind === "mock") return new MockBackend({ ...config, parallel });
  if (config.kind === "openai-compat") {
    // Loaded where it is needed: most daemons have no use for it, and for the libraries it brings.
    const { OpenAiBackend } = await import("../backend/openai/openai.ts");
    return new OpenAiBackend(config, { parallel });
  }
  const { modelPath } = config;
  if (modelPath === undefined) throw new Error(`Backend "${config.name}" has no model`);
  const loadTimeoutMs = readyTimeoutSecs * 1000;
  const createOne = (room?: Room): LlamaBackend =>
    new LlamaBackend({ parallel, ...config, modelPath }, {
      loadTimeoutMs,
      fetcher,
      hashes,
      ...room,
      ...(verified === undefined ? {} : { verified }),
    });
  if (loaded === undefined) return createOne();
  const { name, load, idleUnloadSecs = load === "on_demand" && index > 0 ? IDLE_UNLOAD_SECS : 0 } = config;
  return new OnDemandBackend({
    name,
    loaded,
    loadTimeoutMs,
    create: createOne,
    isFirstLoadedBy: load === "on_demand" ? "request" : "boot",
    leaves: load === "on_demand" || idleUnloadSecs > 0,
    ...(idleUnloadSecs === 0 ? {} : { idleMs: idleUnloadSecs * 1000 }),
  });
}
