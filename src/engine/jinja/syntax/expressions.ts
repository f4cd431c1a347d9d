/** Reads expressions, with Jinja's grammar and precedences. */
import type { Arguments, Comparison, Expression } from "./ast.ts";
import type { TokenStream } from "./tokens.ts";

const NO_ARGUMENTS: Arguments = { positional: [], named: [] };
const COMPARISONS = new Set(["==", "!=", "<", "<=", ">", ">="]);
const CONSTANTS: ReadonlyMap<string, null | boolean> = new Map([
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["none", null],
  ["None", null],
]);

/** An expression; a condition `a if b else c` only where it cannot be mistaken for a loop's filter. */
export function readExpression(stream: TokenStream, withCondition = true): Expression {
  return stream.nested(() => withCondition ? readCondition(stream) : readOr(stream));
}

/** An expression, or several with commas between them, which make a tuple. */
export function readTuple(
  stream: TokenStream,
  { withCondition = true, end = [], mayBeEmpty = false }: {
    readonly withCondition?: boolean;
    readonly end?: readonly string[];
    readonly mayBeEmpty?: boolean;
  } = {},
): Expression {
  const { line } = stream.current;
  const items: Expression[] = [];
  let isTuple = false;
  while (true) {
    if (stream.is("variable_end") || stream.is("block_end") || stream.is(")") || stream.isName(...end)) break;
    items.push(readExpression(stream, withCondition));
    if (!stream.skip(",")) break;
    isTuple = true;
  }
  const [first] = items;
  if (first !== undefined && !isTuple) return first;
  if (first === undefined && !mayBeEmpty) stream.fail(`Expected an expression, got ${stream.describeCurrent()}`);
  return { kind: "tuple", items, line };
}

function readCondition(stream: TokenStream): Expression {
  let { line } = stream.current;
  let value = readOr(stream);
  while (stream.skipName("if")) {
    const test = readOr(stream);
    const otherwise = stream.skipName("else") ? stream.nested(() => readCondition(stream)) : undefined;
    value = { kind: "condition", test, then: value, otherwise, line };
    line = stream.current.line;
  }
  return value;
}

/** Operators of one level, the leftmost first. */
function readBinary(
  stream: TokenStream,
  operators: readonly Extract<Expression, { kind: "binary" }>["operator"][],
  readOperand: (stream: TokenStream) => Expression,
): Expression {
  let left = readOperand(stream);
  for (;;) {
    const { kind, value, line } = stream.current;
    const operator = operators.find((one) => one === (kind === "name" ? value : kind));
    if (operator === undefined) return left;
    stream.next();
    left = { kind: "binary", operator, left, right: readOperand(stream), line };
  }
}

function readOr(stream: TokenStream): Expression {
  return readBinary(stream, ["or"], readAnd);
}

function readAnd(stream: TokenStream): Expression {
  return readBinary(stream, ["and"], readNot);
}

function readNot(stream: TokenStream): Expression {
  if (!stream.isName("not")) return readComparison(stream);
  const { line } = stream.next();
  return { kind: "unary", operator: "not", operand: stream.nested(() => readNot(stream)), line };
}

function readComparison(stream: TokenStream): Expression {
  const { line } = stream.current;
  const first = readSum(stream);
  const rest: Comparison[] = [];
  while (true) {
    const { kind, value } = stream.current;
    if (COMPARISONS.has(kind)) {
      stream.next();
      rest.push({ operator: value as Comparison["operator"], operand: readSum(stream) });
    } else if (stream.skipName("in")) {
      rest.push({ operator: "in", operand: readSum(stream) });
    } else if (stream.isName("not") && stream.following.kind === "name" && stream.following.value === "in") {
      stream.next();
      stream.next();
      rest.push({ operator: "not in", operand: readSum(stream) });
    } else {
      return rest.length === 0 ? first : { kind: "compare", first, rest, line };
    }
  }
}

function readSum(stream: TokenStream): Expression {
  return readBinary(stream, ["+", "-"], readConcat);
}

