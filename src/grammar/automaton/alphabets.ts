/**
 * Character classes of a state: characters accepted by the same stacks form a class and lead to the same state. Shared
 * by all states whose stacks accept the same character sets.
 */
import { type Chars, NO_WIDE } from "./char_set.ts";
import { hashOf, HashTable } from "./hash_table.ts";
import { MAX_CODE_POINT } from "../rules.ts";
import type { Scratch } from "./scratch.ts";

const ASCII = 0x80;
/** Rows per allocation. */
const ROWS = 64;
/** Maximum class numbers before unused ones are recycled. */
const NUMBERS = 1024;
/** With more sets than this, equal ones are removed first. */
const FEW = 8;
/** Maximum cached alphabets. */
const MOST_KNOWN = 4096;

/** Character classes of some sets: 0 for characters in none of them, then from 1. */
export interface Alphabet {
  readonly sets: readonly Chars[];
  /** Class of each ASCII character, starting at `row`. */
  readonly rows: Uint8Array;
  readonly row: number;
  /** Number of classes within ASCII, including 0. */
  readonly count: number;
  /** Edges between non-ASCII classes; computed on demand. */
  edges: Int32Array | undefined;
  /** Class from each edge on. */
  wide: Uint16Array;
}

/** Computes and caches alphabets. */
export class Alphabets {
  readonly #known = new HashTable<Alphabet>();
  #rows = new Uint8Array(0);
  #next = 0;
  /** Class of each character so far, and by class: what it was split into, and by which set. */
  #kind = new Uint16Array(ASCII);
  #split = new Uint16Array(NUMBERS);
  #splitBy = new Int32Array(NUMBERS);

  /** The alphabet of some sets. */
  of(sets: Scratch<Chars>): Alphabet {
    let hash = 0;
    for (let i = 0; i < sets.length; i++) hash = hashOf(hash, sets.at(i).id);
    for (let at = this.#known.first(hash);; at = this.#known.next(at)) {
      const known = this.#known.at(at);
      if (known !== undefined && !sets.equals(known.sets)) continue;
      if (known !== undefined) return known;
      if (this.#known.size >= MOST_KNOWN) {
        this.#known.clear();
        at = this.#known.first(hash);
      }
      return this.#known.add(at, hash, this.#make(sets.all()));
    }
  }

  /** Compute the classes of non-ASCII characters. */
  addWide(alphabet: Alphabet): Int32Array {
    const { sets } = alphabet;
    const wide = sets.filter(({ edges }, i) => edges.length > 1 && sets[i - 1]?.edges !== edges);
    const [first] = wide;
    const edges = first === undefined
      ? NO_WIDE
      : wide.length === 1
      ? first.edges
      : Int32Array.from(new Set(wide.flatMap(({ edges }) => [...edges]))).sort();
    this.#find(sets, edges);
    alphabet.wide = this.#kind.slice(ASCII, ASCII + edges.length);
    return alphabet.edges = edges;
  }

  #make(sets: readonly Chars[]): Alphabet {
    if (this.#next === this.#rows.length) {
      this.#rows = new Uint8Array(ROWS * ASCII);
      this.#next = 0;
    }
    const [rows, row] = [this.#rows, this.#next];
    this.#next += ASCII;
    const count = this.#find(sets, NO_EDGES);
    rows.set(this.#kind.subarray(0, ASCII), row);
    return { sets, rows, row, count, edges: undefined, wide: NO_KINDS };
  }

  /** @returns Number of classes, including 0. */
  #find(sets: readonly Chars[], edges: Int32Array): number {
    const size = ASCII + edges.length;
    this.#reserve(size);
    this.#kind.fill(0);
    this.#splitBy.fill(-1);
    const different = sets.length > FEW ? [...new Set(sets)] : sets;
    let next = 1;
    for (let set = 0; set < different.length; set++) {
      const chars = different[set] as Chars;
      const { ascii } = chars;
      for (let i = 0; i < ascii.length; i++) next = this.#take(ascii[i] as number, set, next);
      for (let i = 0; i < edges.length; i++) {
        if (chars.has(firstFrom(edges[i] as number))) next = this.#take(ASCII + i, set, next);
      }
      if (next + size < this.#split.length) continue;
      next = this.#number(size);
      this.#splitBy.fill(-1);
    }
    return this.#number(size);
  }

  #take(at: number, set: number, next: number): number {
    const before = this.#kind[at] as number;
    if (this.#splitBy[before] !== set) {
      this.#splitBy[before] = set;
      this.#split[before] = next++;
    }
    this.#kind[at] = this.#split[before] as number;
    return next;
  }

  /** Renumber the classes from 1, in the order of their characters. */
  #number(size: number): number {
    const numbers = this.#split.fill(0);
    let next = 1;
    for (let at = 0; at < size; at++) {
      const kind = this.#kind[at] as number;
      if (kind > 0) this.#kind[at] = numbers[kind] ||= next++;
    }
    return next;
  }

  #reserve(size: number): void {
    if (size <= this.#kind.length) return;
    this.#kind = new Uint16Array(size * 2);
    this.#split = new Uint16Array(size * 4 + NUMBERS);
    this.#splitBy = new Int32Array(size * 4 + NUMBERS);
  }
}

const NO_EDGES = new Int32Array(0);
const NO_KINDS = new Uint16Array(0);

/** First character at or after a code point, skipping surrogates. */
export function firstFrom(edge: number): number {
  return edge >= 0xd800 && edge < 0xe000 ? 0xe000 : Math.min(edge, MAX_CODE_POINT);
}
