/**
 * How fast texts of megabytes are read and written while requests run. Engines compute on every core, so that whatever
 * time such a text takes is taken from them.
 */

/** The share of one core for all such texts of a process together. */
const SHARE = 0.08;
/** What moving a mebibyte from or to a socket takes of the runtime, the kernel and the garbage collector, in milliseconds. */
const MOVED_MS = 3;
/** The longest pause for one piece of work, in milliseconds. */
const MOST_PAUSE_MS = 100;
/** The longest wait where many texts share, in milliseconds. */
const MOST_WAIT_MS = 1000;

/** For tests. */
export interface PaceClock {
  /** Monotonic, in milliseconds. */
  now(): number;
  delay(ms: number): Promise<void>;
}

const CLOCK: PaceClock = {
  now: () => performance.now(),
  delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

export class Pace {
  readonly #running: () => number;
  readonly #clock: PaceClock;
  /** When the pauses of all work so far are over. */
  #restedAt = -Infinity;

  /** @param running How many requests run. */
  constructor(running: () => number, clock: PaceClock = CLOCK) {
    this.#running = running;
    this.#clock = clock;
  }

  /**
   * Pause after a piece of work, if others run.
   *
   * @param workMs How long it took, in milliseconds.
   * @param own How many of the running requests the work is for.
   * @returns Undefined: there is no need to pause.
   */
  rest(workMs: number, own = 0): Promise<void> | undefined {
    if (this.#running() <= own) return undefined;
    const now = this.#clock.now();
    const pauseMs = Math.min(workMs * (1 / SHARE - 1), MOST_PAUSE_MS);
    this.#restedAt = Math.min(Math.max(this.#restedAt, now) + pauseMs, now + MOST_WAIT_MS);
    return this.#clock.delay(this.#restedAt - now);
  }
}

/** What bytes cost besides the work that can be measured, in milliseconds. */
export function movedMs(bytes: number): number {
  return bytes / 1024 / 1024 * MOVED_MS;
}

/** For whoever serves nobody else. */
export const UNPACED: Pace = new Pace(() => 0);
