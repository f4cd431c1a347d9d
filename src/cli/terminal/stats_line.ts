/** How fast an answer was, in one line. */
import type { GenerationResult } from "@inferd/client";
import { duration } from "./amounts.ts";
import { speedOf } from "./request_line.ts";

/** Measures an answer where the daemon does not tell, as for servers elsewhere. */
export class AnswerClock {
  readonly #begun = performance.now();
  #first: number | undefined;

  /** A piece has come. */
  tick(): void {
    this.#first ??= performance.now();
  }

  /** What was measured until now; nothing where nothing came in pieces. */
  get timings(): GenerationResult["timings"] {
    if (this.#first === undefined) return undefined;
    return { queueMs: 0, promptMs: this.#first - this.#begun, generationMs: performance.now() - this.#first };
  }
}

/**
 * The numbers of an answer.
 *
 * @param answer What was counted and measured.
 * @param clock Measured besides.
 * @returns What is known of tokens and time.
 */
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
