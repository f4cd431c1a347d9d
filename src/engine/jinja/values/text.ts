/**
 * Strings that know which of their characters came from a request. A string without such characters is a plain
 * JavaScript string, so that a template's own text costs nothing extra. Offsets are UTF-16 units.
 */
import { Problem } from "./error.ts";

export const MAX_LENGTH = 32 * 1024 * 1024;
/** Maximum length of a string that is split into characters. */
const MAX_CHARS = 1_000_000;

/** A string with characters of a request, or one that is marked as safe HTML. */
export class Text {
  constructor(
    readonly raw: string,
    /**
     * Sorted, disjoint `[from, to)` pairs, flat. A longer string that begins with this one may have its own after the
     * first `size` numbers, so that a template that puts a text together bit by bit does not copy them each time.
     */
    readonly marks: number[],
    /** HTML that is escaped already, as markupsafe's `Markup`: what is added to it is escaped. */
    readonly markup = false,
    readonly size = marks.length,
  ) {}
}

export type Str = string | Text;

export function isStr(value: unknown): value is Str {
  return typeof value === "string" || value instanceof Text;
}

export function rawOf(text: Str): string {
  return typeof text === "string" ? text : text.raw;
}

/** Which characters came from a request. */
export function inputOf(text: Str): number[] {
  // Not a shared list: a longer string would append its marks to it.
  if (typeof text === "string") return [];
  return text.size === text.marks.length ? text.marks : text.marks.slice(0, text.size);
}

/** Whether a string is marked as safe HTML. */
export function isMarkup(text: unknown): boolean {
  return text instanceof Text && text.markup;
}

/** A string with these marks; a plain one where there are none. */
export function textOf(raw: string, input: number[], markup = false): Str {
  return input.length === 0 && !markup ? raw : new Text(raw, input, markup);
}

/** A string that came from a request as a whole. */
export function inputText(raw: string): Str {
  return raw === "" ? raw : new Text(raw, [0, raw.length]);
}

/** A string marked, or no longer marked, as safe HTML. */
export function withMarkup(text: Str, markup: boolean): Str {
  return isMarkup(text) === markup ? text : textOf(rawOf(text), inputOf(text), markup);
}

/** Adds a string's marks, moved by an offset, to others that end before them. */
function addMarks(marks: number[], text: Text, offset: number, from = 0, to = Infinity): void {
  // A shared list may grow meanwhile.
  const { marks: input, size } = text;
  for (let i = 0; i < size; i += 2) {
    const start = Math.max(input[i] as number, from) - from + offset;
    const end = Math.min(input[i + 1] as number, to) - from + offset;
    if (start < end) marks.push(start, end);
  }
}

/** Merges adjacent pairs. */
function joined(marks: readonly number[]): number[] {
  const result: number[] = [];
  for (let i = 0; i < marks.length; i += 2) {
    const [start, end] = [marks[i] as number, marks[i + 1] as number];
    if (result.length > 0 && result[result.length - 1] === start) result[result.length - 1] = end;
    else result.push(start, end);
  }
  return result;
}

function checkLength(length: number): void {
  if (length > MAX_LENGTH) throw new Problem(`A string grows beyond ${MAX_LENGTH} characters`);
}

function checked(text: string): string {
  checkLength(text.length);
  return text;
}

/** Builds a string from pieces. */
export class TextBuilder {
  #raw = "";
  #marks: number[] = [];

