/**
 * Measures how long backends take to load. Time in which one fetches or hashes files does not count: that depends on
 * network and disk, and does not show whether the backend will ever be ready.
 */

import { LoadClock } from "../backend/llama/watch/load_clock.ts";

/** What a clock is made with. */
export interface ReadyClockOptions {
  /** How long each may load, in milliseconds. */
  readonly limitMs: number;
  /** Every backend that has to become ready. */
  readonly backends: readonly string[];
  /** Told once, when the first has taken too long. */
  readonly onLate: () => void;
  /** Milliseconds of a clock that never goes back; absent: the process's. */
  readonly now?: () => number;
}

/** One backend's time. */
interface Lap {
  readonly clock: LoadClock;
  /** While the backend does something that does not count. */
  pause?: Disposable;
}

/** Counts, for each backend, the time it loads. All begin with loading. */
export class ReadyClock implements Disposable {
  readonly #laps: Map<string, Lap>;

  constructor({ limitMs, backends, onLate, now }: ReadyClockOptions) {
    const end = (): void => {
      this[Symbol.dispose]();
      onLate();
    };
    this.#laps = new Map(backends.map((name) => [name, { clock: new LoadClock(limitMs, end, now) }]));
  }

  /** The backend does something that does not count. */
  pause(backend: string): void {
    const lap = this.#laps.get(backend);
    if (lap !== undefined) lap.pause ??= lap.clock.pause();
  }

  /** The backend loads again. */
  resume(backend: string): void {
    const lap = this.#laps.get(backend);
    lap?.pause?.[Symbol.dispose]();
    delete lap?.pause;
  }

  /** The backend is ready. */
  done(backend: string): void {
    this.#laps.get(backend)?.clock[Symbol.dispose]();
    this.#laps.delete(backend);
  }

  /** Count no more. */
  [Symbol.dispose](): void {
    for (const name of [...this.#laps.keys()]) this.done(name);
  }
}
