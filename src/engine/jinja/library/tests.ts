/** Jinja's tests, as in `value is defined`. */
import { Problem } from "../values/error.ts";
import { compareValues, isEqual, isIn } from "../values/compare.ts";
import { modulo } from "../values/operators.ts";
import { str } from "../values/print.ts";
import { isMarkup, isStr, rawOf } from "../values/text.ts";
import {
  Callable,
  Dict,
  Float,
  isInt,
  isIterable,
  Lazy,
  type Meter,
  numberOf,
  sizeOf,
  typeName,
  Undefined,
  type Value,
  View,
} from "../values/values.ts";
import { FILTERS } from "./filters.ts";
import { type Apply, define, textArgument } from "./signature.ts";
import { KINDS } from "./text_case.ts";

const tests = new Map<string, Apply<boolean>>();

function test(names: string, parameters: string, body: (value: Value, argument: Value, meter: Meter) => boolean): void {
  for (const name of names.split(" ")) {
    tests.set(
      name,
      define<Value, boolean>(
        `The test "${name}"`,
        parameters,
        (value, [argument], run) => body(value, argument as Value, run),
      ),
    );
  }
}

test("defined", "", (value) => !(value instanceof Undefined));
test("undefined", "", (value) => value instanceof Undefined);
test("none", "", (value) => value === null);
test("boolean", "", (value) => typeof value === "boolean");
test("true", "", (value) => value === true);
test("false", "", (value) => value === false);
test("integer", "", (value) => isInt(value) && typeof value !== "boolean");
test("float", "", (value) => value instanceof Float || (typeof value === "number" && !Number.isInteger(value)));
test("number", "", (value) => numberOf(value) !== undefined);
test("string", "", isStr);
test("mapping", "", (value) => value instanceof Dict);
test("sequence", "", (value) => sizeOf(value) !== undefined && !(value instanceof View));
test("iterable", "", isIterable);
test("callable", "", (value) => value instanceof Callable || value instanceof Undefined);
test("escaped", "", isMarkup);
test("lower", "", (value, _, meter) => KINDS.islower(rawOf(str(value, meter))));
test("upper", "", (value, _, meter) => KINDS.isupper(rawOf(str(value, meter))));
test("odd", "", (value, _, meter) => remainder(value, 2, meter) === 1);
test("even", "", (value, _, meter) => remainder(value, 2, meter) === 0);
test("divisibleby", "num", (value, divisor, meter) => remainder(value, divisor, meter) === 0);
test("sameas", "other", isSame);
test("in", "seq", isIn);
test("== eq equalto", "other", (value, other, meter) => isEqual(value, other, meter));
test("!= ne", "other", (value, other, meter) => !isEqual(value, other, meter));
test("< lt lessthan", "other", (value, other, meter) => compareValues(value, other, meter, "<") < 0);
test("<= le", "other", (value, other, meter) => compareValues(value, other, meter, "<=") <= 0);
test("> gt greaterthan", "other", (value, other, meter) => compareValues(value, other, meter, ">") > 0);
test(">= ge", "other", (value, other, meter) => compareValues(value, other, meter, ">=") >= 0);
test("filter", "", (value) => FILTERS.has(rawOf(textArgument(value))));
test("test", "", (value) => tests.has(rawOf(textArgument(value))));

function remainder(value: Value, divisor: Value, meter: Meter): number {
  if (isStr(value)) throw new Problem(`A number is required, not '${typeName(value)}'`);
  return numberOf(modulo(value, divisor, meter)) ?? NaN;
}

/** Whether both are one object; equal strings and numbers count as one. */
function isSame(value: Value, other: Value): boolean {
  if (isStr(value) && isStr(other)) return rawOf(value) === rawOf(other);
  if (value instanceof Lazy) return value === other;
  return Object.is(value, other);
}

export const TESTS: ReadonlyMap<string, Apply<boolean>> = tests;
