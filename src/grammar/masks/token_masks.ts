/**
 * Computes token masks: all tokens allowed in a state. Most states are within strings: a loop state, to which most
 * characters lead back, allows all tokens of its characters, which are the same for every grammar; of the others, only
 * tokens with a quote or a backslash are checked. A state from which most characters lead to a loop differs from it in
 * a few tokens. Where any characters of a set are allowed for a while, tokens of these characters are allowed without a
 * check. Within a text of bounded length, only long tokens differ from the unbounded state. Everywhere else, the
 * vocabulary trie is walked.
 */
import type { Automaton, EndlessState } from "../automaton/automaton.ts";
import { freeTextAt } from "./free_text.ts";
import { type FreeText, type Position, set, type State } from "../grammar_state.ts";
import { Pace } from "./pace.ts";
import { Draft, TokenSet } from "./token_set.ts";
import { TokenWalk } from "./token_walk.ts";
import { LEAST_LONG, type TextChars } from "../vocabulary/string_tokens.ts";
import type { VocabularyIndex } from "../vocabulary/vocabulary_index.ts";
import { SharedWork, type Work } from "../../work/work.ts";

/** Memory limit of cached masks, in bytes; the oldest are evicted. */
const ALLOWED_BYTES = 8 * 2 ** 20;
/** A state is a loop if this many ASCII characters lead back to it. */
const LEAST_LOOPING = 10;
/** Sample characters, one of which probably leads to the loop. */
const PROBES = [0x71, 0x5a, 0x37, 0x20];
/** Tokens checked individually per slice. */
const PIECE = 16;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_SAFE = 0x20;
const FIRST_WIDE = 0x80;

