/**
 * How a grammar spells a call: the parts around its arguments, and the arguments in each of the forms that families
 * have, valid under the tool's schema.
 */
import type { ArgumentsForm, CallForm, CallPart, JsonType } from "../chat/dialect/dialect.ts";
import { type Marker, textOf } from "../chat/dialect/marker.ts";
import { type GrammarSymbol, MAX_CODE_POINT } from "../../grammar/gbnf.ts";
import type { GrammarBuilder } from "../../grammar/grammar_builder.ts";
import type { Notation, ObjectNotation } from "../../grammar/json_schema/json_schema.ts";
import { JSON_SPELLING, type Spelling } from "../../grammar/json_schema/json_values.ts";
import { withControlNames } from "../chat/dialect/control_text.ts";

const ANY = [0, MAX_CODE_POINT];
const WORD = [0x2d, 0x2e, 0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const LETTERS_AND_DIGITS = [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a];
const DIGIT = [0x30, 0x39];
/** What a name of an argument may not hold where nothing says which there are. */
const KEY_CHARS = [0x23, 0x25, 0x2d, 0x2e, 0x30, 0x39, 0x40, 0x5a, 0x5f, 0x5f, 0x61, 0x7a, 0xa1, MAX_CODE_POINT];
const MOST_ID = 64;
const SHORT_ID = 9;

const PYTHON_WORDS = { true: ["True", "true"], false: ["False", "false"], null: ["None", "null"] } as const;

/** A marker as a grammar has it. */
export function markerSymbols(marker: Marker, b: GrammarBuilder): GrammarSymbol[] {
  return marker.flatMap((part) => typeof part === "string" ? b.text(part) : b.token(part.token));
}

/** Parts of a call, with the tool's name filled in. */
export function partSymbols(
  parts: readonly CallPart[],
  { name, ids }: { name: string; ids: CallForm["ids"] },
  b: GrammarBuilder,
): GrammarSymbol[] {
  return parts.flatMap((part): GrammarSymbol[] => {
    switch (part.type) {
      case "text":
        return markerSymbols(part.text, b);
      case "name":
        return b.text(name);
      case "id":
        return ids === "short"
          ? b.repeat(b.chars(LETTERS_AND_DIGITS), SHORT_ID, SHORT_ID)
          : b.repeat(b.chars(WORD), 1, MOST_ID);
      case "index":
        return b.repeat(b.chars(DIGIT), 1, 3);
    }
  });
}

/**
 * How arguments are written.
 *
 * @param form The family's.
 * @param after What follows the last argument, as text.
 */
export function notationOf(form: ArgumentsForm, after: string, b: GrammarBuilder): Notation {
  switch (form.type) {
    case "json":
      return { name: "json", spelling: JSON_SPELLING };
    case "gemma":
      return gemma(form.quote, b);
    case "python":
      return keywords(form.quote, b);
    case "elements":
      return elements(form, after, b);
    case "nested":
      return nested(form, after, b);
  }
}

/** Nested values as Python prints them. */
const PYTHON: Spelling = {
  name: "python",
  words: PYTHON_WORDS,
  text: (b, text) => b.choice([b.text(pythonString(text)), b.text(JSON.stringify(text))]),
  string: (b, least, most) => b.choice([quotedBy(b, "'", { least, most }), quotedBy(b, '"', { least, most })]),
  quoted: (b, characters) => b.choice([[...b.text("'"), ...characters, ...b.text("'")]]),
};

function pythonString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return quote + escaped.replaceAll(quote, `\\${quote}`) + quote;
}

function quotedBy(b: GrammarBuilder, quote: string, { least, most }: { least: number; most: number }): GrammarSymbol[] {
  const code = quote.charCodeAt(0);
  const plain = [0x20, 0x21, 0x23, 0x26, 0x28, 0x5b, 0x5d, MAX_CODE_POINT];
  const other = quote === "'" ? 0x22 : 0x27;
  const char = b.choice([
    b.chars([...plain, other, other].toSorted((x, y) => x - y)),
    [...b.text("\\"), ...b.chars([0x22, 0x22, 0x27, 0x27, 0x5c, 0x5c, 0x6e, 0x6e, 0x72, 0x72, 0x74, 0x74])],
    [...b.text("\\x"), ...b.repeat(b.chars([0x30, 0x39, 0x61, 0x66]), 2, 2)],
  ]);
  return [...b.chars([code, code]), ...b.repeat(char, least, most), ...b.chars([code, code])];
}

/** Strings as they are, up to what ends them. */
function rawSpelling(name: string, stops: readonly string[], base: Spelling): Spelling {
  return {
    ...base,
    name,
    text: (b, text) => b.text(text),
    string: (b, least, most) =>
      least === 0 && most === Infinity
        ? stops.length === 0 ? b.repeat(b.chars(ANY), 0, Infinity) : b.textWithout(stops)
        : b.repeat(b.chars(ANY), least, most),
    quoted: (_, characters) => characters,
  };
}

