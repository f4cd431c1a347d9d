/** The operator's settings for loading and prompting a model. */

export const CACHE_TYPES = ["f16", "q8_0", "q4_0"] as const;

export type CacheType = (typeof CACHE_TYPES)[number];

export type FlashAttention = "auto" | "on" | "off";

/** RoPE scaling for positions beyond the trained context. */
export type RopeScaling = "none" | "linear" | "yarn" | "longrope";

export interface LoraAdapter {
  readonly path: string;
  readonly scale: number;
}

/** Native settings of model and context; absent ones default to the model or the library. */
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

/** Default sampling settings of requests. */
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
