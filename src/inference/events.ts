/** The events that a backend yields while it generates. */
import type { ToolUse } from "./request.ts";

/** Token counts of one generation. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** How many of the prompt's tokens came from an earlier request's cache. */
  readonly cachedTokens: number;
  /** How many of the generated tokens a grammar forced, so that they were not sampled; absent: none. */
  readonly forcedTokens?: number;
  /** How many of the cached tokens were prepared after an earlier answer, in a quiet moment; absent: none. */
  readonly preparedTokens?: number;
  /** How many tokens were guessed, and how many of them were what the model chose; absent: none was guessed. */
  readonly draftedTokens?: number;
  readonly acceptedTokens?: number;
}

/** How long the parts of a generation took, in milliseconds. */
export interface Timings {
  /** It waited for its turn. */
  readonly queueMs: number;
  /** Its prompt was processed, up to the first token. */
  readonly promptMs: number;
  /** From the first token to the end. */
  readonly generationMs: number;
}

/** How likely the model found a token. */
export interface TokenProbability {
  /** Its text; bytes that are no whole character as U+FFFD. */
  readonly token: string;
  readonly id?: number;
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability, before anything that a request says about sampling. */
  readonly logprob: number;
}

/** A token of the answer. */
export interface TokenLogprob extends TokenProbability {
  /** The likeliest tokens in its place, the likeliest first. */
  readonly top: readonly TokenProbability[];
}

/** Why a generation ended: the model said so (after calling tools, or not), a stop string came, or tokens ran out. */
export type FinishReason = "end" | "stop" | "length" | "tool_use";

/** What a generation yields: parts of the answer, then one `done`. Failure is an exception, cancellation the signal. */
export type BackendEvent =
  /** `logprobs`: the tokens behind it, where the request asks for them. */
  | { readonly type: "text"; readonly text: string; readonly logprobs?: readonly TokenLogprob[] }
  | { readonly type: "thinking"; readonly text: string }
  /** All text so far was a reasoning trace whose beginning the model forgot. What was sent stays sent. */
  | { readonly type: "text_was_thinking" }
  | ToolUse
  | {
    readonly type: "done";
    readonly reason: FinishReason;
    readonly usage: Usage;
    /** Absent: the backend does not know. */
    readonly timings?: Timings;
    /** A call was required and did not come before the tokens ran out. */
    readonly toolChoiceUnsatisfied?: true;
  };
