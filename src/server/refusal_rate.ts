/**
 * Limits how fast one caller is refused: a request that cannot be served costs the daemon nearly as much as one that
 * can, and is sent much faster. Beyond the rate the caller waits and is not read, so that others do not pay for it.
 */

const PER_SECOND = 1_000;
const BURST = 500;
/** Shorter waits are not worth a timer, in milliseconds. */
const LEAST_WAIT_MS = 5;
/** Callers that are remembered before those are forgotten who have been quiet. */
const MAX_CALLERS = 1_024;

export class RefusalRate {
  readonly #now: () => number;
  /** By caller, when all its refusals have been paid for. */
  readonly #paidAt = new Map<string, number>();

  /** @param now Milliseconds of a clock that never goes back. */
  constructor(now: () => number = (): number => performance.now()) {
    this.#now = now;
  }

  /**
   * A caller was refused.
   *
   * @param caller As `Caller.name`.
   * @returns For how many milliseconds nothing more of the caller's connection should be taken.
   */
  take(caller: string): number {
    const now = this.#now();
    const paidAt = Math.max(now, this.#paidAt.get(caller) ?? 0) + 1_000 / PER_SECOND;
    this.#paidAt.set(caller, paidAt);
    if (this.#paidAt.size > MAX_CALLERS) this.#forget(now);
    const waitMs = paidAt - now - BURST * 1_000 / PER_SECOND;
    return waitMs < LEAST_WAIT_MS ? 0 : waitMs;
  }

  #forget(now: number): void {
    for (const [caller, paidAt] of this.#paidAt) if (paidAt <= now) this.#paidAt.delete(caller);
  }
}
