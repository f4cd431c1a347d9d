/**
 * The tokens of a vocabulary as the inside of a string sees them: those without quotes, backslashes and control characters
 * go on with it, if all their characters may; the others end it, or begin something in it, and are told apart by what
 * comes before such a character and what from there on. The same for every grammar.
 */
import { sortByBytes, trieOf, type VocabularyTrie } from "./vocabulary_trie.ts";
import type { Work } from "../../work/work.ts";

/** Tokens that are read in a piece of work. */
const PIECE = 256;
/** Sets of characters whose tokens are remembered, before the oldest is forgotten. */
const MOST_SETS = 32;
const ASCII_WORDS = 4;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_SAFE = 0x20;
const FIRST_WIDE = 0x80;

/** The characters that lead from a state back to it, where it is like the inside of a string. */
export interface Loop {
  /** Of ASCII, a bit for each; none of them is a quote, a backslash or a control character, and no other that is none leads anywhere. */
  readonly ascii: Uint32Array;
  /** Whether all others do; otherwise none leads anywhere. */
  readonly wide: boolean;
  /** Equal for equal characters. */
  readonly key: string;
}

/** What is known of the characters of some bytes. */
interface Text {
  readonly ascii: Uint32Array;
  /** Whether some are beyond ASCII. */
  readonly wide: boolean;
  /** Whether the last one lacks bytes. */
  readonly cut: boolean;
}

/** Texts, by number: which characters they have. */
class Texts {
  readonly #ascii: Uint32Array;
  readonly #wide: Uint8Array;

  constructor(texts: readonly Text[]) {
    this.#ascii = new Uint32Array(texts.length * ASCII_WORDS);
    this.#wide = new Uint8Array(texts.length);
    texts.forEach(({ ascii, wide }, at) => {
      this.#ascii.set(ascii, at * ASCII_WORDS);
      this.#wide[at] = wide ? 1 : 0;
    });
  }

  /** Whether all characters of one lead back. */
  isWithin(at: number, { ascii, wide }: Loop): boolean {
    if (!wide && this.#wide[at] === 1) return false;
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
  /** What tokens that leave a string have from that character on, by number. */
  readonly suffixes: VocabularyTrie;

  private constructor(
    size: number,
    found: Pick<StringTokens, "suffixes"> & {
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
    for (const [i, token] of tokens.entries()) {
      if (i % PIECE === PIECE - 1) yield;
      const piece = pieces[token] as Uint8Array;
      const end = piece.findIndex(leaves);
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
    });
  }

  /** The tokens that go on with a string where these characters lead back; not to be changed. */
  within(loop: Loop): Uint32Array {
    const known = this.#within.get(loop.key);
    if (known !== undefined) return known;
    const found = new Uint32Array((this.#size + 31) >> 5);
    const { tokens, texts } = this.#going;
    for (let at = 0; at < tokens.length; at++) {
      const token = tokens[at] as number;
      if (texts.isWithin(at, loop)) found[token >> 5] = (found[token >> 5] as number) | (1 << (token & 31));
    }
    const [oldest] = this.#within.keys();
    if (this.#within.size >= MOST_SETS && oldest !== undefined) this.#within.delete(oldest);
    this.#within.set(loop.key, found);
    return found;
  }

  /** The tokens with a suffix whose prefix goes on with a string. */
  *ending(suffix: number, loop: Loop): Generator<number> {
    const { tokens, prefixes } = this.#leaving;
    for (const at of this.#bySuffix[suffix] ?? []) if (prefixes.isWithin(at, loop)) yield tokens[at] as number;
  }
}

function leaves(byte: number): boolean {
  return byte < FIRST_SAFE || byte === QUOTE || byte === BACKSLASH;
}

/** `undefined`: it is not UTF-8, or begins within a character. */
function textOf(bytes: Uint8Array): Text | undefined {
  const ascii = new Uint32Array(ASCII_WORDS);
  let wide = false;
  let end = bytes.length;
  for (const byte of bytes) {
    if (byte < FIRST_WIDE) ascii[byte >> 5] = (ascii[byte >> 5] as number) | (1 << (byte & 31));
    else wide = true;
  }
  if (!wide) return { ascii, wide, cut: false };
  // The last character may lack up to three bytes.
  for (let lacking = 0; lacking <= 3; lacking++, end--) {
    if (lacking > 0 && (bytes[end] ?? 0) < FIRST_WIDE) return undefined;
    if (isText(bytes.subarray(0, end))) {
      const cut = lacking > 0;
      return !cut || mayBegin(bytes.subarray(end)) ? { ascii, wide, cut } : undefined;
    }
  }
  return undefined;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isText(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Whether some character begins with these bytes. */
function mayBegin(bytes: Uint8Array): boolean {
  const [first = 0] = bytes;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  for (const filling of [0x80, 0x90, 0xa0, 0xbf]) {
    if (isText(Uint8Array.from({ length }, (_, at) => bytes[at] ?? filling))) return true;
  }
  return false;
}
