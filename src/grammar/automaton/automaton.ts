/**
 * The finite automaton of a grammar, built lazily: a state is a set of stacks of pending symbols, and caches its
 * transition for each character class. Stacks and states are interned: equal ones are the same object.
 */
import { type Alphabet, Alphabets, firstFrom } from "./alphabets.ts";
import type { Chars } from "./char_set.ts";
import { type Position, type Stack, State } from "../grammar_state.ts";
import { hashOf, HashTable } from "./hash_table.ts";
import { Places } from "./places.ts";
import { Scratch } from "./scratch.ts";
import { type Bound, GrammarError, MAX_CODE_POINT, type Rules } from "../rules.ts";
import type { WideChars } from "../vocabulary/wide_chars.ts";

/** Maximum stacks of a state, and stacks visited to compute its closure. */
const MAX_STACKS = 20_000;
/** Cache limits: states, stacks of all states, and bytes. The cache is cleared when one is reached. */
const MAX_STATES = 10_000;
const MAX_KNOWN_STACKS = 200_000;
const MAX_STATE_BYTES = 16 * 2 ** 20;
const FIRST_WIDE = 0x80;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Rules between a place and the bounded rule that contains it, such as those for escapes. */
const MOST_NESTED = 3;
/** Work limits, in stacks, for expanding a lazy rule, and for each language examined for it. */
const EXPANSION = 30;
const WRITING = 1;
/** Approximate sizes in bytes of a symbol, a stack, a state and a stack of a state. */
const BYTES = { symbol: 40, stack: 120, state: 400, stackOfState: 16 };

/** A state with the length bound of its text removed. */
export interface EndlessState {
  readonly state: State;
  /** Up to one character more than this, tokens are allowed exactly as in the bounded state. */
  readonly most: number;
  /** Whether longer tokens that continue the text are not allowed. */
  readonly isAny: boolean;
}

/** The automaton of one grammar. */
export class Automaton {
  readonly #onForget: () => void;
  readonly #places: Places;
  readonly #writing: Rules["writing"];
  /** Character set at each place. */
  readonly #chars: readonly (Chars | undefined)[];
  readonly #stacks = new HashTable<Stack>();
  readonly #states = new HashTable<State>();
  readonly #alphabets = new Alphabets();
  readonly #readSets = new Scratch<Chars>();
  /** Visit counter of stacks, so that each is visited once. */
  #turn = 0;
  /** The closure in progress: visited stacks, those left to expand, and finished ones. */
  #seen = 0;
  readonly #todo = new Scratch<Stack>();
  readonly #ready = new Scratch<Stack>();
  readonly #readyTokens = new Scratch<Stack>();
  #mayEnd = false;
  /** Stacks visited so far. */
  #work = 0;
  #stateBytes = 0;
  #vocabulary: WideChars | undefined;

  /**
   * @param rules The grammar's.
   * @param onForget Called before all states are forgotten.
   */
  constructor({ rules, writing }: Rules, onForget: () => void) {
    this.#places = new Places(rules);
    this.#writing = writing;
    this.#chars = this.#places.chars;
    this.#onForget = onForget;
  }

  /** Start state of other rules of the same builder. */
  startOf({ rules, root }: Rules): State {
    this.#places.rules = rules;
    return this.close(this.#places.startsOf(root).map((place) => this.stack(place, undefined)));
  }

  /** Stacks visited so far, a measure of work done. */
  get work(): number {
    return this.#work + this.#places.expanded * EXPANSION + (this.#writing?.work ?? 0) * WRITING;
  }

  /** Approximate memory in bytes. */
  get bytes(): number {
    return this.#chars.length * BYTES.symbol + this.#stacks.size * BYTES.stack + this.#stateBytes;
  }

  /** Character set at a place; `undefined` if it is not a character. */
  charsAt(place: number): Chars | undefined {
    return this.#chars[place];
  }

  /** Token at a place; `undefined` if it is not a token. */
  tokenAt(place: number): number | undefined {
    return this.#places.token[place];
  }

  /** The state after the tokens of some stacks. */
  pastTokens(stacks: readonly Stack[]): State {
    return this.close(stacks.map(({ place, below }) => this.stack(place + 1, below)));
  }

  advanceByte(from: Position, byte: number): Position | undefined {
    const { state, lacking } = from;
    if (lacking === 0) {
      if (byte < FIRST_WIDE) return this.step(state, byte) ?? undefined;
      if ((byte & 0xe0) === 0xc0) return this.#begin(state, byte & 0x1f, 1, 0x80);
      if ((byte & 0xf0) === 0xe0) return this.#begin(state, byte & 0x0f, 2, 0x800);
      if ((byte & 0xf8) === 0xf0) return this.#begin(state, byte & 0x07, 3, 0x10000);
      return undefined;
    }
    if ((byte & 0xc0) !== 0x80) return undefined;
    const partial = (from.partial << 6) | (byte & 0x3f);
    if (lacking > 1) return this.#begin(state, partial, lacking - 1, from.least);
    // Overlong, a surrogate, or beyond Unicode: not a character.
    if (partial < from.least || (partial >= 0xd800 && partial <= 0xdfff) || partial > MAX_CODE_POINT) return undefined;
    return this.step(state, partial) ?? undefined;
  }

  /** A position within a character, if a character with these first bytes is allowed. */
  #begin(state: State, partial: number, lacking: number, least: number): Position | undefined {
    const low = partial << (6 * lacking);
    let high = Math.min(low | ((1 << (6 * lacking)) - 1), MAX_CODE_POINT);
    // Surrogates are not characters; they are at the end of any range that contains some.
    if (high >= 0xd800 && high <= 0xdfff) high = 0xd7ff;
    if (high < least || low > high) return undefined;
    const from = Math.max(low, least);
    for (const { place } of state.stacks) {
      if ((this.#chars[place] as Chars).hasWithin(from, high)) return { state, partial, lacking, least };
    }
    return undefined;
  }

  step(state: State, char: number): State | null {
    if (char < FIRST_WIDE) {
      const { rows, row } = state.alphabet ?? this.alphabetOf(state);
      const kind = rows[row + char] as number;
      return kind === 0 ? null : state.targets[kind] ?? this.lead(state, char, kind);
    }
    const alphabet = state.alphabet ?? this.alphabetOf(state);
    const edges = alphabet.edges ?? this.#alphabets.addWide(alphabet);
    let low = 0;
    let high = edges.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((edges[middle] as number) <= char) low = middle;
      else high = middle - 1;
    }
    return this.#past(state, alphabet, low);
  }

  /** Transition for the characters from an edge on. */
  #past(state: State, { edges, wide }: Alphabet, edge: number): State | null {
    const kind = wide[edge] as number;
    if (kind === 0) return null;
    return state.targets[kind] ?? this.lead(state, firstFrom((edges as Int32Array)[edge] as number), kind);
  }

