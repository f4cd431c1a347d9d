/**
 * Parses the text of `ops` into calls: `verb(name=JSON, …)`, separated by `;`. Owns the grammar and the limits on
 * parsing; the verbs and their arguments belong to `dispatch.ts`.
 */
import { MAX_DEPTH, MAX_DISPATCH_CALLS } from "@inferd/client/protocol";
import { shown } from "../pipeline/resolve.ts";

export interface Call {
  readonly verb: string;
  /** By name, in the order they were written. */
  readonly args: ReadonlyMap<string, unknown>;
  /** Its position among the calls, from 1. */
  readonly number: number;
  /** Its offset in the text, in UTF-16 units, from 1. */
  readonly at: number;
}

/** `ops` cannot be run; the message is for the caller and says which call, and where. */
export class OpsError extends Error {
  override readonly name = "OpsError";
}

/** Maximum number of values in all arguments: each takes tens of bytes of memory, however short its text. */
const MAX_VALUES = 1 << 18;

const SPACE = /[ \t\n\r]*/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
/** A number, `true`, `false`, `null`, or an invalid word, which `JSON.parse` rejects. */
const WORD = /[^\s,;()]+/y;
/** Characters skipped while looking for the end of an array or object. */
const FILLER = /[^"[\]{},]+/y;

/**
 * Read `ops`.
 *
 * @returns The calls, at least one.
 * @throws {OpsError} If it violates the grammar or a limit.
 */
export function parseOps(ops: string): Call[] {
  return new Parser(ops).calls();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #values = 0;
  #number = 1;

  constructor(text: string) {
    this.#text = text;
  }

  calls(): Call[] {
    const calls: Call[] = [];
    do {
      if (calls.length === MAX_DISPATCH_CALLS) this.#refuse(`"ops" may hold at most ${MAX_DISPATCH_CALLS} calls`);
      this.#number = calls.length + 1;
      calls.push(this.#call());
      this.#match(SPACE);
    } while (this.#accept(";"));
    if (this.#at < this.#text.length) this.#expected('";" or the end');
    return calls;
  }

  #call(): Call {
    this.#match(SPACE);
    const at = this.#at + 1;
    const verb = this.#match(NAME) ?? this.#expected("a verb");
    this.#match(SPACE);
    this.#expect("(");
    const args = new Map<string, unknown>();
    this.#match(SPACE);
    if (this.#accept(")")) return { verb, args, number: this.#number, at };
    do this.#argument(args); while (this.#accept(","));
    this.#expect(")");
    return { verb, args, number: this.#number, at };
  }

  #argument(args: Map<string, unknown>): void {
    this.#match(SPACE);
    const start = this.#at;
    const name = this.#match(NAME) ?? this.#expected("the name of an argument");
    if (args.has(name)) {
      this.#at = start;
      this.#refuse(`the argument ${shown(name)} is given twice`);
    }
    this.#match(SPACE);
    this.#expect("=");
    this.#match(SPACE);
    args.set(name, this.#value(name));
    this.#match(SPACE);
  }

  #value(name: string): unknown {
    const start = this.#at;
    const first = this.#text[start];
    if (first === "[" || first === "{") this.#skipNested(name);
    else if (first === '"') this.#skipString(name);
    else if (this.#match(WORD) === undefined) this.#expected(`the value of "${name}" as JSON`);
    this.#count();
    const text = this.#text.slice(start, this.#at);
    try {
      return JSON.parse(text);
    } catch {
      this.#at = start;
      this.#refuse(`the value of "${name}" must be JSON, got ${shown(text)}`);
    }
  }

  /** Skip to the end of an array or object, which need not be well-formed inside. */
  #skipNested(name: string): void {
    const start = this.#at;
    let depth = 0;
    do {
      const char = this.#text[this.#at];
      if (char === undefined) {
        this.#at = start;
        this.#refuse(`the value of "${name}" does not end`);
      }
      if (char === '"') {
        this.#skipString(name);
        continue;
      }
      if (this.#match(FILLER) !== undefined) continue;
      this.#at++;
      if (char === "[" || char === "{") depth++;
      if (char === "]" || char === "}") depth--;
      if (char === "," || char === "[" || char === "{") this.#count();
      if (depth > MAX_DEPTH) this.#refuse(`the value of "${name}" is nested deeper than ${MAX_DEPTH}`);
    } while (depth > 0);
  }

  /** Skip to the end of a string; `JSON.parse` refuses control characters and wrong escapes in it. */
  #skipString(name: string): void {
    let end = this.#text.indexOf('"', this.#at + 1);
    while (end !== -1) {
      let escapes = end;
      while (this.#text[escapes - 1] === "\\" && escapes - 1 > this.#at) escapes--;
      if ((end - escapes) % 2 === 0) {
        this.#at = end + 1;
        return;
      }
      end = this.#text.indexOf('"', end + 1);
    }
    this.#refuse(`the value of "${name}" does not end`);
  }

  #count(): void {
    if (++this.#values > MAX_VALUES) this.#refuse(`"ops" may hold at most ${MAX_VALUES} values`);
  }

  /** Match a sticky expression here and move past the match; undefined if there is none. */
  #match(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #accept(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #expect(char: string): void {
    if (!this.#accept(char)) this.#expected(`"${char}"`);
  }

  #expected(what: string): never {
    const rest = this.#text.slice(this.#at, this.#at + 100);
    this.#refuse(`${what} is expected, got ${rest === "" ? "the end" : shown(rest)}`);
  }

  #refuse(why: string): never {
    throw new OpsError(`Cannot read call ${this.#number} at character ${this.#at + 1}: ${why}`);
  }
}
