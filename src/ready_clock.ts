/**
 * How long backends take to load. Time in which one fetches or hashes files does not count: that depends on the net and
 * the disk, and says nothing about whether it will ever be ready.
 */

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
  leftMs: number;
  /** When it went on loading; absent: it does not. */
  since?: number;
  timer?: ReturnType<typeof setTimeout>;
}

/** Counts, for each backend, the time it loads. All begin with loading. */
export class ReadyClock implements Disposable {
  readonly #laps: Map<string, Lap>;
  readonly #onLate: () => void;
  readonly #now: () => number;

  constructor({ limitMs, backends, onLate, now = () => performance.now() }: ReadyClockOptions) {
    this.#onLate = onLate;
    this.#now = now;
    this.#laps = new Map(backends.map((name) => [name, { leftMs: limitMs }]));
    for (const name of backends) this.resume(name);
  }

  /** The backend does something that does not count. */
  pause(backend: string): void {
    const lap = this.#laps.get(backend);
    if (lap?.since === undefined) return;
    lap.leftMs -= this.#now() - lap.since;
    clearTimeout(lap.timer);
    delete lap.since;
  }

  /** The backend loads again. */
  resume(backend: string): void {
    const lap = this.#laps.get(backend);
    if (lap === undefined || lap.since !== undefined) return;
    lap.since = this.#now();
    lap.timer = setTimeout(() => {
      this[Symbol.dispose]();
      this.#onLate();
    }, Math.max(0, lap.leftMs));
  }

  /** The backend is ready. */
  done(backend: string): void {
    this.pause(backend);
    this.#laps.delete(backend);
  }

  /** Count no more. */
  [Symbol.dispose](): void {
    for (const name of [...this.#laps.keys()]) this.done(name);
  }
}
