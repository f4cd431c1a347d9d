/** The events that a backend yields while it generates. */
import type { ToolUse } from "./request.ts";

/** Token counts of one generation. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** How many of the prompt's tokens came from an earlier request's cache. */
  readonly cachedTokens: number;
}

/** Why a generation ended: the model said so (after calling tools, or not), a stop string came, or tokens ran out. */
export type FinishReason = "end" | "stop" | "length" | "tool_use";

/** What a generation yields: parts of the answer, then one `done`. Failure is an exception, cancellation the signal. */
export type BackendEvent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly text: string }
  /** All text so far was a reasoning trace whose beginning the model forgot. What was sent stays sent. */
  | { readonly type: "text_was_thinking" }
  | ToolUse
  | {
    readonly type: "done";
    readonly reason: FinishReason;
    readonly usage: Usage;
    /** A call was required and did not come before the tokens ran out. */
    readonly toolChoiceUnsatisfied?: true;
  };
