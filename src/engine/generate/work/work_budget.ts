/**
 * How much time there is for work between steps, so that running streams keep most of their speed. Work that takes longer
 * than there was time for is paid back before there is more. Pure: the clock is the caller's.
 */

/** Of the time of steps: five sixths are left to those who wait for them. */
const SHARE = 1 / 5;
/** What is saved up where there was nothing to do; as much is added to a step at most. */
const MOST_MS = 25;

/** Counts time that may be worked. */
export class WorkBudget {
  #ms = 0;

  /** Whether a piece may be done. */
  get hasTime(): boolean {
    return this.#ms >= 0;
  }

  /** How long to work, in milliseconds. */
  get ms(): number {
    return Math.max(this.#ms, 0);
  }

  /** A step took so long. */
  earn(stepMs: number): void {
    this.#ms = Math.min(this.#ms + stepMs * SHARE, MOST_MS);
  }

  /** So long was worked. */
  spend(ms: number): void {
    this.#ms -= ms;
  }
}
