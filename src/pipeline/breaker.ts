/**
 * Circuit breaker of a backend: closed (all pass), open (none), half-open (one trial). Owns the window and the timing;
 * what counts as a failure is decided by the pipeline.
 */

/** Failures within the window, with no success between them, that open the breaker. */
const FAILURES = 3;
const WINDOW_MS = 60_000;
/** How long it stays open before a trial, in milliseconds. */
const OPEN_MS = 30_000;

/** How a request ended, for the breaker. `neutral`: cancelled, or the caller's own fault. */
export type Outcome = "success" | "failure" | "neutral";

/** Reports the outcome of a request that passed; only the first report counts. */
export type Report = (outcome: Outcome) => void;

export class Breaker {
  readonly #now: () => number;
  readonly #onChange: (change: "opened" | "closed") => void;
  /** When the failures in the window and since the last success happened, oldest first; never more than `FAILURES`. */
  #failures: number[] = [];
  /** When it opened; undefined while closed. */
  #openedAt: number | undefined;
  #trialRuns = false;
  /** Counts resets: reports from before a reset are about a backend that is gone. */
  #epoch = 0;

  /**
   * @param now Milliseconds of a clock that never goes back.
   * @param onChange Called when it opens (also after a failed trial) and when it closes.
   */
  constructor(now: () => number, onChange: (change: "opened" | "closed") => void) {
    this.#now = now;
    this.#onChange = onChange;
  }

  /** Whether `pass` would let a request through now. */
  get passable(): boolean {
    if (this.#openedAt === undefined) return true;
    return !this.#trialRuns && this.#now() - this.#openedAt >= OPEN_MS;
  }

  /** Let a request through; the caller has asked `passable`. */
  pass(): Report {
    const trial = this.#openedAt !== undefined;
    if (trial) this.#trialRuns = true;
    const epoch = this.#epoch;
    let reported = false;
    return (outcome) => {
      if (reported || epoch !== this.#epoch) return;
      reported = true;
      if (trial) this.#trialEnded(outcome);
      else if (outcome === "failure") this.#failed();
      // A few of many requests may fail: a backend that answers in between is alive.
      else if (outcome === "success") this.#failures = [];
    };
  }

  /** Forget all failures: they belong to a backend that has been replaced. */
  reset(): void {
    this.#epoch++;
    this.#failures = [];
    this.#trialRuns = false;
    if (this.#openedAt === undefined) return;
    this.#openedAt = undefined;
    this.#onChange("closed");
  }

  /** A trial without a result is over, and the next request becomes the trial. */
  #trialEnded(outcome: Outcome): void {
    this.#trialRuns = false;
    if (outcome === "failure") this.#open();
    if (outcome !== "success") return;
    this.#openedAt = undefined;
    this.#failures = [];
    this.#onChange("closed");
  }

  #failed(): void {
    // A request from before the breaker opened says nothing new.
    if (this.#openedAt !== undefined) return;
    const now = this.#now();
    this.#failures = this.#failures.filter((at) => now - at < WINDOW_MS);
    this.#failures.push(now);
    if (this.#failures.length >= FAILURES) this.#open();
  }

  #open(): void {
    this.#openedAt = this.#now();
    this.#onChange("opened");
  }
}
