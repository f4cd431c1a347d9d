/**
 * The tokens of a vocabulary as the inside of a string sees them: those without quotes, backslashes and control characters
 * go on with it, if all their characters may; the others end it, or begin something in it, and are told apart by what
 * comes before such a character and what from there on. The same for every grammar.
 */
import { sortByBytes, startsCharacter, trieOf, type VocabularyTrie } from "./vocabulary_trie.ts";
import { readText } from "./wide_chars.ts";
import type { Work } from "../../work/work.ts";

/** Tokens that are read in a piece of work. */
const PIECE = 256;
/** Sets of characters, and lengths, whose tokens are remembered, before the oldest is forgotten. */
const MOST_SETS = 128;
/** Characters that long tokens have more of. */
export const LEAST_LONG = 20;
const ASCII_WORDS = 4;
/** Lengths are counted up to here. */
const LONGEST = 255;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_SAFE = 0x20;
const FIRST_WIDE = 0x80;

/** Characters of which a text within a string may be made. */
export interface TextChars {
  /** Those of ASCII, a bit for each; none is a quote, a backslash or a control character. */
  readonly ascii: Uint32Array;
  /** Whether all others are among them, or none. */
  readonly wide: boolean;
  /** Equal for equal characters. */
  readonly key: string;
}

/** A token of many characters. */
export interface LongToken {
  readonly token: number;
  readonly length: number;
  /** Whether it has no quote, backslash or control character. */
  readonly isGoing: boolean;
}

/** What is known of the characters of some bytes. */
interface Text {
  readonly ascii: Uint32Array;
  /** Whether some are beyond ASCII. */
  readonly wide: boolean;
  /** Whether the last one lacks bytes. */
  readonly cut: boolean;
  readonly length: number;
}

/** Texts, by number: which characters they have. */
class Texts {
  readonly #ascii: Uint32Array;
  readonly #wide: Uint8Array;
  readonly #lengths: Uint8Array;

  constructor(texts: readonly Text[]) {
    this.#ascii = new Uint32Array(texts.length * ASCII_WORDS);
    this.#wide = new Uint8Array(texts.length);
    this.#lengths = new Uint8Array(texts.length);
    texts.forEach(({ ascii, wide, length }, at) => {
      this.#ascii.set(ascii, at * ASCII_WORDS);
      this.#wide[at] = wide ? 1 : 0;
      this.#lengths[at] = Math.min(length, LONGEST);
    });
  }

  /** Whether one is made of these characters, and has no more than so many. */
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
  /** Those that can go on with a string, and what they are made of. */
  readonly #going: { readonly tokens: Int32Array; readonly texts: Texts };
  /** Those that have a quote, a backslash or a control character, and what comes before it. */
  readonly #leaving: { readonly tokens: Int32Array; readonly prefixes: Texts };
  /** By suffix. */
  readonly #bySuffix: readonly (readonly number[])[];
  readonly #within = new Map<string, Uint32Array>();
  /** Tokens of many characters, the longest first. */
  readonly #long: readonly LongToken[];
  /** What tokens that leave a string have from that character on, by number. */
  readonly suffixes: VocabularyTrie;

  private constructor(
    size: number,
    found: Pick<StringTokens, "suffixes"> & {
      readonly long: readonly LongToken[];
      readonly going: { readonly tokens: Int32Array; readonly texts: Texts };
      readonly leaving: { readonly tokens: Int32Array; readonly prefixes: Texts };
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
    const going: { readonly token: number; readonly text: Text }[] = [];
    const leaving: { readonly token: number; readonly text: Text }[] = [];
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
      const text = textOf(end < 0 ? piece : piece.subarray(0, end));
      // No text begins with the end of a character.
      if (text === undefined || end >= 0 && text.cut) continue;
      if (end < 0) {
        going.push({ token, text });
        continue;
      }
      const suffix = piece.subarray(end);
      const key = suffix.join();
      let number = numbers.get(key);
      if (number === undefined) {
        numbers.set(key, number = suffixPieces.length);
        suffixPieces.push(suffix);
        bySuffix.push([]);
      }
      bySuffix[number]?.push(leaving.length);
      leaving.push({ token, text });
    }
    const sorted = Int32Array.from(suffixPieces.keys());
    yield* sortByBytes(sorted, suffixPieces);
    const suffixes = yield* trieOf(sorted, suffixPieces);
    const numbersOf = (all: readonly { readonly token: number }[]): Int32Array =>
      Int32Array.from(all, ({ token }) => token);
    const textsOf = (all: readonly { readonly text: Text }[]): Texts => new Texts(all.map(({ text }) => text));
    return new StringTokens(size, {
      going: { tokens: numbersOf(going), texts: textsOf(going) },
      leaving: { tokens: numbersOf(leaving), prefixes: textsOf(leaving) },
      bySuffix,
      suffixes,
      long,
    });
  }

  /**
   * The tokens that are made of these characters; not to be changed.
   *
   * @param most How many characters they have at most; counts up to 254.
   */
  within(chars: TextChars, most = Infinity): Uint32Array {
    most = Math.min(most, LONGEST);
    const key = `${chars.key} ${most}`;
    const known = this.#within.get(key);
    if (known !== undefined) return known;
    const found = new Uint32Array((this.#size + 31) >> 5);
    const { tokens, texts } = this.#going;
    for (let at = 0; at < tokens.length; at++) {
      const token = tokens[at] as number;
      if (texts.isWithin(at, chars, most)) found[token >> 5] = (found[token >> 5] as number) | (1 << (token & 31));
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
    const { tokens, prefixes } = this.#leaving;
    for (const at of this.#bySuffix[suffix] ?? []) if (prefixes.isWithin(at, chars)) found(tokens[at] as number);
  }
}

function leaves(byte: number): boolean {
  return byte < FIRST_SAFE || byte === QUOTE || byte === BACKSLASH;
}

/** `undefined`: it is not UTF-8, or begins within a character. */
function textOf(bytes: Uint8Array): Text | undefined {
  const ascii = new Uint32Array(ASCII_WORDS);
  let wide = false;
  let length = 0;
  for (const byte of bytes) {
    if (byte < FIRST_WIDE) ascii[byte >> 5] = (ascii[byte >> 5] as number) | (1 << (byte & 31));
    else wide = true;
    length += startsCharacter(byte);
  }
  if (!wide) return { ascii, wide, cut: false, length };
  const read = readText(bytes);
  return read === undefined ? undefined : { ascii, wide, cut: read < bytes.length, length };
}
