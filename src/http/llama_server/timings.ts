/** llama-server's `timings`. */
import type { GenerationV2Result } from "@inferd/client";

/**
 * Format `timings` of an answer.
 *
 * @param result The answer.
 * @returns The field; empty if the daemon reports no timings.
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
 * Format `timings` of a request with a single answer; for several there are none.
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
