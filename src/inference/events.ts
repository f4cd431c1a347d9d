/** Events that a backend yields during generation. */
import type { ToolUse } from "./request.ts";

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens found in the prefix cache. */
  readonly cachedTokens: number;
  /** Generated tokens that the grammar forced, without sampling; absent: none. */
  readonly forcedTokens?: number;
  /** Cached tokens that were prefilled in idle time after an earlier answer; absent: none. */
  readonly preparedTokens?: number;
  /** Drafted tokens, and those of them that were accepted; absent: no drafting. */
  readonly draftedTokens?: number;
  readonly acceptedTokens?: number;
}

/** Durations of a generation's phases, in milliseconds. */
export interface Timings {
  readonly queueMs: number;
  /** Prompt processing, up to the first token. */
  readonly promptMs: number;
  /** From the first token to the end. */
  readonly generationMs: number;
}

export interface TokenProbability {
  /** Its text; incomplete characters as U+FFFD. */
  readonly token: string;
  readonly id?: number;
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability: before sampling adjustments, or after them if requested. */
  readonly logprob: number;
}

export interface TokenLogprob extends TokenProbability {
  /** Most likely tokens at this position, in descending order. */
  readonly top: readonly TokenProbability[];
}

/**
 * Why a generation ended: the model ended its answer (after tool calls, or not), a stop string occurred, or the token
 * limit was reached.
 */
export type FinishReason = "end" | "stop" | "length" | "tool_use";

/** How far a generation is. */
export interface Progress {
  /** Prompt tokens that are decoded, or were cached. */
  readonly processedTokens: number;
  readonly usage: Usage;
  readonly timings: Timings;
}

/** Events of a generation: parts of the answer, then one `done`. Failures are exceptions, cancellation is by signal. */
export type BackendEvent =
  /** Only if requested: while the prompt is decoded, and before each part of the answer. */
  | ({ readonly type: "progress" } & Progress)
  /** `logprobs`: tokens of this text, if requested. */
  | { readonly type: "text"; readonly text: string; readonly logprobs?: readonly TokenLogprob[] }
  | { readonly type: "thinking"; readonly text: string }
  /**
   * All text so far was a reasoning trace whose opening marker the model omitted. Text already sent is not retracted.
   */
  | { readonly type: "text_was_thinking" }
  | ToolUse
  | {
    readonly type: "done";
    readonly reason: FinishReason;
    /** The stop string that occurred; absent if the backend does not know. */
    readonly stop?: string;
    readonly usage: Usage;
    /** Absent if the backend does not know. */
    readonly timings?: Timings;
    /** A call was required but did not come before the token limit. */
    readonly toolChoiceUnsatisfied?: true;
    /** If requested: tokens of the prompt, then of the answer without the one that ends it. */
    readonly tokens?: readonly number[];
  };
