/** Measures a backend's load time, excluding pauses. */
import { BackendUnavailableError } from "../../../inference/errors.ts";

/** A countdown that can be paused. */
export class LoadClock implements Disposable {
  readonly #onEnd: () => void;
  readonly #now: () => number;
  #leftMs: number;
  #startedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pauses = 0;
  #ended = false;

  /**
   * Start the countdown.
   *
   * @param now Monotonic clock in milliseconds; for tests.
   */
  constructor(limitMs: number, onEnd: () => void, now: () => number = () => performance.now()) {
    this.#leftMs = limitMs;
    this.#onEnd = onEnd;
    this.#now = now;
    this.#run();
  }

  /** Pause until the result is disposed of; pauses may overlap. */
  pause(): Disposable {
    if (this.#pauses++ === 0) this.#stop();
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--this.#pauses === 0) this.#run();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #run(): void {
    if (this.#ended) return;
    this.#startedAt = this.#now();
    this.#timer = setTimeout(() => {
      this.#ended = true;
      this.#onEnd();
    }, Math.max(0, this.#leftMs));
  }

  #stop(): void {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#leftMs -= this.#now() - this.#startedAt;
  }
}

/** Aborts loading once it has taken too long; without a limit never. */
export function limitLoading(limitMs: number | undefined, loading: AbortController): LoadClock | undefined {
  if (limitMs === undefined) return undefined;
  return new LoadClock(limitMs, () => {
    const secs = limitMs / 1000;
    loading.abort(new BackendUnavailableError(`The engine did not load within ${secs} s (--ready-timeout)`));
  });
}
