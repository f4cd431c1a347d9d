/** How long an answer took, as llama-server tells it in `timings`. */
import type { GenerationV2Result } from "@inferd/client";

/**
 * `timings` of an answer.
 *
 * @param result The answer.
 * @returns The field; empty where the daemon did not measure.
 */
export function timingsOf({ usage, timings }: GenerationV2Result): Record<string, unknown> {
  if (timings === undefined) return {};
  const { promptTokens, completionTokens, cachedTokens = 0 } = usage;
  return {
    timings: {
      cache_n: cachedTokens,
      ...phase("prompt", promptTokens - cachedTokens, timings.promptMs),
      ...phase("predicted", completionTokens, timings.generationMs),
    },
  };
}

/**
 * `timings` of a request's answer; those of several at once would say nothing.
 *
 * @param results Its answers.
 */
export function onlyTimings([first, ...others]: readonly GenerationV2Result[]): Record<string, unknown> {
  return first === undefined || others.length > 0 ? {} : timingsOf(first);
}

function phase(name: string, tokens: number, ms: number): Record<string, number> {
  return {
    [`${name}_n`]: tokens,
    [`${name}_ms`]: ms,
    [`${name}_per_token_ms`]: tokens === 0 ? 0 : ms / tokens,
    [`${name}_per_second`]: ms === 0 ? 0 : tokens / ms * 1000,
  };
}
