/** How often an engine may die, and how long it is waited before it is started again. */
import type { LlamaOptions } from "../options.ts";

/** Before the first restart, and the longest wait; it doubles in between. */
export const BACKOFF_MS = { first: 500, most: 30_000 } as const;
/** The same for model files that are missing or wrong: whoever mends them takes minutes. */
export const SLOW_BACKOFF_MS = { first: 30_000, most: 600_000 } as const;

const MOST_DEATHS = 5;
const WINDOW_MS = 5 * 60_000;

/** The deaths of one backend's engines. */
export class Deaths {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #now: () => number;
  #times: readonly number[] = [];

  /** @param now Milliseconds, monotonic. */
  constructor({ maxDeaths, deathWindowMs }: Pick<LlamaOptions, "maxDeaths" | "deathWindowMs">, now: () => number) {
    this.#most = maxDeaths ?? MOST_DEATHS;
    this.#windowMs = deathWindowMs ?? WINDOW_MS;
    this.#now = now;
  }

  /** Whether starting another engine is pointless. */
  get tooMany(): boolean {
    return this.#times.length >= this.#most;
  }

  /** @returns How many there were within the window, this one counted. */
  count(): number {
    const now = this.#now();
    this.#times = [...this.#times.filter((at) => at > now - this.#windowMs), now];
    return this.#times.length;
  }
}
