/**
 * Keeps requests away from a backend that fails: closed (all pass), open (none), half-open (one trial). Owns the
 * window and the clockwork; what counts as a failure is the pipeline's business.
 */

/** Failures within the window, with no success between them, that open the breaker. */
const FAILURES = 3;
/** The sliding window, in milliseconds. */
const WINDOW_MS = 60_000;
/** How long it stays open before a trial, in milliseconds. */
const OPEN_MS = 30_000;

/** How a request ended, as far as the breaker cares. `neutral`: cancelled, or the caller's own fault. */
export type Outcome = "success" | "failure" | "neutral";

/** Reports how a request that was let through ended; only the first report counts. */
export type Report = (outcome: Outcome) => void;

/** The breaker of one backend. */
export class Breaker {
  readonly #now: () => number;
  readonly #onChange: (change: "opened" | "closed") => void;
  /** When the failures in the window and since the last success happened, oldest first; never more than `FAILURES`. */
  #failures: number[] = [];
  /** When it opened; undefined while closed. */
  #openedAt: number | undefined;
  #trialRuns = false;
  /** Counts resets: reports from before one are about something that is gone. */
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
      // Of many requests a few may fail: a backend that answers between them is there.
      else if (outcome === "success") this.#failures = [];
    };
  }

  /** Forget every failure: what failed is not what is there now. */
  reset(): void {
    this.#epoch++;
    this.#failures = [];
    this.#trialRuns = false;
    if (this.#openedAt === undefined) return;
    this.#openedAt = undefined;
    this.#onChange("closed");
  }

  /** A trial that proved nothing frees its place, and the next request is the trial. */
  #trialEnded(outcome: Outcome): void {
    this.#trialRuns = false;
    if (outcome === "failure") this.#open();
    if (outcome !== "success") return;
    this.#openedAt = undefined;
    this.#failures = [];
    this.#onChange("closed");
  }

  #failed(): void {
    // A request from before the breaker opened tells nothing new.
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
