/**
 * Limits and defaults shared by daemon and client.
 *
 * @module
 */

/** The largest frame, in bytes; the newline is not counted. */
export const MAX_FRAME_BYTES: number = 64 * 1024 * 1024;

/** How long a TCP client has to send its authentication line, in milliseconds. */
export const AUTH_TIMEOUT_MS: number = 5_000;

/** The largest `grammar`, in bytes of UTF-8. */
export const MAX_GRAMMAR_BYTES: number = 64 * 1024;

/** The most alternatives (`|`) a `grammar` may have. */
export const MAX_GRAMMAR_ALTERNATIVES: number = 4096;

/** The most stop strings a request may carry. */
export const MAX_STOP_STRINGS: number = 16;

/** The most texts of other places that a request may have in `extra`. */
export const MAX_EXTRA_TEXTS: number = 256;

/** The most tokens a `logit_bias` may name. */
export const MAX_LOGIT_BIASES: number = 1024;

/** The most alternatives `logprobs` may ask for, for each token. */
export const MAX_LOGPROBS: number = 20;

/** The longest text of a `tokenize` request, in UTF-16 units. */
export const MAX_TOKENIZE_LENGTH: number = 1024 * 1024;

/** The most tokens of a `detokenize` request. */
export const MAX_DETOKENIZE_TOKENS: number = 256 * 1024;

/** Tokens of an answer where a request does not say. */
export const DEFAULT_MAX_TOKENS: number = 1000;

/** The temperature where a request does not say. */
export const DEFAULT_TEMPERATURE: number = 1.0;

/** `top_p` where a request does not say. */
export const DEFAULT_TOP_P: number = 0.95;

/** `top_k` where a request does not say. */
export const DEFAULT_TOP_K: number = 64;

/** How many of the last tokens of prompt and answer the penalties look at; llama.cpp's default. */
export const PENALTY_TOKENS: number = 64;

/** The highest temperature. */
export const MAX_TEMPERATURE: number = 2;

/** What a number may be. */
export interface NumberLimits {
  /** The least. */
  readonly min: number;
  /** The most; absent: none is named, and what is more than possible counts as the most that is possible. */
  readonly max?: number;
  /** `min` itself is not allowed. */
  readonly aboveMin?: boolean;
  /** An integer. */
  readonly whole?: boolean;
}

/**
 * Check a number.
 *
 * @param value Any value.
 * @param limits What it may be.
 * @returns Whether it is a number within the limits; Infinity never is.
 */
export function isWithin(value: unknown, limits: NumberLimits): value is number {
  const { min, max = Infinity, aboveMin, whole } = limits;
  return (whole ? Number.isInteger(value) : Number.isFinite(value)) && Number(value) <= max &&
    (aboveMin ? Number(value) > min : Number(value) >= min);
}

/**
 * Say what a number may be.
 *
 * @param limits The limits.
 * @returns For a message, such as `a number from 0 to 2` or `an integer of at least 1`.
 */
export function numberText(limits: NumberLimits): string {
  const { min, max, aboveMin, whole } = limits;
  const kind = whole ? "an integer" : "a number";
  if (max === undefined) return `${kind} of at least ${min}`;
  return aboveMin ? `${kind} above ${min} and at most ${max}` : `${kind} from ${min} to ${max}`;
}

/** The largest count that native code holds, far above any real one. */
const MAX_INT32 = 2 ** 31 - 1;

/** What the sampling fields of a request may be. A larger seed than these would be rounded by JSON. */
export const SAMPLING_LIMITS: Readonly<
  Record<
    | "temperature"
    | "top_p"
    | "top_k"
    | "min_p"
    | "presence_penalty"
    | "frequency_penalty"
    | "repeat_penalty"
    | "logit_bias"
    | "seed"
    | "max_tokens",
    NumberLimits
  >
> = {
  temperature: { min: 0, max: MAX_TEMPERATURE },
  top_p: { min: 0, max: 1, aboveMin: true },
  top_k: { min: 0, max: MAX_INT32, whole: true },
  min_p: { min: 0, max: 1 },
  presence_penalty: { min: -2, max: 2 },
  frequency_penalty: { min: -2, max: 2 },
  repeat_penalty: { min: 0, max: 2, aboveMin: true },
  logit_bias: { min: -100, max: 100 },
  seed: { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, whole: true },
  max_tokens: { min: 1, whole: true },
};

/** The values `image_token_budget` may take. */
export const IMAGE_TOKEN_BUDGETS: readonly number[] = [70, 140, 280, 560, 1120];

/** How many events an admin reader may fall behind before it is disconnected. */
export const ADMIN_BACKLOG_EVENTS: number = 256;

/** The most messages of a request, each of their blocks counted like a message. */
export const MAX_MESSAGES: number = 16_384;

/** The most attachments a v2 request may carry. */
export const MAX_ATTACHMENTS: number = 32;

/** The most bytes all attachments of a request may come to, decoded. */
export const MAX_ATTACHMENT_BYTES: number = 128 * 1024 * 1024;

/** The most tools a v2 request may offer. */
export const MAX_TOOLS: number = 128;

/** The longest name of a tool, in characters. */
export const MAX_TOOL_NAME_LENGTH: number = 128;

/** The largest JSON Schema of a tool or an answer, in UTF-16 units of its JSON. */
export const MAX_SCHEMA_LENGTH: number = 256 * 1024;

/** How deep values may lie in a v2 request: blocks in tool results, schemas, arguments. */
export const MAX_DEPTH: number = 64;

/** The most texts of one embeddings request. */
export const MAX_EMBED_INPUTS: number = 2048;

/** The most documents of one rerank request. */
export const MAX_RERANK_DOCUMENTS: number = 256;

/** The most bytes of UTF-8 that query and documents of a rerank request may come to. */
export const MAX_RERANK_BYTES: number = 8 * 1024 * 1024;

/** The largest dispatch frame, in bytes; the four bytes of its length are not counted. */
export const MAX_DISPATCH_BYTES: number = 8 * 1024 * 1024;

/** The most calls one dispatch request may hold. */
export const MAX_DISPATCH_CALLS: number = 256;

/** The namespace of a daemon that was not given one. */
export const DEFAULT_NAMESPACE: string = "default";

/** Variables of chat templates that the daemon sets, which `template_variables` must not have. */
export const GIVEN_TEMPLATE_VARIABLES: readonly string[] = [
  "messages",
  "tools",
  "add_generation_prompt",
  "bos_token",
  "eos_token",
];
