/**
 * How long a request may keep its slot while its client does not read: after a moment it gives the slot to waiting
 * requests, and takes one again when the client reads. Pauses add up, a client that reads a fair amount earns more
 * time, and one that has used up its time is cut. Giving up slots and cutting are done elsewhere.
 */

/** How long a request may be paused while others wait for its slot before it gives it up, in milliseconds. */
const MAX_CROWDED_MS = 500;
/** How long it may be paused in total before its client is cut. */
const MAX_TOTAL_MS = 30_000;
/** A client that reads this much per millisecond is never cut, in UTF-16 units: far more than an answer has. */
const FAIR_RATE = 128;
/** How often a paused request is checked, in milliseconds. */
const LOOK_MS = 100;

/** What the accounting needs to know about a request, and the actions it can take. */
export interface PausedTimeOptions {
  /** Whether others wait for the slot. */
  isCrowded(): boolean;
  /** Give the slot to others. */
  leave(): void;
  /** Take a slot again after `leave`. */
  comeBack(): Promise<void>;
  /** The client has used up its time; `room` must then settle. */
  onExhausted(): void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** Accounts for the pauses of one request. */
export class PausedTime {
  readonly #options: PausedTimeOptions;
  readonly #now: () => number;
  /** Since it had its place. */
  #crowdedMs = 0;
  #isAway = false;
  #totalMs = 0;
  /** How much the client was sent since the first pause. */
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
