/**
 * Follows a text through a grammar: which bytes or tokens may come next, and whether it may end. The automaton is
 * `automaton.ts`'s, how all tokens that may come are found `token_masks.ts`'s.
 */
import { Automaton } from "./automaton/automaton.ts";
import type { Forced } from "./constraint.ts";
import type { Only, Position, State } from "./grammar_state.ts";
import type { Rules } from "./rules.ts";
import { TokenMasks } from "./masks/token_masks.ts";
import type { TokenSet } from "./masks/token_set.ts";
import type { VocabularyIndex } from "./vocabulary/vocabulary_index.ts";
import type { Work } from "../work/work.ts";

/** Characters and named tokens that are looked ahead where there is no choice. */
const MOST_FORCED = 256;
/** A place with more stacks is not asked whether it leaves a choice. */
const MOST_STACKS_FORCED = 64;

/** What is found out about a position when more work is needed than was allowed. */
export const COSTLY = "costly";

/** A grammar, and what has been found out about it. Several answers may follow it. */
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
   * Where a text begins that follows other rules of the same builder. What has been found out is shared.
   *
   * @param rules Made later, so that they have all rules that this has, and more.
   */
  startOf(rules: Rules): Position {
    return this.#automaton.startOf(rules);
  }

  /** Stacks looked at so far: a measure of the work that was done. */
  get work(): number {
    return this.#automaton.work;
  }

  /** Memory that it takes, in bytes, roughly: its rules, and what has been found out. */
  get bytes(): number {
    return this.#automaton.bytes + this.#masks.bytes;
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
    const automaton = this.#automaton;
    const byBytes = bytes.length === 0 ? undefined : this.advance(from, bytes, most);
    if (byBytes === COSTLY) return COSTLY;
    const stacks = from.lacking > 0
      ? []
      : from.state.tokenStacks.filter(({ place }) => automaton.tokenAt(place) === token);
    if (stacks.length === 0) return byBytes;
    const state = automaton.pastTokens(stacks);
    // A token that is named and ends within a character is what it is named for.
    return byBytes === undefined || byBytes.lacking > 0 ? state : automaton.union(byBytes.state, state);
  }

  /**
   * All tokens that may come next, if that has been found out.
   *
   * @param at Where the text is.
   * @param index The vocabulary; always the same one, or what is known is lost.
   * @returns `undefined` if it is not known.
   */
  known(at: Position, index: VocabularyIndex): TokenSet | undefined {
    return this.#masks.known(at, index);
  }

  /**
   * Find out all tokens that may come next.
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
