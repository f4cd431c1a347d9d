/**
 * A vocabulary made to be gone through quickly: a trie of all tokens, and apart from it those that are nothing but plain
 * characters, which most places within a text take all of, or none. Made once for a model, when the first grammar needs
 * it.
 */
import type { CharSet } from "../rules.ts";
import { StringTokens } from "./string_tokens.ts";
import { sortByBytes, TOKEN_BITS, trieOf, type VocabularyTrie } from "./vocabulary_trie.ts";
import type { Work } from "../../work/work.ts";

/** What tokens mean to a grammar. */
export interface TokenBytes {
  /** The bytes of a token; empty if it is not text. */
  piece(token: number): Uint8Array;
  /** Whether a token ends the answer. */
  ends(token: number): boolean;
}

/**
 * Characters that have no meaning in JSON, in Python's strings and in markers: no quotes, no backslash, no `<`, no control
 * characters. Sorted, with gaps.
 */
export const PLAIN: CharSet = [
  ...[0x20, 0x21, 0x23, 0x26, 0x28, 0x3b, 0x3d, 0x5b, 0x5d, 0x7e],
  ...[0x80, 0xd7ff, 0xe000, 0x10ffff],
];
/** One of them. */
export const A_PLAIN = 0x61;
/** Tokens with more characters are gone through one by one. */
const MOST_PLAIN = 32;
/** Tokens that are read in a piece of work. */
const PIECE = 256;

/** A vocabulary that can be gone through quickly. */
export class VocabularyIndex implements TokenBytes {
  readonly #tokens: TokenBytes;
  /** Plain tokens by how many characters they have; at each place those with as many or fewer, a bit for each. */
  readonly #plain: readonly Uint32Array[];
  /** Of all tokens, with those that are not text. */
  readonly size: number;
  /** Tokens that are text and do not end the answer. */
  readonly all: VocabularyTrie;
  /** Those of them that are not plain. */
  readonly special: VocabularyTrie;
  /** All of them, as the inside of a string sees them. */
  readonly strings: StringTokens;
  readonly ending: readonly number[];

  private constructor(
    size: number,
    tokens: TokenBytes,
    found: Pick<VocabularyIndex, "all" | "special" | "strings" | "ending"> & { readonly plain: readonly Uint32Array[] },
  ) {
    this.size = size;
    this.#tokens = tokens;
    this.#plain = found.plain;
    this.all = found.all;
    this.special = found.special;
    this.strings = found.strings;
    this.ending = found.ending;
  }

  /**
   * Make one.
   *
   * @param size Tokens of the vocabulary.
   * @param tokens What they mean.
   */
  static *of(size: number, tokens: TokenBytes): Work<VocabularyIndex> {
    if (size > TOKEN_BITS) throw new RangeError(`A vocabulary may have ${TOKEN_BITS} tokens, this one has ${size}`);
    const pieces: Uint8Array[] = new Array(size);
    const texts = new Int32Array(size);
    const lengths = new Uint8Array(size);
    const ending: number[] = [];
    let count = 0;
    for (let token = 0; token < size; token++) {
      if (token % PIECE === PIECE - 1) yield;
      const piece = pieces[token] = tokens.piece(token);
      if (tokens.ends(token)) ending.push(token);
      else if (piece.length > 0) {
        texts[count++] = token;
        lengths[token] = plainLength(piece);
      }
    }
    const sorted = texts.slice(0, count);
    yield* sortByBytes(sorted, pieces);
    const all = yield* trieOf(sorted, pieces);
    const special = yield* trieOf(sorted.filter((token) => lengths[token] === 0), pieces);
    const strings = yield* StringTokens.of(size, sorted, pieces);
    return new VocabularyIndex(size, tokens, { all, special, strings, ending, plain: yield* plainTokens(lengths) });
  }

  /** The plain tokens of at most so many characters, a bit for each; not to be changed. None where that is 0. */
  plainUpTo(characters: number): Uint32Array | undefined {
    return characters === 0 ? undefined : this.#plain[Math.min(characters, this.#plain.length) - 1];
  }

  /** Characters of the longest plain token. */
  get longestPlain(): number {
    return this.#plain.length;
  }

  piece(token: number): Uint8Array {
    return this.#tokens.piece(token);
  }

  ends(token: number): boolean {
    return this.#tokens.ends(token);
  }
}

/** Characters of a piece that is plain; 0 if it is not. */
function plainLength(piece: Uint8Array): number {
  let characters = 0;
  for (const byte of piece) {
    if (byte < 0x80) {
      if (!isPlainAscii(byte)) return 0;
      characters++;
    } else if ((byte & 0xc0) !== 0x80) characters++;
  }
  return characters <= MOST_PLAIN && isWhole(piece) ? characters : 0;
}

function isPlainAscii(char: number): boolean {
  return char >= 0x20 && char < 0x7f && char !== 0x22 && char !== 0x27 && char !== 0x3c && char !== 0x5c;
}

function isWhole(piece: Uint8Array): boolean {
  if (piece.every((byte) => byte < 0x80)) return true;
  try {
    strict.decode(piece);
    return true;
  } catch {
    return false;
  }
}

const strict = new TextDecoder("utf-8", { fatal: true });

function* plainTokens(lengths: Uint8Array): Work<Uint32Array[]> {
  let longest = 0;
  for (const length of lengths) if (length > longest) longest = length;
  const plain: Uint32Array[] = [];
  for (let most = 1; most <= longest; most++) {
    yield;
    const bits = new Uint32Array((lengths.length + 31) >> 5);
    for (let token = 0; token < lengths.length; token++) {
      const length = lengths[token] as number;
      if (length > 0 && length <= most) bits[token >> 5] = (bits[token >> 5] as number) | (1 << (token & 31));
    }
    plain.push(bits);
  }
  return plain;
}
