/**
 * Walks the vocabulary trie along the states of an automaton. Skips subtrees below rejected bytes, and subtrees that
 * are known to be allowed or to equal those of another state.
 */
import type { Automaton } from "../automaton/automaton.ts";
import type { FreeText, Position, State } from "../grammar_state.ts";
import { Pace } from "./pace.ts";
import type { Draft } from "./token_set.ts";
import type { TextChars } from "../vocabulary/string_tokens.ts";
import type { VocabularyIndex } from "../vocabulary/vocabulary_index.ts";
import {
  FIRST_TWIN,
  NO_TOKEN_HERE,
  SET_WORDS,
  startsCharacter,
  type VocabularyTrie,
  WIDE,
} from "../vocabulary/vocabulary_trie.ts";
import type { Work } from "../../work/work.ts";

const FIRST_WIDE = 0x80;

/** Walks over one vocabulary. */
export class TokenWalk {
  readonly #automaton: Automaton;
  readonly #index: VocabularyIndex;

  constructor(automaton: Automaton, index: VocabularyIndex) {
    this.#automaton = automaton;
    this.#index = index;
  }

  /** Whether some bytes are allowed. */
  takes(from: Position, bytes: Uint8Array): boolean {
    let at: Position | undefined = from;
    for (let i = 0; i < bytes.length && at !== undefined; i++) at = this.#automaton.advanceByte(at, bytes[i] as number);
    return at !== undefined;
  }

  /**
   * Find the allowed tokens of a trie.
   *
   * @param from Where the text is.
   * @param trie The vocabulary's, or another.
   * @param found Called for each, with its number in the trie.
   */
  *along(from: Position, trie: VocabularyTrie, found: (token: number) => void): Work<void> {
    const automaton = this.#automaton;
    const { bytes, depths, ends, tokens } = trie;
    const pace = new Pace(automaton, bytes.length);
    /** Position after the bytes on the path. */
    const path: Position[] = [from];
    for (let node = 0; node < bytes.length;) {
      if (pace.isOver()) yield;
      const depth = depths[node] as number;
      const next = automaton.advanceByte(path[depth] as Position, bytes[node] as number);
      if (next === undefined) {
        node = ends[node] as number;
        continue;
      }
      path[depth + 1] = next;
      if (tokens[node] !== NO_TOKEN_HERE) forTokens(trie, node, found);
      node++;
    }
  }

  /**
   * Find the allowed tokens where those of free text are known.
   *
   * @param free The free text there.
   * @param from Where the text is.
   * @param draft Contains all tokens of the free text.
   */
  *around(free: FreeText, from: State, draft: Draft): Work<void> {
    const automaton = this.#automaton;
    const { all, contents: { lengths } } = this.#index;
    const { bytes, depths, ends, tokens } = all;
    const { chars, most, isExact } = free;
    const add = (token: number): void => draft.add(token);
    const isMadeOf = madeOf(chars, this.#index);
    const pace = new Pace(automaton, bytes.length);
    const path: Position[] = [from];
    /** Bytes on the path that are free text, and their number of characters. */
    let pure = 0;
    const characters = [0];
    for (let node = 0; node < bytes.length;) {
      if (pace.isOver()) yield;
      const depth = depths[node] as number;
      const byte = bytes[node] as number;
      if (depth <= pure) pure = hasByte(chars, byte) ? depth + 1 : depth;
      const isPure = pure > depth;
      const count = characters[depth + 1] = (characters[depth] as number) + startsCharacter(byte);
      if (isPure && (isExact || count + (lengths[node] as number) <= most) && isMadeOf(node)) {
        node = ends[node] as number;
        continue;
      }
      const next = automaton.advanceByte(path[depth] as Position, byte);
      if (next === undefined) {
        node = ends[node] as number;
        continue;
      }
      path[depth + 1] = next;
      if (tokens[node] !== NO_TOKEN_HERE) forTokens(all, node, add);
      const isFree = !isPure && most === Infinity && next.lacking === 0 && next.state.free === free;
      if (isFree && isMadeOf(node)) {
        const end = ends[node] as number;
        for (node++; node < end; node++) if (tokens[node] !== NO_TOKEN_HERE) forTokens(all, node, add);
      } else node++;
    }
  }

  /**
   * Find the tokens in which two states differ, by walking both until they converge.
   *
   * @param from Where the text is.
   * @param other The other state.
   * @param draft Contains the other's tokens.
   */
  *differences(from: State, other: State, draft: Draft): Work<void> {
    const automaton = this.#automaton;
    const { all } = this.#index;
    const { bytes, depths, ends, tokens } = all;
    const add = (token: number): void => draft.add(token);
    const remove = (token: number): void => draft.remove(token);
    const pace = new Pace(automaton, bytes.length);
    const path: Position[] = [from];
    const others: (Position | undefined)[] = [other];
    for (let node = 0; node < bytes.length;) {
      if (pace.isOver()) yield;
      const depth = depths[node] as number;
      const byte = bytes[node] as number;
      const above = path[depth] as Position;
      const otherAbove = others[depth];
      if (byte >= FIRST_WIDE && areWideSame(above, otherAbove, automaton)) {
        node = ends[node] as number;
        continue;
      }
      const next = automaton.advanceByte(above, byte);
      const otherNext = otherAbove === undefined ? undefined : automaton.advanceByte(otherAbove, byte);
      if (next === otherNext) {
        node = ends[node] as number;
      } else if (next === undefined) {
        const end = ends[node] as number;
        for (; node < end; node++) if (tokens[node] !== NO_TOKEN_HERE) forTokens(all, node, remove);
      } else {
        if (tokens[node] !== NO_TOKEN_HERE) forTokens(all, node, add);
        path[depth + 1] = next;
        others[depth + 1] = otherNext;
        node++;
      }
    }
  }
}

/** Whether two states have the same transition for every non-ASCII character. */
function areWideSame(one: Position, other: Position | undefined, automaton: Automaton): boolean {
  if (other === undefined || one.lacking > 0 || other.lacking > 0) return false;
  const to = automaton.wideFrom(one.state);
  return to !== "several" && to === automaton.wideFrom(other.state);
}

function hasByte({ ascii, wide }: TextChars, byte: number): boolean {
  return byte < FIRST_WIDE ? ((ascii[byte >> 5] as number) >>> (byte & 31) & 1) === 1 : wide;
}

/** Whether a subtree consists of some characters. */
function madeOf({ ascii, wide }: TextChars, { contents: { sets } }: VocabularyIndex): (node: number) => boolean {
  const others = Uint32Array.from(
    { length: SET_WORDS },
    (_, word) => ~(word === 0 ? wide ? WIDE : 0 : ascii[word] ?? 0),
  );
  const [a = 0, b = 0, c = 0, d = 0] = others;
  return (node) => {
    const at = node * SET_WORDS;
    return (((sets[at] as number) & a) | ((sets[at + 1] as number) & b) | ((sets[at + 2] as number) & c) |
      ((sets[at + 3] as number) & d)) === 0;
  };
}

function forTokens({ tokens, twins }: VocabularyTrie, node: number, found: (token: number) => void): void {
  const token = tokens[node] as number;
  if (token > NO_TOKEN_HERE) found(token);
  else if (token < NO_TOKEN_HERE) { for (const twin of twins[FIRST_TWIN - token] ?? []) found(twin); }
}
