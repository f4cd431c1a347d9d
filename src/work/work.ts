/**
 * Work that can be done in pieces, so that whoever has it done decides when. What a piece is, is decided where the work
 * is written: a few tenths of a millisecond, where its nature allows.
 */

/**
 * Each `next()` does a piece. A promise that is yielded is for something that is computed beside this thread; the next
 * piece is for when it has settled.
 */
export type Work<T> = Generator<Promise<unknown> | void, T, void>;

/**
 * Do all of it at once.
 *
 * @param work Work that computes nothing beside this thread.
 * @returns What it comes to.
 */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    if (value !== undefined) throw new Error("Work that waits for a promise cannot be done at once");
  }
}

/** Wait for a promise as a part of work. */
export function* settled<T>(promise: Promise<T>): Work<T> {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  yield promise.then((value) => void (outcome = { value }), (error) => void (outcome = { error }));
  if (outcome === undefined) throw new Error("Work went on before what it waits for had settled");
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

/**
 * Work that several need. Whoever is next does the next piece, so that it goes on when one of them gives up. It may not
 * wait for promises.
 */
export class SharedWork<T> {
  readonly #work: Work<T>;
  #outcome: { readonly value: T } | { readonly error: unknown } | undefined;

  constructor(work: Work<T>) {
    this.#work = work;
  }

  /** Take part. */
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
      else if (piece.value !== undefined) throw new Error("Work that several need may not wait for a promise");
    } catch (error) {
      this.#outcome = { error };
    }
  }
}
