/** What a backend can do, as the admin socket reports it. */
import type { BackendStatus, BreakerStatus, QueueStatus, TemplateError } from "./protocol/mod.ts";

/**
 * What one backend can do.
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
  /** Speaks generation v2. */
  readonly v2: boolean;
  /** Takes images. */
  readonly vision: boolean;
  /** Takes audio. */
  readonly audio: boolean;
  /** Calls tools. */
  readonly tools: boolean;
  /** Can show its reasoning. */
  readonly thinking: boolean;
  /** Serves embeddings. */
  readonly embed: boolean;
  /** What computes: `cpu`, `cuda`, `vulkan`, `metal`, `none`. */
  readonly accelerator: string;
  /** Layers offloaded to the accelerator. */
  readonly gpuLayers: number;
  /** Serves rerank. */
  readonly rerank?: boolean;
  /** The model's name. */
  readonly model?: string;
  /** The model that guesses tokens for it to verify; absent: there is none. */
  readonly draft?: string;
  /** Tokens one request may use, prompt and answer together. */
  readonly contextTokens?: number;
  /** Requests decoded together. */
  readonly parallel?: number;
  /** Where it is: it answers, is being loaded, was put to rest until it is asked, or has failed for good. */
  readonly state?: BackendStatus;
  /** `open`: requests are kept away from it because it failed again and again. */
  readonly breaker?: BreakerStatus;
  /** Resident memory of its engine when it became ready, in bytes; absent: it has none. */
  readonly memoryBytes?: number;
  /** Milliseconds since it became ready; absent: it is not. */
  readonly uptimeMs?: number;
  /** What loading is at, while a request loads its model: `mmap`, `kv_cache` and others. */
  readonly phase?: string;
  /** Share of the weights that is loaded then, 0 … 1; absent: not known yet, or another phase. */
  readonly progress?: number;
  /** The model's own chat template cannot be evaluated: what is wrong with it, and what is used instead. */
  readonly templateError?: Readonly<TemplateError>;
  /** The admission queue at that time. */
  readonly queue?: Readonly<QueueStatus>;
}
