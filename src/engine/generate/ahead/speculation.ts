/**
 * Adapts the draft length: longer while drafts are accepted, and a back-off without drafts when they do not pay. Pure;
 * the caller passes the time.
 */

/**
 * CPU kernels multiply this many rows at once, and the rest of a batch one by one: with 203 M weights a batch of 3
 * tokens takes 2.2 times as long as one, of 4 tokens 2.1, of 5 2.8, of 8 3.3, of 9 3.9, of 16 5.3. So a token and its
 * draft fill whole tiles.
 */
const TILE = 4;
/** Maximum drafted tokens of a step, over all answers. */
export const MOST_GUESSED = 4 * TILE - 1;
/** With more concurrent answers, batches are large enough without drafts. */
export const MOST_STREAMS = 2;
/** Initial draft length, also after a back-off. */
const TRIED = TILE - 1;
/** Required gain in tokens per second over steps without drafts. */
const WORTH = 1.05;
/** Steps without drafts after they did not pay: initially, and after a success. Doubles each time. */
const FIRST_REST = 8;
const REST_AFTER_GAIN = 2;
const LONGEST_REST = 256;
/** Weight of the newest sample in the moving average. */
const NEWEST = 1 / 8;

/** Duration of steps without drafts, by number of answers. */
export class StepTimes {
  readonly #ms = new Map<number, number>();

  /** Record the duration of a step with one token per answer. */
  learn(streams: number, ms: number): void {
    if (streams > MOST_STREAMS) return;
    const before = this.#ms.get(streams) ?? ms;
    this.#ms.set(streams, before + (ms - before) * NEWEST);
  }

  /** Whether the duration of a step with this many answers is known. */
  knows(streams: number): boolean {
    return this.#ms.has(streams);
  }

  /** Duration of a step in plain steps; 1 if unknown. */
  stepsIn(streams: number, ms: number): number {
    const plain = this.#ms.get(streams) ?? 0;
    return plain > 0 && ms > 0 ? Math.max(ms / plain, 1) : 1;
  }
}

/** Draft control of one source in an answer: its own earlier text, or the draft model. */
export class Speculation {
  #most = TRIED;
  #rest = 0;
  #nextRest = FIRST_REST;

  /** Draft length for this step. */
  most(): number {
    if (this.#rest === 0) return this.#most;
    this.#rest--;
    return 0;
  }

  /**
   * Record a step with a draft.
   *
   * @param guessed Tokens drafted.
   * @param right Tokens accepted.
   * @param steps Duration in plain steps.
   */
  learn(guessed: number, right: number, steps: number): void {
    const pays = 1 + right > steps * WORTH;
    if (pays) this.#nextRest = REST_AFTER_GAIN;
    // A larger batch takes less time for each token, so it may pay where this one did not.
    if (right === guessed && (pays || this.#most < MOST_GUESSED)) {
      this.#most = Math.min(this.#most * 2 + 1, MOST_GUESSED);
      return;
    }
    if (pays) {
      this.#most = Math.ceil((1 + right) / TILE) * TILE - 1;
      return;
    }
    this.#most = TRIED;
    this.#rest = this.#nextRest;
    this.#nextRest = Math.min(this.#nextRest * 2, LONGEST_REST);
  }
}
