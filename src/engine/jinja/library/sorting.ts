/** Sorting, and what filters that sort and compare share. */
import { compareValues } from "../values/compare.ts";
import { changed, isStr, rawOf } from "../values/text.ts";
import { isInt, type Meter, type Run, Undefined, type Value } from "../values/values.ts";
import { str } from "../values/print.ts";

/** The items in order; those that compare equal keep theirs. */
export function sorted(
  items: readonly Value[],
  meter: Meter,
  keyOf?: (item: Value) => Value,
  reverse = false,
): Value[] {
  const keyed = items.map((item) => ({ item, key: keyOf === undefined ? item : keyOf(item) }));
  keyed.sort((a, b) => reverse ? compareValues(b.key, a.key, meter) : compareValues(a.key, b.key, meter));
  return keyed.map(({ item }) => item);
}

/** A string in lower case; anything else as it is. */
export function ignoreCase(value: Value): Value {
  return isStr(value) ? changed(value, (raw) => raw.toLowerCase()) : value;
}

/** What gets an attribute such as `function.name` or `0` of a value; the value itself without one. */
export function attributeGetter(run: Run, attribute: Value | undefined, fallback?: Value): (item: Value) => Value {
  if (attribute === undefined || attribute === null) return (item) => item;
  const path: Value[] = isInt(attribute)
    ? [Number(attribute)]
    : rawOf(str(attribute, run)).split(".").map((part) => /^\d+$/.test(part) ? Number(part) : part);
  return (item) => {
    let value = item;
    for (const part of path) {
      value = run.element(value, part);
      if (fallback !== undefined && value instanceof Undefined) value = fallback;
    }
    return value;
  };
}
