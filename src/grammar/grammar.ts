/**
 * Follows a text through a grammar: which bytes or tokens may come next, and whether it may end. Works like an automaton
 * that is built while it is walked: a state is a set of stacks of what is still to come, and remembers where each kind
 * of character led, and which tokens may come next.
 */
import { type CharSet, GrammarError, type GrammarSymbol, isLazy, MAX_CODE_POINT, type Rules } from "./rules.ts";
import type { Forced } from "./constraint.ts";
import { Chars, type Only, type Position, set, type Stack, State } from "./grammar_state.ts";
import { A_PLAIN, type VocabularyIndex } from "./vocabulary_index.ts";
import { FIRST_TWIN, NO_TOKEN_HERE, type VocabularyTrie } from "./vocabulary_trie.ts";
import { SharedWork, type Work } from "../work/work.ts";

/** Stacks that one state may have, and that may be looked at to find them. */
const MAX_STACKS = 20_000;
/** States, stacks of all of them, and their memory in bytes that are remembered before all are forgotten. */
const MAX_STATES = 10_000;
const MAX_KNOWN_STACKS = 200_000;
const MAX_STATE_BYTES = 16 * 2 ** 20;
/** Stacks that may be looked at to find the tokens a state allows; some 0.3 s. */
const MAX_WALK = 1_000_000;
/** Stacks that are looked at, and nodes of the vocabulary, in a piece of that: some tenths of a millisecond. */
const PIECE_STACKS = 500;
const PIECE_NODES = 8192;
/** Memory for the tokens that states allow, in bytes, before the oldest are forgotten. */
const ALLOWED_BYTES = 8 * 2 ** 20;
/** Characters and named tokens that are looked ahead where there is no choice. */
const MOST_FORCED = 256;
/** A place with more stacks is not asked whether it leaves a choice. */
const MOST_STACKS_FORCED = 64;
/** What a symbol, a stack, a state and a stack of a state take, in bytes. */
const BYTES = { symbol: 40, stack: 120, state: 600, stackOfState: 16 };

/** What is found out about a position when more work is needed than was allowed. */
export const COSTLY = "costly";

/** A grammar, and what has been found out about it. Several answers may follow it. */
export class Grammar {
  #rules: Rules["rules"];
  /** What stands at each place; nothing at the end of an alternative. */
  readonly #chars: (Chars | undefined)[] = [];
  readonly #rule: (number | undefined)[] = [];
  readonly #token: (number | undefined)[] = [];
  /** Where the alternatives of each rule begin. */
  readonly #starts: (readonly number[] | undefined)[] = [];
  readonly #sets = new Map<CharSet, Chars>();
  #stacks = new Map<string, Stack>();
  #states = new Map<string, State>();
  /** States whose allowed tokens are known, the oldest first, and of which vocabulary. */
  #walked: State[] = [];
  #index: VocabularyIndex | undefined;
  /** Stacks looked at so far. */
  #work = 0;
  #stateBytes = 0;
  readonly start: Position;

  constructor(rules: Rules) {
    this.#rules = rules.rules;
    this.start = this.startOf(rules);
  }

  /**
   * Where a text begins that follows other rules of the same builder. What has been found out is shared.
   *
   * @param rules Made later, so that they have all rules that this has, and more.
   */
  startOf({ rules, root }: Rules): Position {
    this.#rules = rules;
    return this.#close(this.#startsOf(root).map((place) => this.#stack(place, undefined)));
  }

  /** Stacks looked at so far: a measure of the work that was done. */
  get work(): number {
    return this.#work;
  }

  /** Memory that it takes, in bytes, roughly: its rules, and what has been found out. */
  get bytes(): number {
    return this.#chars.length * BYTES.symbol + this.#stacks.size * BYTES.stack + this.#stateBytes +
      this.#walked.reduce((sum, { allowed }) => sum + (allowed?.byteLength ?? 0), 0);
  }

