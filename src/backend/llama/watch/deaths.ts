/** Crash limit and restart back-off of an engine. */
import type { LlamaOptions } from "../options.ts";

/** First and longest restart delay; doubles in between. */
export const BACKOFF_MS = { first: 500, most: 30_000 } as const;
/** The same for missing or wrong model files, which take minutes to repair. */
export const SLOW_BACKOFF_MS = { first: 30_000, most: 600_000 } as const;

const MOST_DEATHS = 5;
const WINDOW_MS = 5 * 60_000;

export class Deaths {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #now: () => number;
  #times: readonly number[] = [];

  /** @param now Monotonic clock in milliseconds. */
  constructor({ maxDeaths, deathWindowMs }: Pick<LlamaOptions, "maxDeaths" | "deathWindowMs">, now: () => number) {
    this.#most = maxDeaths ?? MOST_DEATHS;
    this.#windowMs = deathWindowMs ?? WINDOW_MS;
    this.#now = now;
  }

  /** Whether restarting is pointless. */
  get tooMany(): boolean {
    return this.#times.length >= this.#most;
  }

  /** @returns The number of deaths within the window, including this one. */
  count(): number {
    const now = this.#now();
    this.#times = [...this.#times.filter((at) => at > now - this.#windowMs), now];
    return this.#times.length;
  }
}
