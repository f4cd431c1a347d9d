/** Reads a template's statements. */
import { TemplateError } from "../values/error.ts";
import type { Body, Expression, Parameter, Statement, Target } from "./ast.ts";
import { readBlockFilters, readExpression, readPrimary, readTuple } from "./expressions.ts";
import { tokenize } from "./lexer.ts";
import { TokenStream } from "./tokens.ts";

type Reader = (line: number) => Statement;

/** @throws {TemplateError} If it is not a template that can be evaluated by itself. */
export function parse(source: string): Body {
  return new Parser(new TokenStream(tokenize(source))).read();
}

const OTHER_TEMPLATES = ["include", "import", "from", "extends", "block"];

class Parser {
  /** How many loops are around the current statement, within its macro. */
  #loops = 0;
  readonly #readers: Readonly<Record<string, Reader>>;

  constructor(readonly stream: TokenStream) {
    this.#readers = {
      if: (line): Statement => this.#readIf(line),
      for: (line): Statement => this.#readFor(line),
      set: (line): Statement => this.#readSet(line),
      macro: (line): Statement => this.#readMacro(line),
      call: (line): Statement => this.#readCall(line),
      with: (line): Statement => this.#readWith(line),
      filter: (line): Statement => ({
        kind: "filter_block",
        filter: readBlockFilters(stream, false),
        body: this.#readBody("endfilter"),
        line,
      }),
      generation: (line): Statement => ({ kind: "generation", body: this.#readBody("endgeneration"), line }),
      do: (line): Statement => ({ kind: "do", value: readTuple(stream), line }),
      print: (line): Statement => ({ kind: "print", value: this.#readPrinted(line), line }),
      break: (line): Statement => this.#readJump("break", line),
      continue: (line): Statement => this.#readJump("continue", line),
    };
  }

  read(): Body {
    const body = this.#readStatements([]);
    if (!this.stream.is("eof")) this.stream.fail(`Unexpected ${this.stream.describeCurrent()}`);
    return body;
  }

  /** Statements up to a tag with one of these names, which becomes the current token. */
  #readStatements(end: readonly string[]): Statement[] {
    const { stream } = this;
    const body: Statement[] = [];
    while (!stream.is("eof")) {
      const { kind, value, line } = stream.next();
      if (kind === "data") {
        body.push({ kind: "text", text: value, line });
      } else if (kind === "variable_begin") {
        body.push({ kind: "print", value: readTuple(stream), line: stream.current.line });
        stream.expect("variable_end");
      } else {
        if (stream.isName(...end)) return body;
        body.push(stream.nested(() => this.#readStatement(end)));
        stream.expect("block_end");
      }
    }
    if (end.length > 0) stream.fail(`Unexpected end of the template: "${end.join('" or "')}" is missing`);
    return body;
  }

  #readStatement(end: readonly string[]): Statement {
    if (!this.stream.is("name")) this.stream.fail(`Expected a tag's name, got ${this.stream.describeCurrent()}`);
    const { value: name, line } = this.stream.next();
    const reader = Object.hasOwn(this.#readers, name) ? this.#readers[name] : undefined;
    if (reader !== undefined) return reader(line);
    const message = OTHER_TEMPLATES.includes(name)
      ? `The tag "${name}" needs other templates, and there are none`
      : end.length === 0
      ? `Unknown tag "${name}"`
      : `Unknown tag "${name}", "${end.join('" or "')}" is missing`;
    throw new TemplateError(message, line);
  }

  /** The rest of a tag, then statements up to the closing tag's name, which is read. */
  #readBody(...end: readonly string[]): Statement[] {
    const body = this.#readUpTo(...end);
    this.stream.next();
    return body;
  }

  #readUpTo(...end: readonly string[]): Statement[] {
    this.stream.skip(":");
    this.stream.expect("block_end");
    return this.#readStatements(end);
  }

  #readIf(line: number): Statement {
    const branches: [Expression, Body][] = [];
    while (true) {
      const test = readTuple(this.stream, { withCondition: false });
      branches.push([test, this.#readUpTo("elif", "else", "endif")]);
      const { value } = this.stream.next();
      if (value === "elif") continue;
      const otherwise = value === "else" ? this.#readBody("endif") : [];
      return { kind: "if", branches, otherwise, line };
    }
  }

  #readFor(line: number): Statement {
    const { stream } = this;
    const target = this.#readTarget("in");
    stream.expectName("in");
    const items = readTuple(stream, { withCondition: false, end: ["recursive"] });
    const test = stream.skipName("if") ? readExpression(stream) : undefined;
    const recursive = stream.skipName("recursive");
    this.#loops++;
    const body = this.#readUpTo("endfor", "else");
    this.#loops--;
    const otherwise = stream.next().value === "else" ? this.#readBody("endfor") : [];
    return { kind: "for", target, items, test, recursive, body, otherwise, line };
  }

  #readJump(kind: "break" | "continue", line: number): Statement {
    if (this.#loops === 0) throw new TemplateError(`"${kind}" is outside a loop`, line);
    return { kind, line };
  }

  #readSet(line: number): Statement {
    const { stream } = this;
    const target = this.#readTarget();
    if (stream.skip("=")) return { kind: "set", target, value: readTuple(stream), line };
    const filter = readBlockFilters(stream, true);
    return { kind: "set_block", target, filter, body: this.#readInner("endset"), line };
  }

  /** The body of a block of its own: a loop around it is out of reach. */
  #readInner(end: string): Statement[] {
    const loops = this.#loops;
    this.#loops = 0;
    const body = this.#readBody(end);
    this.#loops = loops;
    return body;
  }

  #readMacro(line: number): Statement {
    const name = this.stream.expect("name").value;
    const parameters = this.#readParameters();
    return { kind: "macro", name, parameters, body: this.#readInner("endmacro"), line };
  }

  #readCall(line: number): Statement {
    const parameters = this.stream.is("(") ? this.#readParameters() : [];
    const call = readExpression(this.stream);
    if (call.kind !== "call") throw new TemplateError("Expected a call", line);
    return { kind: "call_block", call, parameters, body: this.#readInner("endcall"), line };
  }

  #readParameters(): Parameter[] {
    const { stream } = this;
    const parameters: Parameter[] = [];
    stream.expect("(");
    while (!stream.is(")")) {
      if (parameters.length > 0) stream.expect(",");
      const name = this.#expectAssignable();
      const fallback = stream.skip("=") ? readExpression(stream) : undefined;
      if (fallback === undefined && name === "caller") stream.fail('The parameter "caller" needs a default');
      if (fallback === undefined && parameters.at(-1)?.fallback !== undefined) {
        stream.fail("A parameter without a default follows one with a default");
      }
      parameters.push({ name, fallback });
    }
    stream.expect(")");
    return parameters;
  }

