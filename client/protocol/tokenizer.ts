/**
 * Wire format of requests to a model's tokenizer and chat template, on the socket of generation v2.
 *
 * @module
 */
import type { V2Message, V2Tool, V2ToolChoice } from "./v2.ts";

/**
 * What is asked. It is the request's `type`, and the answer's.
 *
 * @example
 * ```ts
 * import type { TokenizerType } from "@inferd/client/protocol";
 *
 * export const takesText = (type: TokenizerType): boolean => type === "tokenize";
 * ```
 */
export type TokenizerType = "tokenize" | "detokenize" | "count" | "apply_template";

/**
 * A request as a client sends it. Which fields it has, `type` says.
 *
 * @example
 * ```ts
 * import type { TokenizerRequest } from "@inferd/client/protocol";
 *
 * export const request: TokenizerRequest = { id: "1", type: "tokenize", text: "Hello" };
 * ```
 */
export interface TokenizerRequest {
  /** Echoed on the answer; `""` when absent. */
  id?: string;
  /** What is asked. */
  type: TokenizerType;
  /** Name of a backend or of a model it serves; no other backend answers. Absent: any, in the operator's order. */
  model?: string;
  /** For `tokenize`: at most 1 048 576 characters. */
  text?: string;
  /** For `tokenize`: with the tokens that the model wants before and after a text. Default `false`. */
  add_special?: boolean;
  /** For `tokenize`: names of control tokens in the text stand for these tokens. Default `false`. */
  parse_special?: boolean;
  /** For `detokenize`: ids of tokens, at most 262 144. */
  tokens?: number[];
  /** The same: each token's bytes are wanted in place of the text. Default `false`. */
  pieces?: boolean;
  /** For `count` and `apply_template`: the conversation, as in a v2 request. */
  messages?: V2Message[];
  /** The same: what the model may call. */
  tools?: V2Tool[];
  /** The same: `none` leaves the tools out of the prompt. */
  tool_choice?: V2ToolChoice;
  /** The same: asks for a reasoning trace. Default `false`. */
  thinking?: boolean;
  /** The same: as in a v2 request. */
  generation_prompt?: boolean;
  /** The same: as in a v2 request. */
  template_variables?: Record<string, unknown>;
}

/** The one answer. */
export interface TokenizerFrame {
  /** The request's id. */
  id: string;
  /** The request's type. */
  type: TokenizerType;
  /** For `tokenize`: ids of tokens. */
  tokens?: readonly number[];
  /** For `detokenize` without `pieces` the text, for `apply_template` the prompt. */
  text?: string;
  /** For `detokenize` with `pieces`: the bytes of each token, 0 to 255. */
  pieces?: readonly (readonly number[])[];
  /** For `count`: tokens of the rendered conversation. */
  input_tokens?: number;
  /** The model's name. */
  model: string;
  /** Which backend answered; for diagnosis only. */
  backend: string;
}
