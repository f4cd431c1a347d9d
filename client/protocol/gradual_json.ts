/**
 * Writes a value as JSON in pieces, with the bytes of `JSON.stringify`: many megabytes take that a tenth of a second at
 * once, and whoever sends them has others to serve.
 *
 * @module
 */

/** Values with more characters than this are written in pieces, and texts in pieces of this many. */
const PIECE_LENGTH = 256 * 1024;
/**
 * Texts of at least so many UTF-16 units are long: to copy one together takes three milliseconds or more, so that whoever
 * can use its parts should.
 */
export const LONG_TEXT_LENGTH: number = 4 * 1024 * 1024;

/** A piece is made of so many texts at most: each takes time, too. */
const PIECE_TEXTS = 8 * 1024;
/** What a value takes beside its characters. */
const VALUE_LENGTH = 4;

const encoder = new TextEncoder();

/**
 * A long text in parts, which {@linkcode gradualJson} writes one after the other: joining them would copy all of it at
 * once.
 *
 * @example
 * ```ts
 * import { gradualJson, JoinedText } from "@inferd/client/protocol";
 *
 * const picture = new JoinedText(["data:image/png;base64,", "iVBORw0KGgo="]);
 * console.assert(picture.length === 34);
 * console.assert([...gradualJson({ url: picture })].length === 1);
 * ```
 */
export class JoinedText {
  /** In order; none ends within a character. */
  readonly parts: readonly string[];
  readonly #length: number;

  /**
   * Create a text.
   *
   * @param parts In order; none ends within a character.
   */
  constructor(parts: readonly string[]) {
    this.parts = parts;
    this.#length = parts.reduce((length, part) => length + part.length, 0);
  }

  /**
   * Its length.
   *
   * @returns The number of UTF-16 units.
   */
  get length(): number {
    return this.#length;
  }

  /**
   * The whole text. It is copied together only when somebody looks into it, which takes 40 ms for 60 MiB.
   *
   * @returns One string.
   */
  toString(): string {
    return this.parts.reduce((all, part) => all + part, "");
  }

  /**
   * For `JSON.stringify`.
   *
   * @returns The whole text.
   */
  toJSON(): string {
    return this.toString();
  }
}

/**
 * A value whose JSON is the content of a text, as OpenAI's API has the arguments of calls: {@linkcode gradualJson} makes
 * both in pieces.
 *
 * @example
 * ```ts
 * import { JsonText } from "@inferd/client/protocol";
 *
 * const call = { name: "weather", arguments: new JsonText({ place: "Bern" }) };
 * console.assert(JSON.stringify(call) === JSON.stringify({ name: "weather", arguments: '{"place":"Bern"}' }));
 * ```
 */
export class JsonText {
  /** The value. */
  readonly value: unknown;

  /**
   * Create a text.
   *
   * @param value As for {@linkcode isLonger}.
   */
  constructor(value: unknown) {
    this.value = value;
  }

  /**
   * For `JSON.stringify`.
   *
   * @returns The whole text.
   */
  toJSON(): string {
    return JSON.stringify(this.value) ?? "null";
  }
}

/** A text, which may be in parts if it is long. */
export type LongText = string | JoinedText;

/**
 * Whether a value is a text.
 *
 * @param value Any value.
 * @returns Whether it is a string, or a text in parts.
 */
export function isText(value: unknown): value is LongText {
  return typeof value === "string" || value instanceof JoinedText;
}

/**
 * The parts of a text.
 *
 * @param text The text.
 * @returns In order; none ends within a character.
 */
export function partsOf(text: LongText): readonly string[] {
  return typeof text === "string" ? [text] : text.parts;
}

/**
 * Put texts together without copying long ones.
 *
 * @param texts In order.
 * @param separator Between each two.
 * @returns In parts if it is long.
 */
export function joined(texts: readonly LongText[], separator = ""): LongText {
  const [only] = texts;
  if (only !== undefined && texts.length === 1) return only;
  const text = new JoinedText(
    texts.flatMap((text, index) => index === 0 || separator === "" ? partsOf(text) : [separator, ...partsOf(text)]),
  );
  return text.length < LONG_TEXT_LENGTH ? text.toString() : text;
}

/**
 * Whether a value takes so long to write that it should be written in pieces.
 *
 * @param value As for {@linkcode isLonger}.
 * @returns Whether it does.
 */
export function isLarge(value: unknown): boolean {
  return isLonger(value, PIECE_LENGTH);
}

/**
 * Whether the texts of a value, with a little for each value in it, have more characters than this. Looks at no more of
 * it than that.
 *
 * @param value Consists of what JSON can express, of texts in parts, and of fields that are undefined.
 * @param characters The limit, in UTF-16 units.
 * @returns Whether they have.
 */
export function isLonger(value: unknown, characters: number): boolean {
  return lengthLeft(value, characters) < 0;
}

/** How many of `left` characters a value leaves; negative: it has more. */
function lengthLeft(value: unknown, left: number): number {
  if (typeof value === "string") return left - value.length;
  if (value instanceof JoinedText) return left - value.length;
  if (typeof value !== "object" || value === null) return left - VALUE_LENGTH;
  let rest = left - VALUE_LENGTH;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && rest >= 0; i++) rest = lengthLeft(value[i], rest);
    return rest;
  }
  for (const key in value) {
    rest = lengthLeft((value as Record<string, unknown>)[key], rest - key.length);
    if (rest < 0) break;
  }
  return rest;
}

/**
 * Write a value as JSON.
 *
 * @param value As for {@linkcode isLonger}.
 * @param end Written after it.
 * @returns The pieces, each made when it is asked for.
 */
export function* gradualJson(value: unknown, end = ""): Generator<Uint8Array<ArrayBuffer>, void> {
  let texts: string[] = [];
  let length = 0;
  for (const text of textsOf(value)) {
    texts.push(text);
    if ((length += text.length) < PIECE_LENGTH && texts.length < PIECE_TEXTS) continue;
    yield encoder.encode(texts.join(""));
    texts = [];
    length = 0;
  }
  yield encoder.encode(texts.join("") + end);
}

function* textsOf(value: unknown): Generator<string, void> {
  if (!isLarge(value)) return yield JSON.stringify(value) ?? "null";
  if (typeof value === "string") return yield* stringTexts([value]);
  if (value instanceof JoinedText) return yield* stringTexts(value.parts);
  if (value instanceof JsonText) return yield* stringTexts(textsOf(value.value));
  let separator = "";
  if (Array.isArray(value)) {
    yield "[";
    for (const element of value) {
      yield separator;
      yield* textsOf(element);
      separator = ",";
    }
    return yield "]";
  }
  yield "{";
  for (const [key, field] of Object.entries(value as object)) {
    if (field === undefined) continue;
    yield `${separator}${JSON.stringify(key)}:`;
    yield* textsOf(field);
    separator = ",";
  }
  yield "}";
}

function* stringTexts(parts: Iterable<string>): Generator<string, void> {
  yield '"';
  for (const text of parts) {
    for (let at = 0; at < text.length;) {
      let end = Math.min(at + PIECE_LENGTH, text.length);
      // Halves of a pair would be escaped.
      if (end < text.length && isLeadingHalf(text.charCodeAt(end - 1))) end--;
      yield JSON.stringify(text.slice(at, end)).slice(1, -1);
      at = end;
    }
  }
  yield '"';
}

function isLeadingHalf(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}
