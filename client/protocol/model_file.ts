/**
 * A model's file in the admin stream's `capabilities`.
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
