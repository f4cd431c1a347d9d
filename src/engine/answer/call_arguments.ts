/**
 * Incremental parsers for the arguments of a call, one per notation. Raw strings may contain the markers around them: a
 * marker counts only if followed by what must follow it.
 */
import type { JsonObject } from "../../inference/request.ts";
import { BraceScan, readBraced, readJson, readObject, readValue } from "./call_literals.ts";
import type { ArgumentsForm, JsonType } from "../chat/dialect/dialect.ts";
import { textOf } from "../chat/dialect/marker.ts";
import { typesOf } from "../../grammar/json_schema/schema_types.ts";
import { withControlNames } from "../chat/dialect/control_text.ts";

/** Parsed arguments and their end; `waits` if more text is needed. */
export type ArgumentsRead = { readonly input: JsonObject; readonly end: number } | "waits" | "unreadable";

export interface ArgumentsReader {
  /**
   * @param text All text since the arguments began; only ever grows.
   * @param final Whether the text is complete.
   */
  read(text: string, final: boolean): ArgumentsRead;
}

/** @param options.after Literals that may follow the last argument, trimmed. */
export function argumentsReader(
  form: ArgumentsForm,
  options: { readonly schema: JsonObject; readonly after: readonly string[] },
): ArgumentsReader {
  switch (form.type) {
    case "json":
      return new BracedReader((text) => readObject(withControlNames(text)), "");
    case "gemma": {
      const quote = textOf(form.quote);
      return new BracedReader((text) => readBraced(text, quote), quote);
    }
    case "python":
      return new KeywordReader(options.schema);
    case "elements":
      return new ElementsReader(form, options);
    case "nested":
      return new NestedReader({ open: textOf(form.open), close: textOf(form.close) }, options);
  }
}

class BracedReader implements ArgumentsReader {
  readonly #parse: (text: string) => JsonObject | undefined;
  readonly #scan: BraceScan;

  constructor(parse: (text: string) => JsonObject | undefined, quote: string) {
    this.#parse = parse;
    this.#scan = new BraceScan(0, quote);
  }

  read(text: string): ArgumentsRead {
    const end = this.#scan.end(text);
    if (end === undefined) return "waits";
    const input = this.#parse(text.slice(0, end));
    return input === undefined ? "unreadable" : { input, end };
  }
}

/** Position after a literal, ignoring whitespace before and within it; `waits` if it may still come. */
export function skipTo(text: string, from: number, literal: string, final = false): number | "waits" | undefined {
  let at = from;
  for (const char of literal) {
    if (char.trim() === "") continue;
    while (at < text.length && (text[at] as string).trim() === "") at++;
    if (at >= text.length) return final ? undefined : "waits";
    if (!text.startsWith(char, at)) return undefined;
    at += char.length;
  }
  return at;
}

class ElementsReader implements ArgumentsReader {
  readonly #open: string;
  readonly #afterKey: readonly { readonly types: readonly JsonType[]; readonly core: string; readonly line: boolean }[];
  readonly #close: string;
  readonly #closesLine: boolean;
  readonly #followers: readonly string[];
  readonly #after: readonly string[];
  readonly #schema: JsonObject;

  constructor(
    form: Extract<ArgumentsForm, { type: "elements" }>,
    { schema, after }: { readonly schema: JsonObject; readonly after: readonly string[] },
  ) {
    this.#open = textOf(form.open).trim();
    this.#afterKey = form.afterKey
      .map(({ types, text }) => ({ types, core: textOf(text).trim(), line: textOf(text).endsWith("\n") }))
      .sort((a, b) => b.core.length - a.core.length);
    this.#close = textOf(form.close).trim();
    this.#closesLine = textOf(form.close).startsWith("\n");
    this.#after = after.filter((literal) => literal !== "");
    this.#followers = [this.#open, ...this.#after];
    this.#schema = schema;
  }

