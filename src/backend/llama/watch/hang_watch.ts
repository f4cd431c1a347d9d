/** Notices an engine that says nothing though work is waiting. */

const HANG_TIMEOUT_MS = 30_000;
/** A hang is this many looks in a row without a word, so that one late look of a busy daemon counts once. */
const HANG_LOOKS = 10;

/** What a watch is made with. */
export interface HangWatchOptions {
  /** Absent: `HANG_TIMEOUT_MS`. */
  readonly timeoutMs: number | undefined;
  /** Whether the engine owes somebody something. */
  readonly waiting: () => boolean;
  readonly onHang: () => void;
}

/** Looks while there is work. */
export class HangWatch {
  readonly #options: HangWatchOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #silentLooks = 0;

  constructor(options: HangWatchOptions) {
    this.#options = options;
  }

  /** Work has come, or has gone. */
  watch(busy: boolean): void {
    clearInterval(this.#timer);
    this.#silentLooks = 0;
    if (!busy) return;
    this.#timer = setInterval(() => this.#look(), (this.#options.timeoutMs ?? HANG_TIMEOUT_MS) / HANG_LOOKS);
  }

  /** The engine has said something. */
  heard(): void {
    this.#silentLooks = 0;
  }

  #look(): void {
    this.#silentLooks = this.#options.waiting() ? this.#silentLooks + 1 : 0;
    if (this.#silentLooks >= HANG_LOOKS) this.#options.onHang();
  }
}