  /**
   * Where bytes lead.
   *
   * @param from Where the text is.
   * @param bytes What would come next, UTF-8; may end within a character.
   * @param most Stacks that may be looked at.
   * @returns The new position, `undefined` if the grammar does not allow them, or `COSTLY`.
   * @throws {GrammarError} If the grammar is too ambiguous to be followed.
   */
  advance(from: Position, bytes: Uint8Array): Position | undefined;
  advance(from: Position, bytes: Uint8Array, most: number): Position | undefined | typeof COSTLY;
  advance(from: Position, bytes: Uint8Array, most = Infinity): Position | undefined | typeof COSTLY {
    const until = this.#work + most;
    let at: Position | undefined = from;
    for (const byte of bytes) {
      if (this.#work > until) return COSTLY;
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
   * @param most As for `advance`.
   * @returns As of `advance`.
   * @throws {GrammarError} If the grammar is too ambiguous to be followed.
   */
  follow(from: Position, token: number, bytes: Uint8Array): Position | undefined;
  follow(from: Position, token: number, bytes: Uint8Array, most: number): Position | undefined | typeof COSTLY;
  follow(from: Position, token: number, bytes: Uint8Array, most = Infinity): Position | undefined | typeof COSTLY {
    const byBytes = bytes.length === 0 ? undefined : this.advance(from, bytes, most);
    if (byBytes === COSTLY) return COSTLY;
    const stacks = from.lacking > 0 ? [] : from.state.tokenStacks.filter(({ place }) => this.#token[place] === token);
    if (stacks.length === 0) return byBytes;
    const state = this.#close(stacks.map(({ place, below }) => this.#stack(place + 1, below)));
    // A token that is named and ends within a character is what it is named for.
    return byBytes === undefined || byBytes.lacking > 0 ? state : this.#union(byBytes.state, state);
  }

  /**
   * All tokens that may come next, if that has been found out.
   *
   * @param at Where the text is.
   * @param index The vocabulary; always the same one, or what is known is lost.
   * @returns A bit for each token, not to be changed; `undefined` if it is not known.
   */
  known({ state, lacking }: Position, index: VocabularyIndex): Uint32Array | undefined {
    if (this.#index !== index) this.#forgetAllowed();
    this.#index = index;
    return lacking > 0 ? undefined : state.allowed;
  }

  /**
   * Find out all tokens that may come next.
   *
   * @param at Where the text is.
   * @param index As for `known`.
   * @returns A bit for each token, not to be changed.
   * @throws {GrammarError} If the grammar is too ambiguous for that.
   */
  *allowed(at: Position, index: VocabularyIndex): Work<Uint32Array> {
    const known = this.known(at, index);
    if (known !== undefined) return known;
    if (at.lacking > 0) return yield* this.#walk(at, index);
    const { state } = at;
    state.walk ??= new SharedWork(this.#walk(at, index));
    // Where all give up on it, it stays for the next; what it failed with, too.
    const allowed = yield* state.walk.join();
    if (state.allowed === undefined) this.#keep(state, allowed);
    state.walk = undefined;
    return allowed;
  }

  #keep(state: State, allowed: Uint32Array): void {
    state.allowed = allowed;
    this.#walked.push(state);
    if (this.#walked.length * allowed.byteLength <= ALLOWED_BYTES) return;
    const half = this.#walked.length >> 1;
    for (const old of this.#walked.splice(0, half)) old.allowed = undefined;
  }

  *#walk(at: Position, index: VocabularyIndex): Work<Uint32Array> {
    const plain = this.#plainFrom(at, index.longestPlain);
    const allowed = (plain === undefined ? undefined : index.plainUpTo(plain)?.slice()) ??
      new Uint32Array((index.size + 31) >> 5);
    yield* this.#follow(at, plain === undefined ? index.all : index.special, allowed);
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
   * How many plain characters may come, whichever they are.
   *
   * @returns `undefined` if that depends on which they are.
   */
  #plainFrom(at: Position, most: number): number | undefined {
    if (at.lacking > 0) return undefined;
    let state = at.state;
    for (let count = 0; count < most; count++) {
      if (state.stacks.some(({ place }) => this.#chars[place]?.plain === "some")) return undefined;
      const next = this.#step(state, A_PLAIN);
      if (next === null) return count;
      if (next === state) return most;
      state = next;
    }
    return most;
  }

  /** Go through a trie; what is below bytes that are refused is skipped. */
  *#follow(at: Position, { bytes, depths, ends, tokens, twins }: VocabularyTrie, allowed: Uint32Array): Work<void> {
    const mostWork = this.#work + MAX_WALK;
    let pieceWork = this.#work + PIECE_STACKS;
    let pieceNodes = PIECE_NODES;
    /** Where the bytes above a node lead. */
    const path: Position[] = [at];
    for (let node = 0; node < bytes.length;) {
      if (this.#work > pieceWork || --pieceNodes === 0) {
        if (this.#work > mostWork) throw new GrammarError("The grammar is too ambiguous to be followed");
        yield;
        pieceWork = this.#work + PIECE_STACKS;
        pieceNodes = PIECE_NODES;
      }
      const depth = depths[node] as number;
      const next = this.#advanceByte(path[depth] as Position, bytes[node] as number);
      if (next === undefined) {
        node = ends[node] as number;
        continue;
      }
      path[depth + 1] = next;
      const token = tokens[node++] as number;
      if (token > NO_TOKEN_HERE) set(allowed, token);
      else if (token < NO_TOKEN_HERE) { for (const twin of twins[FIRST_TWIN - token] ?? []) set(allowed, twin); }
    }
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

  /**
   * What has to come next.
   *
   * @param at Where the text is.
   * @returns Some of it, if it is long; `undefined` where there is a choice, or only the end may come.
   * @throws {GrammarError} If the grammar is too ambiguous to be followed.
   */
  forced({ state, lacking }: Position): Forced | undefined {
    if (lacking > 0) return undefined;
    const parts: (string | number)[] = [];
    let text = "";
    for (let count = 0; count < MOST_FORCED; count++) {
      const only = this.#onlyNext(state);
      if (only === null) break;
      if ("char" in only) {
        text += String.fromCodePoint(only.char);
        state = this.#step(state, only.char) as State;
        continue;
      }
      if (text !== "") parts.push(text);
      text = "";
      parts.push(only.token);
      state = this.#close(state.tokenStacks.map(({ place, below }) => this.#stack(place + 1, below)));
    }
    if (text !== "") parts.push(text);
    if (parts.length === 0) return undefined;
    return { parts, complete: state.canEnd && state.stacks.length === 0 && state.tokenStacks.length === 0 };
  }

  #onlyNext(state: State): Only | null {
    return state.only === undefined ? state.only = this.#findOnly(state) : state.only;
  }

  #findOnly({ stacks, tokenStacks, canEnd }: State): Only | null {
    if (canEnd || stacks.length + tokenStacks.length > MOST_STACKS_FORCED) return null;
    const chars = new Set(stacks.map(({ place }) => this.#chars[place]?.single));
    const tokens = new Set(tokenStacks.map(({ place }) => this.#token[place]));
    if (chars.size + tokens.size !== 1) return null;
    const [char] = chars;
    if (char !== undefined) return { char };
    const [token] = tokens;
    return token === undefined ? null : { token };
  }

  /** Where the alternatives of a rule begin. */
  #startsOf(rule: number): readonly number[] {
    const known = this.#starts[rule];
    if (known !== undefined) return known;
    const definition = this.#rules[rule] ?? [];
    const starts = (isLazy(definition) ? definition.expand() : definition).map((symbols) => {
      const start = this.#chars.length;
      for (const symbol of symbols) this.#place(symbol);
      this.#place(undefined);
      return start;
    });
    this.#starts[rule] = starts;
    return starts;
  }

  #place(symbol: GrammarSymbol | undefined): void {
    this.#chars.push(symbol !== undefined && "chars" in symbol ? this.#set(symbol.chars) : undefined);
    this.#rule.push(symbol !== undefined && "rule" in symbol ? symbol.rule : undefined);
    this.#token.push(symbol !== undefined && "token" in symbol ? symbol.token : undefined);
  }

  #set(chars: CharSet): Chars {
    let known = this.#sets.get(chars);
    if (known === undefined) this.#sets.set(chars, known = new Chars(chars));
    return known;
  }

  #advanceByte({ state, partial, lacking, least }: Position, byte: number): Position | undefined {
    if (lacking === 0) {
      if (byte < 0x80) {
        return this.#step(state, byte) ?? undefined;
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
    return this.#step(state, partial) ?? undefined;
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
    return state.stacks.some(({ place }) => (this.#chars[place] as Chars).hasWithin(from, high)) ? position : undefined;
  }

  #step(state: State, char: number): State | null {
    if (char < 0x80) {
      let next = state.ascii[char];
      if (next === undefined) state.ascii[char] = next = this.#lead(state, char);
      return next;
    }
    const edges = state.edges ??= this.#edgesOf(state);
    let low = 0;
    let high = edges.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((edges[middle] as number) <= char) low = middle;
      else high = middle - 1;
    }
    let next = state.wide[low];
    if (next === undefined) state.wide[low] = next = this.#lead(state, char);
    return next;
  }

  /** Where the characters beyond ASCII come to be in other sets of the stacks. */
  #edgesOf({ stacks }: State): Int32Array {
    const edges = new Set([0x80]);
    for (const { place } of stacks) {
      const { ranges } = this.#chars[place] as Chars;
      for (let i = ranges.length - 2; i >= 0 && (ranges[i + 1] as number) >= 0x80; i -= 2) {
        edges.add(Math.max(ranges[i] as number, 0x80));
        edges.add((ranges[i + 1] as number) + 1);
      }
    }
    return Int32Array.from(edges).sort();
  }

  #lead(state: State, char: number): State | null {
    const { stacks } = state;
    this.#work += stacks.length;
    const taking = stacks.filter(({ place }) => (this.#chars[place] as Chars).has(char));
    if (taking.length === 0) return null;
    const key = taking.length === stacks.length ? "" : taking.map(({ id }) => id).join();
    const followers = state.followers ??= new Map<string, State>();
    let next = followers.get(key);
    if (next === undefined) {
      next = this.#close(taking.map(({ place, below }) => this.#stack(place + 1, below)));
      followers.set(key, next);
    }
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
        for (const start of this.#startsOf(rule)) visit(this.#stack(start, below));
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
      const isFull = this.#states.size >= MAX_STATES || this.#stacks.size >= MAX_KNOWN_STACKS ||
        this.#stateBytes >= MAX_STATE_BYTES;
      if (isFull) this.#forget();
      state = new State(stacks, tokenStacks, canEnd);
      this.#stateBytes += BYTES.state + (stacks.length + tokenStacks.length) * BYTES.stackOfState;
      this.#states.set(key, state);
    }
    return state;
  }

  /** What is still held of the states goes on from there anew; what is not can go. */
  #forget(): void {
    this.#forgetAllowed();
    for (const state of this.#states.values()) state.forget();
    this.#states = new Map();
    this.#stacks = new Map();
    this.#stateBytes = 0;
  }

  #forgetAllowed(): void {
    for (const state of this.#walked) state.allowed = undefined;
    this.#walked = [];
  }
}

/** Stacks outlive the table they were found in, so their numbers are never used again. */
let nextId = 0;
