/**
 * The lengths of the texts of a language: as intervals if the expression determines them, otherwise from all states of
 * its automaton.
 */

/** From and to, both inclusive; the end may be infinite. */
export type Interval = readonly [from: number, to: number];

/** Maximum intervals of a language; with more, its states are examined. */
const MOST = 16;
/** Maximum repetitions expanded individually. */
const MOST_WRITTEN = 8;
/** Maximum length of a table before it must become periodic. */
const MAX_STEPS = 20_000;

/** Lengths of a union; `undefined` if one is unknown. */
export function unionOfLengths(all: readonly (readonly Interval[] | undefined)[]): readonly Interval[] | undefined {
  if (all.includes(undefined)) return undefined;
  return joined((all as readonly (readonly Interval[])[]).flat());
}

/** Lengths of a concatenation. */
export function productOfLengths(
  ones: readonly Interval[] | undefined,
  others: readonly Interval[] | undefined,
): readonly Interval[] | undefined {
  if (ones === undefined || others === undefined) return undefined;
  return joined(ones.flatMap(([a, b]) => others.map(([c, d]): Interval => [a + c, b + d])));
}

/** Lengths of a repetition. */
export function repeatedLengths(
  lengths: readonly Interval[] | undefined,
  least: number,
  most: number,
): readonly Interval[] | undefined {
  if (lengths === undefined) return undefined;
  if (lengths.length > 1) {
    if (most > MOST_WRITTEN) return undefined;
    const all: Interval[] = least === 0 ? [[0, 0]] : [];
    let times: readonly Interval[] | undefined = [[0, 0]];
    for (let count = 1; count <= most; count++) {
      times = productOfLengths(times, lengths);
      if (times === undefined) return undefined;
      if (count >= least) all.push(...times);
    }
    return joined(all);
  }
  const [only] = lengths;
  if (only === undefined) return least === 0 ? [[0, 0]] : [];
  const [from, to] = only;
  /** From this many on, intervals overlap. */
  const together = from <= 1 ? 0 : to === from ? Infinity : Math.max(1, Math.ceil((from - 1) / (to - from)));
  const all: Interval[] = [];
  for (let count = least; count <= most; count++) {
    if (count >= together) {
      all.push([count * from, most === Infinity && to > 0 ? Infinity : count === 0 && most === 0 ? 0 : most * to]);
      break;
    }
    if (all.length >= MOST) return undefined;
    all.push([count * from, count === 0 ? 0 : count * to]);
  }
  return joined(all);
}

/** Sorted intervals, merged if adjacent; `undefined` if there are too many. */
export function joined(intervals: readonly Interval[]): readonly Interval[] | undefined {
  const all: [number, number][] = [];
  for (const [from, to] of [...intervals].sort(([a], [b]) => a - b)) {
    const last = all.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else all.push([from, to]);
  }
  return all.length > MOST ? undefined : all;
}

/** For each length, the states from which a text of that length is accepted. Eventually periodic. */
export class LengthTable {
  readonly #index = new Map<unknown, number>();
  /** By length: a bit for each state. */
  readonly #sets: Uint32Array[] = [];
  /** Length from which the sets are periodic. */
  #period = 0;

  /**
   * @param states All states.
   * @param moves Transitions by one character.
   */
  constructor(
    states: readonly { readonly nullable: boolean }[],
    moves: readonly (readonly [from: unknown, to: unknown])[],
  ) {
    const words = (states.length + 31) >> 5;
    let set = new Uint32Array(words);
    for (const [index, state] of states.entries()) {
      this.#index.set(state, index);
      if (state.nullable) mark(set, index);
    }
    const edges = moves.map(([from, to]) => [this.#index.get(from) as number, this.#index.get(to) as number] as const);
    const known = new Map<string, number>();
    for (let key = set.join(); !known.has(key); key = set.join()) {
      if (this.#sets.length > MAX_STEPS) throw new RangeError("Lengths do not repeat themselves");
      known.set(key, this.#sets.length);
      this.#sets.push(set);
      const before = new Uint32Array(words);
      for (const [from, to] of edges) if (isMarked(set, to)) mark(before, from);
      set = before;
    }
    this.#period = this.#sets.length - (known.get(set.join()) as number);
  }

  /** Whether a text within length bounds is accepted from a state. */
  has(state: unknown, least: number, most: number): boolean {
    const index = this.#index.get(state) as number;
    const last = Math.min(most, Math.max(least, this.#sets.length) + this.#period);
    for (let length = least; length <= last; length++) if (isMarked(this.#setOf(length), index)) return true;
    return false;
  }

  #setOf(length: number): Uint32Array {
    const { length: known } = this.#sets;
    const first = known - this.#period;
    return this.#sets[length < known ? length : first + (length - first) % this.#period] as Uint32Array;
  }
}

function mark(set: Uint32Array, index: number): void {
  set[index >> 5] = (set[index >> 5] as number) | (1 << (index & 31));
}

function isMarked(set: Uint32Array, index: number): boolean {
  return ((set[index >> 5] as number) >>> (index & 31) & 1) === 1;
}
