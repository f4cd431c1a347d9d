/** The tokens of a template, read one by one. */
import { TemplateError } from "../values/error.ts";
import type { Token } from "./lexer.ts";

const MAX_DEPTH = 150;

/** Reads tokens and complains about those that do not fit. */
export class TokenStream {
  #at = 0;
  #depth = 0;

  constructor(readonly tokens: readonly Token[]) {}

  get current(): Token {
    return this.tokens[this.#at] as Token;
  }

  get following(): Token {
    return this.tokens[Math.min(this.#at + 1, this.tokens.length - 1)] as Token;
  }

  next(): Token {
    const token = this.current;
    if (token.kind !== "eof") this.#at++;
    return token;
  }

  is(kind: string): boolean {
    return this.current.kind === kind;
  }

  isName(...names: readonly string[]): boolean {
    return this.is("name") && names.includes(this.current.value);
  }

  /** Steps over a token of a kind, if it is one. */
  skip(kind: string): boolean {
    const found = this.is(kind);
    if (found) this.next();
    return found;
  }

  /** Steps over a name, if it is the current token. */
  skipName(name: string): boolean {
    const found = this.isName(name);
    if (found) this.next();
    return found;
  }

  expect(kind: string): Token {
    if (!this.is(kind)) this.fail(`Expected ${describe(kind)}, got ${this.describeCurrent()}`);
    return this.next();
  }

  expectName(name: string): Token {
    if (!this.isName(name)) this.fail(`Expected "${name}", got ${this.describeCurrent()}`);
    return this.next();
  }

  describeCurrent(): string {
    const { kind, value } = this.current;
    return ["name", "string", "integer", "float"].includes(kind) ? `${kind} "${value}"` : describe(kind);
  }

  fail(message: string, line = this.current.line): never {
    throw new TemplateError(message, line);
  }

  /** Reads something that may hold others of its kind. */
  nested<T>(read: () => T): T {
    if (this.#depth >= MAX_DEPTH) this.fail(`The template is nested deeper than ${MAX_DEPTH} levels`);
    this.#depth++;
    try {
      return read();
    } finally {
      this.#depth--;
    }
  }
}

const KINDS: Readonly<Record<string, string>> = {
  eof: "the end of the template",
  data: "text",
  block_begin: '"{%"',
  block_end: '"%}"',
  variable_begin: '"{{"',
  variable_end: '"}}"',
  name: "a name",
  string: "a string",
  integer: "a number",
  float: "a number",
};

function describe(kind: string): string {
  return KINDS[kind] ?? `"${kind}"`;
}
