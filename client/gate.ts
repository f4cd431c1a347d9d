/**
 * Limits how many requests of one client are sent at the same time. Only requests whose answer is being read make
 * others wait; one that nobody reads could keep its place forever.
 */

/** Admits requests. */
export class Gate {
  readonly #limit: number;
  /** Sent requests, and whether their answer is being read. */
  readonly #running = new Map<object, boolean>();
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @returns Whether the request may be sent now, before its answer is read. */
  tryEnter(request: object): boolean {
    if (this.#running.size >= this.#limit || this.#waiting.size > 0) return false;
    this.#running.set(request, false);
    return true;
  }

  /**
   * Wait for a slot, first come first served.
   *
   * @throws The signal's reason, if it was aborted.
   */
  async enter(request: object, signal: AbortSignal): Promise<void> {
    if (this.#running.has(request)) {
      this.#running.set(request, true);
      return;
    }
    signal.throwIfAborted();
    if (this.#waiting.size === 0 && this.#read < this.#limit) {
      this.#running.set(request, true);
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener("abort", giveUp);
        this.#running.set(request, true);
        resolve();
      };
      const giveUp = (): void => {
        this.#waiting.delete(go);
        reject(signal.reason);
      };
      this.#waiting.add(go);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  leave(request: object): void {
    this.#running.delete(request);
    for (const go of this.#waiting) {
      if (this.#read >= this.#limit) return;
      this.#waiting.delete(go);
      go();
    }
  }

  get #read(): number {
    let count = 0;
    for (const read of this.#running.values()) if (read) count++;
    return count;
  }
}
