/**
 * Values in calls as models write them: JSON, Python literals, and Gemma's notation with bare keys and custom quotes.
 */
import type { JsonObject } from "../../inference/request.ts";
import { withControlNames } from "../chat/dialect/control_text.ts";

const MAX_NESTING = 100;

const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...[["true", true], ["True", true], ["false", false], ["False", false]] as const,
  ...[["null", null], ["None", null]] as const,
]);
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", "0": "\0" };

/** Incrementally finds the end of a braced value. */
export class BraceScan {
  /** Additional string quote of the family; empty if none. */
  readonly #ownQuote: string;
  #at: number;
  #depth = 0;
  #quote = "";

  /** @param at Position of the opening brace. */
  constructor(at: number, ownQuote = "") {
    this.#at = at;
    this.#ownQuote = ownQuote;
  }

  /**
   * @param text The whole text so far; only ever grows.
   * @returns Position after the closing brace; `undefined` if it has not come.
   */
  end(text: string): number | undefined {
    const own = this.#ownQuote;
    while (this.#at < text.length) {
      const char = text[this.#at];
      if (own !== "" && char === own[0] && this.#quote !== '"') {
        const next = text.slice(this.#at, this.#at + own.length);
        if (next === own) {
          this.#quote = this.#quote === "" ? own : "";
          this.#at += own.length;
          continue;
        }
        if (own.startsWith(next) && this.#at + next.length === text.length) return undefined;
      }
      if (this.#quote === '"') {
        // Skip the escaped character, even if it has not come yet.
        if (char === "\\") this.#at++;
        else if (char === '"') this.#quote = "";
      } else if (this.#quote === "") {
        if (char === '"') this.#quote = '"';
        else if (char === "{") this.#depth++;
        else if (char === "}" && --this.#depth === 0) return this.#at + 1;
      }
      this.#at++;
    }
    return undefined;
  }
}

/** Parses a JSON object, possibly inside a JSON string; `undefined` if it is not one. */
export function readObject(text: string): JsonObject | undefined {
  const value = readJson(text);
  return asObject(typeof value === "string" ? readJson(value) : value) ?? asObject(readValue(text));
}

/** Parses arguments whose braces belong to the template: JSON inside or including them, or the family's notation. */
export function readBraced(text: string, ownQuote: string): JsonObject | undefined {
  const inner = text.slice(1, -1).trim();
  if (inner === "") return {};
  const json = (written: string): JsonObject | undefined => asObject(readJson(withControlNames(written)));
  return (inner.startsWith("{") ? json(inner) : undefined) ?? json(text) ?? asObject(readValue(text, ownQuote));
}

export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : undefined;
}

/** Parses JSON; `undefined` if invalid. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Parse a value written as JSON or as a Python literal.
 *
 * @param ownQuote Additional string quote of the family; if set, bare words are strings too.
 * @returns `undefined` if it cannot be parsed.
 */
export function readValue(text: string, ownQuote = ""): unknown {
  return new LiteralReader(text, ownQuote).whole();
}

class LiteralReader {
  readonly #text: string;
  readonly #ownQuote: string;
  #at = 0;

  constructor(text: string, ownQuote: string) {
    this.#text = text;
    this.#ownQuote = ownQuote;
  }

  whole(): unknown {
    const value = this.#value(0);
    this.#space();
    return this.#at === this.#text.length ? value : undefined;
  }

  /** `undefined` if it cannot be parsed. */
  #value(depth: number): unknown {
    if (depth > MAX_NESTING) return undefined;
    this.#space();
    if (this.#take("{")) return this.#members(depth);
    if (this.#take("[")) return this.#elements(depth, "]");
    if (this.#ownQuote === "" && this.#take("(")) return this.#elements(depth, ")");
    const quoted = this.#quoted();
    if (quoted !== undefined) return quoted;
    const bare = this.#match(/[^,}\])]*/y).trim();
    if (bare === "") return undefined;
    if (WORDS.has(bare)) return WORDS.get(bare);
    const number = readJson(bare);
    if (number !== undefined) return number;
    return this.#ownQuote === "" ? undefined : withControlNames(bare);
  }

  #members(depth: number): JsonObject | undefined {
    const members: [string, unknown][] = [];
    for (this.#space(); !this.#take("}"); this.#space()) {
      if (members.length > 0 && !this.#take(",")) return undefined;
      this.#space();
      if (members.length > 0 && this.#take("}")) break;
      const key = this.#quoted() ?? this.#match(/[^:,{}[\]]+/y).trim();
      this.#space();
      if (key === "" || !this.#take(":")) return undefined;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      members.push([key, value]);
    }
    return Object.fromEntries(members);
  }

  #elements(depth: number, end: string): unknown[] | undefined {
    const elements: unknown[] = [];
    for (this.#space(); !this.#take(end); this.#space()) {
      if (elements.length > 0 && !this.#take(",")) return undefined;
      this.#space();
      if (elements.length > 0 && this.#take(end)) break;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      elements.push(value);
    }
    return elements;
  }

  #quoted(): string | undefined {
    if (this.#ownQuote !== "" && this.#take(this.#ownQuote)) {
      const end = this.#text.indexOf(this.#ownQuote, this.#at);
      if (end < 0) return undefined;
      const text = this.#text.slice(this.#at, end);
      this.#at = end + this.#ownQuote.length;
      return withControlNames(text);
    }
    const written = this.#match(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/ys);
    if (written === "") return undefined;
    const json = written.startsWith('"') ? readJson(written) : undefined;
    return withControlNames(typeof json === "string" ? json : unescaped(written.slice(1, -1)));
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #take(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  #space(): void {
    this.#match(/\s*/y);
  }
}

function unescaped(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)/gs, (_, escape: string) => {
    if (/^[xuU]./.test(escape)) {
      const code = parseInt(escape.slice(1), 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : "";
    }
    return ESCAPES[escape] ?? (escape === "\n" ? "" : /['"\\]/.test(escape) ? escape : `\\${escape}`);
  });
}
