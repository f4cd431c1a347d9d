/**
 * A vocabulary indexed for token masks: a trie of all tokens, summaries of its subtrees, and the tokens as they appear
 * within JSON strings. Built once per model, for its first grammar.
 */
import { StringTokens } from "./string_tokens.ts";
import { type Contents, contentsOf, sortByBytes, TOKEN_BITS, trieOf, type VocabularyTrie } from "./vocabulary_trie.ts";
import { WideChars } from "./wide_chars.ts";
import type { Work } from "../../work/work.ts";

/** Tokens as a grammar sees them. */
export interface TokenBytes {
  /** The bytes of a token; empty if it is not text. */
  piece(token: number): Uint8Array;
  /** Whether a token ends the answer. */
  ends(token: number): boolean;
}

/** Tokens per slice of work. */
const PIECE = 256;

/** An indexed vocabulary. */
export class VocabularyIndex implements TokenBytes {
  readonly #tokens: TokenBytes;
  /** Number of all tokens, including those that are not text. */
  readonly size: number;
  /** Tokens that are text and do not end the answer. */
  readonly all: VocabularyTrie;
  readonly contents: Contents;
  /** The same tokens, classified by their use within strings. */
  readonly strings: StringTokens;
  readonly wideChars: WideChars;
  readonly ending: readonly number[];

  private constructor(
    size: number,
    tokens: TokenBytes,
    found: Pick<VocabularyIndex, "all" | "contents" | "strings" | "wideChars" | "ending">,
  ) {
    this.size = size;
    this.#tokens = tokens;
    this.all = found.all;
    this.contents = found.contents;
    this.strings = found.strings;
    this.wideChars = found.wideChars;
    this.ending = found.ending;
  }

  /**
   * Build an index.
   *
   * @param size Tokens of the vocabulary.
   * @param tokens What they mean.
   */
  static *of(size: number, tokens: TokenBytes): Work<VocabularyIndex> {
    if (size > TOKEN_BITS) throw new RangeError(`A vocabulary may have ${TOKEN_BITS} tokens, this one has ${size}`);
    const pieces: Uint8Array[] = new Array(size);
    const texts = new Int32Array(size);
    const ending: number[] = [];
    let count = 0;
    for (let token = 0; token < size; token++) {
      if (token % PIECE === PIECE - 1) yield;
      const piece = pieces[token] = tokens.piece(token);
      if (tokens.ends(token)) ending.push(token);
      else if (piece.length > 0) texts[count++] = token;
    }
    const sorted = texts.slice(0, count);
    yield* sortByBytes(sorted, pieces);
    const all = yield* trieOf(sorted, pieces);
    const contents = yield* contentsOf(all);
    const strings = yield* StringTokens.of(size, sorted, pieces);
    const wideChars = yield* WideChars.of(sorted, pieces);
    return new VocabularyIndex(size, tokens, { all, contents, strings, wideChars, ending });
  }

  piece(token: number): Uint8Array {
    return this.#tokens.piece(token);
  }

  ends(token: number): boolean {
    return this.#tokens.ends(token);
  }
}
