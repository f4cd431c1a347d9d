/**
 * Follows a text through a grammar: which bytes or tokens may come next, and whether it may end. Works like an automaton
 * that is built while it is walked: a state is a set of stacks of what is still to come, and remembers where each kind
 * of character led, and which tokens may come next.
 */
import { type CharSet, GrammarError, type GrammarSymbol, MAX_CODE_POINT, type Rules } from "./gbnf.ts";
import type { Constraint } from "./constraint.ts";
import { type TokenBytes, VocabularyIndex } from "./vocabulary_index.ts";

/** Stacks that one state may have, and that may be looked at to find them. */
const MAX_STACKS = 20_000;
/** States, and stacks of all of them, that are remembered before all are forgotten. */
const MAX_STATES = 10_000;
const MAX_KNOWN_STACKS = 200_000;
/** Stacks that may be looked at to find the tokens a state allows; some 0.1 s. */
const MAX_WALK = 300_000;
/** Memory for the tokens that states allow, in bytes, before the oldest are forgotten. */
const ALLOWED_BYTES = 8 * 2 ** 20;
/** Kinds of characters that are tried one by one to find whether one of them could come. */
const FEW_KINDS = 16;

/** What is still to come: a place in an alternative, then what follows the rule it stands in. */
interface Stack {
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

/** Is also the position between two characters. */
class State implements Position {
  readonly state = this;
  readonly partial = 0;
  readonly lacking = 0;
  readonly least = 0;
  /** Where a character leads, by its kind; `null`: nowhere. */
  next: (State | null)[] = [];
  /** The tokens that may come next, a bit for each. */
  allowed: Uint32Array | undefined;

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
}

/** A grammar, and what has been found out about it. Several answers may follow it. */
export class Grammar {
  /** What stands at each place; nothing at the end of an alternative. */
  readonly #chars: (CharSet | undefined)[] = [];
  readonly #rule: (number | undefined)[] = [];
  readonly #token: (number | undefined)[] = [];
  /** Where the alternatives of each rule begin. */
  readonly #starts: number[][] = [];
  #stacks = new Map<string, Stack>();
  #states = new Map<string, State>();
  /** The first character of each kind. Characters are of one kind if no set of the grammar tells them apart. */
  readonly #kinds: Int32Array;
  readonly #asciiKinds: Int32Array;
  /** States whose allowed tokens are known, the oldest first, and of which vocabulary. */
  #walked: State[] = [];
  #index: VocabularyIndex | undefined;
  /** Stacks looked at so far. */
  #work = 0;
  #tooMuchWork = false;
  readonly start: Position;

