/**
 * LRU cache of compiled grammars, with their automata, so that the next request with the same grammar starts warm. The
 * key is the request, not the compiled result.
 */
import { SharedWork, type Work } from "../work/work.ts";

/** Cache limits: entries and bytes. A grammar in use stays alive until its answer ends. */
const KEPT = 32;
const KEPT_BYTES = 64 * 2 ** 20;
/** Bytes per character of a key. */
const CHARACTER_BYTES = 2;

/** A cacheable object. */
export interface Compiled {
  /** Approximate memory in bytes, which grows with use. */
  readonly bytes: number;
}

/** The grammars of one engine. */
export class Grammars<T extends Compiled> {
  /** By key, most recently used last. */
  readonly #kept = new Map<string, T>();
  /** Compilations in progress, shared by concurrent requests. */
  readonly #compiling = new Map<string, { readonly work: SharedWork<T>; users: number }>();

  /**
   * Get the object of a key; compiled if it is not cached.
   *
   * @param key Everything the result depends on, as text.
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
      // Done, failed, or abandoned by all.
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
