/**
 * How long one request may keep its place while its client does not read: its pauses are added up, and a client that
 * takes a fair amount earns more time. How a client is cut is not known here.
 */

/** What a request may be paused in all while others wait for its place, in milliseconds. */
const MAX_CROWDED_MS = 2_000;
/** The same while nobody waits. */
const MAX_ALONE_MS = 30_000;
/** A client that takes so much in a millisecond is never cut, in UTF-16 units: far more than an answer has. */
const FAIR_RATE = 128;
/** How often a paused request is looked at, in milliseconds. */
const LOOK_MS = 100;

/** What is to be known of a request, and what is done about it. */
export interface PausedTimeOptions {
  /** Whether others wait for the place. */
  isCrowded(): boolean;
  /** The client has had its time; `room` must settle then. */
  onExhausted(): void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** Adds up the pauses of one request. */
export class PausedTime {
  readonly #options: PausedTimeOptions;
  readonly #now: () => number;
  #crowdedMs = 0;
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
  }

  /** A frame was sent without a pause. */
  sent(size: number): void {
    if (this.#totalMs > 0) this.#taken += size;
  }

  #add(ms: number): void {
    const { isCrowded, onExhausted } = this.#options;
    this.#totalMs += ms;
    if (isCrowded()) this.#crowdedMs += ms;
    const earnedMs = this.#taken / FAIR_RATE;
    if (this.#crowdedMs > MAX_CROWDED_MS + earnedMs || this.#totalMs > MAX_ALONE_MS + earnedMs) onExhausted();
  }
}
