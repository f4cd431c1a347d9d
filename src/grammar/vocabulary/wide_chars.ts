/** The non-ASCII characters that occur in the tokens of a vocabulary. */
import type { Work } from "../../work/work.ts";

const FIRST_WIDE = 0x80;
/** Tokens per slice of work. */
const PIECE = 256;

/** Answers whether rejecting some characters affects any token. */
export class WideChars {
  /** All of them, in order. */
  readonly #chars: Int32Array;
  /** Ranges of characters that incomplete characters at the end of tokens may become. */
  readonly #cut: readonly (readonly [from: number, to: number])[];

  private constructor(chars: Int32Array, cut: readonly (readonly [from: number, to: number])[]) {
    this.#chars = chars;
    this.#cut = cut;
  }

  /**
   * Collect them.
   *
   * @param tokens Those that are text.
   * @param pieces The bytes of every token.
   */
  static *of(tokens: Int32Array, pieces: readonly Uint8Array[]): Work<WideChars> {
    const chars = new Set<number>();
    const cut = new Map<string, readonly [from: number, to: number]>();
    for (const [i, token] of tokens.entries()) {
      if (i % PIECE === PIECE - 1) yield;
      const piece = pieces[token] as Uint8Array;
      if (piece.every((byte) => byte < FIRST_WIDE)) continue;
      const end = readText(piece, (char) => {
        if (char >= FIRST_WIDE) chars.add(char);
      });
      if (end === undefined || end === piece.length) continue;
      const rest = piece.subarray(end);
      cut.set(rest.join(), rangeOf(rest));
    }
    return new WideChars(Int32Array.from(chars).sort(), [...cut.values()]);
  }

  /** Whether any token needs a character of a range, inclusive. */
  tellsApart(from: number, to: number): boolean {
    let low = 0;
    let high = this.#chars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#chars[middle] as number) < from) low = middle + 1;
      else high = middle;
    }
    if (low < this.#chars.length && (this.#chars[low] as number) <= to) return true;
    return this.#cut.some(([first, last]) => first >= from && last <= to);
  }
}

/** The range of characters that begin with some bytes. */
function rangeOf(bytes: Uint8Array): readonly [from: number, to: number] {
  const [first = 0] = bytes;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  let from = first & (0xff >> (length + 1));
  for (const byte of bytes.subarray(1)) from = from << 6 | byte & 0x3f;
  const lacking = 6 * (length - bytes.length);
  const to = Math.min((from + 1) * 2 ** lacking - 1, 0x10ffff);
  // Overlong encodings and surrogates are not characters.
  const least = length === 4 ? 0x10000 : length === 3 ? 0x800 : FIRST_WIDE;
  return [Math.max(from * 2 ** lacking, least), to >= 0xd800 && to < 0xe000 ? 0xd7ff : to];
}

/**
 * Read UTF-8.
 *
 * @param each Told of each whole character; not only where all of it is UTF-8.
 * @returns Where the beginning of a character is that lacks bytes, or else the end; `undefined`: it is not UTF-8.
 */
export function readText(bytes: Uint8Array, each?: (char: number) => void): number | undefined {
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] as number;
    if (first < FIRST_WIDE) {
      each?.(first);
      at++;
      continue;
    }
    const length = first >= 0xc2 && first < 0xe0
      ? 2
      : first >= 0xe0 && first < 0xf0
      ? 3
      : first >= 0xf0 && first < 0xf5
      ? 4
      : 0;
    if (length === 0) return undefined;
    let char = first & (0xff >> (length + 1));
    for (let i = 1; i < length; i++) {
      const byte = bytes[at + i];
      if (byte === undefined) return at;
      const [least, most] = i === 1 ? secondOf(first) : ANY_SECOND;
      if (byte < least || byte > most) return undefined;
      char = char << 6 | byte & 0x3f;
    }
    each?.(char);
    at += length;
  }
  return bytes.length;
}

const ANY_SECOND = [0x80, 0xbf] as const;

/** Range of the second byte: excludes overlong encodings, surrogates and code points beyond Unicode. */
function secondOf(first: number): readonly [least: number, most: number] {
  switch (first) {
    case 0xe0:
      return [0xa0, 0xbf];
    case 0xed:
      return [0x80, 0x9f];
    case 0xf0:
      return [0x90, 0xbf];
    case 0xf4:
      return [0x80, 0x8f];
    default:
      return ANY_SECOND;
  }
}
