/** Arithmetic, subscripts and slices as Python does them. */
import { Problem } from "./error.ts";
import { percentFormat } from "./percent_format.ts";
import {
  charsOf,
  concat,
  escapeHtml,
  isMarkup,
  isStr,
  join,
  lengthOf,
  repeat,
  slice,
  type Str,
  unitOf,
  withMarkup,
} from "./text.ts";
import {
  checkItems,
  Dict,
  float,
  isInt,
  itemsOf,
  type Meter,
  numberOf,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

export type Operate = (left: Value, right: Value, meter: Meter) => Value;

export function add(left: Value, right: Value): Value {
  if (typeof left === "string" && typeof right === "string") return concat(left, right);
  if (isStr(left) && isStr(right)) {
    if (!isMarkup(left) && !isMarkup(right)) return concat(left, right);
    return withMarkup(concat(escapeHtml(left), escapeHtml(right)), true);
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    checkItems(left.length + right.length);
    return [...left, ...right];
  }
  if (left instanceof Tuple && right instanceof Tuple) {
    checkItems(left.items.length + right.items.length);
    return new Tuple([...left.items, ...right.items]);
  }
  if (isStr(left) && !(right instanceof Undefined)) {
    throw new Problem(`can only concatenate str (not "${typeName(right)}") to str`);
  }
  return calculate("+", left, right, (a, b) => a + b);
}

export function subtract(left: Value, right: Value): Value {
  return calculate("-", left, right, (a, b) => a - b);
}

export function multiply(left: Value, right: Value): Value {
  if (isInt(left) && numberOf(right) === undefined) return multiply(right, left);
  if (isInt(right)) {
    const count = Math.max(0, Number(right));
    if (isStr(left)) return repeat(left, count);
    if (Array.isArray(left) || left instanceof Tuple) {
      const items = itemsOf(left);
      checkItems(items.length * count);
      const repeated: Value[] = [];
      for (let i = 0; i < items.length * count; i++) repeated.push(items[i % items.length] as Value);
      return left instanceof Tuple ? new Tuple(repeated) : repeated;
    }
  }
  return calculate("*", left, right, (a, b) => a * b);
}

/** `left / right`, always a `float`. */
export function divide(left: Value, right: Value): Value {
  return calculate("/", left, right, (a, b) => a / notZero(b, "division by zero"), true);
}

export function floorDivide(left: Value, right: Value): Value {
  return calculate("//", left, right, (a, b) => Math.floor(a / notZero(b, "integer division or modulo by zero")));
}

/** `left % right`: the remainder, or a string with its values put in. */
export function modulo(left: Value, right: Value, meter: Meter): Value {
  if (isStr(left)) return percentFormat(left, right, meter);
  return calculate("%", left, right, (a, b) => {
    const rest = a % notZero(b, "integer modulo by zero");
    return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
  });
}

export function power(left: Value, right: Value): Value {
  const toFloat = isInt(left) && isInt(right) && Number(right) < 0;
  return calculate("** or pow()", left, right, (a, b) => a ** b, toFloat);
}

export function negate(value: Value): Value {
  return withSign(value, "unary -", (number) => -number);
}

export function plus(value: Value): Value {
  return withSign(value, "unary +", (number) => number);
}

function withSign(value: Value, name: string, change: (number: number) => number): Value {
  if (value instanceof Undefined) value.fail();
  const number = numberOf(value);
  if (number === undefined) throw new Problem(`bad operand type for ${name}: '${typeName(value)}'`);
  return isInt(value) ? change(number) + 0 : float(change(number));
}

function notZero(divisor: number, message: string): number {
  if (divisor === 0) throw new Problem(message);
  return divisor;
}

function calculate(
  name: string,
  left: Value,
  right: Value,
  operate: (left: number, right: number) => number,
  toFloat = false,
): Value {
  if (left instanceof Undefined) left.fail();
  if (right instanceof Undefined) right.fail();
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === undefined || b === undefined) {
    throw new Problem(`unsupported operand type(s) for ${name}: '${typeName(left)}' and '${typeName(right)}'`);
  }
  const result = operate(a, b);
  if (toFloat || !isInt(left) || !isInt(right)) return float(result);
  if (!Number.isSafeInteger(result)) throw new Problem(`An integer grows beyond ${Number.MAX_SAFE_INTEGER}`);
  return result + 0;
}

/** `value[key]`, or `undefined` if there is nothing. */
export function elementOf(value: Value, key: Value): Value | undefined {
  if (value instanceof Dict) return value.find(key);
  if (!isInt(key)) return undefined;
  if (isStr(value)) {
    const length = lengthOf(value);
    const at = Number(key) < 0 ? Number(key) + length : Number(key);
    return at < 0 || at >= length ? undefined : slice(value, unitOf(value, at), unitOf(value, at + 1));
  }
  if (value instanceof Range) {
    const at = Number(key) < 0 ? Number(key) + value.length : Number(key);
    return at < 0 || at >= value.length ? undefined : value.at(at);
  }
  if (Array.isArray(value)) return itemAt(value, Number(key));
  return value instanceof Tuple ? itemAt(value.items, Number(key)) : undefined;
}

function itemAt(items: readonly Value[], at: number): Value | undefined {
  return items[at < 0 ? at + items.length : at];
}

/** `value[start:stop:step]`. */
export function sliceOf(value: Value, start: Value, stop: Value, step: Value): Value {
  if (value instanceof Undefined) value.fail();
  const bound = (given: Value): number | undefined => {
    if (given === null) return undefined;
    if (!isInt(given)) throw new Problem("slice indices must be integers or None or have an __index__ method");
    return Number(given);
  };
  const [from, to, by] = [bound(start), bound(stop), bound(step) ?? 1];
  if (by === 0) throw new Problem("slice step cannot be zero");
  if (isStr(value)) return sliceText(value, from, to, by);
  if (!Array.isArray(value) && !(value instanceof Tuple) && !(value instanceof Range)) {
    throw new Problem(`'${typeName(value)}' object has no slices`);
  }
  const items = itemsOf(value);
  const picked = indices(items.length, from, to, by).map((i) => items[i] as Value);
  if (value instanceof Tuple) return new Tuple(picked);
  if (!(value instanceof Range)) return picked;
  const [first, leap] = [picked[0] as number | undefined, value.step * by];
  return first === undefined ? new Range(0, 0, 1) : new Range(first, first + leap * picked.length, leap);
}

function sliceText(text: Str, from: number | undefined, to: number | undefined, step: number): Str {
  if (step === 1) {
    const [start, stop] = bounds(lengthOf(text), from, to, 1);
    return slice(text, unitOf(text, start), unitOf(text, Math.max(start, stop)));
  }
  const chars = charsOf(text);
  return withMarkup(join("", indices(chars.length, from, to, step).map((i) => chars[i] as Str)), isMarkup(text));
}

function bounds(length: number, from: number | undefined, to: number | undefined, step: number): [number, number] {
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + length : at, low), high);
  return [
    from === undefined ? (step > 0 ? low : high) : clamp(from),
    to === undefined ? (step > 0 ? high : low) : clamp(to),
  ];
}

function indices(length: number, from: number | undefined, to: number | undefined, step: number): number[] {
  const [start, stop] = bounds(length, from, to, step);
  const picked: number[] = [];
  for (let i = start; step > 0 ? i < stop : i > stop; i += step) picked.push(i);
  return picked;
}
