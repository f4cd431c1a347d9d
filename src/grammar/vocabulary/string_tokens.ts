/**
 * The tokens of a vocabulary as they appear within a JSON string. Tokens without quotes, backslashes and control
 * characters continue the string if all their characters are allowed; the others leave it or start an escape, and are
 * grouped by what precedes and follows that character. Independent of grammars.
 */
import { sortByBytes, startsCharacter, trieOf, type VocabularyTrie } from "./vocabulary_trie.ts";
import { readText } from "./wide_chars.ts";
import type { Work } from "../../work/work.ts";

/** Tokens per slice of work: read, and compared with a character set. */
const PIECE = 256;
const PIECE_WITHIN = 32_768;
/** Cache size: pairs of character set and length. */
const MOST_SETS = 128;
/** Longer tokens count as long. */
export const LEAST_LONG = 20;
const ASCII_WORDS = 4;
/** Lengths are capped at this. */
const LONGEST = 255;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_SAFE = 0x20;
const FIRST_WIDE = 0x80;

/** A set of characters within a string. */
export interface TextChars {
  /** Bit set of ASCII characters, without quote, backslash and control characters. */
  readonly ascii: Uint32Array;
  /** Whether it contains all non-ASCII characters; otherwise none. */
  readonly wide: boolean;
  /** Equal for equal sets. */
  readonly key: string;
}

/** A long token. */
export interface LongToken {
  readonly token: number;
  readonly length: number;
  /** Whether it has no quote, backslash or control character. */
  readonly isGoing: boolean;
}

/** Tokens, each with the characters of a part of it. */
class Texts {
  #tokens: Int32Array;
  #ascii: Uint32Array;
  #wide: Uint8Array;
  #lengths: Uint8Array;
  #count = 0;

  /** @param most Tokens that may be added. */
  constructor(most: number) {
    this.#tokens = new Int32Array(most);
    this.#ascii = new Uint32Array(most * ASCII_WORDS);
    this.#wide = new Uint8Array(most);
    this.#lengths = new Uint8Array(most);
  }

  get count(): number {
    return this.#count;
  }

  token(at: number): number {
    return this.#tokens[at] as number;
  }

  /**
   * Add a token.
   *
   * @param part Its bytes, or some of them.
   * @param isWhole Whether the last character must be complete.
   * @returns Whether the bytes are text, and so it was added.
   */
  add(token: number, part: Uint8Array, isWhole: boolean): boolean {
    const at = this.#count;
    let wide = 0;
    let length = 0;
    for (let i = 0; i < part.length; i++) {
      const byte = part[i] as number;
      if (byte >= FIRST_WIDE) wide = 1;
      length += startsCharacter(byte);
    }
    const read = wide === 0 ? part.length : readText(part);
    // Continuation bytes at the start are not text.
    if (read === undefined || isWhole && read < part.length) return false;
    for (let i = 0; i < part.length; i++) {
      const byte = part[i] as number;
      const word = at * ASCII_WORDS + (byte >> 5);
      if (byte < FIRST_WIDE) this.#ascii[word] = (this.#ascii[word] as number) | (1 << (byte & 31));
    }
    this.#tokens[at] = token;
    this.#wide[at] = wide;
    this.#lengths[at] = Math.min(length, LONGEST);
    this.#count++;
    return true;
  }

  /** Release unused memory. */
  trim(): void {
    this.#tokens = this.#tokens.slice(0, this.#count);
    this.#ascii = this.#ascii.slice(0, this.#count * ASCII_WORDS);
    this.#wide = this.#wide.slice(0, this.#count);
    this.#lengths = this.#lengths.slice(0, this.#count);
  }

