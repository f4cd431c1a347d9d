/**
 * Parses a JSON text that comes in pieces, with the result of `JSON.parse`: a text of many megabytes takes that a tenth
 * of a second or more at once, and whoever reads it has others to serve.
 */

import { JoinedText, LONG_TEXT_LENGTH } from "@inferd/client/protocol";

/** The text has more values than allowed. */
export class TooManyValuesError extends Error {
  override readonly name = "TooManyValuesError";
}

/** Longer numbers are refused: they end late, and mean nothing. */
const MAX_NUMBER_LENGTH = 1024 * 1024;
/**
 * Longer keys are refused: V8 hashes them by their length alone, so that each is compared with all others, which takes
 * twenty seconds for 60 MiB.
 */
const MAX_KEY_LENGTH = 16 * 1024 - 1;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const BRACKET_END = 0x5d;
const LOWER_U = 0x75;
const BRACE = 0x7b;
const BRACE_END = 0x7d;

/** Characters of `\u0000`. */
const ESCAPE_LENGTH = 6;

type JsonRecord = Record<string, unknown>;

/** An object or array that is not complete. */
type Container =
  | { readonly array: unknown[]; readonly object?: never }
  | { readonly object: JsonRecord; readonly array?: never; key: string };

/** What may come next; `member` is a key or a value that follows a comma, `first` may also be the end. */
type Expected = "value" | "first value" | "key" | "first key" | "colon" | "comma" | "nothing";

export interface GradualParserOptions {
  /** Maximum number of values, counted as in `isBoundedJson`; default: unlimited. */
  readonly maxValues?: number;
  /** Whether long texts are given in parts, as `JoinedText`; keys never are. */
  readonly inParts?: boolean;
}

export class GradualParser {
  readonly #maxValues: number;
  readonly #inParts: boolean;
  readonly #open: Container[] = [];
  #expected: Expected = "value";
  #value: unknown;
  #values = 1;
  /** The parts of a string so far; absent: the text is not inside one. */
  #string: string[] | undefined;
  /** The beginning of an escape sequence in a string, or of a number, `true`, `false` or `null`. */
  #begun = "";

  constructor({ maxValues = Infinity, inParts = false }: GradualParserOptions = {}) {
    this.#maxValues = maxValues;
    this.#inParts = inParts;
  }

  /** How many values there are so far, counted as in `isBoundedJson`. */
  get values(): number {
    return this.#values;
  }

  /** Whether there has been nothing but white space. */
  get isBlank(): boolean {
    return this.#expected === "value" && this.#open.length === 0 && this.#begun === "" && this.#string === undefined;
  }

  /**
   * Parse the next piece. After an error the parser is unusable.
   *
   * @throws {SyntaxError} If it is not JSON.
   * @throws {TooManyValuesError} If it has too many values.
   */
  feed(piece: string): void {
    let at = 0;
    if (this.#string !== undefined) at = this.#continueString(piece, at);
    else if (this.#begun !== "") at = this.#readScalar(piece, at);
    while (at < piece.length) {
      const code = piece.charCodeAt(at);
      switch (code) {
        case SPACE:
        case LINE_FEED:
        case CARRIAGE_RETURN:
        case TAB:
          at++;
          break;
        case QUOTE:
          at = this.#readString(piece, at);
          break;
        case COMMA:
          this.#takeComma();
          at++;
          break;
        case COLON:
          this.#expect("colon");
          this.#expected = "value";
          at++;
          break;
        case BRACKET:
        case BRACE:
          this.#begin(code === BRACE ? { object: {}, key: "" } : { array: [] });
          at++;
          break;
        case BRACKET_END:
        case BRACE_END:
          this.#end(code === BRACE_END);
          at++;
          break;
        default:
          at = this.#readScalar(piece, at);
      }
    }
  }

  /**
   * The text is complete.
   *
   * @throws {SyntaxError} If it is not JSON.
   */
  finish(): unknown {
    if (this.#begun !== "" && this.#string === undefined) this.#finishScalar();
    if (this.#expected !== "nothing") throw new SyntaxError("The JSON text ends too early");
    return this.#value;
  }

  #expect(...expected: readonly Expected[]): void {
    if (!expected.includes(this.#expected)) throw new SyntaxError("The JSON text has something out of place");
  }

  #count(): void {
    if (++this.#values > this.#maxValues) throw new TooManyValuesError("The JSON text has too many values");
  }

  #takeComma(): void {
    this.#expect("comma");
    this.#count();
    this.#expected = this.#open.at(-1)?.object === undefined ? "value" : "key";
  }

  #begin(container: Container): void {
    this.#expect("value", "first value");
    this.#count();
    this.#open.push(container);
    this.#expected = container.object === undefined ? "first value" : "first key";
  }

  #end(isObject: boolean): void {
    const container = this.#open.pop();
    if (container === undefined || (container.object !== undefined) !== isObject) {
      throw new SyntaxError("The JSON text has something out of place");
    }
    this.#expect("comma", isObject ? "first key" : "first value");
    this.#add(container.object ?? container.array);
  }

  /** Put a complete value where it belongs. */
  #add(value: unknown): void {
    const container = this.#open.at(-1);
    this.#expected = container === undefined ? "nothing" : "comma";
    if (container === undefined) this.#value = value;
    else if (container.object === undefined) container.array.push(value);
    // Assigning it would set the prototype.
    else if (container.key === "__proto__") {
      Object.defineProperty(container.object, container.key, {
        value,
        configurable: true,
        enumerable: true,
        writable: true,
      });
    } else container.object[container.key] = value;
  }

  #readString(piece: string, start: number): number {
    this.#expect("value", "first value", "key", "first key");
    const end = endOfString(piece, start + 1);
    if (end !== -1) {
      this.#addString(JSON.parse(piece.slice(start, end + 1)) as string);
      return end + 1;
    }
    this.#string = [];
    return this.#continueString(piece, start + 1);
  }

