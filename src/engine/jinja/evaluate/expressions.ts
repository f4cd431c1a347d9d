/** Turns expressions into functions that compute them. */
import { TemplateError } from "../values/error.ts";
import { attributeOf, methodOf } from "../library/attributes.ts";
import { pairsOf } from "../library/collection_methods.ts";
import { FILTERS } from "../library/filters.ts";
import type { Apply } from "../library/signature.ts";
import { TESTS } from "../library/tests.ts";
import type { Arguments, Comparison, Expression } from "../syntax/ast.ts";
import { compareValues, isEqual, isIn } from "../values/compare.ts";
import {
  add,
  divide,
  floorDivide,
  modulo,
  multiply,
  negate,
  type Operate,
  plus,
  power,
  sliceOf,
  subtract,
} from "../values/operators.ts";
import { concat, isStr, rawOf, type Str } from "../values/text.ts";
import {
  costOf,
  Dict,
  float,
  isTrue,
  itemsOf,
  marksCost,
  type Meter,
  type Named,
  NONE_NAMED,
  Tuple,
  Undefined,
  type Value,
} from "../values/values.ts";
import type { Evaluate, Scope } from "./rendering.ts";

/** Where an expression is, as far as it matters for compiling it. */
export interface Place {
  /** Inside an `if`, where an unknown filter or test fails only when it is used, as in Jinja. */
  readonly soft: boolean;
  /** Called for every name that is read. */
  readonly onName: (name: string) => void;
}

const OPERATORS: Readonly<Record<string, Operate>> = {
  "+": add,
  "-": subtract,
  "*": multiply,
  "/": divide,
  "//": floorDivide,
  "%": modulo,
  "**": power,
};

const COMPARE: Readonly<Record<Comparison["operator"], (left: Value, right: Value, meter: Meter) => boolean>> = {
  "==": (left, right, meter) => isEqual(left, right, meter),
  "!=": (left, right, meter) => !isEqual(left, right, meter),
  "<": (left, right, meter) => compareValues(left, right, meter, "<") < 0,
  "<=": (left, right, meter) => compareValues(left, right, meter, "<=") <= 0,
  ">": (left, right, meter) => compareValues(left, right, meter, ">") > 0,
  ">=": (left, right, meter) => compareValues(left, right, meter, ">=") >= 0,
  in: isIn,
  "not in": (left, right, meter) => !isIn(left, right, meter),
};

export function compileExpression(expression: Expression, place: Place): Evaluate {
  const compile = (inner: Expression): Evaluate => compileExpression(inner, place);
  const { line } = expression;
  switch (expression.kind) {
    case "constant": {
      const { value } = expression;
      return () => value;
    }
    case "float": {
      const value = float(expression.value);
      return () => value;
    }
    case "block":
      return (scope) => scope.block;
    case "name": {
      const { name } = expression;
      place.onName(name);
      return (scope) => scope.get(name);
    }
    case "list": {
      const items = expression.items.map(compile);
      return (scope) => items.map((item) => item(scope));
    }
    case "tuple": {
      const items = expression.items.map(compile);
      return (scope) => new Tuple(items.map((item) => item(scope)));
    }
    case "concat":
      return compileConcat(expression.items.map(compile), line);
    case "dict": {
      const pairs = expression.pairs.map(([key, value]) => [compile(key), compile(value)] as const);
      return (scope) => {
        const entries = pairs.map(([key, value]) => [key(scope), value(scope)] as const);
        scope.run.line = line;
        return new Dict(entries);
      };
    }
    case "attribute": {
      const object = compile(expression.object);
      const { name } = expression;
      return (scope) => {
        const value = object(scope);
        scope.run.line = line;
        return attributeOf(value, name);
      };
    }
    case "element": {
      const object = compile(expression.object);
      const key = compile(expression.key);
      return (scope) => {
        const value = object(scope);
        const at = key(scope);
        scope.run.line = line;
        return scope.run.element(value, at);
      };
    }
    case "slice":
      return compileSlice(compile(expression.object), expression.bounds.map((bound) => bound && compile(bound)), line);
    case "call":
      return compileCall(expression.callee, expression.args, line, place);
    case "filter":
    case "test": {
      const { name, kind } = expression;
      const apply = known<Apply>((kind === "filter" ? FILTERS : TESTS).get(name), kind, name, line, place);
      const value = compile(expression.value);
      const pass = compileArguments(expression.args, place);
      return (scope) => {
        const subject = value(scope);
        const { args, named } = pass(scope);
        scope.run.line = line;
        return apply === undefined
          ? scope.run[kind](name, subject, args, named)
          : scope.run.apply(apply, subject, args, named);
      };
    }
    case "unary": {
      const operand = compile(expression.operand);
      if (expression.operator === "not") return (scope) => !isTrue(operand(scope));
      const operate = expression.operator === "-" ? negate : plus;
      return (scope) => {
        const value = operand(scope);
        scope.run.line = line;
        return operate(value);
      };
    }
    case "binary": {
      const [left, right] = [compile(expression.left), compile(expression.right)];
      if (expression.operator === "and") {
        return (scope) => {
          const value = left(scope);
          return isTrue(value) ? right(scope) : value;
        };
      }
      if (expression.operator === "or") {
        return (scope) => {
          const value = left(scope);
          return isTrue(value) ? value : right(scope);
        };
      }
      const operate = OPERATORS[expression.operator] as Operate;
      // Strings are added without copying them, all but the marks of the second.
      const isSum = expression.operator === "+";
      return (scope) => {
        const first = left(scope);
        const second = right(scope);
        scope.run.line = line;
        const result = operate(first, second, scope.run);
        scope.run.spend(isSum && isStr(result) ? marksCost(second) : costOf(result));
        return result;
      };
    }
    case "compare":
      return compileComparison(compile(expression.first), expression.rest, line, place);
    case "condition": {
      const soft = { ...place, soft: true };
      const test = compileExpression(expression.test, soft);
      const then = compileExpression(expression.then, soft);
      const otherwise = expression.otherwise && compileExpression(expression.otherwise, soft);
      return (scope) => {
        if (isTrue(test(scope))) return then(scope);
        if (otherwise !== undefined) return otherwise(scope);
        return new Undefined(
          "",
          undefined,
          `the inline if-expression on line ${line} evaluated to false and no else section was defined.`,
        );
      };
    }
  }
}

