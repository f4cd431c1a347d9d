/**
 * Measures how long backends take to load. Fetching and hashing do not count: they depend on network and disk, and say
 * nothing about whether the backend will become ready.
 */

import { LoadClock } from "../backend/llama/watch/load_clock.ts";

export interface ReadyClockOptions {
  /** Time limit per backend, in milliseconds. */
  readonly limitMs: number;
  readonly backends: readonly string[];
  /** Called once, when the first backend exceeds the limit. */
  readonly onLate: () => void;
  /** Monotonic clock in milliseconds; default: the process's. */
  readonly now?: () => number;
}

interface Lap {
  readonly clock: LoadClock;
  /** Set while the clock is paused. */
  pause?: Disposable;
}

/** Counts the loading time of each backend, starting now. */
export class ReadyClock implements Disposable {
  readonly #laps: Map<string, Lap>;

  constructor({ limitMs, backends, onLate, now }: ReadyClockOptions) {
    const end = (): void => {
      this[Symbol.dispose]();
      onLate();
    };
    this.#laps = new Map(backends.map((name) => [name, { clock: new LoadClock(limitMs, end, now) }]));
  }

  pause(backend: string): void {
    const lap = this.#laps.get(backend);
    if (lap !== undefined) lap.pause ??= lap.clock.pause();
  }

  resume(backend: string): void {
    const lap = this.#laps.get(backend);
    lap?.pause?.[Symbol.dispose]();
    delete lap?.pause;
  }

  /** Stops the clock of a backend that is ready. */
  done(backend: string): void {
    this.#laps.get(backend)?.clock[Symbol.dispose]();
    this.#laps.delete(backend);
  }

  [Symbol.dispose](): void {
    for (const name of [...this.#laps.keys()]) this.done(name);
  }
}