  constructor({ rules, root }: Rules) {
    for (const alternatives of rules) {
      const starts: number[] = [];
      for (const symbols of alternatives) {
        starts.push(this.#chars.length);
        for (const symbol of symbols) this.#place(symbol);
        this.#place(undefined);
      }
      this.#starts.push(starts);
    }
    this.#kinds = kindsOf(this.#chars);
    this.#asciiKinds = Int32Array.from({ length: 0x80 }, (_, char) => this.#searchKind(char));
    const first = (this.#starts[root] ?? []).map((place) => this.#stack(place, undefined));
    this.start = this.#close(first);
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
    let at: Position | undefined = from;
    for (const byte of bytes) {
      at = this.#advanceByte(at, byte);
      if (at === undefined) return undefined;
    }
    return at;
  }

  /**
   * Where a token leads: by the grammar naming it, by its bytes, or both.
   *
   * @param from Where the text is.
   * @param token The token.
   * @param bytes What it stands for; none if it is not text.
   * @returns The new position, or `undefined` if the grammar does not allow it.
   * @throws {GrammarError} If the grammar is too ambiguous to be followed.
   */
  follow(from: Position, token: number, bytes: Uint8Array): Position | undefined {
    const byBytes = bytes.length === 0 ? undefined : this.advance(from, bytes);
    const stacks = from.lacking > 0 ? [] : from.state.tokenStacks.filter(({ place }) => this.#token[place] === token);
    if (stacks.length === 0) return byBytes;
    const state = this.#close(stacks.map(({ place, below }) => this.#stack(place + 1, below)));
    // A token that is named and ends within a character is what it is named for.
    return byBytes === undefined || byBytes.lacking > 0 ? state : this.#union(byBytes.state, state);
  }

  /**
   * All tokens that may come next.
   *
   * @param at Where the text is.
   * @param index The vocabulary; always the same one, or what is known is lost.
   * @returns A bit for each token, not to be changed; `undefined` if it would take too long to find out.
   */
  allowed(at: Position, index: VocabularyIndex): Uint32Array | undefined {
    if (this.#index !== index) this.#forgetAllowed();
    this.#index = index;
    if (at.lacking > 0) return this.#walk(at, index);
    const { state } = at;
    if (state.allowed === undefined) {
      state.allowed = this.#walk(at, index);
      if (state.allowed === undefined) return undefined;
      this.#walked.push(state);
      if (this.#walked.length * state.allowed.byteLength > ALLOWED_BYTES) {
        const half = this.#walked.length >> 1;
        for (const old of this.#walked.splice(0, half)) old.allowed = undefined;
      }
    }
    return state.allowed;
  }

  /** Go through the vocabulary in the order of its bytes; what begins with bytes that are refused is skipped. */
  #walk(at: Position, index: VocabularyIndex): Uint32Array | undefined {
    if (this.#tooMuchWork) return undefined;
    const { order, bytes, starts, shared } = index;
    const mostWork = this.#work + MAX_WALK;
    const allowed = new Uint32Array((index.size + 31) >> 5);
    /** Where the bytes of the token before lead, each. */
    const path: Position[] = [at];
    /** Which of them was refused. */
    let refused = Infinity;
    try {
      for (let i = 0; i < order.length; i++) {
        const known = shared[i] as number;
        if (known > refused) continue;
        refused = Infinity;
        const start = starts[i] as number;
        const length = (starts[i + 1] as number) - start;
        let position = path[known] as Position;
        for (let depth = known; depth < length; depth++) {
          const next = this.#advanceByte(position, bytes[start + depth] as number);
          if (next === undefined) {
            refused = depth;
            break;
          }
          path[depth + 1] = position = next;
        }
        if (refused === Infinity) set(allowed, order[i] as number);
        if (this.#work > mostWork) {
          this.#tooMuchWork = true;
          return undefined;
        }
      }
    } catch (error) {
      // Too ambiguous after tokens that nobody may ever choose.
      if (!(error instanceof GrammarError)) throw error;
      return undefined;
    }
    if (at.lacking === 0) {
      for (const { place } of at.state.tokenStacks) {
        const token = this.#token[place] as number;
        if (token < index.size) set(allowed, token);
      }
      if (at.state.canEnd) { for (const token of index.ending) set(allowed, token); }
    }
    return allowed;
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

  #place(symbol: GrammarSymbol | undefined): void {
    this.#chars.push(symbol !== undefined && "chars" in symbol ? symbol.chars : undefined);
    this.#rule.push(symbol !== undefined && "rule" in symbol ? symbol.rule : undefined);
    this.#token.push(symbol !== undefined && "token" in symbol ? symbol.token : undefined);
  }

  #advanceByte({ state, partial, lacking, least }: Position, byte: number): Position | undefined {
    if (lacking === 0) {
      if (byte < 0x80) {
        return this.#step(state, this.#asciiKinds[byte] as number) ?? undefined;
      }
      if ((byte & 0xe0) === 0xc0) return this.#begin({ state, partial: byte & 0x1f, lacking: 1, least: 0x80 });
      if ((byte & 0xf0) === 0xe0) return this.#begin({ state, partial: byte & 0x0f, lacking: 2, least: 0x800 });
      if ((byte & 0xf8) === 0xf0) return this.#begin({ state, partial: byte & 0x07, lacking: 3, least: 0x10000 });
      return undefined;
    }
    if ((byte & 0xc0) !== 0x80) return undefined;
    partial = (partial << 6) | (byte & 0x3f);
    if (lacking > 1) return this.#begin({ state, partial, lacking: lacking - 1, least });
    // Written with more bytes than it needs, half of a pair, or too large: no character.
    if (partial < least || (partial >= 0xd800 && partial <= 0xdfff) || partial > MAX_CODE_POINT) return undefined;
    return this.#step(state, this.#searchKind(partial)) ?? undefined;
  }

  /** A position within a character, if one that begins so could come. */
  #begin(position: Position): Position | undefined {
    const { state, partial, lacking, least } = position;
    const low = partial << (6 * lacking);
    let high = Math.min(low | ((1 << (6 * lacking)) - 1), MAX_CODE_POINT);
    // Halves of pairs are no characters, and stand at the end of any range that has some.
    if (high >= 0xd800 && high <= 0xdfff) high = 0xd7ff;
    if (high < least || low > high) return undefined;
    const from = Math.max(low, least);
    const first = this.#searchKind(from);
    const last = this.#searchKind(high);
    if (last - first < FEW_KINDS) {
      for (let kind = first; kind <= last; kind++) if (this.#step(state, kind) !== null) return position;
      return undefined;
    }
    return state.stacks.some(({ place }) => contains(this.#chars[place] as CharSet, from, high)) ? position : undefined;
  }

  #searchKind(char: number): number {
    let low = 0;
    let high = this.#kinds.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#kinds[middle] as number) <= char) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #step(state: State, kind: number): State | null {
    const known = state.next[kind];
    if (known !== undefined) return known;
    const char = this.#kinds[kind] as number;
    const followers: Stack[] = [];
    this.#work += state.stacks.length;
    for (const { place, below } of state.stacks) {
      if (contains(this.#chars[place] as CharSet, char, char)) followers.push(this.#stack(place + 1, below));
    }
    const next = followers.length === 0 ? null : this.#close(followers);
    state.next[kind] = next;
    return next;
  }

  /** Expand rules until every stack has a character at its place. */
  #close(stacks: readonly Stack[]): State {
    const todo = [...stacks];
    const seen = new Set<Stack>(todo);
    const ready: Stack[] = [];
    const tokens: Stack[] = [];
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
        (this.#token[stack.place] === undefined ? ready : tokens).push(stack);
      }
    }
    this.#work += seen.size;
    return this.#state(ready, tokens, canEnd);
  }

  #union(one: State, other: State): State {
    const both = (a: readonly Stack[], b: readonly Stack[]): Stack[] => [...new Set([...a, ...b])];
    return this.#state(
      both(one.stacks, other.stacks),
      both(one.tokenStacks, other.tokenStacks),
      one.canEnd || other.canEnd,
    );
  }

  #isEnd(place: number): boolean {
    return this.#chars[place] === undefined && this.#rule[place] === undefined && this.#token[place] === undefined;
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
  #state(stacks: Stack[], tokenStacks: Stack[], canEnd: boolean): State {
    stacks.sort((a, b) => a.id - b.id);
    tokenStacks.sort((a, b) => a.id - b.id);
    const key = `${canEnd} ${stacks.map(({ id }) => id).join()} ${tokenStacks.map(({ id }) => id).join()}`;
    let state = this.#states.get(key);
    if (state === undefined) {
      if (this.#states.size >= MAX_STATES || this.#stacks.size >= MAX_KNOWN_STACKS) this.#forget();
      state = new State(stacks, tokenStacks, canEnd);
      this.#states.set(key, state);
    }
    return state;
  }

  /** What is still held of the states goes on from there anew; what is not can go. */
  #forget(): void {
    this.#forgetAllowed();
    for (const state of this.#states.values()) state.next = [];
    this.#states = new Map();
    this.#stacks = new Map();
  }

  #forgetAllowed(): void {
    for (const state of this.#walked) state.allowed = undefined;
    this.#walked = [];
  }
}

/** A grammar over tokens, for one answer. */
export class GrammarConstraint implements Constraint {
  readonly #grammar: Grammar;
  readonly #tokens: TokenBytes;
  #at: Position;

  /**
   * At the beginning of an answer.
   *
   * @param grammar What it follows.
   * @param tokens What its tokens mean; an index tells all that may come next at once.
   */
  constructor(grammar: Rules | Grammar, tokens: TokenBytes | VocabularyIndex) {
    this.#grammar = grammar instanceof Grammar ? grammar : new Grammar(grammar);
    this.#tokens = tokens;
    this.#at = this.#grammar.start;
  }

  get complete(): boolean {
    const { state } = this.#at;
    return this.#grammar.canEnd(this.#at) && state.stacks.length === 0 && state.tokenStacks.length === 0;
  }

  allows(token: number): boolean {
    if (!this.#tokens.ends(token)) return this.#follow(token) !== undefined;
    return this.#grammar.canEnd(this.#at) || this.#grammar.follow(this.#at, token, NO_BYTES) !== undefined;
  }

  allowed(): Uint32Array | undefined {
    return this.#tokens instanceof VocabularyIndex ? this.#grammar.allowed(this.#at, this.#tokens) : undefined;
  }

  accept(token: number): void {
    const next = this.#follow(token);
    if (next === undefined) throw new GrammarError(`The grammar does not allow token ${token}`);
    this.#at = next;
  }

  allowsText(text: string): boolean {
    return this.#grammar.advance(this.#at, encoder.encode(text)) !== undefined;
  }

  acceptText(text: string): void {
    const next = this.#grammar.advance(this.#at, encoder.encode(text));
    if (next === undefined) throw new GrammarError("The grammar does not allow the text");
    this.#at = next;
  }

  #follow(token: number): Position | undefined {
    return this.#grammar.follow(this.#at, token, this.#tokens.ends(token) ? NO_BYTES : this.#tokens.piece(token));
  }
}

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();

/** Stacks outlive the table they were found in, so their numbers are never used again. */
let nextId = 0;

/** Whether a set has a character in a range. */
function contains(chars: CharSet, low: number, high: number): boolean {
  for (let i = 0; i < chars.length; i += 2) {
    if ((chars[i] as number) <= high && (chars[i + 1] as number) >= low) return true;
  }
  return false;
}

/** The first character of each kind of characters that the sets tell apart. */
function kindsOf(sets: readonly (CharSet | undefined)[]): Int32Array {
  const firsts = new Set([0]);
  for (const chars of sets) {
    for (let i = 0; chars !== undefined && i < chars.length; i += 2) {
      firsts.add(chars[i] as number);
      firsts.add((chars[i + 1] as number) + 1);
    }
  }
  return Int32Array.from(firsts).sort();
}

function set(bits: Uint32Array, at: number): void {
  bits[at >> 5] = (bits[at >> 5] as number) | (1 << (at & 31));
}
