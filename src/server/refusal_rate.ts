/**
 * Limits how fast one caller is refused: a request that cannot be served costs the daemon nearly as much as one that
 * can, and is sent much faster. Beyond the rate the caller waits and is not read, on whatever connection, so that others
 * do not pay for it.
 */

/** What a refusal costs its caller at least, in milliseconds. */
const LEAST_COST_MS = 1;
/** What it costs for each millisecond that it took: the caller gets a fourth of the daemon's time at most. */
const COST_FACTOR = 4;
/** What a caller may owe without waiting, in milliseconds. */
const CREDIT_MS = 500;
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

  /** A caller was refused, after a time in which nobody else was served. */
  charge(caller: string, tookMs: number): void {
    const now = this.#now();
    const owed = Math.max(now, this.#paidAt.get(caller) ?? 0) + Math.max(LEAST_COST_MS, tookMs * COST_FACTOR);
    this.#paidAt.set(caller, owed);
    if (this.#paidAt.size > MAX_CALLERS) this.#forget(now);
  }

  /** For how many milliseconds nothing more of a caller should be taken. */
  waitMs(caller: string): number {
    const waitMs = (this.#paidAt.get(caller) ?? 0) - this.#now() - CREDIT_MS;
    return waitMs < LEAST_WAIT_MS ? 0 : waitMs;
  }

  #forget(now: number): void {
    for (const [caller, paidAt] of this.#paidAt) if (paidAt <= now) this.#paidAt.delete(caller);
  }
}
