/** `value.name` and `value[key]`, by the sandbox's rules: Python's methods, a dict's keys, and nothing of JavaScript. */
import { elementOf } from "../values/operators.ts";
import { isStr, rawOf } from "../values/text.ts";
import { Callable, Dict, Group, orElse, Thing, Tuple, Undefined, type Value } from "../values/values.ts";
import { DICT_METHODS, LIST_METHODS, TUPLE_METHODS } from "./collection_methods.ts";
import type { Apply } from "./signature.ts";
import { STR_METHODS } from "./str_methods.ts";

const NO_METHODS: ReadonlyMap<string, Apply> = new Map();

function methodsOf(value: Value): ReadonlyMap<string, Apply> {
  if (value instanceof Dict) return DICT_METHODS;
  if (isStr(value)) return STR_METHODS;
  if (Array.isArray(value)) return LIST_METHODS;
  return value instanceof Tuple ? TUPLE_METHODS : NO_METHODS;
}

export function methodOf(value: Value, name: string): Apply | undefined {
  return methodsOf(value).get(name);
}

/** `value.name`: a method or an attribute, then a key. */
export function attributeOf(value: Value, name: string): Value {
  if (value instanceof Undefined) value.fail();
  const own = ownAttribute(value, name);
  if (own !== undefined) return own;
  return orElse(elementOf(value, name), () => new Undefined(name, value));
}

/** `value[key]`: a key or an index, then a method or an attribute. */
export function itemOf(value: Value, key: Value): Value {
  if (value instanceof Undefined) value.fail();
  const element = elementOf(value, key);
  if (element !== undefined) return element;
  return orElse(isStr(key) ? ownAttribute(value, rawOf(key)) : undefined, () => new Undefined(key, value));
}

/** A method or an attribute, but no key. */
export function ownAttribute(value: Value, name: string): Value | undefined {
  const method = methodOf(value, name);
  if (method !== undefined) return new Callable(name, (run, args, named) => method(run, value, args, named));
  if (value instanceof Group) return name === "grouper" ? value.grouper : name === "list" ? value.list : undefined;
  return value instanceof Thing ? value.attribute(name) : undefined;
}