/** Refuses a filter or test that does not exist, unless it may never be reached. */
function known<T>(found: T | undefined, what: string, name: string, line: number, place: Place): T | undefined {
  if (found === undefined && !place.soft) throw new TemplateError(`No ${what} named "${name}"`, line);
  return found;
}

function compileConcat(items: readonly Evaluate[], line: number): Evaluate {
  return (scope) => {
    let text: Str = "";
    for (const item of items) {
      const value = item(scope);
      scope.run.line = line;
      text = concat(text, scope.run.print(value));
    }
    return text;
  };
}

function compileSlice(object: Evaluate, bounds: readonly (Evaluate | undefined)[], line: number): Evaluate {
  return (scope) => {
    const value = object(scope);
    const [start = null, stop = null, step = null] = bounds.map((bound) => bound && bound(scope));
    scope.run.line = line;
    scope.run.spend(costOf(value));
    return sliceOf(value, start, stop, step);
  };
}

function compileComparison(
  first: Evaluate,
  rest: readonly Comparison[],
  line: number,
  place: Place,
): Evaluate {
  const steps = rest.map(({ operator, operand }) => ({
    holds: COMPARE[operator],
    operand: compileExpression(operand, place),
  }));
  const [only] = steps;
  if (steps.length === 1 && only !== undefined) {
    const { holds, operand } = only;
    return (scope) => {
      const left = first(scope);
      const right = operand(scope);
      scope.run.line = line;
      return holds(left, right, scope.run);
    };
  }
  return (scope) => {
    let left = first(scope);
    for (const { holds, operand } of steps) {
      const right = operand(scope);
      scope.run.line = line;
      if (!holds(left, right, scope.run)) return false;
      left = right;
    }
    return true;
  };
}

interface Passed {
  readonly args: readonly Value[];
  readonly named: Named;
}

const NOTHING: Passed = { args: [], named: NONE_NAMED };

export function compileArguments(given: Arguments, place: Place): (scope: Scope) => Passed {
  const positional = given.positional.map((item) => compileExpression(item, place));
  const named = given.named.map(([name, value]) => [name, compileExpression(value, place)] as const);
  const more = given.more && compileExpression(given.more, place);
  const moreNamed = given.moreNamed && compileExpression(given.moreNamed, place);
  if (more === undefined && moreNamed === undefined) {
    if (named.length === 0 && positional.length === 0) return () => NOTHING;
    if (named.length === 0) return (scope) => ({ args: positional.map((item) => item(scope)), named: NONE_NAMED });
  }
  return (scope) => {
    const args = positional.map((item) => item(scope));
    const names = new Map(named.map(([name, value]) => [name, value(scope)] as const));
    for (const item of more === undefined ? [] : itemsOf(more(scope))) args.push(item);
    for (const [key, value] of moreNamed === undefined ? [] : pairsOf(moreNamed(scope))) {
      names.set(rawOf(scope.run.print(key)), value);
    }
    return { args, named: names };
  };
}

function compileCall(callee: Expression, given: Arguments, line: number, place: Place): Evaluate {
  const pass = compileArguments(given, place);
  if (callee.kind !== "attribute") {
    const called = compileExpression(callee, place);
    return (scope) => {
      const value = called(scope);
      const { args, named } = pass(scope);
      scope.run.line = line;
      return scope.run.call(value, args, named);
    };
  }
  // A method is called without making a function of it first.
  const object = compileExpression(callee.object, place);
  const { name } = callee;
  return (scope) => {
    const value = object(scope);
    scope.run.line = line;
    const method = methodOf(value, name);
    const called = method === undefined ? attributeOf(value, name) : undefined;
    const { args, named } = pass(scope);
    scope.run.line = line;
    if (method !== undefined) return scope.run.apply(method, value, args, named);
    return scope.run.call(called as Value, args, named);
  };
}
