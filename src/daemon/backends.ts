/** Creates backends from their configuration: locates their models, then constructs them. */
import type { LoadPhase } from "@inferd/client/protocol";
import { LlamaBackend } from "../backend/llama/llama.ts";
import type { LoadedModels } from "../backend/on_demand/loaded_models.ts";
import { OnDemandBackend, type Room } from "../backend/on_demand/on_demand.ts";
import { MockBackend } from "../backend/mock.ts";
import { draftOf } from "../config/backends/draft.ts";
import { IDLE_UNLOAD_SECS } from "../config/defaults.ts";
import type { BackendConfig, DaemonOptions } from "../config/options.ts";
import { regularFileSize } from "../config/load.ts";
import type { Backend } from "../inference/backend.ts";
import type { LibraryFetcher } from "../libraries/fetch/fetcher.ts";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog } from "../log/log.ts";
import { builtInModelPath, isBuiltIn } from "../models/built_in.ts";
import { type FileIdentity, hashModelFile } from "../models/file/model_file.ts";
import type { ModelHashes } from "../models/file/model_hashes.ts";
import type { Pace } from "../ndjson/pace.ts";
import type { StartProcess } from "../processes/process.ts";

/** A backend whose model is on this machine. */
export interface LocatedBackend {
  readonly config: BackendConfig;
  /** Identities of model files that were hashed while being fetched, so that they are not hashed again. */
  readonly verified?: readonly FileIdentity[];
}

export interface LocateOptions {
  readonly options: DaemonOptions;
  readonly log: ActivityLog;
  readonly onPhase: (phase: LoadPhase) => void;
  readonly signal: AbortSignal;
  /** Releases models on disposal. */
  readonly built: AsyncDisposableStack;
}

/**
 * Locate a backend's model, fetching it if allowed, and lock it against removal.
 *
 * @throws {Error} If it is missing and cannot be fetched; the message is for the operator.
 */
export async function locateModel(config: BackendConfig, locate: LocateOptions): Promise<LocatedBackend> {
  return await locateDraft(await locateFile(await readBeside(config, locate.signal), locate), locate);
}

/** The same for the draft model that guesses for it. */
async function locateDraft(located: LocatedBackend, locate: LocateOptions): Promise<LocatedBackend> {
  const { config } = located;
  const draft = config.kind === "llamacpp" ? draftOf(config) : undefined;
  if (draft === undefined || config.kind !== "llamacpp") return located;
  const { config: found } = await locateFile(draft, locate);
  if (found.kind !== "llamacpp") return located;
  const { kind: _, name: __, ...files } = found;
  return { ...located, config: { ...config, draft: files } };
}

/** Reads the other files of a local model: chat template and adapter hashes. */
async function readBeside(config: BackendConfig, signal: AbortSignal): Promise<BackendConfig> {
  if (config.kind !== "llamacpp") return config;
  const { name, chatTemplate, lora } = config;
  const template = chatTemplate === undefined
    ? {}
    : { templateText: await reading(name, chatTemplate, () => readRegular(chatTemplate, signal)) };
  const loraSha256: string[] = [];
  for (const { path } of lora ?? []) {
    loraSha256.push(await reading(name, path, async () => (await hashModelFile(path, signal)).sha256));
  }
  return { ...config, ...template, ...(lora === undefined ? {} : { loraSha256 }) };
}

async function readRegular(path: string, signal: AbortSignal): Promise<string> {
  regularFileSize(path);
  return await Deno.readTextFile(path, { signal });
}

async function reading(backend: string, path: string, read: () => Promise<string>): Promise<string> {
  try {
    return await read();
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : errorText(error);
    throw new Error(`Cannot read "${path}" of backend "${backend}": ${reason}`, { cause: error });
  }
}

async function locateFile(config: BackendConfig, locate: LocateOptions): Promise<LocatedBackend> {
  const { options, log, onPhase, signal, built } = locate;
  if (config.kind !== "llamacpp") return { config };
  if (config.missing !== undefined) throw new Error(config.missing);
  if (config.source !== undefined || config.stored !== undefined) {
    // Imported on demand, like the backends.
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

export interface CreateOptions {
  readonly options: Pick<DaemonOptions, "parallel" | "readyTimeoutSecs">;
  readonly fetcher: LibraryFetcher;
  readonly hashes: ModelHashes;
  /** Starts engines. Default: this process does. */
  readonly start?: StartProcess;
  /** How fast large requests are sent to remote servers, and long answers made. Default: as fast as possible. */
  readonly pace?: Pace;
  /** Tracks loaded models that share memory; absent: all models are loaded at boot and stay. */
  readonly loaded?: LoadedModels;
}

/** Whether any model may be unloaded, so that loaded models must be tracked. */
export function loadsOnDemand(configs: readonly BackendConfig[]): boolean {
  return configs.some((config) =>
    config.kind === "llamacpp" && (config.load === "on_demand" || (config.idleUnloadSecs ?? 0) > 0)
  );
}

/** Create a backend without starting it. */
export async function createBackend(
  { config, verified }: LocatedBackend,
  create: CreateOptions,
  index = 0,
): Promise<Backend> {
  const { options: { parallel, readyTimeoutSecs }, fetcher, hashes, loaded, start, pace } = create;
  if (config.kind === "mock") return new MockBackend({ ...config, parallel });
  if (config.kind === "openai-compat") {
    // Imported on demand: most daemons do not need it and its dependencies.
    const { OpenAiBackend } = await import("../backend/openai/openai.ts");
    return new OpenAiBackend(config, { parallel, ...(pace === undefined ? {} : { pace }) });
  }
  const { modelPath } = config;
  if (modelPath === undefined) throw new Error(`Backend "${config.name}" has no model`);
  const loadTimeoutMs = readyTimeoutSecs * 1000;
  const createOne = (room?: Room): LlamaBackend =>
    new LlamaBackend({ parallel, ...config, modelPath }, {
      loadTimeoutMs,
      fetcher,
      hashes,
      ...(pace === undefined ? {} : { pace }),
      ...(start === undefined ? {} : { spawn: (listener) => start("engine", listener) }),
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
