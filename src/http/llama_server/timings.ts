/** llama-server's `timings`. */
import type { GenerationResult } from "@inferd/client";

/** @returns The field; empty if the daemon reports no timings. */
export function timingsOf({ usage, timings }: GenerationResult): Record<string, unknown> {
  if (timings === undefined) return {};
  const { promptTokens, completionTokens, cachedTokens = 0, draftedTokens = 0, acceptedTokens = 0 } = usage;
  return {
    timings: {
      cache_n: cachedTokens,
      ...phase("prompt", promptTokens - cachedTokens, timings.promptMs),
      // The first token comes with the prompt.
      ...phase("predicted", completionTokens, timings.generationMs, Math.max(0, completionTokens - 1)),
      ...(draftedTokens === 0 ? {} : { draft_n: draftedTokens, draft_n_accepted: acceptedTokens }),
    },
  };
}

/** Format `timings` of a request with a single answer; for several there are none. */
export function onlyTimings([first, ...others]: readonly GenerationResult[]): Record<string, unknown> {
  return first === undefined || others.length > 0 ? {} : timingsOf(first);
}

function phase(name: string, tokens: number, ms: number, steps = tokens): Record<string, number> {
  return {
    [`${name}_n`]: tokens,
    [`${name}_ms`]: ms,
    [`${name}_per_token_ms`]: steps === 0 ? 0 : ms / steps,
    [`${name}_per_second`]: ms === 0 ? 0 : steps / ms * 1000,
  };
}
