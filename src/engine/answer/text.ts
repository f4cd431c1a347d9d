/**
 * From the bytes of tokens to text that may be sent: characters are whole, and what may be the beginning of something
 * that is looked for is held back.
 */

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

/** Stand around the name of a control token, so that text that spells the name is not taken for the token. */
const CONTROL_BEGIN = "\uFFFE";
const CONTROL_END = "\uFFFF";
/** Stand around the name of a token that is text to the reader of the answer unless it is part of a marker. */
const TAG_BEGIN = "\uFDD0";
const TAG_END = "\uFDD1";
const CONTROL = /\uFFFE[^\uFFFF]*\uFFFF|[\uFDD0\uFDD1]/g;
const WRAPPED = /[\uFFFE\uFFFF\uFDD0\uFDD1]/;
const WRAPPINGS = /[\uFFFE\uFFFF\uFDD0\uFDD1]/g;

/** The text that stands for a control token in what a parser reads. */
export function controlText(name: string): string {
  return `${CONTROL_BEGIN}${name}${CONTROL_END}`;
}

/** The text that stands for a token that is a marker to a parser, and text to everybody else. */
export function tagText(name: string): string {
  return `${TAG_BEGIN}${name}${TAG_END}`;
}

/** Whether a text begins with a control token. */
export function beginsWithControl(text: string): boolean {
  return text.startsWith(CONTROL_BEGIN) || text.startsWith(TAG_BEGIN);
}

/** What a reader of the answer sees: no control tokens, and the names of other tokens. */
export function withoutControls(text: string): string {
  return WRAPPED.test(text) ? text.replace(CONTROL, "") : text;
}

/** The same with control tokens as their names. */
export function withControlNames(text: string): string {
  return WRAPPED.test(text) ? text.replace(WRAPPINGS, "") : text;
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
   * @param texts What to look for, and what it is; empty ones are ignored. Where several begin at one place, the one
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
