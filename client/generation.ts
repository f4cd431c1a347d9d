/** Generation v1: a request of plain text, and the events of its answer. */
import type { V1Message } from "./protocol/mod.ts";

/**
 * Sampling options of v1 and v2. Omitted ones have the daemon's defaults.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { SamplingOptions } from "@inferd/client";
 *
 * // The same request with these gets the same answer.
 * export const repeatable: SamplingOptions = { temperature: 0.7, seed: 42, maxTokens: 200 };
 * ```
 */
export interface SamplingOptions {
  /** The request's id in the daemon's log. Default: a random UUID. */
  readonly id?: string | undefined;
  /** 0 … 2; 0 is greedy. Default 1. */
  readonly temperature?: number | undefined;
  /** 0 < x ≤ 1. Default 0.95. */
  readonly topP?: number | undefined;
  /** 0 (off) … vocabulary size. Default 64. */
  readonly topK?: number | undefined;
  /** At least 1. Default 1000. */
  readonly maxTokens?: number | undefined;
  /** Makes sampling repeatable; the text only if the model computes the same probabilities again. */
  readonly seed?: number | undefined;
  /** At most 16 strings that end the answer; none of them is ever part of it. */
  readonly stop?: readonly string[] | undefined;
  /** 0 … 1: tokens less likely than this share of the likeliest one's probability are left out. Default 0, off. */
  readonly minP?: number | undefined;
  /** -2 … 2: taken off the logit of every token among the last 64 of prompt and answer. Default 0. */
  readonly presencePenalty?: number | undefined;
  /** -2 … 2: taken off once for each time the token is there. Default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** 0 < x ≤ 2: divides the logit of every such token; a negative one is multiplied. Default 1, off. */
  readonly repeatPenalty?: number | undefined;
  /** By the id of a token, -100 … 100: added to its logit. At most 1024; `client.tokenize()` tells ids. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
}

/**
 * A request of plain text. Omitted options have the daemon's defaults.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerateRequest } from "@inferd/client";
 *
 * export const yesOrNo: GenerateRequest = {
 *   messages: [{ role: "user", content: "Is snow white?" }],
 *   grammar: 'root ::= "yes" | "no"',
 *   temperature: 0,
 * };
 * ```
 */
export interface GenerateRequest extends SamplingOptions {
  /** The conversation, not empty. */
  readonly messages: readonly Readonly<V1Message>[];
  /** `false`: no `text` events, the whole text comes in `done`. Default `true`. */
  readonly stream?: boolean | undefined;
  /** One of 70, 140, 280, 560, 1120; carried, not used. */
  readonly imageTokenBudget?: number | undefined;
  /** A GBNF grammar the answer has to follow. */
  readonly grammar?: string | undefined;
  /** With attachments it is a `GenerateV2Request`. */
  readonly attachments?: undefined;
  /** With tools it is a `GenerateV2Request`. */
  readonly tools?: undefined;
  /** With `toolChoice` it is a `GenerateV2Request`. */
  readonly toolChoice?: undefined;
  /** With a schema it is a `GenerateV2Request`. */
  readonly schema?: undefined;
  /** With this it is a `GenerateV2Request`. */
  readonly json?: undefined;
  /** With this it is a `GenerateV2Request`. */
  readonly logprobs?: undefined;
  /** With this it is a `GenerateV2Request`. */
  readonly prompt?: undefined;
  /** With this it is a `GenerateV2Request`. */
  readonly ignoreEos?: undefined;
  /** With `thinking` it is a `GenerateV2Request`. */
  readonly thinking?: undefined;
  /** A request that names a model is a `GenerateV2Request`. */
  readonly model?: undefined;
}

/**
 * Token counts of one answer.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Usage } from "@inferd/client";
 *
 * export function total({ promptTokens, completionTokens }: Usage): number {
 *   return promptTokens + completionTokens;
 * }
 * ```
 */
export interface Usage {
  /** Tokens of the rendered conversation. */
  readonly promptTokens: number;
  /** Tokens generated. */
  readonly completionTokens: number;
  /** How many of `promptTokens` were reused from an earlier request. Only v2. */
  readonly cachedTokens?: number;
  /** How many of `completionTokens` were forced by a schema or grammar. Only v2. */
  readonly forcedTokens?: number;
  /** How many of `cachedTokens` were prepared while idle after an earlier answer. Only v2. */
  readonly preparedTokens?: number;
  /** Tokens drafted for speculative decoding. Only v2. */
  readonly draftedTokens?: number;
  /** How many of `draftedTokens` the model accepted. Only v2. */
  readonly acceptedTokens?: number;
}
