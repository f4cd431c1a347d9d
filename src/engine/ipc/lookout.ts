/** When the engine's loop lets promises of other threads settle, which only its event loop can do. */

/** How long an idle engine waits for them before it looks for messages, in milliseconds. */
const LOOK_MS = 2;
/** The share of the time that looking may take of an engine that computes: a timer takes about two milliseconds. */
const SHARE = 0.05;

/** For tests. */
export interface LookoutClock {
  /** Monotonic, in milliseconds. */
  now(): number;
  delay(ms: number): Disposable & { readonly over: Promise<void> };
}

const CLOCK: LookoutClock = { now: () => performance.now(), delay };

export class Lookout {
  readonly #clock: LookoutClock;
  /** Before this it does not look again while the engine computes. */
  #nextAt = -Infinity;

  constructor(clock: LookoutClock = CLOCK) {
    this.#clock = clock;
  }

  /**
   * Let promises of other threads settle.
   *
   * @param beside Settles when one of them does.
   * @param idle There is nothing else to do: one is waited for, briefly. Otherwise it is rarely looked.
   * @returns Undefined: there is no need to wait.
   */
  look(beside: Promise<void>, idle: boolean): Promise<void> | undefined {
    if (idle) return this.#wait(beside);
    return this.#clock.now() < this.#nextAt ? undefined : this.#pass();
  }

  async #wait(beside: Promise<void>): Promise<void> {
    using timer = this.#clock.delay(LOOK_MS);
    await Promise.race([beside, timer.over]);
  }

  /** With `setImmediate`, some results of other threads are not delivered for many steps. */
  async #pass(): Promise<void> {
    const from = this.#clock.now();
    using timer = this.#clock.delay(0);
    await timer.over;
    const now = this.#clock.now();
    this.#nextAt = now + (now - from) * (1 / SHARE - 1);
  }
}

function delay(ms: number): Disposable & { readonly over: Promise<void> } {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return { over, [Symbol.dispose]: () => clearTimeout(timer) };
}
