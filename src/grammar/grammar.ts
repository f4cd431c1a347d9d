/**
 * Matches a text against a grammar: the allowed bytes or tokens, and whether it may end. The automaton is in
 * `automaton.ts`, the computation of token masks in `token_masks.ts`.
 */
import { Automaton } from "./automaton/automaton.ts";
import type { Forced } from "./constraint.ts";
import type { Only, Position, State } from "./grammar_state.ts";
import type { Rules } from "./rules.ts";
import { TokenMasks } from "./masks/token_masks.ts";
import type { TokenSet } from "./masks/token_set.ts";
import type { VocabularyIndex } from "./vocabulary/vocabulary_index.ts";
import type { Work } from "../work/work.ts";

/** Maximum lookahead for forced text, in characters and named tokens. */
const MOST_FORCED = 256;
/** States with more stacks are not checked for forced text. */
const MOST_STACKS_FORCED = 64;
/** Maximum work on it at a time, in stacks: some milliseconds at most. What was found is sent first. */
const MOST_WORK_FORCED = 4000;

/** Returned if the work limit was reached. */
export const COSTLY = "costly";

/** A grammar with its caches, shared by several answers. */
export class Grammar {
  readonly #automaton: Automaton;
  readonly #masks: TokenMasks;
  readonly start: Position;

  constructor(rules: Rules) {
    this.#automaton = new Automaton(rules, () => this.#masks.forget());
    this.#masks = new TokenMasks(this.#automaton);
    this.start = this.startOf(rules);
  }

  /**
   * Start position for other rules of the same builder; caches are shared.
   *
   * @param rules Made later, so that they have all rules that this has, and more.
   */
  startOf(rules: Rules): Position {
    return this.#automaton.startOf(rules);
  }

  /** Stacks visited so far, a measure of work done. */
  get work(): number {
    return this.#automaton.work;
  }

  /** Approximate memory in bytes: rules and caches. */
  get bytes(): number {
    return this.#automaton.bytes + this.#masks.bytes;
  }

  /**
   * Advance by bytes.
   *
   * @param from Where the text is.
   * @param bytes What would come next, UTF-8; may end within a character.
   * @param most Work limit, in stacks.
   * @returns The new position, `undefined` if they are not allowed, or `COSTLY`.
   * @throws {GrammarError} If the grammar is too ambiguous to be followed.
   */
  advance(from: Position, bytes: Uint8Array): Position | undefined;
  advance(from: Position, bytes: Uint8Array, most: number): Position | undefined | typeof COSTLY;
  advance(from: Position, bytes: Uint8Array, most = Infinity): Position | undefined | typeof COSTLY {
    const until = this.work + most;
    let at: Position | undefined = from;
    for (const byte of bytes) {
      if (this.work > until) return COSTLY;
      at = this.#automaton.advanceByte(at, byte);
      if (at === undefined) return undefined;
    }
    return at;
  }

  /**
   * Advance by a token: by its name in the grammar, by its bytes, or both.
   *
   * @param from Where the text is.
   * @param token The token.
   * @param bytes Its text; empty if it is not text.
   * @param most As for `advance`.
   * @returns As of `advance`.
   * @throws {GrammarError} If the grammar is too ambiguous to be followed.
   */
  follow(from: Position, token: number, bytes: Uint8Array): Position | undefined;
  follow(from: Position, token: number, bytes: Uint8Array, most: number): Position | undefined | typeof COSTLY;
  follow(from: Position, token: number, bytes: Uint8Array, most = Infinity): Position | undefined | typeof COSTLY {
    const automaton = this.#automaton;
    const byBytes = bytes.length === 0 ? undefined : this.advance(from, bytes, most);
    if (byBytes === COSTLY) return COSTLY;
    const stacks = from.lacking > 0
      ? []
      : from.state.tokenStacks.filter(({ place }) => automaton.tokenAt(place) === token);
    if (stacks.length === 0) return byBytes;
    const state = automaton.pastTokens(stacks);
    // A named token that ends within a character counts as named.
    return byBytes === undefined || byBytes.lacking > 0 ? state : automaton.union(byBytes.state, state);
  }

  /**
   * The allowed tokens, if they are cached.
   *
   * @param at Where the text is.
   * @param index The vocabulary; changing it clears the cache.
   * @returns `undefined` if it is not known.
   */
  known(at: Position, index: VocabularyIndex): TokenSet | undefined {
    return this.#masks.known(at, index);
  }

  /**
   * Compute the allowed tokens.
   *
   * @param at Where the text is.
   * @param index As for `known`.
   * @throws {GrammarError} If the grammar is too ambiguous for that.
   */
  allowed(at: Position, index: VocabularyIndex): Work<TokenSet> {
    return this.#masks.find(at, index);
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
   * The forced continuation.
   *
   * @param at Where the text is.
   * @returns Some of it, if it is long; `undefined` where there is a choice, or only the end may come.
   * @throws {GrammarError} If the grammar is too ambiguous to be followed.
   */
  forced({ state, lacking }: Position): Forced | undefined {
    if (lacking > 0) return undefined;
    const parts: (string | number)[] = [];
    let text = "";
    const until = this.work + MOST_WORK_FORCED;
    for (let count = 0; count < MOST_FORCED && this.work <= until; count++) {
      const only = this.#onlyNext(state);
      if (only === null) break;
      if ("char" in only) {
        text += String.fromCodePoint(only.char);
        state = this.#automaton.step(state, only.char) as State;
        continue;
      }
      if (text !== "") parts.push(text);
      text = "";
      parts.push(only.token);
      state = this.#automaton.pastTokens(state.tokenStacks);
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
    const chars = new Set(stacks.map(({ place }) => this.#automaton.charsAt(place)?.single));
    const tokens = new Set(tokenStacks.map(({ place }) => this.#automaton.tokenAt(place)));
    if (chars.size + tokens.size !== 1) return null;
    const [char] = chars;
    if (char !== undefined) return { char };
    const [token] = tokens;
    return token === undefined ? null : { token };
  }
}
