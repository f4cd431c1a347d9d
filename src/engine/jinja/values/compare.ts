/** Comparison of values as Python does it; marks never count. */
import { checkDepth, Problem } from "./error.ts";
import { isStr, rawOf } from "./text.ts";
import {
  costOf,
  Dict,
  itemsOf,
  Lazy,
  type Meter,
  numberOf,
  Range,
  Thing,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

export function isEqual(left: Value, right: Value, meter: Meter, depth = 0): boolean {
  meter.spend(costOf(left) + depth);
  if (left === right) return typeof left !== "number" || !Number.isNaN(left);
  checkDepth(depth);
  if (isStr(left)) return isStr(right) && rawOf(left) === rawOf(right);
  const number = numberOf(left);
  if (number !== undefined) return number === numberOf(right);
  if (Array.isArray(left)) return Array.isArray(right) && areEqual(left, right, meter, depth);
  if (left instanceof Tuple) return right instanceof Tuple && areEqual(left.items, right.items, meter, depth);
  if (left instanceof Range) return right instanceof Range && areEqual(itemsOf(left), itemsOf(right), meter, depth);
  if (left instanceof Undefined) return right instanceof Undefined;
  if (left instanceof View) {
    if (!(right instanceof View) || left.kind === "values" || right.kind === "values") return false;
    const others = right.items;
    return left.items.length === others.length && left.items.every((item) => contains(others, item, meter));
  }
  if (!(left instanceof Dict && right instanceof Dict) || left.size !== right.size) return false;
  return left.pairs().every(([key, value]) => {
    const other = right.get(key);
    return other !== undefined && isEqual(value, other, meter, depth + 1);
  });
}

function areEqual(left: readonly Value[], right: readonly Value[], meter: Meter, depth: number): boolean {
  return left.length === right.length && left.every((item, i) => isEqual(item, right[i] as Value, meter, depth + 1));
}

/** Less than, equal or greater, as a negative number, 0 or a positive one; not a number if neither. */
export function compareValues(left: Value, right: Value, meter: Meter, operator = "<"): number {
  meter.spend(1 + costOf(left));
  if (left instanceof Undefined) left.fail();
  if (right instanceof Undefined) right.fail();
  if (isStr(left) && isStr(right)) return compareText(rawOf(left), rawOf(right));
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined) return a === b ? 0 : a - b || NaN;
  const lists = Array.isArray(left) && Array.isArray(right);
  if (lists || (left instanceof Tuple && right instanceof Tuple)) {
    const [ours, theirs] = [itemsOf(left), itemsOf(right)];
    for (let i = 0; i < Math.min(ours.length, theirs.length); i++) {
      const [one, other] = [ours[i] as Value, theirs[i] as Value];
      if (!isEqual(one, other, meter)) return compareValues(one, other, meter, operator);
    }
    return ours.length - theirs.length;
  }
  throw new Problem(
    `'${operator}' not supported between instances of '${typeName(left)}' and '${typeName(right)}'`,
  );
}

/** By code points; UTF-16 units would put U+E000 and above after the astral planes. */
function compareText(left: string, right: string): number {
  if (left === right) return 0;
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const [a, b] = [left.charCodeAt(i), right.charCodeAt(i)];
    if (a === b) continue;
    const isPair = (unit: number): boolean => unit >= 0xd800 && unit < 0xe000;
    return isPair(a) === isPair(b) ? a - b : isPair(a) ? 1 : -1;
  }
  return left.length - right.length;
}

/** `item in container`. */
export function isIn(item: Value, container: Value, meter: Meter): boolean {
  meter.spend(costOf(item) + costOf(container));
  if (isStr(container)) {
    if (!isStr(item)) throw new Problem(`'in <string>' requires string as left operand, not ${typeName(item)}`);
    return rawOf(container).includes(rawOf(item));
  }
  if (container instanceof Dict) return container.has(item);
  if (container instanceof View && container.kind === "keys") return container.dict.has(item);
  if (container === null || container instanceof Thing || numberOf(container) !== undefined) {
    throw new Problem(`argument of type '${typeName(container)}' is not iterable`);
  }
  if (container instanceof Lazy) return contains(container.take(), item, meter);
  return contains(itemsOf(container), item, meter);
}

function contains(items: readonly Value[], item: Value, meter: Meter): boolean {
  return items.some((other) => isEqual(item, other, meter));
}