/** Computes and caches token masks. */
export class TokenMasks {
  readonly #automaton: Automaton;
  /** States with cached masks, oldest first, and their vocabulary. */
  #walked: State[] = [];
  #bytes = 0;
  #index: VocabularyIndex | undefined;

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
  }

  /** Approximate memory in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** As {@linkcode Grammar.known}. */
  known({ state, lacking }: Position, index: VocabularyIndex): TokenSet | undefined {
    if (this.#index !== index) {
      this.forget();
      this.#automaton.vocabulary = index.wideChars;
      this.#index = index;
    }
    return lacking > 0 ? undefined : state.allowed;
  }

  /** As {@linkcode Grammar.allowed}. */
  *find(at: Position, index: VocabularyIndex): Work<TokenSet> {
    const known = this.known(at, index);
    if (known !== undefined) return known;
    if (at.lacking > 0) return yield* this.#walk(at, index);
    const { state } = at;
    state.walk ??= new SharedWork(this.#walk(at, index));
    // An abandoned computation is kept for the next caller, and so is its error.
    const allowed = yield* state.walk.join();
    if (state.allowed === undefined) this.#keep(state, allowed);
    state.walk = undefined;
    return allowed;
  }

  /** Clear the cache. */
  forget(): void {
    for (const state of this.#walked) state.allowed = undefined;
    this.#walked = [];
    this.#bytes = 0;
  }

  #keep(state: State, allowed: TokenSet): void {
    state.allowed = allowed;
    this.#walked.push(state);
    this.#bytes += allowed.bytes;
    if (this.#bytes <= ALLOWED_BYTES) return;
    for (const old of this.#walked.splice(0, this.#walked.length >> 1)) {
      this.#bytes -= old.allowed?.bytes ?? 0;
      old.allowed = undefined;
    }
  }

  *#walk(at: Position, index: VocabularyIndex): Work<TokenSet> {
    const { state } = at;
    const endless = at.lacking > 0 ? undefined : this.#automaton.endless(state);
    if (endless !== undefined && endless.most >= LEAST_LONG) return yield* this.#bounded(state, endless, index);
    const automaton = this.#automaton;
    const isWithin = at.lacking > 0;
    const pace = new Pace(automaton);
    const loop = isWithin ? undefined : yield* this.#loopOf(state, pace);
    const target = isWithin || loop !== undefined ? undefined : yield* this.#mostLeadTo(state, pace);
    const free = isWithin || loop !== undefined || target !== undefined ? null : yield* freeTextAt(state, automaton);
    const draft = new Draft(
      target === undefined ? yield* setOf(loop, free, index) : yield* this.find(target, index),
      index.size,
    );
    const add = (token: number): void => draft.add(token);
    const walk = new TokenWalk(automaton, index);
    if (loop !== undefined) {
      // Tokens with a quote, backslash or control character whose prefix stays in the loop.
      yield* walk.along(state, index.strings.suffixes, (suffix) => index.strings.ending(suffix, loop, add));
    } else if (target !== undefined) {
      for (const token of index.ending) draft.remove(token);
      yield* walk.differences(state, target, draft);
    } else if (free !== null) {
      yield* walk.around(free, state, draft);
    } else {
      yield* walk.along(at, index.all, add);
    }
    if (isWithin) return draft.done();
    for (const { place } of state.tokenStacks) {
      const token = automaton.tokenAt(place) as number;
      if (token < index.size) draft.add(token);
    }
    if (state.canEnd) { for (const token of index.ending) draft.add(token); }
    return draft.done();
  }

  /** Within a text of bounded length: as without the bound, except for long tokens. */
  *#bounded(
    state: State,
    { state: endless, most, isAny }: EndlessState,
    index: VocabularyIndex,
  ): Work<TokenSet> {
    const draft = new Draft(yield* this.find(endless, index), index.size);
    const pace = new Pace(this.#automaton);
    const loop = isAny ? yield* this.#loopOf((yield* this.#mostLeadTo(endless, pace)) ?? endless, pace) : undefined;
    const text = loop === undefined ? undefined : yield* index.strings.within(loop);
    const walk = new TokenWalk(this.#automaton, index);
    let checked = 0;
    for (const { token, length, isGoing } of index.strings.longerThan(most)) {
      // The next character does not count.
      const isText = isGoing && text !== undefined && ((text[token >> 5] as number) >>> (token & 31) & 1) === 1;
      const isAllowed = isText ? length <= most + 1 : walk.takes(state, index.piece(token));
      if (isAllowed) draft.add(token);
      else draft.remove(token);
      if (!isText && ++checked % PIECE === 0) yield;
    }
    return draft.done();
  }

  /** The characters that lead back to a state; `undefined`: it is not a loop. */
  *#loopOf(state: State, pace: Pace): Work<TextChars | undefined> {
    if (state.loop === undefined) state.loop = yield* this.#findLoop(state, pace);
    return state.loop ?? undefined;
  }

  *#findLoop(state: State, pace: Pace): Work<TextChars | null> {
    // Most states are not loops.
    let probed = 0;
    while (probed < PROBES.length && this.#automaton.step(state, PROBES[probed] as number) !== state) {
      if (pace.isOver()) yield;
      probed++;
    }
    if (probed === PROBES.length) return null;
    const ascii = new Uint32Array(4);
    let looping = 0;
    for (let char = 0; char < FIRST_WIDE; char++) {
      const next = this.#automaton.step(state, char);
      const isSafe = char >= FIRST_SAFE && char !== QUOTE && char !== BACKSLASH;
      if (next === state && isSafe) {
        set(ascii, char);
        looping++;
      } else if (next !== null && isSafe) return null;
    }
    const wide = this.#automaton.wideFrom(state);
    if (looping < LEAST_LOOPING || wide !== null && wide !== state) return null;
    return { ascii, wide: wide === state, key: `${ascii.join()} ${wide === state}` };
  }

  /** The loop to which most characters lead. */
  *#mostLeadTo(state: State, pace: Pace): Work<State | undefined> {
    const reached = new Map<State, number>();
    for (const char of PROBES) {
      const next = this.#automaton.step(state, char);
      if (pace.isOver()) yield;
      if (next === null || next.tokenStacks.length > 0 || (yield* this.#loopOf(next, pace)) === undefined) continue;
      const count = (reached.get(next) ?? 0) + 1;
      if (count > 1) return next;
      reached.set(next, count);
    }
    return undefined;
  }
}

/** The tokens of free text. */
function* setOf(
  loop: TextChars | undefined,
  free: FreeText | null,
  { strings, size }: VocabularyIndex,
): Work<TokenSet> {
  if (loop !== undefined) return new TokenSet(size, yield* strings.within(loop));
  return new TokenSet(size, free === null ? undefined : yield* strings.within(free.chars, free.most));
}
