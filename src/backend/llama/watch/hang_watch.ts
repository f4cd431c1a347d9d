/** Detects an engine that is silent while work is pending. */

const HANG_TIMEOUT_MS = 30_000;
/** A hang is this many silent checks in a row, so that a late check by a busy daemon counts only once. */
const HANG_LOOKS = 10;

export interface HangWatchOptions {
  /** Default: `HANG_TIMEOUT_MS`. */
  readonly timeoutMs: number | undefined;
  /** Whether the engine owes an answer. */
  readonly waiting: () => boolean;
  readonly onHang: () => void;
}

/** Checks periodically while there is work. */
export class HangWatch {
  readonly #options: HangWatchOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #silentLooks = 0;

  constructor(options: HangWatchOptions) {
    this.#options = options;
  }

  /** Start or stop checking. */
  watch(busy: boolean): void {
    clearInterval(this.#timer);
    this.#silentLooks = 0;
    if (!busy) return;
    this.#timer = setInterval(() => this.#look(), (this.#options.timeoutMs ?? HANG_TIMEOUT_MS) / HANG_LOOKS);
  }

  /** The engine sent a message. */
  heard(): void {
    this.#silentLooks = 0;
  }

  #look(): void {
    this.#silentLooks = this.#options.waiting() ? this.#silentLooks + 1 : 0;
    if (this.#silentLooks >= HANG_LOOKS) this.#options.onHang();
  }
}
