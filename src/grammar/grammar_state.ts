/** What a grammar's automaton is made of: stacks of what is still to come, states of stacks, and sets of characters. */
import type { CharSet } from "./rules.ts";
import { contains, intersection, normalized } from "./language/chars.ts";
import type { Loop } from "./vocabulary/string_tokens.ts";
import { PLAIN } from "./vocabulary/vocabulary_index.ts";
import type { SharedWork } from "../work/work.ts";

/** What is still to come: a place in an alternative, then what follows the rule it stands in. */
export interface Stack {
  readonly id: number;
  readonly place: number;
  readonly below: Stack | undefined;
}

/** A position in a text that follows a grammar. */
export interface Position {
  readonly state: State;
  /** Of a character whose last bytes have not come: its bits so far, how many bytes lack, and the least it may be. */
  readonly partial: number;
  readonly lacking: number;
  readonly least: number;
}

/** What comes next where nothing else may. */
export type Only = { readonly char: number } | { readonly token: number };

/** Stacks that may be read on from a place in a text. Is also the position between two characters. */
export class State implements Position {
  readonly state = this;
  readonly partial = 0;
  readonly lacking = 0;
  readonly least = 0;
  /** Where an ASCII character leads; `null`: nowhere. */
  ascii: (State | null)[] = [];
  /** The first characters beyond of those that no set of the stacks tells apart, in order, and where they lead. */
  edges: Int32Array | undefined;
  wide: (State | null)[] = [];
  /** Where the characters lead that some of the stacks take, by which of them. */
  followers: Map<string, State> | undefined;
  /** The tokens that may come next, a bit for each. */
  allowed: Uint32Array | undefined;
  /** They are being found out. */
  walk: SharedWork<Uint32Array> | undefined;
  /** How it loops; `null`: it does not. */
  loop: Loop | null | undefined;
  /** The only character or token that may come next; `null`: there is a choice. */
  only: Only | null | undefined;

  /**
   * @param stacks Each with a character at its place.
   * @param tokenStacks Each with a token at its place.
   * @param canEnd Whether nothing has to come.
   */
  constructor(
    readonly stacks: readonly Stack[],
    readonly tokenStacks: readonly Stack[],
    readonly canEnd: boolean,
  ) {}

  /** What has been found out about where it leads. */
  forget(): void {
    this.ascii = [];
    this.wide = [];
    this.followers = undefined;
    this.loop = undefined;
  }
}

/** A set of characters, made to be looked at often. */
export class Chars {
  /** Sorted, so that the ranges can be searched. */
  readonly ranges: CharSet;
  /** How many of the plain characters it has. */
  readonly plain: "all" | "some" | "none";
  readonly #ascii = new Uint32Array(4);

  constructor(ranges: CharSet) {
    this.ranges = normalized(ranges);
    for (let char = 0; char < 0x80; char++) if (contains(this.ranges, char)) set(this.#ascii, char);
    const common = intersection(this.ranges, PLAIN);
    this.plain = common.length === 0 ? "none" : common.join() === PLAIN.join() ? "all" : "some";
  }

  has(char: number): boolean {
    return char < 0x80 ? ((this.#ascii[char >> 5] as number) >>> (char & 31) & 1) === 1 : contains(this.ranges, char);
  }

  /** Its character, if it has just one. */
  get single(): number | undefined {
    const { ranges } = this;
    return ranges.length === 2 && ranges[0] === ranges[1] ? ranges[0] : undefined;
  }

  /** Whether one of its characters is between two, both inclusive. */
  hasWithin(low: number, high: number): boolean {
    const { ranges } = this;
    if (contains(ranges, low)) return true;
    for (let i = 0; i < ranges.length; i += 2) if ((ranges[i] as number) > low) return (ranges[i] as number) <= high;
    return false;
  }
}

/** Clear a bit. */
export function unset(bits: Uint32Array, at: number): void {
  bits[at >> 5] = (bits[at >> 5] as number) & ~(1 << (at & 31));
}

/** Set a bit. */
export function set(bits: Uint32Array, at: number): void {
  bits[at >> 5] = (bits[at >> 5] as number) | (1 << (at & 31));
}
