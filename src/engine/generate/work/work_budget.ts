/**
 * Time budget for work between steps, so that running streams keep most of their speed. Overruns are deducted from
 * later budgets. Pure; the caller passes the time.
 */

/** Budget per step time: streams keep five sixths of the total. */
const SHARE = 1 / 5;
/** Maximum saved budget, and so the maximum added to a step. */
const MOST_MS = 25;

export class WorkBudget {
  #ms = 0;

  get hasTime(): boolean {
    return this.#ms >= 0;
  }

  get ms(): number {
    return Math.max(this.#ms, 0);
  }

  /** Adds the share of a step. */
  earn(stepMs: number): void {
    this.#ms = Math.min(this.#ms + stepMs * SHARE, MOST_MS);
  }

  spend(ms: number): void {
    this.#ms -= ms;
  }
}