function readConcat(stream: TokenStream): Expression {
  const { line } = stream.current;
  const items = [readProduct(stream)];
  while (stream.skip("~")) items.push(readProduct(stream));
  return items.length === 1 ? items[0] as Expression : { kind: "concat", items, line };
}

function readProduct(stream: TokenStream): Expression {
  return readBinary(stream, ["*", "/", "//", "%"], readPower);
}

function readPower(stream: TokenStream): Expression {
  return readBinary(stream, ["**"], readUnary);
}

function readUnary(stream: TokenStream, withFilter = true): Expression {
  const { kind, line } = stream.current;
  let value: Expression;
  if (kind === "-" || kind === "+") {
    stream.next();
    value = { kind: "unary", operator: kind, operand: stream.nested(() => readUnary(stream, false)), line };
  } else {
    value = readPrimary(stream);
  }
  value = readPostfix(stream, value);
  return withFilter ? readFilters(stream, value) : value;
}

/** A name, a literal, or an expression in brackets. */
export function readPrimary(stream: TokenStream): Expression {
  const { kind, value, line } = stream.current;
  switch (kind) {
    case "name": {
      stream.next();
      const constant = CONSTANTS.get(value);
      return constant === undefined ? { kind: "name", name: value, line } : { kind: "constant", value: constant, line };
    }
    case "string": {
      let text = "";
      while (stream.is("string")) text += stream.next().value;
      return { kind: "constant", value: text, line };
    }
    case "integer": {
      stream.next();
      const number = Number(value);
      if (!Number.isSafeInteger(number)) stream.fail(`The integer ${value} is too large`, line);
      return { kind: "constant", value: number, line };
    }
    case "float":
      stream.next();
      return { kind: "float", value: Number(value), line };
    case "(": {
      stream.next();
      const inner = readTuple(stream, { mayBeEmpty: true });
      stream.expect(")");
      return inner;
    }
    case "[": {
      stream.next();
      const items = readItems(stream, "]", () => readExpression(stream));
      return { kind: "list", items, line };
    }
    case "{": {
      stream.next();
      const pairs = readItems(stream, "}", () => {
        const key = readExpression(stream);
        stream.expect(":");
        return [key, readExpression(stream)] as const;
      });
      return { kind: "dict", pairs, line };
    }
    default:
      return stream.fail(`Expected an expression, got ${stream.describeCurrent()}`);
  }
}

/** Items with commas between them, up to a closing bracket, which is read too. */
function readItems<T>(stream: TokenStream, close: string, read: () => T): T[] {
  const items: T[] = [];
  while (!stream.is(close)) {
    if (items.length > 0) stream.expect(",");
    if (stream.is(close)) break;
    items.push(read());
  }
  stream.expect(close);
  return items;
}

function readPostfix(stream: TokenStream, value: Expression): Expression {
  let result = value;
  while (true) {
    if (stream.is(".") || stream.is("[")) result = readSubscript(stream, result);
    else if (stream.is("(")) result = readCall(stream, result);
    else return result;
  }
}

function readFilters(stream: TokenStream, value: Expression): Expression {
  let result = value;
  while (true) {
    if (stream.is("|")) result = readFilter(stream, result);
    else if (stream.isName("is")) result = readTest(stream, result);
    else if (stream.is("(")) result = readCall(stream, result);
    else return result;
  }
}

function readCall(stream: TokenStream, callee: Expression): Expression {
  const { line } = stream.current;
  return { kind: "call", callee, args: readArguments(stream), line };
}