  read(text: string, final: boolean): ArgumentsRead {
    const entries: [string, unknown][] = [];
    for (let at = 0;;) {
      const begun = skipTo(text, at, this.#open, final);
      if (begun === undefined) {
        // Anything else is an error for the caller to handle.
        const ends = this.#after.map((literal) => skipTo(text, at, literal, final));
        if (ends.every((end) => end === undefined) && this.#after.length > 0 && text.slice(at).trim() !== "") {
          return "unreadable";
        }
        return { input: Object.fromEntries(entries), end: at };
      }
      if (begun === "waits") return "waits";
      const key = this.#key(text, begun, final);
      if (typeof key === "string") return key;
      const value = this.#value(text, key.end, final);
      if (typeof value === "string") return value;
      entries.push([key.name, this.#typed(key, value.text)]);
      at = value.end;
    }
  }

  #key(text: string, from: number, final: boolean): Key | "waits" | "unreadable" {
    let best: Key | undefined;
    for (const { core, types, line } of this.#afterKey) {
      const at = text.indexOf(core, from);
      if (at < 0 || best !== undefined && at >= best.at) continue;
      best = { name: withControlNames(text.slice(from, at)).trim(), at, end: at + core.length, types, line };
    }
    if (best === undefined) return final || text.length - from > MAX_KEY ? "unreadable" : "waits";
    // It may be the prefix of a longer one.
    const rest = text.slice(best.at);
    if (!final && this.#afterKey.some(({ core }) => core.length > rest.length && core.startsWith(rest))) return "waits";
    return best;
  }

  #value(
    text: string,
    from: number,
    final: boolean,
  ): { readonly text: string; readonly end: number } | "waits" | "unreadable" {
    let last: number | undefined;
    // CDATA ends before anything else does.
    const quoted = /^\s*<!\[CDATA\[/.test(text.slice(from));
    const begin = quoted ? text.indexOf("]]>", from) : from;
    if (begin < 0) return final ? "unreadable" : "waits";
    for (let at = text.indexOf(this.#close, begin); at >= 0; at = text.indexOf(this.#close, at + 1)) {
      const end = at + this.#close.length;
      // Quoted markers have a space between them; real ones are adjacent or on lines of their own.
      const gap = /^\s*/.exec(text.slice(end))?.[0] ?? "";
      if (gap !== "" && !gap.includes("\n") && end + gap.length < text.length) {
        last = at;
        continue;
      }
      const next = this.#followers.map((literal) => skipTo(text, end, literal, final));
      if (this.#after.length === 0 || next.some((follower) => typeof follower === "number")) {
        return { text: text.slice(from, at), end };
      }
      if (next.includes("waits")) return "waits";
      last = at;
    }
    if (!final) return "waits";
    return last === undefined ? "unreadable" : { text: text.slice(from, last), end: last + this.#close.length };
  }

  #typed({ name, types, line }: Key, written: string): unknown {
    let text = withControlNames(written);
    if (line && text.startsWith("\n")) text = text.slice(1);
    if (this.#closesLine && text.endsWith("\n")) text = text.slice(0, -1);
    const cdata = /^\s*<!\[CDATA\[(.*)\]\]>\s*$/s.exec(text)?.[1];
    // If the notation implies the type, the schema is not consulted.
    const said = this.#afterKey.length > 1 && !types.includes("string") ? new Set(types) : undefined;
    if (this.#afterKey.length > 1 && types.length === 1 && types[0] === "string") return text;
    return typedValue(cdata ?? text, said ?? typesOf(this.#schema, name));
  }
}

interface Key {
  readonly name: string;
  readonly at: number;
  readonly end: number;
  readonly types: readonly JsonType[];
  readonly line: boolean;
}

const MAX_KEY = 1000;

/** Converts a raw value to a type that the schema allows. */
function typedValue(text: string, types: ReadonlySet<JsonType> | undefined): unknown {
  if (types !== undefined && types.size === 1 && types.has("string")) return text;
  const value = readJson(text) ?? readValue(text);
  if (value === undefined) return text;
  if (types === undefined) return value;
  const is = typeOf(value);
  if (types.has(is) || is === "integer" && types.has("number")) return value;
  return types.has("string") ? text : value;
}

function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  const type = typeof value;
  return type === "number" ? Number.isInteger(value) ? "integer" : "number" : type as JsonType;
}

/** Keyword arguments of a Python call, starting at the opening parenthesis. */
class KeywordReader implements ArgumentsReader {
  readonly #schema: JsonObject;

  constructor(schema: JsonObject) {
    this.#schema = schema;
  }

  read(text: string, final: boolean): ArgumentsRead {
    if (!text.startsWith("(")) return "unreadable";
    const entries: [string, unknown][] = [];
    const positions = Object.keys(this.#properties());
    for (let at = 1;;) {
      at = afterSpace(text, at);
      if (at >= text.length) return final ? "unreadable" : "waits";
      if (text[at] === ")") return { input: Object.fromEntries(entries), end: at + 1 };
      if (entries.length > 0) {
        if (text[at] !== ",") return "unreadable";
        at = afterSpace(text, at + 1);
        if (text[at] === ")") continue;
      }
      const key = /[^\s=()[\]{},'"]+(?=\s*=)/y;
      key.lastIndex = at;
      const named = key.exec(text)?.[0];
      if (named === undefined && !final && /^[^\s=()[\]{},'"]*\s*$/.test(text.slice(at))) return "waits";
      const name = named ?? positions[entries.length];
      if (name === undefined) return "unreadable";
      if (named !== undefined) at = afterSpace(text, text.indexOf("=", at) + 1);
      const value = this.#value(text, at, { types: typesOf(this.#schema, name), named: named !== undefined });
      if (value === "waits") return final ? "unreadable" : "waits";
      if (value === undefined) return "unreadable";
      entries.push([withControlNames(name), value.value]);
      at = value.end;
    }
  }

  #properties(): JsonObject {
    const { properties } = this.#schema;
    return typeof properties === "object" && properties !== null ? properties as JsonObject : {};
  }

  /** Some templates quote every value and others none, and models follow them: the schema says what it is. */
  #value(
    text: string,
    at: number,
    { types, named }: { readonly types: ReadonlySet<JsonType> | undefined; readonly named: boolean },
  ): { readonly value: unknown; readonly end: number } | "waits" | undefined {
    const quote = text[at];
    if (quote === undefined) return "waits";
    if (quote === "'" || quote === '"') {
      const string = stringAt(text, at, { quote, named });
      return string === "waits" || types?.has("string") !== false
        ? string
        : { ...string, value: typedValue(string.value, types) };
    }
    let depth = 0;
    let within = "";
    for (let i = at; i < text.length; i++) {
      const char = text[i] as string;
      if (within !== "") {
        if (char === "\\") i++;
        else if (char === within) within = "";
      } else if (char === "'" || char === '"') within = char;
      else if ("([{".includes(char)) depth++;
      else if (depth === 0 && (char === "," || char === ")")) {
        const written = text.slice(at, i).trim();
        const isWord = written !== "" && !/['"()[\]{}]/.test(written);
        const value = isWord ? typedValue(withControlNames(written), types) : readValue(written);
        return value === undefined ? undefined : { value, end: i };
      } else if (")]}".includes(char)) depth--;
    }
    return "waits";
  }
}

/**
 * Parses a string of a keyword argument. Templates do not escape quotes, so it ends at the first quote followed by text
 * that may follow an argument, which after a named one is another name; models do escape what Python requires.
 */
function stringAt(
  text: string,
  at: number,
  { quote, named }: { readonly quote: string; readonly named: boolean },
): { readonly value: string; readonly end: number } | "waits" {
  const follows = named ? /^(\)|,\s*(\)|[^\s=()[\]{},'"]+\s*=))/ : /^(\)|,\s*(\)|[^\s=()[\]{},'"]+\s*=|['"\d[{]))/;
  for (let end = text.indexOf(quote, at + 1); end >= 0; end = text.indexOf(quote, end + 1)) {
    const rest = text.slice(end + 1).trimStart();
    if (rest === "" || /^,\s*[^\s=()[\]{},'"]*\s*$/.test(rest)) return "waits";
    if (!follows.test(rest)) continue;
    const written = withControlNames(text.slice(at + 1, end));
    const literal = quote === '"' ? readJson(`"${written}"`) : undefined;
    return {
      value: typeof literal === "string" ? literal : written.replaceAll(`\\${quote}`, quote),
      end: end + 1,
    };
  }
  return "waits";
}

function afterSpace(text: string, at: number): number {
  while (at < text.length && (text[at] as string).trim() === "") at++;
  return at;
}

/** One element named after each argument, with nested elements. */
class NestedReader implements ArgumentsReader {
  readonly #open: string;
  readonly #close: string;
  readonly #schema: JsonObject;
  readonly #after: readonly string[];

  constructor(
    { open, close }: { readonly open: string; readonly close: string },
    { schema, after }: { readonly schema: JsonObject; readonly after: readonly string[] },
  ) {
    this.#open = open.trim();
    this.#close = close.trim();
    this.#schema = schema;
    this.#after = after.filter((literal) => literal !== "");
  }

  read(text: string, final: boolean): ArgumentsRead {
    const members = this.#members(text, 0, { final, schema: this.#schema });
    if (typeof members === "string") return members;
    const ends = this.#after.map((literal) => skipTo(text, members.end, literal, final));
    if (this.#after.length > 0 && !ends.some((end) => typeof end === "number")) {
      return ends.includes("waits") ? "waits" : "unreadable";
    }
    return { input: Object.fromEntries(members.entries), end: members.end };
  }

  #members(
    text: string,
    from: number,
    at: Nesting,
  ): { entries: [string, unknown][]; end: number } | "waits" | "unreadable" {
    const entries: [string, unknown][] = [];
    for (let end = from;;) {
      const begun = skipTo(text, end, this.#open, at.final);
      // Opening and closing tags share a prefix.
      if (begun === "waits") return "waits";
      if (begun === undefined || skipTo(text, end, this.#close, at.final) !== undefined) return { entries, end };
      const close = text.indexOf(">", begun);
      if (close < 0) return at.final ? "unreadable" : "waits";
      const name = withControlNames(text.slice(begun, close));
      if (this.#after.some((literal) => literal === this.#open + name + ">")) return { entries, end };
      const value = this.#value(text, close + 1, { ...at, name });
      if (typeof value === "string") return value;
      entries.push([name, value.value]);
      end = value.end;
    }
  }

  #value(
    text: string,
    from: number,
    { final, schema, name }: Nesting & { readonly name: string },
  ): { readonly value: unknown; readonly end: number } | "waits" | "unreadable" {
    const end = `${this.#close}${name}>`;
    const types = typesOf(schema, name);
    const inner = innerSchema(schema, name);
    const nested = skipTo(text, from, this.#open, final);
    if (nested === "waits") return "waits";
    const isOwnEnd = skipTo(text, from, this.#close, final) !== undefined;
    if (nested !== undefined && !isOwnEnd && !(types?.size === 1 && types.has("string"))) {
      const members = this.#members(text, from, { final, schema: inner });
      if (typeof members === "string") return members;
      const closed = skipTo(text, members.end, end, final);
      if (closed === "waits") return "waits";
      if (closed !== undefined) {
        const isList = types?.has("array") === true ||
          types === undefined && members.entries.every(([key]) => key === "item");
        const value = isList ? members.entries.map(([, item]) => item) : Object.fromEntries(members.entries);
        return { value, end: closed };
      }
    }
    const at = text.indexOf(end, from);
    if (at < 0) return final ? "unreadable" : "waits";
    const raw = withControlNames(text.slice(from, at));
    const empty = raw === "" && types !== undefined && !types.has("string");
    const value = empty ? types.has("array") ? [] : types.has("object") ? {} : raw : typedValue(raw, types);
    return { value, end: at + end.length };
  }
}

interface Nesting {
  readonly final: boolean;
  readonly schema: JsonObject;
}

function innerSchema(schema: JsonObject, name: string): JsonObject {
  const { properties, items } = schema;
  const inner = typeof properties === "object" && properties !== null ? (properties as JsonObject)[name] : undefined;
  const found = inner ?? (name === "item" ? items : undefined);
  return typeof found === "object" && found !== null && !Array.isArray(found) ? found as JsonObject : {};
}
