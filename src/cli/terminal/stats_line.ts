/** Formats an answer's statistics in one line. */
import type { GenerationResult } from "@inferd/client";
import { duration } from "./amounts.ts";
import { speedOf } from "./request_line.ts";

/** Measures timings that the daemon does not report, such as those of remote servers. */
export class AnswerClock {
  readonly #begun = performance.now();
  #first: number | undefined;

  /** A piece arrived. */
  tick(): void {
    this.#first ??= performance.now();
  }

  /** Timings so far; undefined if nothing was streamed. */
  get timings(): GenerationResult["timings"] {
    if (this.#first === undefined) return undefined;
    return { queueMs: 0, promptMs: this.#first - this.#begun, generationMs: performance.now() - this.#first };
  }
}

/** @param clock Timings measured here. */
export function statsOf(answer: Pick<GenerationResult, "usage" | "timings">, clock?: AnswerClock): string {
  const { usage, timings = clock?.timings } = answer;
  const { promptTokens, completionTokens, cachedTokens = 0 } = usage;
  const cached = cachedTokens === 0 ? "" : ` (${cachedTokens} from the cache)`;
  return [
    count(completionTokens),
    ...timings === undefined ? [] : [
      ...speedOf(completionTokens, timings.generationMs),
      `first token after ${duration(timings.queueMs + timings.promptMs)}`,
    ],
    `prompt of ${count(promptTokens)}${cached}`,
  ].join(", ");
}

function count(tokens: number): string {
  return `${tokens} ${tokens === 1 ? "token" : "tokens"}`;
}
