/**
 * Follows a text through a grammar: which bytes may come next, and whether it may end. Works like an automaton that is
 * built while it is walked: a state is a set of stacks of what is still to come, and remembers where each character led.
 */
import { type CharSet, GrammarError, type Rules } from "./gbnf.ts";
import type { Constraint } from "./scheduler.ts";

/** Stacks that one state may have, and that may be looked at to find them. */
const MAX_STACKS = 20_000;
/** States that are remembered before all are forgotten. */
const MAX_STATES = 10_000;

/** What is still to come: a place in an alternative, then what follows the rule it stands in. */
interface Stack {
  readonly id: number;
  readonly place: number;
  readonly below: Stack | undefined;
}

interface State {
  /** Each with a character at its place. */
  readonly stacks: readonly Stack[];
  readonly canEnd: boolean;
  /** Where a character leads; `undefined`: nowhere. */
  readonly next: Map<number, State | undefined>;
}

/** A position in a text that follows a grammar. */
export interface Position {
  readonly state: State;
  /** Of a character whose last bytes have not come: its bits so far, how many bytes lack, and the least it may be. */
  readonly partial: number;
  readonly lacking: number;
  readonly least: number;
}

/** A grammar, and what has been found out about it. For one request. */
export class Grammar {
  /** Character sets and rules at each place; neither: the end of an alternative. */
  readonly #chars: (CharSet | undefined)[] = [];
  readonly #rule: (number | undefined)[] = [];
  /** Where the alternatives of each rule begin. */
  readonly #starts: number[][] = [];
  #stacks = new Map<string, Stack>();
  #states = new Map<string, State>();
  readonly start: Position;

