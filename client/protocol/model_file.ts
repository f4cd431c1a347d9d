/**
 * A model's file, and what requests to it get that do not say, in the admin stream's `capabilities`.
 *
 * @module
 */

/** The GGUF file of a model. */
export interface ModelFileFields {
  /** Its size; of a split model, that of all its files. */
  size_bytes: number;
  /** When it was last written, in ISO 8601. */
  modified_at: string;
  /** Its SHA-256 in lower-case hex; absent: none is configured. */
  sha256?: string;
  /** The architecture, such as `qwen3`. */
  architecture?: string;
  /** Number of weights. */
  parameters: number;
  /** The type of most weights, such as `Q4_K_M`. */
  quantisation?: string;
  /** Scalars of its header by key, without lists, long texts and the vocabulary. */
  metadata: Record<string, string | number | boolean>;
}

/** What a backend's requests get where they do not say, by the fields of generation v2. */
export interface RequestDefaultFields {
  /** The temperature. */
  temperature?: number;
  /** Nucleus sampling. */
  top_p?: number;
  /** The number of most likely tokens that are kept. */
  top_k?: number;
  /** The least share of the likeliest token's probability. */
  min_p?: number;
  /** The penalty on tokens that are there. */
  presence_penalty?: number;
  /** The penalty on tokens for each time they are there. */
  frequency_penalty?: number;
  /** The divisor of the logits of tokens that are there. */
  repeat_penalty?: number;
  /** The seed. */
  seed?: number;
  /** The maximum number of tokens of the answer. */
  max_tokens?: number;
  /** Strings that end the answer. */
  stop?: string[];
}
