/** Capabilities of a backend as its engine reports them, from a loaded model or from the file header alone. */
import {
  type BackendCapabilities,
  DEFAULT_CONTEXT_TOKENS,
  type ModelFileInfo,
  ONLY_TEXT,
} from "../../inference/backend.ts";
import type { FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import type { ModelFile } from "../../models/file/model_file.ts";
import type { LlamaConfig } from "./options.ts";
import type { SamplingDefaults } from "../../inference/model_settings.ts";
import { defined } from "../../inference/objects.ts";
import { samplingOf } from "../../inference/recommended_sampling.ts";

/** Services by the purpose a model was loaded for. */
const SERVICES = {
  generate: { ...ONLY_TEXT, v2: true },
  embed: { ...ONLY_TEXT, v1: false, embed: true },
  rerank: { ...ONLY_TEXT, v1: false, rerank: true },
} as const;

export function readyCapabilities(
  ready: Extract<FromEngine, { type: "ready" }>,
  config: LlamaConfig,
  files: readonly ModelFile[],
): BackendCapabilities {
  const { templateError, infill, purpose } = ready;
  const { modelName, draft } = config;
  return {
    ...SERVICES[purpose],
    tools: ready.tools,
    thinking: ready.thinking,
    accelerator: ready.accelerator,
    gpuLayers: ready.gpuLayers,
    model: modelName,
    ...(draft === undefined ? {} : { draft: draft.modelName }),
    contextTokens: ready.contextTokens,
    parallel: ready.parallel,
    memoryBytes: ready.residentBytes,
    ...defined({ templateError, infill, ...fileFacts(config, files, purpose) }),
  };
}

/** Build the message that asks an engine to read a model file's header. */
export function inspectMessage(
  config: LlamaConfig,
  files: readonly ModelFile[],
  cacheDir: string | undefined,
): ToEngine {
  const { accelerator, embed, pooling, libraryDir, templateText, modelPath } = config;
  const [first] = files;
  return {
    op: "inspect",
    modelPath: first?.path ?? modelPath,
    ...(files.length > 1 ? { partPaths: files.map(({ path }) => path) } : {}),
    ...defined({ accelerator, cacheDir, libraryDir, embed, pooling, chatTemplate: templateText }),
  };
}

/** Capabilities of a model that is loaded later. */
export function inspectedCapabilities(
  found: Extract<FromEngine, { type: "inspected" }>,
  config: LlamaConfig,
  files: readonly ModelFile[],
): BackendCapabilities {
  const { tools, thinking, templateError, infill, trainedContextTokens: trained, purpose } = found;
  const { modelName, draft, parallel, contextTokens } = config;
  const usual = purpose === "generate" ? Math.min(trained, DEFAULT_CONTEXT_TOKENS) : trained;
  return {
    ...SERVICES[purpose],
    tools,
    thinking,
    accelerator: "none",
    gpuLayers: 0,
    model: modelName,
    ...(draft === undefined ? {} : { draft: draft.modelName }),
    contextTokens: contextTokens ?? usual,
    parallel,
    ...defined({ templateError, infill, ...fileFacts(config, files, purpose) }),
  };
}

/** What the file's header and the configuration tell without the engine. */
function fileFacts(
  { modelSha256, sampling }: LlamaConfig,
  files: readonly ModelFile[],
  purpose: keyof typeof SERVICES,
): { readonly modelFile: ModelFileInfo | undefined; readonly defaults: SamplingDefaults | undefined } {
  const modelFile = modelFileOf(files, modelSha256);
  if (purpose !== "generate") return { modelFile, defaults: undefined };
  const recommended = Object.entries(modelFile?.metadata ?? {}).map(([key, value]) => [key, String(value)] as const);
  const defaults = { ...samplingOf(new Map(recommended)), ...sampling };
  return { modelFile, defaults: Object.keys(defaults).length === 0 ? undefined : defaults };
}

function modelFileOf(files: readonly ModelFile[], sha256: string | undefined): ModelFileInfo | undefined {
  const [first] = files;
  if (first?.about === undefined) return undefined;
  const { description: { architecture, parameters, quantisation }, metadata } = first.about;
  return {
    sizeBytes: files.reduce((sum, { identity }) => sum + identity.size, 0),
    modifiedAt: new Date(first.identity.mtimeMs),
    parameters,
    metadata,
    ...defined({ sha256, architecture, quantisation }),
  };
}
