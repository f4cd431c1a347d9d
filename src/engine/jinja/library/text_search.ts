/** Finding, cutting and splitting strings as Python's `str` does; the pieces keep their marks. */
import { Problem } from "../values/error.ts";
import { charsOf, isMarkup, isSpace, lengthOf, rawOf, slice, type Str, TextBuilder, unitOf } from "../values/text.ts";
import { checkItems } from "../values/values.ts";

/** Removes white space, or characters out of a set, from the ends. */
export function strip(text: Str, chars: Str | undefined, left = true, right = true): Str {
  const raw = rawOf(text);
  let from = 0;
  let to = raw.length;
  if (chars === undefined) {
    if (left) { while (from < to && isSpace(raw.charCodeAt(from))) from++; }
    if (right) { while (to > from && isSpace(raw.charCodeAt(to - 1))) to--; }
    return slice(text, from, to);
  }
  const set = new Set(rawOf(chars));
  if (left) {
    for (const char of raw) {
      if (!set.has(char)) break;
      from += char.length;
    }
  }
  while (right && to > from) {
    const code = raw.codePointAt(to - 2) ?? 0;
    const length = to - from > 1 && code > 0xffff ? 2 : 1;
    if (!set.has(raw.slice(to - length, to))) break;
    to -= length;
  }
  return slice(text, from, to);
}

/** Splits at a separator, at most so often; from the right, if asked for. */
export function split(text: Str, separator: Str | undefined, most: number, fromRight = false): Str[] {
  if (separator === undefined) return splitAtSpaces(text, most, fromRight);
  const [raw, cut] = [rawOf(text), rawOf(separator)];
  if (cut === "") throw new Problem("empty separator");
  const parts: Str[] = [];
  const limit = most < 0 ? Infinity : most;
  if (fromRight) {
    let to = raw.length;
    while (parts.length < limit) {
      const at = to < cut.length ? -1 : raw.lastIndexOf(cut, to - cut.length);
      if (at < 0) break;
      parts.push(slice(text, at + cut.length, to));
      checkItems(parts.length);
      to = at;
    }
    return [...parts, slice(text, 0, to)].reverse();
  }
  let from = 0;
  while (parts.length < limit) {
    const at = raw.indexOf(cut, from);
    if (at < 0) break;
    parts.push(slice(text, from, at));
    checkItems(parts.length);
    from = at + cut.length;
  }
  parts.push(slice(text, from, raw.length));
  return parts;
}

function splitAtSpaces(text: Str, most: number, fromRight: boolean): Str[] {
  const raw = rawOf(text);
  const limit = most < 0 ? Infinity : most;
  const words: [from: number, to: number][] = [];
  let at = 0;
  while (at < raw.length) {
    while (at < raw.length && isSpace(raw.charCodeAt(at))) at++;
    const from = at;
    while (at < raw.length && !isSpace(raw.charCodeAt(at))) at++;
    if (at > from) words.push([from, at]);
    checkItems(words.length);
  }
  const cut = ([from, to]: [number, number]): Str => slice(text, from, to);
  if (words.length <= limit) return words.map(cut);
  if (fromRight) {
    const first = words.length - limit;
    const end = words[first - 1]?.[1] ?? 0;
    return [strip(slice(text, 0, end), undefined, false), ...words.slice(first).map(cut)];
  }
  const rest = words[limit]?.[0] ?? raw.length;
  return [...words.slice(0, limit).map(cut), strip(slice(text, rest, raw.length), undefined, true, false)];
}

// deno-lint-ignore no-control-regex
const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g;

export function splitLines(text: Str, keepEnds = false): Str[] {
  const raw = rawOf(text);
  const lines: Str[] = [];
  let from = 0;
  for (const match of raw.matchAll(LINE_END)) {
    const end = match.index + match[0].length;
    lines.push(slice(text, from, keepEnds ? end : match.index));
    checkItems(lines.length);
    from = end;
  }
  if (from < raw.length) lines.push(slice(text, from, raw.length));
  return lines;
}

/** Replaces a part wherever it is, at most so often. */
export function replace(text: Str, old: Str, replacement: Str, most = -1): Str {
  const [raw, part] = [rawOf(text), rawOf(old)];
  const limit = most < 0 ? Infinity : most;
  const builder = new TextBuilder();
  let from = 0;
  if (part === "") {
    const chars = charsOf(text);
    chars.slice(0, limit).forEach((char) => {
      builder.push(replacement);
      builder.push(char);
      from += rawOf(char).length;
    });
    if (limit > chars.length) builder.push(replacement);
  } else {
    for (let count = 0; count < limit; count++) {
      const at = raw.indexOf(part, from);
      if (at < 0) break;
      builder.pushSlice(text, from, at);
      builder.push(replacement);
      from = at + part.length;
    }
    if (from === 0) return text;
  }
  builder.pushSlice(text, from, raw.length);
  return builder.text(isMarkup(text));
}

/** A part of a string between two of Python's indices, and where it begins. */
export function window(text: Str, start: number | undefined, end: number | undefined): { part: Str; from: number } {
  const length = lengthOf(text);
  const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + length : at, 0), length);
  const [from, to] = [start === undefined ? 0 : clamp(start), end === undefined ? length : clamp(end)];
  if (from > to || (start ?? 0) > length) return { part: "", from: -1 };
  return { part: slice(text, unitOf(text, from), unitOf(text, to)), from };
}

/** Index of a part as Python counts, or -1. */
export function find(text: Str, part: Str, start: number | undefined, end: number | undefined, last = false): number {
  const { part: within, from } = window(text, start, end);
  if (from < 0) return -1;
  const raw = rawOf(within);
  const at = last ? raw.lastIndexOf(rawOf(part)) : raw.indexOf(rawOf(part));
  return at < 0 ? -1 : from + lengthOf(raw.slice(0, at));
}

/** How often a part occurs, without overlap. */
export function count(text: Str, part: Str, start: number | undefined, end: number | undefined): number {
  const { part: within, from } = window(text, start, end);
  if (from < 0) return 0;
  const raw = rawOf(within);
  return rawOf(part) === "" ? lengthOf(raw) + 1 : occurrences(raw, rawOf(part));
}

function occurrences(raw: string, part: string): number {
  let found = 0;
  for (let at = raw.indexOf(part); at >= 0; at = raw.indexOf(part, at + part.length)) found++;
  return found;
}
