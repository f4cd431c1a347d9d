/**
 * Cooperative work: generators that do a slice per step, so that the caller decides when to run them. A slice should
 * take a few tenths of a millisecond.
 */

/**
 * Each `next()` runs one slice. A yielded promise stands for off-thread work; the next slice must wait until it
 * settles.
 */
export type Work<T> = Generator<Promise<unknown> | void, T, void>;

/** Work that is done at once, for what follows it. */
export function* nothing(): Work<void> {}

/**
 * Run to completion.
 *
 * @param work Work without off-thread parts.
 */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    if (value !== undefined) throw new Error("Work that awaits a promise cannot run synchronously");
  }
}

/** Awaits a promise within work. */
export function* settled<T>(promise: Promise<T>): Work<T> {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  yield promise.then((value) => void (outcome = { value }), (error) => void (outcome = { error }));
  if (outcome === undefined) throw new Error("Work was resumed before its promise settled");
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

/**
 * Work with several waiters. Whichever runs next does the next slice, so that it continues if one gives up. It may not
 * await promises.
 */
export class SharedWork<T> {
  readonly #work: Work<T>;
  #outcome: { readonly value: T } | { readonly error: unknown } | undefined;

  constructor(work: Work<T>) {
    this.#work = work;
  }

  /** Run until the result is available. */
  *join(): Work<T> {
    while (this.#outcome === undefined) {
      this.#do();
      if (this.#outcome === undefined) yield;
    }
    if ("error" in this.#outcome) throw this.#outcome.error;
    return this.#outcome.value;
  }

  #do(): void {
    try {
      const piece = this.#work.next();
      if (piece.done) this.#outcome = { value: piece.value };
      else if (piece.value !== undefined) throw new Error("Shared work may not await a promise");
    } catch (error) {
      this.#outcome = { error };
    }
  }
}
