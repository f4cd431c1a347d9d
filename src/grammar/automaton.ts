/**
 * The automaton of a grammar, built while it is walked: a state is a set of stacks of what is still to come, and remembers
 * where each kind of character led. Equal stacks are one object, and so are equal states.
 */
import { Chars, type Position, type Stack, State } from "./grammar_state.ts";
import { type CharSet, GrammarError, type GrammarSymbol, isLazy, MAX_CODE_POINT, type Rules } from "./rules.ts";

/** Stacks that one state may have, and that may be looked at to find them. */
const MAX_STACKS = 20_000;
/** States, stacks of all of them, and their memory in bytes that are remembered before all are forgotten. */
const MAX_STATES = 10_000;
const MAX_KNOWN_STACKS = 200_000;
const MAX_STATE_BYTES = 16 * 2 ** 20;
/** What a symbol, a stack, a state and a stack of a state take, in bytes. */
const BYTES = { symbol: 40, stack: 120, state: 600, stackOfState: 16 };

/** The automaton of one grammar. */
export class Automaton {
  #rules: Rules["rules"];
  readonly #onForget: () => void;
  /** What stands at each place; nothing at the end of an alternative. */
  readonly #chars: (Chars | undefined)[] = [];
  readonly #rule: (number | undefined)[] = [];
  readonly #token: (number | undefined)[] = [];
  /** Where the alternatives of each rule begin. */
  readonly #starts: (readonly number[] | undefined)[] = [];
  readonly #sets = new Map<CharSet, Chars>();
  #stacks = new Map<string, Stack>();
  #states = new Map<string, State>();
  /** Stacks looked at so far. */
  #work = 0;
  #stateBytes = 0;

  /**
   * @param rules The grammar's.
   * @param onForget Called before all states are forgotten.
   */
  constructor({ rules }: Rules, onForget: () => void) {
    this.#rules = rules;
    this.#onForget = onForget;
  }

  /** Where a text begins that follows other rules of the same builder. */
  startOf({ rules, root }: Rules): State {
    this.#rules = rules;
    return this.close(this.startsOf(root).map((place) => this.stack(place, undefined)));
  }

  /** Stacks looked at so far: a measure of the work that was done. */
  get work(): number {
    return this.#work;
  }

  /** Memory that it takes, in bytes, roughly. */
  get bytes(): number {
    return this.#chars.length * BYTES.symbol + this.#stacks.size * BYTES.stack + this.#stateBytes;
  }

  /** The characters at a place; `undefined`: something else stands there. */
  charsAt(place: number): Chars | undefined {
    return this.#chars[place];
  }

  /** The token at a place; `undefined`: something else stands there. */
  tokenAt(place: number): number | undefined {
    return this.#token[place];
  }

  /** Past the tokens of some stacks. */
  pastTokens(stacks: readonly Stack[]): State {
    return this.close(stacks.map(({ place, below }) => this.stack(place + 1, below)));
  }

  /** Where the alternatives of a rule begin. */
  startsOf(rule: number): readonly number[] {
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

  advanceByte({ state, partial, lacking, least }: Position, byte: number): Position | undefined {
    if (lacking === 0) {
      if (byte < 0x80) {
        return this.step(state, byte) ?? undefined;
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
    return this.step(state, partial) ?? undefined;
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

  step(state: State, char: number): State | null {
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

  /** Where all characters beyond ASCII lead; `null`: nowhere; `undefined`: not all to the same state. */
  wideFrom(state: State): State | null | undefined {
    const edges = state.edges ??= this.#edgesOf(state);
    const first = this.step(state, 0x80);
    for (const edge of edges) {
      // Halves of pairs are no characters.
      const char = edge >= 0xd800 && edge < 0xe000 ? 0xe000 : edge;
      if (char <= MAX_CODE_POINT && this.step(state, char) !== first) return undefined;
    }
    return first;
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
      next = this.close(taking.map(({ place, below }) => this.stack(place + 1, below)));
      followers.set(key, next);
    }
    return next;
  }

  /** Expand rules until every stack has a character at its place. */
  close(stacks: readonly Stack[]): State {
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
        const below = this.#isEnd(after) ? stack.below : this.stack(after, stack.below);
        for (const start of this.startsOf(rule)) visit(this.stack(start, below));
      } else if (this.#isEnd(stack.place)) {
        visit(stack.below);
      } else {
        (this.#token[stack.place] === undefined ? ready : tokens).push(stack);
      }
    }
    this.#work += seen.size;
    return this.#state(ready, tokens, canEnd);
  }

  union(one: State, other: State): State {
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
  stack(place: number, below: Stack | undefined): Stack {
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
    this.#onForget();
    for (const state of this.#states.values()) state.forget();
    this.#states = new Map();
    this.#stacks = new Map();
    this.#stateBytes = 0;
  }
}

/** Stacks outlive the table they were found in, so their numbers are never used again. */
let nextId = 0;