  push(text: Str): void {
    if (typeof text === "string") {
      this.#raw += text;
    } else {
      addMarks(this.#marks, text, this.#raw.length);
      this.#raw += text.raw;
    }
    if (this.#raw.length > MAX_LENGTH) checkLength(this.#raw.length);
  }

  pushSlice(text: Str, from: number, to: number): void {
    const raw = rawOf(text);
    if (typeof text !== "string") addMarks(this.#marks, text, this.#raw.length, from, to);
    this.#raw += raw.slice(from, to);
    if (this.#raw.length > MAX_LENGTH) checkLength(this.#raw.length);
  }

  get raw(): string {
    return this.#raw;
  }

  /** The marks so far, merged. */
  get input(): readonly number[] {
    return joined(this.#marks);
  }

  text(markup = false): Str {
    return textOf(this.#raw, [...this.#marks], markup);
  }
}

/** Concatenates two strings without escaping. */
export function concat(left: Str, right: Str): Str {
  if (typeof left === "string" && typeof right === "string") {
    checkLength(left.length + right.length);
    return left + right;
  }
  if (left === "") return right;
  if (right === "") return left;
  const raw = rawOf(left) + rawOf(right);
  checkLength(raw.length);
  // The longer string shares the marks of the one it begins with; see the class.
  const marks = typeof left === "string" ? [] : inputOf(left);
  if (typeof right !== "string") addMarks(marks, right, rawOf(left).length);
  return textOf(raw, marks);
}

/** A substring. */
export function slice(text: Str, from: number, to: number): Str {
  if (typeof text === "string") return text.slice(from, to);
  if (from === 0 && to === text.raw.length) return text;
  const marks: number[] = [];
  addMarks(marks, text, 0, from, to);
  return textOf(text.raw.slice(from, to), marks, text.markup);
}

/** Joins strings with a separator. */
export function join(separator: Str, parts: readonly Str[]): Str {
  const builder = new TextBuilder();
  parts.forEach((part, i) => {
    if (i > 0) builder.push(separator);
    builder.push(part);
  });
  return builder.text();
}

export function repeat(text: Str, count: number): Str {
  const raw = rawOf(text);
  if (count <= 0 || raw === "") return "";
  checkLength(raw.length * count);
  if (typeof text === "string") return text.repeat(count);
  const marks: number[] = [];
  for (let i = 0; i < count; i++) addMarks(marks, text, i * raw.length);
  return textOf(raw.repeat(count), marks, text.markup);
}

/**
 * A string changed as a whole, for instance to upper case. Where the length stays, each character keeps its mark;
 * otherwise the marked and the unmarked runs are changed one by one.
 */
export function changed(text: Str, change: (raw: string) => string): Str {
  if (typeof text === "string") return checked(change(text));
  const raw = change(text.raw);
  return raw.length === text.raw.length ? textOf(raw, inputOf(text), text.markup) : changedByRuns(text, change);
}

/** Maps a string whose characters are independent, run by run. */
export function changedByRuns(text: Str, change: (raw: string) => string): Str {
  if (typeof text === "string") return checked(change(text));
  const { raw, markup } = text;
  const input = inputOf(text);
  const builder = new TextBuilder();
  let at = 0;
  for (let i = 0; i < input.length; i += 2) {
    const [from, to] = [input[i] as number, input[i + 1] as number];
    builder.push(change(raw.slice(at, from)));
    builder.push(inputText(change(raw.slice(from, to))));
    at = to;
  }
  builder.push(change(raw.slice(at)));
  return builder.text(markup);
}

const SURROGATES = /[\ud800-\udbff][\udc00-\udfff]/;

/** Number of characters (code points, as in Python). */
export function lengthOf(text: Str): number {
  const raw = rawOf(text);
  if (!SURROGATES.test(raw)) return raw.length;
  let count = 0;
  for (const _ of raw) count++;
  return count;
}

/** Offset of a code point in UTF-16 units; the string's length beyond the end. */
export function unitOf(text: Str, index: number): number {
  const raw = rawOf(text);
  if (!SURROGATES.test(raw)) return Math.min(index, raw.length);
  let at = 0;
  for (let left = index; left > 0 && at < raw.length; left--) at += (raw.codePointAt(at) as number) > 0xffff ? 2 : 1;
  return at;
}

/** A string's code points as strings. */
export function charsOf(text: Str): Str[] {
  const raw = rawOf(text);
  if (raw.length > MAX_CHARS) throw new Problem(`A string of more than ${MAX_CHARS} characters is taken apart`);
  if (typeof text === "string") return Array.from(raw);
  const chars: Str[] = [];
  let at = 0;
  for (const char of raw) {
    chars.push(slice(text, at, at + char.length));
    at += char.length;
  }
  return chars;
}

/** Python's white space, as the inside of a character class. */
export const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]`);

/** Whether a UTF-16 unit is white space in Python. */
export function isSpace(unit: number): boolean {
  return unit === 32 || (unit >= 9 && unit <= 13) || (unit > 13 && SPACES.test(String.fromCharCode(unit)));
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

/** Escapes a string as HTML, except safe HTML. Marks are kept. */
export function escapeHtml(text: Str): Str {
  if (isMarkup(text)) return text;
  return withMarkup(
    changedByRuns(text, (raw) => raw.replace(/[&<>"']/g, (char) => ESCAPES[char] as string)),
    true,
  );
}
