/** llama-server's `timings` and `prompt_progress`. */
import type { GenerationEvent, GenerationResult } from "@inferd/client";
import type { Followed } from "./settings.ts";

/** @returns The field; empty if the daemon reports no timings. */
export function timingsOf(
  { usage, timings }: Pick<GenerationResult, "usage" | "timings">,
): Record<string, unknown> {
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

/** What goes with the chunks of a stream, from the progress events of its answers. */
export class Progress {
  readonly #asked: Followed;
  /** By answer. */
  readonly #timings = new Map<number, Record<string, unknown>>();

  constructor(asked: Followed) {
    this.#asked = asked;
  }

  /**
   * Take a progress event.
   *
   * @returns The fields of a chunk without text, or undefined if there is to be none.
   */
  take(
    index: number,
    { processedTokens, usage, timings }: Extract<GenerationEvent, { type: "progress" }>,
  ): Record<string, unknown> | undefined {
    if (this.#asked.timings_per_token) {
      const { cachedTokens = 0, completionTokens } = usage;
      // As in llama-server, looking up the cache takes no time.
      const hasBegun = processedTokens > cachedTokens || completionTokens > 0;
      const spent = hasBegun ? timings : { ...timings, promptMs: 0 };
      this.#timings.set(index, timingsOf({ usage: { ...usage, promptTokens: processedTokens }, timings: spent }));
    }
    if (!this.#asked.return_progress || usage.completionTokens > 0) return undefined;
    const { promptTokens: total, cachedTokens: cache = 0 } = usage;
    const prompt_progress = { total, cache, processed: processedTokens, time_ms: Math.round(timings.promptMs) };
    return { prompt_progress, ...this.of(index) };
  }

  /** The fields of the next chunk with text. */
  of(index: number): Record<string, unknown> {
    return this.#timings.get(index) ?? {};
  }
}

function phase(name: string, tokens: number, ms: number, steps = tokens): Record<string, number> {
  return {
    [`${name}_n`]: tokens,
    [`${name}_ms`]: ms,
    [`${name}_per_token_ms`]: steps === 0 ? 0 : ms / steps,
    [`${name}_per_second`]: ms === 0 ? 0 : steps / ms * 1000,
  };
}
