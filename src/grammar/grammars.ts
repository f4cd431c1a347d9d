/**
 * What was compiled for answers of late, with what has been found out while they were followed, so that the next answer
 * that asks for the same goes on from there. Told apart by what a request says, not by what comes of it.
 */
import { SharedWork, type Work } from "../work/work.ts";

/** What is kept: so many, and so much memory. One that is in use is not forgotten before its answer ends. */
const KEPT = 32;
const KEPT_BYTES = 64 * 2 ** 20;
/** Of a character of a key. */
const CHARACTER_BYTES = 2;

/** What may be kept. */
export interface Compiled {
  /** Memory it takes by now, in bytes, roughly. */
  readonly bytes: number;
}

/** The grammars of one engine. */
export class Grammars<T extends Compiled> {
  /** By what was asked; those used last are last. */
  readonly #kept = new Map<string, T>();
  /** What is being compiled; who asks for the same meanwhile takes part. */
  readonly #compiling = new Map<string, { readonly work: SharedWork<T>; users: number }>();

  /**
   * What was compiled for this key; compiled now, if it was not.
   *
   * @param key All that the result depends on, as text.
   * @param compile Compiles it.
   */
  *of(key: string, compile: () => Work<T>): Work<T> {
    const known = this.#kept.get(key) ?? (yield* this.#compile(key, compile));
    this.#kept.delete(key);
    this.#kept.set(key, known);
    this.#forget();
    return known;
  }

  *#compile(key: string, compile: () => Work<T>): Work<T> {
    const going = this.#compiling.get(key) ?? { work: new SharedWork(compile()), users: 0 };
    this.#compiling.set(key, going);
    going.users++;
    try {
      return yield* going.work.join();
    } finally {
      // Done, failed, or given up by all.
      if (--going.users === 0) this.#compiling.delete(key);
    }
  }

  #forget(): void {
    let bytes = 0;
    for (const [key, { bytes: own }] of this.#kept) bytes += key.length * CHARACTER_BYTES + own;
    for (const [key, { bytes: own }] of this.#kept) {
      if (this.#kept.size <= KEPT && bytes <= KEPT_BYTES) return;
      this.#kept.delete(key);
      bytes -= key.length * CHARACTER_BYTES + own;
    }
  }
}
