/** Resolves backends from flags, environment and the configuration file: their settings, and where their models are. */
import { resolve } from "node:path";
import { defined } from "../../inference/objects.ts";
import { BUILT_IN_MODEL, isBuiltIn } from "../../models/built_in.ts";
import { readShardName } from "../../models/file/shards.ts";
import { blobPath } from "../../models/store/layout.ts";
import type { ConfigFile, FileBackend, FileModel } from "../file.ts";
import type { LoadedConfig } from "../load.ts";
import { absolute, fileValue } from "../merge.ts";
import type { BackendConfig, DraftConfig, LlamaBackendConfig } from "../options.ts";
import { type BackendKind, BACKENDS, type BackendValues, TABLES } from "./backend_schema.ts";
import { SETTINGS, type SettingValues } from "../schema.ts";
import type { Setting, Settings, Tables } from "../setting/setting.ts";
import { missingModel, type NamedModel, storedModel, storedModelFrom } from "./stored_model.ts";
import { UsageError } from "../setting/usage_error.ts";
import { isModelFile } from "../setting/value_types.ts";

export interface BackendSources {
  /** Values of flags and environment. */
  readonly given: SettingValues;
  readonly config: LoadedConfig | undefined;
  readonly store: string | undefined;
  readonly memoryBytes: () => number;
}

/**
 * Resolve the list of backends. Flags and environment override everything the file says about backends.
 *
 * @returns The backends, by priority.
 * @throws {UsageError} If two settings contradict each other, or no model fits.
 */
export function resolveBackends(sources: BackendSources): BackendConfig[] {
  const { given, config } = sources;
  const content = config?.content;
  const model = content?.model ?? (given.model === undefined ? autoselected(sources, content) : undefined);
  const ofFile = content?.backends ?? (model === undefined ? undefined : [
    { kind: "llamacpp" as const, name: "llamacpp", model, ...defined({ draft: content?.draft }) },
  ]);
  if (config === undefined || ofFile === undefined || given.backend !== undefined || given.model !== undefined) {
    return [givenBackend(sources)];
  }
  if (given.mockScript !== undefined) throw new UsageError("--mock-script goes with --backend mock only");
  if (given.modelSha256 !== undefined) throw new UsageError("--model-sha256 goes with --model only");
  if (given.draft !== undefined) throw new UsageError("--draft goes with --model, in the file a backend has its own");
  return ofFile.map((entry) => fileBackend(entry, { ...sources, config }));
}

/** The first model of `model_autoselect` that fits this machine's memory. */
function autoselected({ memoryBytes }: BackendSources, content: ConfigFile | undefined): FileModel | undefined {
  const list = content?.model_autoselect;
  if (list === undefined) return undefined;
  const found = list.find(({ min_memory_bytes: least = 0 }) => least === 0 || memoryBytes() >= least);
  if (found !== undefined) return found.model;
  const least = Math.min(...list.map(({ min_memory_bytes = 0 }) => min_memory_bytes));
  throw new UsageError(
    `No model of "model_autoselect" fits: this machine has ${memoryBytes()} bytes of memory, the smallest asks ` +
      `for ${least}`,
  );
}

/** The backend given by flags and environment; from the file, only settings for all backends apply. */
function givenBackend(sources: BackendSources): BackendConfig {
  const { given, store } = sources;
  const kind = given.backend ?? SETTINGS.backend.default;
  if (kind === "mock") {
    for (const name of ["model", "modelSha256", "draft"] as const) {
      if (given[name] !== undefined) {
        throw new UsageError(`--${SETTINGS[name].names.flag} does not go with --backend mock`);
      }
    }
    return { kind, name: "mock", script: given.mockScript ?? BACKENDS.mock.settings.script.default };
  }
  if (given.mockScript !== undefined) throw new UsageError("--mock-script goes with --backend mock only");
  const name = "llamacpp";
  const settings = backendSettings("llamacpp", {}, sources);
  const draft = given.draft === undefined ? {} : { draft: givenModel(given.draft, store) };
  checkSettings(name, { ...settings, ...draft });
  return {
    kind,
    name,
    ...pinned(
      given.model === undefined ? { modelName: BUILT_IN_MODEL } : givenModel(given.model, store),
      given.modelSha256,
    ),
    ...draft,
    ...settings,
  };
}

function fileBackend(
  entry: FileBackend,
  sources: BackendSources & { readonly config: LoadedConfig },
): BackendConfig {
  const { kind, name } = entry;
  switch (kind) {
    case "mock":
      return { kind, name, ...backendSettings(kind, entry, sources) };
    case "openai-compat": {
      const settings = backendSettings(kind, entry, sources);
      return { kind, name, ...settings, baseUrl: settings.baseUrl.replace(/\/+$/, "") };
    }
    case "llamacpp": {
      const settings = backendSettings(kind, entry, sources);
      const draft = entry.draft === undefined ? {} : { draft: fileModel(entry.draft, sources) };
      checkSettings(name, { ...settings, ...draft });
      const model = fileModel(entry.model, sources);
      return {
        kind,
        name,
        ...model,
        ...(isBlobName(model.modelName) ? { modelName: name } : {}),
        ...draft,
        ...settings,
      };
    }
  }
}