function readSubscript(stream: TokenStream, object: Expression): Expression {
  const { kind, line } = stream.next();
  if (kind === ".") {
    if (stream.is("name")) return { kind: "attribute", object, name: stream.next().value, line };
    if (!stream.is("integer")) stream.fail(`Expected a name or a number, got ${stream.describeCurrent()}`);
    return { kind: "element", object, key: readPrimary(stream), line };
  }
  const keys: (Expression | readonly (Expression | undefined)[])[] = [];
  while (!stream.is("]")) {
    if (keys.length > 0) stream.expect(",");
    keys.push(readKey(stream));
  }
  stream.expect("]");
  const [key] = keys;
  if (keys.length === 1 && key !== undefined) {
    return "kind" in key ? { kind: "element", object, key, line } : { kind: "slice", object, bounds: key, line };
  }
  const items = keys.map((key) => "kind" in key ? key : stream.fail("A tuple of slices is not supported", line));
  return { kind: "element", object, key: { kind: "tuple", items, line }, line };
}

/** What is in the brackets of `a[…]`: a key, or the bounds of a slice. */
function readKey(stream: TokenStream): Expression | (Expression | undefined)[] {
  const bounds: (Expression | undefined)[] = [];
  const readBound = (): Expression | undefined =>
    [":", "]", ","].includes(stream.current.kind) ? undefined : readExpression(stream);
  const first = readBound();
  if (first !== undefined && !stream.is(":")) return first;
  bounds.push(first);
  stream.expect(":");
  bounds.push(readBound());
  if (stream.skip(":")) bounds.push(readBound());
  return bounds;
}

/** What a call passes, in its parentheses. */
function readArguments(stream: TokenStream): Arguments {
  const { line } = stream.expect("(");
  const positional: Expression[] = [];
  const named: (readonly [string, Expression])[] = [];
  let more: Expression | undefined;
  let moreNamed: Expression | undefined;
  const ensure = (fits: boolean): void => {
    if (!fits) stream.fail("Invalid syntax for function call expression", line);
  };
  readItems(stream, ")", () => {
    if (stream.skip("*")) {
      ensure(more === undefined && moreNamed === undefined);
      more = readExpression(stream);
    } else if (stream.skip("**")) {
      ensure(moreNamed === undefined);
      moreNamed = readExpression(stream);
    } else if (stream.is("name") && stream.following.kind === "=") {
      ensure(moreNamed === undefined);
      const name = stream.next().value;
      stream.next();
      ensure(!named.some(([other]) => other === name));
      named.push([name, readExpression(stream)]);
    } else {
      ensure(more === undefined && moreNamed === undefined && named.length === 0);
      positional.push(readExpression(stream));
    }
  });
  return { positional, named, more, moreNamed };
}

function readDottedName(stream: TokenStream): string {
  let name = stream.expect("name").value;
  while (stream.skip(".")) name += `.${stream.expect("name").value}`;
  return name;
}

function readFilter(stream: TokenStream, value: Expression): Expression {
  stream.expect("|");
  return readFilterCall(stream, value);
}

function readFilterCall(stream: TokenStream, value: Expression): Expression {
  const { line } = stream.current;
  const name = readDottedName(stream);
  return { kind: "filter", value, name, args: stream.is("(") ? readArguments(stream) : NO_ARGUMENTS, line };
}

/** The filters that a block's text goes through: `name|name(…)`, or `|name` if they begin with a bar. */
export function readBlockFilters(stream: TokenStream, beginsWithBar: boolean): Expression {
  const block: Expression = { kind: "block", line: stream.current.line };
  let value = beginsWithBar ? block : readFilterCall(stream, block);
  while (stream.is("|")) value = readFilter(stream, value);
  return value;
}

function readTest(stream: TokenStream, value: Expression): Expression {
  const { line } = stream.expectName("is");
  const negated = stream.skipName("not");
  const name = readDottedName(stream);
  let args = NO_ARGUMENTS;
  if (stream.is("(")) {
    args = readArguments(stream);
  } else if (
    ["name", "string", "integer", "float", "[", "{"].includes(stream.current.kind) &&
    !stream.isName("else", "or", "and")
  ) {
    if (stream.isName("is")) stream.fail("You cannot chain multiple tests with is");
    args = { positional: [readPostfix(stream, readPrimary(stream))], named: [] };
  }
  const test: Expression = { kind: "test", value, name, args, line };
  return negated ? { kind: "unary", operator: "not", operand: test, line } : test;
}
