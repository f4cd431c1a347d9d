/**
 * Grammars of call syntax: the parts around the arguments, and the arguments in each family's notation, valid under the
 * tool's schema.
 */
import type { ArgumentsForm, CallForm, CallPart, JsonType } from "../chat/dialect/dialect.ts";
import { type Marker, textOf } from "../chat/dialect/marker.ts";
import { type Alternatives, type CharSet, type GrammarSymbol, MAX_CODE_POINT } from "../../grammar/rules.ts";
import { type GrammarBuilder, PLAIN_CHARACTERS } from "../../grammar/grammar_builder.ts";
import type { Notation, ObjectNotation } from "../../grammar/json_schema/json_schema.ts";
import { JSON_SPELLING, jsonStyle, type Spelling, type TextStyle } from "../../grammar/json_schema/json_values.ts";
import { contains, intersection } from "../../grammar/language/chars.ts";
import { withControlNames } from "../chat/dialect/control_text.ts";

const WORD = [0x2d, 0x2e, 0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const LETTERS_AND_DIGITS = [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a];
const DIGIT = [0x30, 0x39];
/** Characters of argument names if the schema does not list them. */
const KEY_CHARS = [0x23, 0x25, 0x2d, 0x2e, 0x30, 0x39, 0x40, 0x5a, 0x5f, 0x5f, 0x61, 0x7a, 0xa1, MAX_CODE_POINT];
const MOST_ID = 64;
const SHORT_ID = 9;

const PYTHON_WORDS = { true: ["True", "true"], false: ["False", "false"], null: ["None", "null"] } as const;

export function markerSymbols(marker: Marker, b: GrammarBuilder): GrammarSymbol[] {
  return marker.flatMap((part) => typeof part === "string" ? b.text(part) : b.token(part.token));
}

/** Grammar symbols of a call's parts, with the tool's name filled in. */
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

/** @param after Text after the last argument. */
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

/** Characters that Python escapes with a letter. */
const PYTHON_ESCAPES: ReadonlyMap<number, string> = new Map([[0x0a, "\\n"], [0x0d, "\\r"], [0x09, "\\t"]]);
const BACKSLASH = 0x5c;
const FIRST_PRINTED = 0x20;

/** Nested values in Python syntax. */
function python(b: GrammarBuilder): Spelling {
  return { name: "python", words: PYTHON_WORDS, texts: ["'", '"'].map((quote) => pythonText(quote, b)) };
}

function pythonText(quote: string, b: GrammarBuilder): TextStyle {
  const own = quote.charCodeAt(0);
  const plain = [FIRST_PRINTED, own - 1, own + 1, BACKSLASH - 1, BACKSLASH + 1, MAX_CODE_POINT];
  const escaped = (char: number): GrammarSymbol[] => {
    if (char === own || char === BACKSLASH) return b.text(`\\${String.fromCharCode(char)}`);
    return b.text(PYTHON_ESCAPES.get(char) ?? `\\x${char.toString(16).padStart(2, "0")}`);
  };
  const write = (_: GrammarBuilder, chars: CharSet): Alternatives => {
    const themselves = intersection(chars, plain);
    const others = [own, BACKSLASH, ...Array.from({ length: FIRST_PRINTED }, (_, char) => char)];
    return [
      ...themselves.length > 0 ? [b.chars(themselves)] : [],
      ...others.filter((char) => contains(chars, char)).map(escaped),
    ];
  };
  return { open: b.text(quote), close: b.text(quote), characters: { name: `python ${quote}`, write } };
}

/** Unescaped text up to a stop string. */
function rawText(open: GrammarSymbol[], close: GrammarSymbol[], stops: readonly string[] = []): TextStyle {
  return {
    open,
    close,
    characters: PLAIN_CHARACTERS,
    ...stops.length === 0 ? {} : { within: (languages) => languages.without(stops) },
  };
}

/** Unescaped names, limited to characters that leave their end recognisable. */
function rawNames(chars: CharSet): TextStyle {
  return {
    open: [],
    close: [],
    characters: PLAIN_CHARACTERS,
    within: (languages) => languages.repeat(languages.chars(chars), 1, MOST_ID),
  };
}

function elements(form: Extract<ArgumentsForm, { type: "elements" }>, after: string, b: GrammarBuilder): Notation {
  const { open, afterKey, close, between, style } = form;
  const inner: Notation = {
    name: style,
    spelling: style === "python" ? python(b) : JSON_SPELLING,
    ...(style === "python"
      ? { also: { name: "json", spelling: { ...JSON_SPELLING, name: "json words", words: PYTHON_WORDS } } }
      : {}),
  };
  const isText = close.every((part) => typeof part === "string");
  const closing = textOf(close);
  // A marker inside a string counts only if the text that must follow it does.
  const stops = isText ? [`${closing}${plain(between)}${plain(open)}`, `${closing}${after}`].map(withControlNames) : [];
  const raw: Spelling = {
    ...style === "python" ? python(b) : JSON_SPELLING,
    name: `raw ${style}`,
    texts: [rawText([], [], stops)],
    names: rawNames(KEY_CHARS),
  };
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
    afterKey: [],
    afterValue: () => markerSymbols(close, b),
    values: () => values,
  };
  return { name: "elements", spelling: raw, object };
}

function keywords(quote: string, b: GrammarBuilder): Notation {
  // Templates do not escape quotes in strings; only the text after the quote ends a string.
  const stops = [`${quote})`, `${quote},`];
  const quotes = b.text(quote);
  const spelling: Spelling = {
    name: "python arguments",
    words: PYTHON_WORDS,
    texts: [rawText(quotes, quotes, stops), ...(quote === '"' ? [jsonStyle(b)] : [])],
    told: [jsonStyle(b)],
    names: rawNames(WORD),
  };
  const inner: Notation = {
    name: "json words",
    spelling: { ...JSON_SPELLING, name: "json words", words: PYTHON_WORDS },
    also: { name: "python words", spelling: python(b) },
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
    texts: [rawText(quotes, quotes, stops)],
    names: rawNames(KEY_CHARS),
  };
  return { name: "gemma", spelling };
}

function nested(form: Extract<ArgumentsForm, { type: "nested" }>, after: string, b: GrammarBuilder): Notation {
  const [open, close] = [markerSymbols(form.open, b), markerSymbols(form.close, b)];
  const known = new Map<string | undefined, Notation>();
  const values = (name: string | undefined): Notation => {
    const made = known.get(name);
    if (made !== undefined) return made;
    // A string ends only at its own element's closing marker.
    const stop = plain(form.close) + (name === undefined ? "" : `${name}>`);
    const stops = [stop, ...(name === undefined && after.trim() !== "" ? [after] : [])].map(withControlNames);
    const spelling: Spelling = {
      name: `raw nested ${name ?? ""}`,
      texts: [rawText([], [], stops)],
      names: rawNames(KEY_CHARS),
    };
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
    afterKey: b.text(">"),
    // The closing tag repeats the name; for arbitrary names, any name closes it.
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
