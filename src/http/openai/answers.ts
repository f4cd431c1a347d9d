/** What the endpoints of OpenAI's that generate share: several answers to one request, why they ended, what they cost. */
import type { GenerationV2Event, GenerationV2Result } from "@inferd/client";
import type { Bridge, GenerationJob } from "../bridge.ts";
import { merged } from "../event_stream.ts";
import config from "../../../deno.json" with { type: "json" };
import { usageDetails } from "./usage.ts";

/** What answered: a request with a seed is answered the same only by the same program. */
export const SYSTEM_FINGERPRINT = `inferd-${config.version}`;

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
 * The events of several answers as they come, each with the number of its answer. As many run at a time as the model has
 * slots: more would fill the daemon's queue, and the request would be refused for its own sake. When one fails, those
 * that run or wait are cancelled.
 *
 * @param bridge Asks the daemon.
 * @param jobs What is asked, of one model.
 */
export function answersTo(
  bridge: Bridge,
  jobs: readonly GenerationJob[],
): AsyncGenerator<readonly [number, GenerationV2Event]> {
  const [first, ...others] = jobs;
  // Most requests want one answer, and merging costs processor time for each token.
  if (first !== undefined && others.length === 0) return alone(bridge.generate(first));
  const failed = new AbortController();
  const answers = jobs.map((job) => {
    const signal = AbortSignal.any([job.signal, failed.signal]);
    return failing(bridge.generate({ ...job, signal }), failed);
  });
  return merged(answers, Math.max(1, jobs[0]?.model.backends[0].parallel ?? 1));
}

async function* alone(events: AsyncGenerator<GenerationV2Event>): AsyncGenerator<readonly [number, GenerationV2Event]> {
  for await (const event of events) yield [0, event];
}

/** Those that hang are cancelled at once: nothing else would end them before their next event. */
async function* failing(
  events: AsyncGenerator<GenerationV2Event>,
  failed: AbortController,
): AsyncGenerator<GenerationV2Event> {
  try {
    yield* events;
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}

/**
 * The whole answers.
 *
 * @param events Of all of them, as {@linkcode answersTo} tells them.
 * @param count How many there are.
 */
export async function resultsOf(
  events: AsyncIterable<readonly [number, GenerationV2Event]>,
  count: number,
): Promise<GenerationV2Result[]> {
  const results: GenerationV2Result[] = [];
  for await (const [index, event] of events) if (event.type === "done") results[index] = event;
  for (let index = 0; index < count; index++) {
    if (results[index] === undefined) throw new Error("An answer ended without its last event");
  }
  return results;
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
