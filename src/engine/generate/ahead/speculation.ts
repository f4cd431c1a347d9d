/**
 * Adapts the draft length: longer while drafts are accepted, and a back-off without drafts when they do not pay. Pure;
 * the caller passes the time.
 */

/** Maximum draft length per answer. */
export const MOST_GUESSED = 8;
/** With more concurrent answers, a step already has enough work. */
export const MOST_STREAMS = 2;
/** Draft length at first and after a back-off. */
const TRIED = 2;
/** A step with drafts must yield this many times the tokens of plain steps in the same time. */
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

  /** Duration of a step in plain steps; 1 if unknown. */
  stepsIn(streams: number, ms: number): number {
    const plain = this.#ms.get(streams) ?? 0;
    return plain > 0 && ms > 0 ? Math.max(ms / plain, 1) : 1;
  }
}

/** Draft control of one answer. */
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
    if (1 + right > steps * WORTH) {
      this.#nextRest = REST_AFTER_GAIN;
      this.#most = right === guessed ? Math.min(this.#most * 2, MOST_GUESSED) : Math.max(right + 1, TRIED);
      return;
    }
    this.#most = TRIED;
    this.#rest = this.#nextRest;
    this.#nextRest = Math.min(this.#nextRest * 2, LONGEST_REST);
  }
}
