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
    const paused = new DisposableStack();
    paused.defer(() => {
      if (--this.#pauses === 0) this.#run();
    });
    return paused;
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

/** Aborts loading once it has taken too long. */
export function limitLoading(what: string, limitMs: number, loading: AbortController): LoadClock {
  return new LoadClock(limitMs, () => {
    loading.abort(new BackendUnavailableError(`${what} did not load within ${limitMs / 1000} s (--ready-timeout)`));
  });
}
