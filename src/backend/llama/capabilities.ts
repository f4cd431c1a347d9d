/** What a backend can do, as its engine says: of a model that is loaded, or of the header of its file alone. */
import { type BackendCapabilities, DEFAULT_CONTEXT_TOKENS, ONLY_TEXT } from "../../inference/backend.ts";
import type { FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import type { ModelFile } from "../../models/file/model_file.ts";
import type { LlamaConfig } from "./options.ts";

/** What a backend can do whose model was loaded for something. */
const SERVICES = {
  generate: { ...ONLY_TEXT, v2: true },
  embed: { ...ONLY_TEXT, v1: false, embed: true },
  rerank: { ...ONLY_TEXT, v1: false, rerank: true },
} as const;

/** Of a model that is loaded. */
export function readyCapabilities(
  ready: Extract<FromEngine, { type: "ready" }>,
  { modelName, draft }: LlamaConfig,
): BackendCapabilities {
  const { templateError } = ready;
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
    ...(templateError === undefined ? {} : { templateError }),
  };
}

/** Ask an engine what the header of a model's file tells. */
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
    ...(accelerator === undefined ? {} : { accelerator }),
    ...(cacheDir === undefined ? {} : { cacheDir }),
    ...(libraryDir === undefined ? {} : { libraryDir }),
    ...(embed === undefined ? {} : { embed }),
    ...(pooling === undefined ? {} : { pooling }),
    ...(templateText === undefined ? {} : { chatTemplate: templateText }),
  };
}

/** Of a model that is loaded later. */
export function inspectedCapabilities(
  found: Extract<FromEngine, { type: "inspected" }>,
  { modelName, draft, parallel, contextTokens }: LlamaConfig,
): BackendCapabilities {
  const { tools, thinking, templateError, trainedContextTokens: trained, purpose } = found;
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
    ...(templateError === undefined ? {} : { templateError }),
  };
}