  #continueString(piece: string, start: number): number {
    const begun = this.#begun;
    const end = endOfString(begun === "" ? piece : begun + piece, start);
    const raw = begun + piece.slice(start, end === -1 ? undefined : end - begun.length);
    const length = end === -1 ? lengthWithoutEscape(raw) : raw.length;
    this.#begun = raw.slice(length);
    const parts = this.#string ?? [];
    parts.push(JSON.parse(`"${raw.slice(0, length)}"`) as string);
    if (end === -1) return piece.length;
    this.#string = undefined;
    const text = new JoinedText(wholeCharacters(parts));
    this.#addString(this.#inParts && text.length >= LONG_TEXT_LENGTH ? text : text.toString());
    return end - begun.length + 1;
  }

  #addString(string: string | JoinedText): void {
    const container = this.#open.at(-1);
    if (this.#expected !== "key" && this.#expected !== "first key") return this.#add(string);
    if (string.length > MAX_KEY_LENGTH) throw new SyntaxError("The JSON text has a key that is too long");
    if (container?.object !== undefined) container.key = string.toString();
    this.#expected = "colon";
  }

  #readScalar(piece: string, start: number): number {
    if (this.#begun === "") this.#expect("value", "first value");
    let end = start;
    while (end < piece.length && !isDelimiter(piece.charCodeAt(end))) end++;
    this.#begun += piece.slice(start, end);
    if (this.#begun.length > MAX_NUMBER_LENGTH) throw new SyntaxError("The JSON text has a number that is too long");
    if (end < piece.length) this.#finishScalar();
    return end;
  }

  #finishScalar(): void {
    // Only numbers and words get here, or what the parser refuses.
    const value: unknown = JSON.parse(this.#begun);
    this.#begun = "";
    this.#add(value);
  }
}

/** The same text in parts of which none ends within a pair, as one can that was escaped. */
function wholeCharacters(parts: readonly string[]): string[] {
  let half = "";
  return parts.map((part, index) => {
    const text = half + part;
    const endsInHalf = index < parts.length - 1 && /[\ud800-\udbff]$/.test(text.slice(-1));
    half = endsInHalf ? text.slice(-1) : "";
    return endsInHalf ? text.slice(0, -1) : text;
  });
}

/** Whether a number or word ends before this character. */
function isDelimiter(code: number): boolean {
  return code === COMMA || code === BRACKET_END || code === BRACE_END || code === SPACE || code === LINE_FEED ||
    code === CARRIAGE_RETURN || code === TAB || code === QUOTE || code === COLON || code === BRACKET || code === BRACE;
}

/** Position of the quote that ends a string; -1 if it does not end. `start` is not inside an escape sequence. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end !== -1) {
    let escapes = end;
    while (escapes > start && text.charCodeAt(escapes - 1) === BACKSLASH) escapes--;
    if ((end - escapes) % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return -1;
}

/** The length of the text without an incomplete escape sequence at its end. */
function lengthWithoutEscape(raw: string): number {
  const last = raw.lastIndexOf("\\");
  if (last === -1 || last < raw.length - ESCAPE_LENGTH) return raw.length;
  let first = last;
  while (first > 0 && raw.charCodeAt(first - 1) === BACKSLASH) first--;
  // A pair of them is one character.
  if ((last - first) % 2 === 1) return raw.length;
  const length = raw.charCodeAt(last + 1) === LOWER_U ? ESCAPE_LENGTH : 2;
  return last + length > raw.length ? last : raw.length;
}
