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
import { defined } from "../../inference/objects.ts";

/** Services by the purpose a model was loaded for. */
const SERVICES = {
  generate: { ...ONLY_TEXT, v2: true },
  embed: { ...ONLY_TEXT, v1: false, embed: true },
  rerank: { ...ONLY_TEXT, v1: false, rerank: true },
} as const;

export function readyCapabilities(
  ready: Extract<FromEngine, { type: "ready" }>,
  { modelName, draft, modelSha256 }: LlamaConfig,
  files: readonly ModelFile[],
): BackendCapabilities {
  const { templateError, infill } = ready;
  return {
    ...SERVICES[ready.purpose],
    tools: ready.tools,
    thinking: ready.thinking,
    accelerator: ready.accelerator,
    gpuLayers: ready.gpuLayers,
    model: modelName,
    ...(draft === undefined ? {} : { draft: draft.modelName }),
    contextTokens: ready.contextTokens,
    parallel: ready.parallel,
    memoryBytes: ready.residentBytes,
    ...defined({ templateError, infill, modelFile: modelFileOf(files, modelSha256) }),
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
  { modelName, draft, parallel, contextTokens, modelSha256 }: LlamaConfig,
  files: readonly ModelFile[],
): BackendCapabilities {
  const { tools, thinking, templateError, infill, trainedContextTokens: trained, purpose } = found;
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
    ...defined({ templateError, infill, modelFile: modelFileOf(files, modelSha256) }),
  };
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
