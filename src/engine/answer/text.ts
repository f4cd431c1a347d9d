/**
 * From token bytes to text that may be sent: whole characters only, and what may be the beginning of a marker or stop
 * string is held back.
 */
import { CONTROL_BEGIN, CONTROL_END, TAG_BEGIN, TAG_END } from "../chat/dialect/control_text.ts";

/**
 * How many of these bytes can be sent as whole characters. Bytes that can never become a character count as whole: they
 * are rendered as U+FFFD.
 */
export function wholeCharacters(bytes: Uint8Array): number {
  const last = bytes.length - 1;
  for (let back = 0; back < 3 && back <= last; back++) {
    const byte = bytes[last - back] as number;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return byte > 0xf4 || back + 1 >= length ? bytes.length : last - back;
    }
  }
  return bytes.length;
}

const NO_BYTES = new Uint8Array(0);
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Makes the bytes of tokens whole characters. */
export class Characters {
  #bytes = NO_BYTES;

  /** Take a token's bytes; returns the characters that are whole by now. */
  push(piece: Uint8Array): string {
    let bytes = piece;
    if (this.#bytes.length > 0) {
      bytes = new Uint8Array(this.#bytes.length + piece.length);
      bytes.set(this.#bytes);
      bytes.set(piece, this.#bytes.length);
    }
    const whole = wholeCharacters(bytes);
    this.#bytes = whole === bytes.length ? NO_BYTES : bytes.slice(whole);
    return decoder.decode(bytes.subarray(0, whole));
  }

  /** Take a token's text where it is known to be whole characters; returns the characters that are whole by now. */
  pushText(text: string): string {
    return this.#bytes.length > 0 ? this.push(encoder.encode(text)) : text;
  }
}

/** Where something was found; or where something may have begun, at the end of the text. */
export type Found<K> =
  | { readonly kind: K; readonly at: number; readonly end: number }
  | { readonly kind?: undefined; readonly at: number; readonly end?: undefined };

/**
 * Texts that are looked for in a text that is still coming. What is found does not depend on how the text is cut. In
 * the name of a control token nothing is found.
 */
export class Watch<K> {
  readonly #texts: readonly (readonly [text: string, kind: K])[];
  /** What any of them begins with, and control tokens. */
  readonly #first: RegExp;

  /**
   * @param texts What to look for, and what it is; empty ones are ignored. Where several begin at one position, the one
   *   that stands first here counts.
   */
  constructor(texts: readonly (readonly [text: string, kind: K])[]) {
    this.#texts = texts.filter(([text]) => text !== "");
    const first = new Set([CONTROL_BEGIN, TAG_BEGIN, ...this.#texts.map(([text]) => text.charAt(0))]);
    const codes = [...first].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
    this.#first = new RegExp(`[${codes.join("")}]`, "g");
  }

  /** Whether anything may begin in a text. */
  mayBegin(text: string): boolean {
    return this.#next(text, 0) >= 0;
  }

  /**
   * What begins first.
   *
   * @param text The text so far.
   * @param final Whether that is all of it.
   */
  find(text: string, final = false): Found<K> | undefined {
    for (let at = this.#next(text, 0); at >= 0; at = this.#next(text, at + 1)) {
      for (const [wanted, kind] of this.#texts) {
        if (text.startsWith(wanted, at)) return { kind, at, end: at + wanted.length };
        if (!final && text.length - at < wanted.length && wanted.startsWith(text.slice(at))) return { at };
      }
      const begin = text[at];
      if (begin !== CONTROL_BEGIN && begin !== TAG_BEGIN) continue;
      const end = text.indexOf(begin === CONTROL_BEGIN ? CONTROL_END : TAG_END, at);
      if (end < 0) return final ? undefined : { at };
      at = end;
    }
    return undefined;
  }

  #next(text: string, from: number): number {
    this.#first.lastIndex = from;
    return this.#first.exec(text)?.index ?? -1;
  }
}

/** Where a text's first marker ends; -1 if it has none. */
export function endOf(text: string, marker: string): number {
  const at = text.indexOf(marker);
  return at < 0 ? -1 : at + marker.length;
}

/** A text without its space. */
export function compact(text: string): string {
  return text.replace(/\s+/g, "");
}

/** What follows the first `length` characters, white space not counted. */
export function afterCompact(text: string, length: number): string {
  let at = 0;
  for (let left = length; left > 0; at++) if (text.charAt(at).trim() !== "") left--;
  return text.slice(at);
}
