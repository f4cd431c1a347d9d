/** What a backend can do, as the admin socket reports it. */
import type { SamplingOptions } from "./generation.ts";
import type { BackendStatus, BreakerStatus, QueueStatus, TemplateError } from "./protocol/mod.ts";

/**
 * The GGUF file of a model.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import { admin, type ModelFile } from "@inferd/client";
 *
 * export async function largest(): Promise<ModelFile | undefined> {
 *   const files = (await admin().capabilities()).flatMap(({ modelFile }) => modelFile ?? []);
 *   return files.toSorted((one, other) => other.sizeBytes - one.sizeBytes)[0];
 * }
 * ```
 */
export interface ModelFile {
  /** Its size; of a split model, that of all its files. */
  readonly sizeBytes: number;
  /** When it was last written, in ISO 8601. */
  readonly modifiedAt: string;
  /** Its SHA-256 in lower-case hex, if one is configured. */
  readonly sha256?: string;
  /** The architecture, such as `qwen3`. */
  readonly architecture?: string;
  /** Number of weights. */
  readonly parameters: number;
  /** The type of most weights, such as `Q4_K_M`. */
  readonly quantisation?: string;
  /** Scalars of its header by key, without lists, long texts and the vocabulary. */
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

/**
 * What the requests of a backend get where they do not say.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import { admin, type RequestDefaults } from "@inferd/client";
 *
 * export async function defaults(backend: string): Promise<RequestDefaults> {
 *   const found = (await admin().capabilities()).find((one) => one.backend === backend);
 *   return found?.defaults ?? {};
 * }
 * ```
 */
export type RequestDefaults = Omit<SamplingOptions, "id" | "logitBias">;

/**
 * The capabilities of a backend.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import { admin, type Capabilities } from "@inferd/client";
 *
 * export async function whoCallsTools(): Promise<Capabilities | undefined> {
 *   return (await admin().capabilities()).find(({ tools }) => tools);
 * }
 * ```
 */
export interface Capabilities {
  /** The backend's name. */
  readonly backend: string;
  /** Supports generation v2. */
  readonly v2: boolean;
  /** Supports images. */
  readonly vision: boolean;
  /** Supports audio. */
  readonly audio: boolean;
  /** Supports tool calls. */
  readonly tools: boolean;
  /** Supports reasoning traces. */
  readonly thinking: boolean;
  /** Supports embeddings. */
  readonly embed: boolean;
  /** The accelerator: `cpu`, `cuda`, `vulkan`, `metal`, `none`. */
  readonly accelerator: string;
  /** Layers offloaded to the accelerator. */
  readonly gpuLayers: number;
  /** Supports rerank. */
  readonly rerank?: boolean;
  /** The model's name. */
  readonly model?: string;
  /** The draft model for speculative decoding, if there is one. */
  readonly draft?: string;
  /** Maximum tokens of a request, prompt and answer together. */
  readonly contextTokens?: number;
  /** Number of requests decoded at the same time. */
  readonly parallel?: number;
  /** Where it is: it answers, is being loaded, was put to rest until it is asked, or has failed for good. */
  readonly state?: BackendStatus;
  /** The circuit breaker; `open`: it gets no requests because it failed repeatedly. */
  readonly breaker?: BreakerStatus;
  /** Resident memory of its engine when it became ready, in bytes; absent without an engine. */
  readonly memoryBytes?: number;
  /** Milliseconds since it became ready; absent if it is not. */
  readonly uptimeMs?: number;
  /** Phase of loading while a request loads its model: `mmap`, `kv_cache` and others. */
  readonly phase?: string;
  /** Share of the weights loaded so far, 0 … 1; absent in other phases or if not known yet. */
  readonly progress?: number;
  /** The model's own chat template cannot be evaluated: what is wrong with it, and what is used instead. */
  readonly templateError?: Readonly<TemplateError>;
  /** Fills in text between two: `suffix` of a request. */
  readonly infill?: boolean;
  /** The model's file; absent if the daemon has none. */
  readonly modelFile?: ModelFile;
  /** What requests get that do not say, from its configuration and the model's file; absent: the daemon's defaults. */
  readonly defaults?: RequestDefaults;
  /** The admission queue at that time. */
  readonly queue?: Readonly<QueueStatus>;
}
