/**
 * Which characters a state tells apart: those that the same of its stacks take are of one kind, and lead to one state.
 * States whose stacks take the same characters share this.
 */
import { type Chars, NO_WIDE } from "./char_set.ts";
import { hashOf, HashTable } from "./hash_table.ts";
import { MAX_CODE_POINT } from "../rules.ts";
import type { Scratch } from "./scratch.ts";

const ASCII = 0x80;
/** Rows that are allocated at once. */
const ROWS = 64;
/** Numbers of kinds that are used up before those that nothing is left of are used again. */
const NUMBERS = 1024;
/** Where there are more sets, equal ones are read once. */
const FEW = 8;
/** Alphabets that are remembered. */
const MOST_KNOWN = 4096;

/** The kinds of characters of some sets: 0 for those that none has, the others from 1 on. */
export interface Alphabet {
  readonly sets: readonly Chars[];
  /** From `row` on, the kind of each ASCII character. */
  readonly rows: Uint8Array;
  readonly row: number;
  /** How many kinds there are in ASCII, with 0. */
  readonly count: number;
  /** Where the characters beyond come to be in other sets, once that was asked. */
  edges: Int32Array | undefined;
  /** Of what kind they are from each edge on. */
  wide: Uint16Array;
}

/** Finds alphabets. */
export class Alphabets {
  readonly #known = new HashTable<Alphabet>();
  #rows = new Uint8Array(0);
  #next = 0;
  /** The kind of each character so far, and by kind: to what it is split, and by which set. */
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

  /** Find the kinds of the characters beyond ASCII. */
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

  /** @returns How many kinds there are, with 0. */
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

  /** Number those that there are anew, from 1 on, in the order of their characters. */
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

/** The first character from a number on: halves of pairs are none, and none is behind the last. */
export function firstFrom(edge: number): number {
  return edge >= 0xd800 && edge < 0xe000 ? 0xe000 : Math.min(edge, MAX_CODE_POINT);
}