  constructor({ rules, root }: Rules) {
    for (const alternatives of rules) {
      const starts: number[] = [];
      for (const symbols of alternatives) {
        starts.push(this.#chars.length);
        for (const symbol of symbols) this.#place(symbol);
        this.#place({});
      }
      this.#starts.push(starts);
    }
    const first = (this.#starts[root] ?? []).map((place) => this.#stack(place, undefined));
    this.start = { state: this.#close(first), partial: 0, lacking: 0, least: 0 };
  }

  /**
   * Where bytes lead.
   *
   * @param from Where the text is.
   * @param bytes What would come next, UTF-8; may end within a character.
   * @returns The new position, or `undefined` if the grammar does not allow them.
   * @throws {GrammarError} If the grammar is too ambiguous to be followed.
   */
  advance(from: Position, bytes: Uint8Array): Position | undefined {
    let { state, partial, lacking, least } = from;
    for (const byte of bytes) {
      if (lacking > 0) {
        if ((byte & 0xc0) !== 0x80) return undefined;
        partial = (partial << 6) | (byte & 0x3f);
        lacking--;
      } else if (byte < 0x80) {
        [partial, lacking, least] = [byte, 0, 0];
      } else if ((byte & 0xe0) === 0xc0) {
        [partial, lacking, least] = [byte & 0x1f, 1, 0x80];
      } else if ((byte & 0xf0) === 0xe0) {
        [partial, lacking, least] = [byte & 0x0f, 2, 0x800];
      } else if ((byte & 0xf8) === 0xf0) {
        [partial, lacking, least] = [byte & 0x07, 3, 0x10000];
      } else {
        return undefined;
      }
      if (lacking > 0) continue;
      // Written with more bytes than it needs, or half of a pair: no character.
      if (partial < least || (partial >= 0xd800 && partial <= 0xdfff)) return undefined;
      const next = this.#step(state, partial);
      if (next === undefined) return undefined;
      state = next;
    }
    const position = { state, partial, lacking, least };
    return lacking === 0 || this.#mayBecome(position) ? position : undefined;
  }

  /**
   * Whether the text may end.
   *
   * @param at Where it is.
   * @returns Whether it is whole.
   */
  canEnd(at: Position): boolean {
    return at.lacking === 0 && at.state.canEnd;
  }

  #place(symbol: { chars?: CharSet; rule?: number }): void {
    this.#chars.push(symbol.chars);
    this.#rule.push(symbol.rule);
  }

  #step(state: State, char: number): State | undefined {
    if (state.next.has(char)) return state.next.get(char);
    const followers: Stack[] = [];
    for (const { place, below } of state.stacks) {
      if (contains(this.#chars[place] as CharSet, char, char)) followers.push(this.#stack(place + 1, below));
    }
    const next = followers.length === 0 ? undefined : this.#close(followers);
    state.next.set(char, next);
    return next;
  }

  /** Whether a character that begins so could come. */
  #mayBecome({ state, partial, lacking, least }: Position): boolean {
    const low = partial << (6 * lacking);
    const high = low | ((1 << (6 * lacking)) - 1);
    if (high < least) return false;
    return state.stacks.some(({ place }) => contains(this.#chars[place] as CharSet, Math.max(low, least), high));
  }

  /** Expand rules until every stack has a character at its place. */
  #close(stacks: readonly Stack[]): State {
    const todo = [...stacks];
    const seen = new Set<Stack>(todo);
    const ready: Stack[] = [];
    let canEnd = false;
    const visit = (stack: Stack | undefined): void => {
      if (stack === undefined) canEnd = true;
      else if (!seen.has(stack)) {
        seen.add(stack);
        todo.push(stack);
      }
    };
    for (let stack = todo.pop(); stack !== undefined; stack = todo.pop()) {
      if (seen.size > MAX_STACKS) throw new GrammarError("The grammar is too ambiguous to be followed");
      const rule = this.#rule[stack.place];
      if (rule !== undefined) {
        const after = stack.place + 1;
        // At the end of an alternative nothing is kept of it, so that a rule that ends with itself does not pile up.
        const below = this.#isEnd(after) ? stack.below : this.#stack(after, stack.below);
        for (const start of this.#starts[rule] ?? []) visit(this.#stack(start, below));
      } else if (this.#isEnd(stack.place)) {
        visit(stack.below);
      } else {
        ready.push(stack);
      }
    }
    return this.#state(ready, canEnd);
  }

  #isEnd(place: number): boolean {
    return this.#chars[place] === undefined && this.#rule[place] === undefined;
  }

  /** Equal stacks are the same object. */
  #stack(place: number, below: Stack | undefined): Stack {
    const key = `${place},${below?.id ?? ""}`;
    let stack = this.#stacks.get(key);
    if (stack === undefined) {
      stack = { id: nextId++, place, below };
      this.#stacks.set(key, stack);
    }
    return stack;
  }

  /** Equal states are the same object, as long as there are not too many. */
  #state(stacks: Stack[], canEnd: boolean): State {
    stacks.sort((a, b) => a.id - b.id);
    const key = `${canEnd} ${stacks.map(({ id }) => id).join()}`;
    let state = this.#states.get(key);
    if (state === undefined) {
      if (this.#states.size >= MAX_STATES) {
        this.#states = new Map();
        this.#stacks = new Map();
      }
      state = { stacks, canEnd, next: new Map() };
      this.#states.set(key, state);
    }
    return state;
  }
}

/** What tokens mean to a grammar. */
export interface TokenBytes {
  /** The bytes a token stands for; none for one that is not text. */
  piece(token: number): Uint8Array;
  /** Whether a token ends the answer. */
  ends(token: number): boolean;
}

/** A grammar over tokens, for one answer. */
export class GrammarConstraint implements Constraint {
  readonly #grammar: Grammar;
  readonly #tokens: TokenBytes;
  #at: Position;

  constructor(rules: Rules, tokens: TokenBytes) {
    this.#grammar = new Grammar(rules);
    this.#tokens = tokens;
    this.#at = this.#grammar.start;
  }

  get complete(): boolean {
    return this.#grammar.canEnd(this.#at) && this.#at.state.stacks.length === 0;
  }

  allows(token: number): boolean {
    if (this.#tokens.ends(token)) return this.#grammar.canEnd(this.#at);
    const piece = this.#tokens.piece(token);
    return piece.length > 0 && this.#grammar.advance(this.#at, piece) !== undefined;
  }

  accept(token: number): void {
    const next = this.#grammar.advance(this.#at, this.#tokens.piece(token));
    if (next === undefined) throw new GrammarError(`The grammar does not allow token ${token}`);
    this.#at = next;
  }
}

/** Stacks outlive the table they were found in, so their numbers are never used again. */
let nextId = 0;

/** Whether a set has a character in a range. */
function contains(chars: CharSet, low: number, high: number): boolean {
  for (let i = 0; i < chars.length; i += 2) {
    if ((chars[i] as number) <= high && (chars[i + 1] as number) >= low) return true;
  }
  return false;
}
