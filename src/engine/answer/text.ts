/**
 * Turns token bytes into text that can be sent: only whole characters, and possible prefixes of markers and stop
 * strings are held back.
 */
import { CONTROL_BEGIN, CONTROL_END, TAG_BEGIN, TAG_END } from "../chat/dialect/control_text.ts";

/** Length of the prefix that consists of whole UTF-8 characters. Invalid bytes count as whole: they become U+FFFD. */
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

/** Decodes token bytes incrementally. */
export class Characters {
  #bytes = NO_BYTES;

  /** Adds a token's bytes; returns the characters completed by it. */
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

  /** Adds a token whose text is known to be whole characters; returns the characters completed by it. */
  pushText(text: string): string {
    return this.#bytes.length > 0 ? this.push(encoder.encode(text)) : text;
  }
}

/** A match, or a possible prefix of one at the end of the text. */
export type Found<K> =
  | { readonly kind: K; readonly at: number; readonly end: number }
  | { readonly kind?: undefined; readonly at: number; readonly end?: undefined };

/**
 * Incremental multi-string search. Results do not depend on how the text is chunked. Names of control tokens are
 * skipped.
 */
export class Watch<K> {
  readonly #texts: readonly (readonly [text: string, kind: K])[];
  /** Matches the first character of any text, and of control tokens. */
  readonly #first: RegExp;

  /** @param texts Strings to find, with their kinds; empty ones are ignored. Earlier ones win at the same position. */
  constructor(texts: readonly (readonly [text: string, kind: K])[]) {
    this.#texts = texts.filter(([text]) => text !== "");
    const first = new Set([CONTROL_BEGIN, TAG_BEGIN, ...this.#texts.map(([text]) => text.charAt(0))]);
    const codes = [...first].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
    this.#first = new RegExp(`[${codes.join("")}]`, "g");
  }

  mayBegin(text: string): boolean {
    return this.#next(text, 0) >= 0;
  }

  /** @param final Whether the text is complete. */
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

/** Position after the first occurrence of a marker; -1 if not found. */
export function endOf(text: string, marker: string): number {
  const at = text.indexOf(marker);
  return at < 0 ? -1 : at + marker.length;
}

/** Removes whitespace. */
export function compact(text: string): string {
  return text.replace(/\s+/g, "");
}

/** Text after the first `length` non-whitespace characters. */
export function afterCompact(text: string, length: number): string {
  let at = 0;
  for (let left = length; left > 0; at++) if (text.charAt(at).trim() !== "") left--;
  return text.slice(at);
}
