/** What a grammar's automaton is made of: stacks of what is still to come, and states of stacks. */
import type { Alphabet } from "./automaton/alphabets.ts";
import type { TokenSet } from "./masks/token_set.ts";
import type { TextChars } from "./vocabulary/string_tokens.ts";
import type { SharedWork } from "../work/work.ts";

/** What is still to come: a place in an alternative, then what follows the rule it stands in. */
export interface Stack {
  readonly id: number;
  readonly place: number;
  readonly below: Stack | undefined;
  /** When it was last come upon, as its automaton counts. */
  seen: number;
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

/** What may come, whatever it is. */
export interface FreeText {
  readonly chars: TextChars;
  /** How many of them at least; may be `Infinity`. */
  readonly most: number;
  /** Whether none of them may come then. */
  readonly isExact: boolean;
}

/** Of states that have not been asked yet which characters they tell apart. */
const NO_TARGETS: (State | undefined)[] = [];

/** Stacks that may be read on from a place in a text. Is also the position between two characters. */
export class State implements Position {
  readonly state = this;
  readonly partial = 0;
  readonly lacking = 0;
  readonly least = 0;
  /** The kinds of characters that it tells apart. */
  alphabet: Alphabet | undefined;
  /** Where the characters of each kind lead, once that was asked. */
  targets: (State | undefined)[] = NO_TARGETS;
  /** Where all characters beyond ASCII lead; `null`: nowhere; "several": not all to the same state. */
  wideTo: State | null | "several" | undefined;
  /** The tokens that may come next. */
  allowed: TokenSet | undefined;
  /** They are being found out. */
  walk: SharedWork<TokenSet> | undefined;
  /** The characters that lead back to it; `null`: it is not like the inside of a string. */
  loop: TextChars | null | undefined;
  /** What may come whatever it is; `null`: nothing that is worth while. */
  free: FreeText | null | undefined;
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