function elements(form: Extract<ArgumentsForm, { type: "elements" }>, after: string, b: GrammarBuilder): Notation {
  const { open, afterKey, close, between, style } = form;
  const inner: Notation = {
    name: style,
    spelling: style === "python" ? { ...PYTHON, name: "python words" } : JSON_SPELLING,
    ...(style === "python"
      ? { also: { name: "json", spelling: { ...JSON_SPELLING, name: "json words", words: PYTHON_WORDS } } }
      : {}),
  };
  const isText = close.every((part) => typeof part === "string");
  const closing = textOf(close);
  // A marker within a string counts only where what has to follow it does.
  const stops = isText ? [`${closing}${plain(between)}${plain(open)}`, `${closing}${after}`].map(withControlNames) : [];
  const raw = rawSpelling(
    `raw ${style}`,
    stops,
    style === "python" ? { ...PYTHON, words: PYTHON_WORDS } : JSON_SPELLING,
  );
  const prefixes = new Map<JsonType, GrammarSymbol[]>();
  for (const { types, text } of afterKey) for (const type of types) prefixes.set(type, markerSymbols(text, b));
  const usual = prefixes.get("string") ?? [];
  const values: Notation = {
    name: `element ${style}`,
    spelling: raw,
    before: (type) => prefixes.get(type) ?? prefixes.get("object") ?? usual,
    inner,
  };
  const object: ObjectNotation = {
    open: [],
    close: [],
    separator: markerSymbols(between, b),
    beforeKey: markerSymbols(open, b),
    anyKey: b.repeat(b.chars(KEY_CHARS), 1, MOST_ID),
    afterKey: [],
    afterValue: () => markerSymbols(close, b),
    values: () => values,
  };
  return { name: "elements", spelling: raw, object };
}

function keywords(quote: string, b: GrammarBuilder): Notation {
  // As templates write them: quotes within a string are not escaped, and only what follows ends it.
  const stops = [`${quote})`, `${quote},`];
  const any = (least: number, most: number): GrammarSymbol[] => [
    ...b.text(quote),
    ...(least === 0 && most === Infinity ? b.textWithout(stops) : b.repeat(b.chars(ANY), least, most)),
    ...b.text(quote),
  ];
  const spelling: Spelling = {
    name: "python arguments",
    words: PYTHON_WORDS,
    text: (b, text) => b.choice([b.text(quote + text + quote), b.text(JSON.stringify(text))]),
    string: (_, least, most) => any(least, most),
    quoted: (b, characters) => [...b.text(quote), ...characters, ...b.text(quote)],
  };
  const inner: Notation = {
    name: "json words",
    spelling: { ...JSON_SPELLING, name: "json words", words: PYTHON_WORDS },
    also: { name: "python words", spelling: { ...PYTHON, name: "python words" } },
  };
  const values: Notation = { name: "keyword", spelling, inner };
  return {
    name: "keywords",
    spelling,
    object: {
      open: b.text("("),
      close: b.text(")"),
      separator: [...b.text(","), ...b.optional(b.text(" "))],
      beforeKey: [],
      anyKey: b.repeat(b.chars(WORD), 1, MOST_ID),
      afterKey: b.text("="),
      afterValue: () => [],
      values: () => values,
    },
  };
}

function gemma(quote: Marker, b: GrammarBuilder): Notation {
  const quotes = markerSymbols(quote, b);
  const stops = quote.every((part) => typeof part === "string") ? [textOf(quote)] : [];
  const spelling: Spelling = {
    name: "gemma",
    words: { true: ["true"], false: ["false"], null: ["null", "None"] },
    text: (b, text) => [...quotes, ...b.text(text), ...quotes],
    string: (b, least, most) => [
      ...quotes,
      ...(least === 0 && most === Infinity && stops.length > 0
        ? b.textWithout(stops)
        : b.repeat(b.chars(ANY), least, most)),
      ...quotes,
    ],
    quoted: (_, characters) => [...quotes, ...characters, ...quotes],
    key: (b, name) => b.text(name),
    anyKey: (b) => b.repeat(b.chars(KEY_CHARS), 1, MOST_ID),
  };
  return { name: "gemma", spelling };
}

function nested(form: Extract<ArgumentsForm, { type: "nested" }>, after: string, b: GrammarBuilder): Notation {
  const [open, close] = [markerSymbols(form.open, b), markerSymbols(form.close, b)];
  const known = new Map<string | undefined, Notation>();
  const values = (name: string | undefined): Notation => {
    const made = known.get(name);
    if (made !== undefined) return made;
    // Only its own element's end ends a string.
    const stop = plain(form.close) + (name === undefined ? "" : `${name}>`);
    const stops = [stop, ...(name === undefined && after.trim() !== "" ? [after] : [])].map(withControlNames);
    const spelling = rawSpelling(`raw nested ${name ?? ""}`, stops, JSON_SPELLING);
    const notation: { -readonly [key in keyof Notation]: Notation[key] } = { name: `nested ${name ?? ""}`, spelling };
    known.set(name, notation);
    notation.object = object;
    notation.array = {
      open: [...open, ...b.text("item>")],
      close: [...close, ...b.text("item>")],
      items: values("item"),
    };
    return notation;
  };
  const object: ObjectNotation = {
    open: [],
    close: [],
    separator: [],
    beforeKey: open,
    anyKey: b.repeat(b.chars(KEY_CHARS), 1, MOST_ID),
    afterKey: b.text(">"),
    // The name is written again; where any is allowed, any closes it.
    afterValue: (name) => [
      ...close,
      ...(name === undefined ? b.repeat(b.chars(KEY_CHARS), 1, MOST_ID) : b.text(name)),
      ...b.text(">"),
    ],
    values,
  };
  return values(undefined);
}

function plain(marker: Marker): string {
  return withControlNames(textOf(marker));
}
