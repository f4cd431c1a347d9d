/**
 * The arguments of a call: where they end in a text that is still coming, and what they say. JSON, or Gemma's own
 * notation, which has bare keys and quotes of its own.
 */
import type { JsonObject } from "../backend/backend.ts";

/** What Gemma writes before and after a string. */
const GEMMA_QUOTE = '<|"|>';
/** Objects and arrays in each other. */
const MAX_NESTING = 100;

/** Finds where braces that open at a place close again, as the text comes. */
export class BraceScan {
  readonly #gemma: boolean;
  #at: number;
  #depth = 0;
  #quote = "";

  /**
   * @param at Where the first brace is.
   * @param gemma Whether strings may be written Gemma's way.
   */
  constructor(at: number, gemma: boolean) {
    this.#at = at;
    this.#gemma = gemma;
  }

  /**
   * Go on.
   *
   * @param text The whole text so far; never less than before.
   * @returns The place after the last brace; `undefined` while it has not come.
   */
  end(text: string): number | undefined {
    while (this.#at < text.length) {
      const char = text[this.#at];
      if (this.#gemma && char === "<" && this.#quote !== '"') {
        const next = text.slice(this.#at, this.#at + GEMMA_QUOTE.length);
        if (next === GEMMA_QUOTE) {
          this.#quote = this.#quote === "" ? GEMMA_QUOTE : "";
          this.#at += GEMMA_QUOTE.length;
          continue;
        }
        if (GEMMA_QUOTE.startsWith(next) && this.#at + next.length === text.length) return undefined;
      }
      if (this.#quote === '"') {
        // What is escaped is passed over, also when it has not come yet.
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

/** Read a JSON object, which may stand in a JSON string; `undefined` if it is none. */
export function readObject(text: string): JsonObject | undefined {
  const value = readJson(text);
  return asObject(typeof value === "string" ? readJson(value) : value);
}

/** Read arguments whose braces belong to the template: JSON within them, JSON with them, or Gemma's notation. */
export function readBraced(text: string): JsonObject | undefined {
  const inner = text.slice(1, -1).trim();
  if (inner === "") return {};
  return (inner.startsWith("{") ? readObject(inner) : undefined) ?? readObject(text) ?? new GemmaReader(text).object();
}

/** As an object, if it is one. */
export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads `{city:<|"|>Oslo<|"|>,days:3}`. */
class GemmaReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  object(): JsonObject | undefined {
    const value = this.#value(0);
    this.#space();
    return this.#at === this.#text.length ? asObject(value) : undefined;
  }

  /** `undefined`: it cannot be read. */
  #value(depth: number): unknown {
    if (depth > MAX_NESTING) return undefined;
    this.#space();
    if (this.#take("{")) return this.#members(depth);
    if (this.#take("[")) return this.#elements(depth);
    const quoted = this.#quoted();
    if (quoted !== undefined) return quoted;
    const bare = this.#bare(/[^,}\]]*/y);
    if (bare === "") return undefined;
    const value = readJson(bare);
    return value === undefined ? bare : value;
  }

  #members(depth: number): JsonObject | undefined {
    const members: [string, unknown][] = [];
    for (this.#space(); !this.#take("}"); this.#space()) {
      if (members.length > 0 && !this.#take(",")) return undefined;
      this.#space();
      const key = this.#quoted() ?? this.#bare(/[^:,{}[\]]+/y);
      this.#space();
      if (key === "" || !this.#take(":")) return undefined;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      members.push([key, value]);
    }
    return Object.fromEntries(members);
  }

  #elements(depth: number): unknown[] | undefined {
    const elements: unknown[] = [];
    for (this.#space(); !this.#take("]"); this.#space()) {
      if (elements.length > 0 && !this.#take(",")) return undefined;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      elements.push(value);
    }
    return elements;
  }

  #quoted(): string | undefined {
    if (this.#take(GEMMA_QUOTE)) {
      const end = this.#text.indexOf(GEMMA_QUOTE, this.#at);
      if (end < 0) return undefined;
      const text = this.#text.slice(this.#at, end);
      this.#at = end + GEMMA_QUOTE.length;
      return text;
    }
    const json = this.#match(/"(?:[^"\\]|\\.)*"/ys);
    const value = json === "" ? undefined : readJson(json);
    return typeof value === "string" ? value : undefined;
  }

  #bare(pattern: RegExp): string {
    return this.#match(pattern).trim();
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
