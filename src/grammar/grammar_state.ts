/** The parts of a grammar's automaton: stacks of pending symbols, and states, which are sets of stacks. */
import type { Alphabet } from "./automaton/alphabets.ts";
import type { TokenSet } from "./masks/token_set.ts";
import type { TextChars } from "./vocabulary/string_tokens.ts";
import type { SharedWork } from "../work/work.ts";

/** Pending symbols: a place in an alternative, then the continuation of the enclosing rule. */
export interface Stack {
  readonly id: number;
  readonly place: number;
  readonly below: Stack | undefined;
  /** Last visit, in its automaton's count. */
  seen: number;
}

/** A position in a matched text. */
export interface Position {
  readonly state: State;
  /** An incomplete character: its bits so far, the missing bytes, and its minimum value. */
  readonly partial: number;
  readonly lacking: number;
  readonly least: number;
}

/** The only possible continuation. */
export type Only = { readonly char: number } | { readonly token: number };

/** Characters that are allowed in any order. */
export interface FreeText {
  readonly chars: TextChars;
  /** Minimum number of them; may be `Infinity`. */
  readonly most: number;
  /** Whether none is allowed after that. */
  readonly isExact: boolean;
}

/** Placeholder for states whose classes are not computed. */
const NO_TARGETS: (State | undefined)[] = [];

/** A set of stacks: the position between two characters. */
export class State implements Position {
  readonly state = this;
  readonly partial = 0;
  readonly lacking = 0;
  readonly least = 0;
  /** Its character classes. */
  alphabet: Alphabet | undefined;
  /** Transition of each class; computed on demand. */
  targets: (State | undefined)[] = NO_TARGETS;
  /** Common transition of all non-ASCII characters; `null`: none is allowed; "several": they differ. */
  wideTo: State | null | "several" | undefined;
  /** The allowed tokens. */
  allowed: TokenSet | undefined;
  /** The computation in progress. */
  walk: SharedWork<TokenSet> | undefined;
  /** Characters that lead back to it; `null`: it is not a loop, as within strings. */
  loop: TextChars | null | undefined;
  /** Freely allowed characters; `null`: not worth using. */
  free: FreeText | null | undefined;
  /** The only allowed character or token; `null`: there is a choice. */
  only: Only | null | undefined;

  /**
   * @param stacks Stacks with a character on top.
   * @param tokenStacks Stacks with a token on top.
   * @param canEnd Whether the text may end here.
   */
  constructor(
    readonly stacks: readonly Stack[],
    readonly tokenStacks: readonly Stack[],
    readonly canEnd: boolean,
  ) {}

  /** Forget cached transitions. */
  forget(): void {
    this.alphabet = undefined;
    this.targets = NO_TARGETS;
    this.wideTo = undefined;
    this.loop = undefined;
    this.free = undefined;
  }
}

/** Set a bit. */
export function set(bits: Uint32Array, at: number): void {
  bits[at >> 5] = (bits[at >> 5] as number) | (1 << (at & 31));
}
