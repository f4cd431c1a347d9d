/** Values in the order they were put; whoever takes too early waits. */

/** A queue with a waiting side. */
export class Mailbox<T> {
  readonly #values: T[] = [];
  readonly #takers: ((value: T) => void)[] = [];

  /** How many values wait to be taken. */
  get size(): number {
    return this.#values.length;
  }

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker(value);
  }

  /** @param signal Gives up waiting; the promise rejects with its reason. */
  take(signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const [value] = this.#values.splice(0, 1);
    if (value !== undefined) return Promise.resolve(value);
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#takers.splice(this.#takers.indexOf(taker), 1);
        reject(signal?.reason);
      };
      const taker = (taken: T): void => {
        signal?.removeEventListener("abort", giveUp);
        resolve(taken);
      };
      this.#takers.push(taker);
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }
}
