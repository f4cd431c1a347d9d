/** From JavaScript's values to those of the template language. */
import { checkDepth, Problem } from "./error.ts";
import { inputText } from "./text.ts";
import { Dict, type Value } from "./values.ts";

/** A JSON value whose strings all came from a request. */
export class InputValue {
  constructor(readonly value: unknown) {}
}

/**
 * Marks a JSON value: every string in it, keys too, counts as input of a request.
 *
 * @param value A JSON value; a `Map` is an object whose keys keep their order.
 * @returns What may be placed anywhere in the variables of a template.
 */
export function asInput(value: unknown): unknown {
  return new InputValue(value);
}

/** A fresh value of the template language, which the template may change. */
export function toValue(value: unknown, input = false, depth = 0): Value {
  if (typeof value === "string") return input ? inputText(value) : value;
  if (value === null || typeof value === "boolean" || typeof value === "number") return value;
  if (value instanceof InputValue) return toValue(value.value, true, depth);
  checkDepth(depth, "A variable");
  if (Array.isArray(value)) return value.map((item) => toValue(item ?? null, input, depth + 1));
  if (typeof value !== "object") throw new Problem(`A variable is a ${typeof value}, which is no JSON value`);
  const dict = new Dict();
  for (const [key, item] of value instanceof Map ? value : Object.entries(value)) {
    if (item !== undefined) dict.set(toValue(key, input, depth + 1), toValue(item, input, depth + 1));
  }
  return dict;
}
