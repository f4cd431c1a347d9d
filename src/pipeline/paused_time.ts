/**
 * How long one request may keep its place while its client does not read: after a moment it gives the place to those who
 * wait, and takes one again when it is read. Its pauses are added up, a client that takes a fair amount earns more time,
 * and one that has none left is cut. How that is done is not known here.
 */

/** What a request may be paused while others wait for its place before it gives the place up, in milliseconds. */
const MAX_CROWDED_MS = 500;
/** What it may be paused in all before its client is cut. */
const MAX_TOTAL_MS = 30_000;
/** A client that takes so much in a millisecond is never cut, in UTF-16 units: far more than an answer has. */
const FAIR_RATE = 128;
/** How often a paused request is looked at, in milliseconds. */
const LOOK_MS = 100;

/** What is to be known of a request, and what is done about it. */
export interface PausedTimeOptions {
  /** Whether others wait for the place. */
  isCrowded(): boolean;
  /** Others may have the place. */
  leave(): void;
  /** Take a place again after `leave`. */
  comeBack(): Promise<void>;
  /** The client has had its time; `room` must settle then. */
  onExhausted(): void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** Adds up the pauses of one request. */
export class PausedTime {
  readonly #options: PausedTimeOptions;
  readonly #now: () => number;
  /** Since it had its place. */
  #crowdedMs = 0;
  #isAway = false;
  #totalMs = 0;
  /** What the client was sent since it was first waited for. */
  #taken = 0;

  constructor(options: PausedTimeOptions) {
    this.#options = options;
    this.#now = options.now ?? ((): number => performance.now());
  }

  /**
   * Wait for a client to read.
   *
   * @param room Settles when it has, or is gone.
   * @param size Of the frame that was sent, in UTF-16 units.
   */
  async wait(room: Promise<void>, size: number): Promise<void> {
    let from = this.#now();
    const look = (): void => {
      const now = this.#now();
      this.#add(now - from);
      from = now;
    };
    const timer = setInterval(look, LOOK_MS);
    try {
      await room;
    } finally {
      clearInterval(timer);
      look();
      this.#taken += size;
    }
    if (!this.#isAway) return;
    await this.#options.comeBack();
    this.#isAway = false;
    this.#crowdedMs = 0;
  }

  /** A frame was sent without a pause. */
  sent(size: number): void {
    if (this.#totalMs > 0) this.#taken += size;
  }

  #add(ms: number): void {
    const { isCrowded, leave, onExhausted } = this.#options;
    this.#totalMs += ms;
    if (!this.#isAway && isCrowded()) this.#crowdedMs += ms;
    const earnedMs = this.#taken / FAIR_RATE;
    if (!this.#isAway && this.#crowdedMs > MAX_CROWDED_MS + earnedMs) {
      this.#isAway = true;
      leave();
    }
    if (this.#totalMs > MAX_TOTAL_MS + earnedMs) onExhausted();
  }
}