  /** The character classes of a state. */
  alphabetOf(state: State): Alphabet {
    const { stacks } = state;
    this.#work += stacks.length;
    const sets = this.#readSets;
    sets.clear();
    for (const { place } of stacks) sets.push(this.#chars[place] as Chars);
    const alphabet = this.#alphabets.of(sets);
    state.targets = new Array(alphabet.count);
    return state.alphabet = alphabet;
  }

  /** Transition for a character class that some stack accepts. */
  lead(state: State, char: number, kind: number): State {
    const { stacks } = state;
    this.#work += stacks.length;
    this.#begun();
    for (const { place, below } of stacks) {
      if ((this.#chars[place] as Chars).has(char)) this.#visit(this.stack(place + 1, below));
    }
    return state.targets[kind] = this.#closed();
  }

  /** Common transition of the vocabulary's non-ASCII characters; `null`: none is allowed; "several": they differ. */
  wideFrom(state: State): State | null | "several" {
    if (state.wideTo === undefined) {
      const all = this.widesFrom(state);
      const [first = null] = all;
      state.wideTo = all.size > 1 ? "several" : first;
    }
    return state.wideTo;
  }

  /** All states reached by non-ASCII characters of the vocabulary; `null`: none is allowed. */
  widesFrom(state: State): Set<State | null> {
    const alphabet = state.alphabet ?? this.alphabetOf(state);
    const edges = alphabet.edges ?? this.#alphabets.addWide(alphabet);
    const all = new Set<State | null>();
    for (let i = 0; i < edges.length; i++) {
      const next = this.#past(state, alphabet, i);
      const end = edges[i + 1] ?? MAX_CODE_POINT + 1;
      const matters = next !== null || this.#vocabulary === undefined ||
        this.#vocabulary.tellsApart(firstFrom(edges[i] as number), end - 1);
      if (matters) all.add(next);
    }
    return all;
  }

  /** Set the vocabulary. */
  set vocabulary(vocabulary: WideChars) {
    this.#vocabulary = vocabulary;
    for (const state of this.#states.all) state.forget();
  }

  /** Closure: expand rules until the top of every stack is a character or token. */
  close(stacks: readonly Stack[]): State {
    this.#begun();
    for (const stack of stacks) this.#visit(stack);
    return this.#closed();
  }

  #begun(): void {
    this.#turn++;
    this.#seen = 0;
    this.#todo.clear();
    this.#ready.clear();
    this.#readyTokens.clear();
    this.#mayEnd = false;
  }

  #visit(stack: Stack | undefined): void {
    if (stack === undefined) this.#mayEnd = true;
    else if (stack.seen !== this.#turn) {
      stack.seen = this.#turn;
      this.#seen++;
      this.#todo.push(stack);
    }
  }

  #closed(): State {
    const places = this.#places;
    for (let stack = this.#todo.pop(); stack !== undefined; stack = this.#todo.pop()) {
      if (this.#seen > MAX_STACKS) throw new GrammarError("The grammar is too ambiguous to be followed");
      const rule = places.rule[stack.place];
      if (rule !== undefined) {
        const after = stack.place + 1;
        // Tail call: nothing is pushed at the end of an alternative, so right recursion does not grow the stack.
        const below = places.isEnd(after) ? stack.below : this.stack(after, stack.below);
        for (const start of places.startsOf(rule)) this.#visit(this.stack(start, below));
      } else if (places.isEnd(stack.place)) {
        this.#visit(stack.below);
      } else {
        (places.token[stack.place] === undefined ? this.#ready : this.#readyTokens).push(stack);
      }
    }
    this.#work += this.#seen;
    return this.#state(this.#mayEnd);
  }

  union(one: State, other: State): State {
    return this.#of(
      [...one.stacks, ...other.stacks],
      [...one.tokenStacks, ...other.tokenStacks],
      one.canEnd || other.canEnd,
    );
  }

  /** The state of the closed stacks. */
  #of(stacks: readonly Stack[], tokenStacks: readonly Stack[], canEnd: boolean): State {
    this.#begun();
    for (const stack of new Set(stacks)) this.#ready.push(stack);
    for (const stack of new Set(tokenStacks)) this.#readyTokens.push(stack);
    return this.#state(canEnd);
  }

  /**
   * The state with the length bounds of its texts removed.
   *
   * @returns `undefined` if it is in no such text.
   */
  endless({ stacks, tokenStacks, canEnd }: State): EndlessState | undefined {
    const bounds: Bound[] = [];
    let hasOthers = false;
    const all = stacks.map((stack) => {
      const bounded = this.#withoutBound(stack, MOST_NESTED);
      if (bounded === undefined) {
        const { single } = this.#chars[stack.place] as Chars;
        hasOthers ||= single === undefined || isInText(single);
        return stack;
      }
      if (!bounds.includes(bounded.bound)) bounds.push(bounded.bound);
      return bounded.stack;
    });
    if (bounds.length === 0) return undefined;
    return {
      state: this.#of(all, tokenStacks, canEnd),
      most: Math.min(...bounds.map(({ most }) => most)),
      isAny: bounds.length === 1 && bounds[0]?.isAny === true && !hasOthers,
    };
  }

  /** A stack within a bounded rule, moved to the unbounded version of the rule. */
  #withoutBound(
    { place, below }: Stack,
    depth: number,
  ): { readonly stack: Stack; readonly bound: Bound } | undefined {
    const bound = this.#places.boundAt(place);
    if (bound !== undefined) return { stack: this.stack(this.#places.endlessAt(place, bound), below), bound };
    const found = below === undefined || depth === 0 ? undefined : this.#withoutBound(below, depth - 1);
    return found && { stack: this.stack(place, found.stack), bound: found.bound };
  }

  /** Intern a stack. */
  stack(place: number, below: Stack | undefined): Stack {
    const hash = hashOf(hashOf(0, place), below?.id ?? -1);
    for (let at = this.#stacks.first(hash);; at = this.#stacks.next(at)) {
      const stack = this.#stacks.at(at);
      if (stack === undefined) return this.#stacks.add(at, hash, { id: nextId++, place, below, seen: 0 });
      if (stack.place === place && stack.below === below) return stack;
    }
  }

  /** Intern the state of the finished stacks, until the cache is cleared. */
  #state(canEnd: boolean): State {
    const [stacks, tokenStacks] = [this.#ready, this.#readyTokens];
    stacks.sort(byId);
    tokenStacks.sort(byId);
    let hash = hashOf(canEnd ? 1 : 0, stacks.length);
    for (let i = 0; i < stacks.length; i++) hash = hashOf(hash, stacks.at(i).id);
    for (let i = 0; i < tokenStacks.length; i++) hash = hashOf(hash, tokenStacks.at(i).id);
    for (let at = this.#states.first(hash);; at = this.#states.next(at)) {
      const state = this.#states.at(at);
      if (state === undefined) return this.#addState(at, hash, new State(stacks.all(), tokenStacks.all(), canEnd));
      if (state.canEnd === canEnd && stacks.equals(state.stacks) && tokenStacks.equals(state.tokenStacks)) return state;
    }
  }

  #addState(at: number, hash: number, state: State): State {
    const isFull = this.#states.size >= MAX_STATES || this.#stacks.size >= MAX_KNOWN_STACKS ||
      this.#stateBytes >= MAX_STATE_BYTES;
    if (isFull) {
      this.#forget();
      at = this.#states.first(hash);
    }
    this.#stateBytes += BYTES.state + (state.stacks.length + state.tokenStacks.length) * BYTES.stackOfState;
    return this.#states.add(at, hash, state);
  }

  /** Clear the cache. States still in use compute their transitions again. */
  #forget(): void {
    this.#onForget();
    for (const state of this.#states.all) state.forget();
    this.#states.clear();
    this.#stacks.clear();
    this.#stateBytes = 0;
  }
}

/** Stacks outlive the intern table, so ids are never reused. */
let nextId = 0;

/** Whether a character needs no escape in a JSON string. */
function isInText(char: number): boolean {
  return char !== QUOTE && char !== BACKSLASH;
}

function byId(a: Stack, b: Stack): number {
  return a.id - b.id;
}
