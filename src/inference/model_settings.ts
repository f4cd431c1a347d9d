/** How a model is loaded and asked, as the operator says of its backend. */

/** Types of the numbers in a KV cache. */
export const CACHE_TYPES = ["f16", "q8_0", "q4_0"] as const;

/** The type of the numbers in a KV cache. */
export type CacheType = (typeof CACHE_TYPES)[number];

/** Whether attention is computed in one fused step. */
export type FlashAttention = "auto" | "on" | "off";

/** How positions beyond the trained context are scaled. */
export type RopeScaling = "none" | "linear" | "yarn" | "longrope";

/** A LoRA adapter and how strongly it is applied. */
export interface LoraAdapter {
  readonly path: string;
  readonly scale: number;
}

/** How the native library loads a model and lays out its context; what is absent is as the model or the library says. */
export interface NativeSettings {
  readonly cacheTypeK?: CacheType;
  readonly cacheTypeV?: CacheType;
  readonly flashAttention?: FlashAttention;
  readonly lora?: readonly LoraAdapter[];
  readonly mmap?: boolean;
  readonly mlock?: boolean;
  readonly mainGpu?: number;
  readonly tensorSplit?: readonly number[];
  readonly ropeFreqBase?: number;
  readonly ropeFreqScale?: number;
  readonly ropeScaling?: RopeScaling;
}

/** What a request gets that does not say it. */
export interface SamplingDefaults {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly repeatPenalty?: number;
  readonly seed?: number;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
}
