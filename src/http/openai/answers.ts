/** Shared by OpenAI's generation endpoints: multiple choices, finish reasons and usage. */
import type { GenerationEvent, GenerationResult } from "@inferd/client";
import type { Bridge, GenerationJob } from "../bridge.ts";
import { BUILD } from "../build.ts";
import { merged } from "../event_stream.ts";

export const MAX_CHOICES = 16;

const FINISH_REASONS: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
};

/** Fields common to an answer and all its chunks. */
export interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  /** Identifies the program: a seed reproduces an answer only with the same version. */
  readonly system_fingerprint: string;
}

export function headOf(prefix: "cmpl" | "chatcmpl", model: string): Head {
  return {
    id: `${prefix}-${crypto.randomUUID().replaceAll("-", "")}`,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: BUILD,
  };
}

/** One job per choice: choices differ, even with a seed. */
export function choices(job: GenerationJob, count: number): GenerationJob[] {
  const { request } = job;
  return Array.from(
    { length: count },
    (_, index) => request.seed === undefined ? job : { ...job, request: { ...request, seed: request.seed + index } },
  );
}

/**
 * Generate several choices and merge their events in order of arrival, each with its index. At most as many run at a
 * time as the model has slots: more would fill the daemon's queue and make the request fail because of itself. If one
 * fails, the others are cancelled.
 */
export function answersTo(
  bridge: Bridge,
  jobs: readonly GenerationJob[],
): AsyncGenerator<readonly [number, GenerationEvent]> {
  const [first, ...others] = jobs;
  // Most requests have one choice, and merging costs CPU time for each token.
  if (first !== undefined && others.length === 0) return alone(bridge.generate(first));
  const failed = new AbortController();
  const answers = jobs.map((job) => {
    const signal = AbortSignal.any([job.signal, failed.signal]);
    return failing(bridge.generate({ ...job, signal }), failed);
  });
  return merged(answers, Math.max(1, jobs[0]?.model.backends[0].parallel ?? 1));
}

async function* alone(events: AsyncGenerator<GenerationEvent>): AsyncGenerator<readonly [number, GenerationEvent]> {
  for await (const event of events) yield [0, event];
}

/** Cancels the other choices immediately: otherwise they would run until their next event. */
async function* failing(
  events: AsyncGenerator<GenerationEvent>,
  failed: AbortController,
): AsyncGenerator<GenerationEvent> {
  try {
    yield* events;
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}

/** @param events Merged events from {@linkcode answersTo}. */
export async function resultsOf(
  events: AsyncIterable<readonly [number, GenerationEvent]>,
  count: number,
): Promise<GenerationResult[]> {
  const results: GenerationResult[] = [];
  for await (const [index, event] of events) if (event.type === "done") results[index] = event;
  for (let index = 0; index < count; index++) {
    if (results[index] === undefined) throw new Error("The answer ended without its final event");
  }
  return results;
}

export function finishReason({ stopReason }: GenerationResult): string {
  return FINISH_REASONS[stopReason] ?? "stop";
}

/** Usage, given the choices of each prompt; a prompt counts once. */
export function usageOf(...prompts: readonly (readonly GenerationResult[])[]): Record<string, unknown> {
  const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
  const firsts = prompts.flatMap(([first]) => first?.usage ?? []);
  const prompt = sum(firsts.map(({ promptTokens }) => promptTokens));
  const completion = sum(prompts.flat().map(({ usage }) => usage.completionTokens));
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: sum(firsts.map(({ cachedTokens = 0 }) => cachedTokens)) },
    // Not counted separately.
    completion_tokens_details: { reasoning_tokens: 0 },
  };
}