/** @throws {UsageError} If two settings of a local model exclude each other. */
function checkSettings(
  name: string,
  settings: BackendValues<"llamacpp"> & Pick<LlamaBackendConfig, "draft">,
): void {
  const { draft, speculation, embed, pooling } = settings;
  const { cacheTypeV = "f16", flashAttention, mainGpu, tensorSplit, accelerator, ropeScaling, ropeFreqScale } =
    settings;
  const refuse = (reason: string): never => {
    throw new UsageError(`Backend "${name}": ${reason}`);
  };
  if (cacheTypeV !== "f16" && flashAttention === "off") {
    refuse(`"cache_type_v" ${cacheTypeV} needs flash attention: set "flash_attn" to "on" or "auto"`);
  }
  if (mainGpu !== undefined && tensorSplit !== undefined) {
    refuse('"main_gpu" is one GPU and "tensor_split" several: give one of them');
  }
  for (const [key, value] of [["main_gpu", mainGpu], ["tensor_split", tensorSplit]] as const) {
    if (value !== undefined && accelerator === "cpu") refuse(`"${key}" does not go with "accelerator" cpu`);
  }
  if (draft !== undefined && speculation === false) {
    refuse('"draft" does not go with "speculation" false: without it nothing is guessed');
  }
  if (draft !== undefined && (embed === true || pooling !== undefined)) {
    refuse(`"draft" does not go with "${embed === true ? "embed" : "pooling"}": it guesses what a model writes`);
  }
  if (ropeScaling === "none" && ropeFreqScale !== undefined) {
    refuse('"rope_freq_scale" does not go with "rope_scaling" none');
  }
}

/**
 * Settings of one backend. Those that are also the daemon's may be set for all backends: flags override the file's
 * value for the backend, which overrides the file's value for all.
 *
 * @returns The values; settings without value and default are absent.
 */
export function backendSettings<Kind extends BackendKind>(
  kind: Kind,
  entry: Readonly<Record<string, unknown>>,
  { given, config }: Pick<BackendSources, "given" | "config">,
  tables: Tables = TABLES,
): BackendValues<Kind> {
  const flags: Readonly<Record<string, unknown>> = given;
  const rows = Object.entries(tables.backends[kind]?.settings ?? {}).flatMap(([name, setting]) => {
    const value = isOfAll(name, setting, tables.settings)
      ? absolute(setting, flags[name]) ?? fileValue(setting, entry, config) ??
        fileValue(setting, config?.content, config)
      : fileValue(setting, entry, config) ?? setting.default;
    return value === undefined ? [] : [[name, value]];
  });
  // Each value has its row's type: from `parse`, the file's schema, or the default.
  return Object.fromEntries(rows) as BackendValues<Kind>;
}

/** Whether a backend's setting may also be set for all backends. */
export function isOfAll(name: string, setting: Setting, daemon: Settings): boolean {
  return daemon[name] === setting;
}

/** A model given by flag or variable: a file, a model of the store, or a built-in one. */
function givenModel(text: string, store: string | undefined): NamedModel {
  if (isModelFile(text)) return { modelName: nameOfFile(text), modelPath: resolve(text) };
  const stored = storedModel(store, text);
  if (stored !== undefined) return stored;
  if (isBuiltIn(text)) return { modelName: text };
  // Not a name: the path of a file that does not exist.
  if (/\.gguf$/i.test(text)) return { modelName: nameOfFile(text), modelPath: resolve(text) };
  return missingModel(store, text, true);
}

/** The model with the configured hash. */
function pinned(model: NamedModel, sha256: string | undefined): NamedModel {
  if (sha256 === undefined) return model;
  return { ...model, modelSha256: sha256, ...(model.stored === undefined ? {} : { stored: "hash" }) };
}

function fileModel(
  model: FileModel,
  { config, store }: BackendSources & { readonly config: LoadedConfig },
): DraftConfig {
  const sha256 = model.sha256 === undefined ? {} : { modelSha256: model.sha256 };
  if (model.path !== undefined) {
    const modelPath = config.place(model.path);
    return { modelName: nameOfFile(modelPath), modelPath, ...sha256 };
  }
  const modelName = model.name ?? BUILT_IN_MODEL;
  if (isBuiltIn(modelName) && model.source_url === undefined) return { modelName, ...sha256 };
  if (model.source_url === undefined) return modelByName(store, modelName, model.sha256);
  if (store === undefined) return missingModel(store, modelName, false);
  const { sha256: hash, source_url: url, size_bytes: sizeBytes, license } = model;
  const source = { url, ...defined({ sizeBytes, license }) };
  if (hash === undefined) return { ...(storedModelFrom(store, modelName, url) ?? { modelName }), source };
  // For a split model the manifest lists the files; it is read once it is known to exist.
  const modelPath = readShardName(new URL(url).pathname) === undefined ? blobPath(store, hash) : undefined;
  return { modelName, ...defined({ modelPath }), modelSha256: hash, source };
}

/** A model that must be in the store. */
function modelByName(store: string | undefined, name: string, sha256: string | undefined): NamedModel {
  const stored = storedModel(store, name);
  if (sha256 !== undefined && store !== undefined && stored?.parts === undefined) {
    return { modelName: name, modelPath: blobPath(store, sha256), modelSha256: sha256, stored: "hash" };
  }
  if (stored === undefined) return missingModel(store, name, false);
  return pinned(stored, sha256);
}

function nameOfFile(path: string): string {
  return path.split(/[/\\]/).at(-1)?.replace(/\.gguf$/i, "") || path;
}

/** Ollama names the files of its models by their hashes, which is no name to ask for. */
function isBlobName(name: string): boolean {
  return /^sha256-[0-9a-f]{64}$/.test(name);
}
