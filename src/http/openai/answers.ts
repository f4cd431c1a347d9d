/** What the endpoints of OpenAI's that generate share: several answers to one request, why they ended, what they cost. */
import type { GenerationV2Event, GenerationV2Result } from "@inferd/client";
import type { GenerationJob } from "../bridge.ts";
import { usageDetails } from "./usage.ts";

/** The most answers one request may ask for. */
export const MAX_CHOICES = 16;

const FINISH_REASONS: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
};

/**
 * The request of the n-th answer: answers differ, also where the request has a seed.
 *
 * @param request What is asked.
 * @param index Which answer it is.
 */
export function nth(request: GenerationJob["request"], index: number): GenerationJob["request"] {
  return request.seed === undefined || index === 0 ? request : { ...request, seed: request.seed + index };
}

/**
 * The whole answer.
 *
 * @param events Its events.
 */
export async function resultOf(events: AsyncIterable<GenerationV2Event>): Promise<GenerationV2Result> {
  for await (const event of events) if (event.type === "done") return event;
  throw new Error("An answer ended without its last event");
}

/**
 * The whole answers of several. When one fails, the others are given up.
 *
 * @param answers The events of each.
 */
export async function resultsOf(answers: readonly AsyncGenerator<GenerationV2Event>[]): Promise<GenerationV2Result[]> {
  try {
    return await Promise.all(answers.map(resultOf));
  } finally {
    await Promise.allSettled(answers.map((answer) => answer.return(undefined)));
  }
}

/** Why an answer ended, in OpenAI's words. */
export function finishReason({ stopReason }: GenerationV2Result): string {
  return FINISH_REASONS[stopReason] ?? "stop";
}

/**
 * What answers to one prompt cost together; the prompt counts once.
 *
 * @param results The answers.
 */
export function usageOf(results: readonly GenerationV2Result[]): Record<string, unknown> {
  return totalUsage([results]);
}

/**
 * What answers to several prompts cost together.
 *
 * @param prompts For each prompt its answers.
 */
export function totalUsage(prompts: readonly (readonly GenerationV2Result[])[]): Record<string, unknown> {
  let [prompt, completion, cachedTokens, reasoningTokens] = [0, 0, 0, 0];
  for (const results of prompts) {
    const [first] = results;
    prompt += first?.usage.promptTokens ?? 0;
    cachedTokens += first === undefined ? 0 : usageDetails(first.usage).cached;
    for (const { usage } of results) {
      completion += usage.completionTokens;
      reasoningTokens += usageDetails(usage).reasoning;
    }
  }
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}