  #readWith(line: number): Statement {
    const { stream } = this;
    const values: [Target, Expression][] = [];
    while (!stream.is("block_end")) {
      if (values.length > 0) stream.expect(",");
      const target = this.#readTarget();
      stream.expect("=");
      values.push([target, readExpression(stream)]);
    }
    return { kind: "with", values, body: this.#readBody("endwith"), line };
  }

  #readPrinted(line: number): Expression {
    const items: Expression[] = [];
    while (!this.stream.is("block_end")) {
      if (items.length > 0) this.stream.expect(",");
      items.push(readExpression(this.stream));
    }
    return { kind: "concat", items, line };
  }

  #readTarget(end?: string): Target {
    const { stream } = this;
    const { line } = stream.current;
    if (end === undefined && stream.is("name") && stream.following.kind === ".") {
      const name = stream.next().value;
      stream.next();
      return { kind: "namespace", name, attribute: stream.expect("name").value, line };
    }
    const items: Target[] = [];
    let isTuple = false;
    while (!stream.is("block_end") && !stream.is("=") && (end === undefined || !stream.isName(end))) {
      items.push(this.#targetOf(readPrimary(stream), end !== undefined || this.#loops > 0));
      if (!stream.skip(",")) break;
      isTuple = true;
    }
    const [first] = items;
    if (first === undefined) return stream.fail(`Expected a name, got ${stream.describeCurrent()}`);
    return isTuple ? { kind: "tuple", items, line } : first;
  }

  #targetOf(expression: Expression, isLoop: boolean): Target {
    const { line } = expression;
    if (expression.kind === "name" && expression.name === "loop" && isLoop) {
      throw new TemplateError('Cannot assign to "loop" in a loop', line);
    }
    if (expression.kind === "name" && !RESERVED.has(expression.name)) {
      return { kind: "name", name: expression.name, line };
    }
    if (expression.kind === "tuple") {
      return { kind: "tuple", items: expression.items.map((item) => this.#targetOf(item, isLoop)), line };
    }
    throw new TemplateError(`Cannot assign to ${expression.kind === "name" ? `"${expression.name}"` : "this"}`, line);
  }

  #expectAssignable(): string {
    const { value, line } = this.stream.expect("name");
    if (RESERVED.has(value)) throw new TemplateError(`Cannot assign to "${value}"`, line);
    return value;
  }
}

const RESERVED = new Set(["true", "false", "none", "True", "False", "None"]);