  /** Whether a token consists of these characters, and of at most `most` of them. */
  isWithin(at: number, { ascii, wide }: TextChars, most = LONGEST): boolean {
    if (!wide && this.#wide[at] === 1 || (this.#lengths[at] as number) > most) return false;
    const from = at * ASCII_WORDS;
    for (let word = 0; word < ASCII_WORDS; word++) {
      if (((this.#ascii[from + word] as number) & ~(ascii[word] as number)) !== 0) return false;
    }
    return true;
  }
}

/** Tokens within strings. */
export class StringTokens {
  readonly #size: number;
  /** Tokens that continue a string, and their characters. */
  readonly #going: Texts;
  /** Tokens with a quote, backslash or control character, and the characters before it. */
  readonly #leaving: Texts;
  readonly #bySuffix: readonly (readonly number[])[];
  readonly #within = new Map<string, Uint32Array>();
  /** Long tokens, longest first. */
  readonly #long: readonly LongToken[];
  /** Suffixes of tokens from that character on, by number. */
  readonly suffixes: VocabularyTrie;

  private constructor(
    size: number,
    found: Pick<StringTokens, "suffixes"> & {
      readonly long: readonly LongToken[];
      readonly going: Texts;
      readonly leaving: Texts;
      readonly bySuffix: readonly (readonly number[])[];
    },
  ) {
    this.#size = size;
    this.#going = found.going;
    this.#leaving = found.leaving;
    this.#bySuffix = found.bySuffix;
    this.suffixes = found.suffixes;
    this.#long = found.long.toSorted((a, b) => b.length - a.length);
  }

  /**
   * Sort the tokens of a vocabulary.
   *
   * @param size Tokens there are.
   * @param tokens Those that are text.
   * @param pieces The bytes of every token.
   */
  static *of(size: number, tokens: Int32Array, pieces: readonly Uint8Array[]): Work<StringTokens> {
    const going = new Texts(tokens.length);
    const leaving = new Texts(tokens.length);
    const numbers = new Map<string, number>();
    const suffixPieces: Uint8Array[] = [];
    const bySuffix: number[][] = [];
    const long: LongToken[] = [];
    for (const [i, token] of tokens.entries()) {
      if (i % PIECE === PIECE - 1) yield;
      const piece = pieces[token] as Uint8Array;
      const end = piece.findIndex(leaves);
      if (piece.length > LEAST_LONG) {
        const length = piece.reduce((count, byte) => count + startsCharacter(byte), 0);
        if (length > LEAST_LONG) long.push({ token, length, isGoing: end < 0 });
      }
      if (end < 0) {
        going.add(token, piece, false);
        continue;
      }
      if (!leaving.add(token, piece.subarray(0, end), true)) continue;
      const suffix = piece.subarray(end);
      const key = suffix.join();
      let number = numbers.get(key);
      if (number === undefined) {
        numbers.set(key, number = suffixPieces.length);
        suffixPieces.push(suffix);
        bySuffix.push([]);
      }
      bySuffix[number]?.push(leaving.count - 1);
    }
    const sorted = Int32Array.from(suffixPieces.keys());
    yield* sortByBytes(sorted, suffixPieces);
    const suffixes = yield* trieOf(sorted, suffixPieces);
    yield;
    going.trim();
    leaving.trim();
    return new StringTokens(size, { going, leaving, bySuffix, suffixes, long });
  }

  /**
   * The tokens that are made of these characters; not to be changed.
   *
   * @param most How many characters they have at most; counts up to 254.
   */
  *within(chars: TextChars, most = Infinity): Work<Uint32Array> {
    most = Math.min(most, LONGEST);
    const key = `${chars.key} ${most}`;
    const known = this.#within.get(key);
    if (known !== undefined) return known;
    const found = new Uint32Array((this.#size + 31) >> 5);
    const going = this.#going;
    for (let from = 0; from < going.count; from += PIECE_WITHIN) {
      if (from > 0) yield;
      const end = Math.min(from + PIECE_WITHIN, going.count);
      for (let at = from; at < end; at++) {
        if (!going.isWithin(at, chars, most)) continue;
        const token = going.token(at);
        found[token >> 5] = (found[token >> 5] as number) | (1 << (token & 31));
      }
    }
    const [oldest] = this.#within.keys();
    if (this.#within.size >= MOST_SETS && oldest !== undefined) this.#within.delete(oldest);
    this.#within.set(key, found);
    return found;
  }

  /**
   * The tokens with more characters than this.
   *
   * @param most At least `LEAST_LONG`.
   */
  *longerThan(most: number): Generator<LongToken> {
    for (const each of this.#long) {
      if (each.length <= most) return;
      yield each;
    }
  }

  /** The tokens with a suffix whose prefix is made of these characters. */
  ending(suffix: number, chars: TextChars, found: (token: number) => void): void {
    for (const at of this.#bySuffix[suffix] ?? []) {
      if (this.#leaving.isWithin(at, chars)) found(this.#leaving.token(at));
    }
  }
}

function leaves(byte: number): boolean {
  return byte < FIRST_SAFE || byte === QUOTE || byte === BACKSLASH;
}
