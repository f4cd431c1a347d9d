/** Jinja's filters for lists, dicts and numbers. */
import { Problem } from "../values/error.ts";
import { compareValues, isEqual } from "../values/compare.ts";
import { fixed } from "../values/number_format.ts";
import { add, elementOf, sliceOf } from "../values/operators.ts";
import { str } from "../values/print.ts";
import { isStr, rawOf } from "../values/text.ts";
import {
  checkItems,
  costOf,
  Dict,
  float,
  Group,
  isInt,
  isTrue,
  itemsOf,
  Lazy,
  type Named,
  numberOf,
  orElse,
  type Run,
  sizeOf,
  typeName,
  Undefined,
  type Value,
} from "../values/values.ts";
import { ownAttribute } from "./attributes.ts";
import { type Apply, type Bound, define, definer, intArgument, textArgument } from "./signature.ts";
import { attributeGetter, ignoreCase, sorted } from "./sorting.ts";

const length = define("length", "", (value) => {
  const size = sizeOf(value);
  if (size === undefined) throw new Problem(`object of type '${typeName(value)}' has no len()`);
  return size;
});
const fallBack = define(
  "default",
  "/ default_value boolean",
  (value, [fallback = "", boolean = false]) =>
    value instanceof Undefined || (isTrue(boolean) && !isTrue(value)) ? fallback : value,
);

const filters = new Map<string, Apply>();
const addFilter = definer<Value>(filters, "");

filters.set("length", length);
filters.set("count", length);
filters.set("default", fallBack);
filters.set("d", fallBack);
addFilter("list", "", (value) => [...itemsOf(value)]);
addFilter("first", "", (value) => {
  const item = value instanceof Lazy ? value.next() : isStr(value) ? elementOf(value, 0) : itemsOf(value)[0];
  return orElse(item, () => new Undefined("first", undefined, "No first item, sequence was empty."));
});
addFilter("last", "", (value) => {
  if (value instanceof Lazy) throw new Problem("'generator' object is not reversible");
  const item = isStr(value) ? elementOf(value, -1) : itemsOf(value).at(-1);
  return orElse(item, () => new Undefined("last", undefined, "No last item, sequence was empty."));
});
addFilter("items", "", (value) => {
  if (value instanceof Undefined) return new Lazy(() => []);
  if (!(value instanceof Dict)) throw new Problem("Can only get item pairs from a mapping.");
  return new Lazy(() => value.items());
});
addFilter("reverse", "", (value) => {
  if (isStr(value)) return sliceOf(value, null, null, -1);
  const items = [...itemsOf(value)].reverse();
  return value instanceof Lazy ? items : new Lazy(() => items);
});
addFilter("attr", "name", (value, [name]) => {
  if (value instanceof Undefined) value.fail();
  return orElse(ownAttribute(value, rawOf(textArgument(name))), () => new Undefined(name as Value, value));
});
addFilter("batch", "linecount / fill_with", (value, [count, fill = null]) => {
  const size = intArgument(count, 0);
  return new Lazy(() => batch(itemsOf(value), size, fill));
});
addFilter("slice", "slices / fill_with", (value, [count, fill = null]) => {
  const slices = intArgument(count, 0);
  return new Lazy(() => inSlices([...itemsOf(value)], slices, fill));
});
addFilter(
  "sort",
  "/ reverse case_sensitive attribute",
  (value, [reverse = false, sensitive = false, attribute], run) =>
    sorted(itemsOf(value), run, keysOf(run, attribute, isTrue(sensitive)), isTrue(reverse)),
);
addFilter("dictsort", "/ case_sensitive by reverse", dictsort);
addFilter("unique", "/ case_sensitive attribute", (value, [sensitive = false, attribute], run) => {
  const keyOf = keyOfOne(run, attribute, isTrue(sensitive));
  return new Lazy(() => {
    const seen = new Dict();
    return itemsOf(value).filter((item) => {
      const key = keyOf(item);
      const isNew = !seen.has(key);
      seen.set(key, true);
      return isNew;
    });
  });
});
addFilter("groupby", "attribute / default case_sensitive", groupby);
addFilter("min", "/ case_sensitive attribute", (value, args, run) => extreme(value, args, run, -1));
addFilter("max", "/ case_sensitive attribute", (value, args, run) => extreme(value, args, run, 1));
addFilter("sum", "/ attribute start", (value, [attribute, start = 0], run) => {
  if (isStr(start)) throw new Problem("sum() can't sum strings");
  const get = attributeGetter(run, attribute);
  return itemsOf(value).reduce((total: Value, item) => {
    run.spend(costOf(total));
    return add(total, get(item));
  }, start);
});
filters.set("map", (run, value, args, named) => new Lazy(() => isTrue(value) ? map(run, value, args, named) : []));
for (
  const [name, wanted, ofAttribute] of [
    ["select", true, false],
    ["reject", false, false],
    ["selectattr", true, true],
    ["rejectattr", false, true],
  ] as const
) {
  filters.set(name, (run, value, args, named) => filter(run, value, args, named, { wanted, ofAttribute }));
}
addFilter("abs", "", (value) => {
  const number = numberOf(value);
  if (value instanceof Undefined) value.fail();
  if (number === undefined) throw new Problem(`bad operand type for abs(): '${typeName(value)}'`);
  return isInt(value) ? Math.abs(number) : float(Math.abs(number));
});
addFilter(
  "round",
  "/ precision method",
  (value, [precision, method = "common"]) => round(value, intArgument(precision, 0), rawOf(textArgument(method))),
);
addFilter("int", "/ default base", (value, [fallback = 0, base]) => toInt(value, intArgument(base, 10)) ?? fallback);
addFilter("float", "/ default", (value, [fallback = float(0)]) => {
  if (value instanceof Undefined) value.fail();
  const number = toFloat(value);
  return number === undefined ? fallback : float(number);
});

export const LIST_FILTERS: ReadonlyMap<string, Apply> = filters;

function batch(items: readonly Value[], size: number, fill: Value): Value[] {
  const rows: Value[][] = [];
  for (const item of items) {
    if (rows.length === 0 || rows.at(-1)?.length === size) rows.push([]);
    rows.at(-1)?.push(item);
  }
  const last = rows.at(-1);
  if (fill !== null) {
    checkItems(size);
    while (last !== undefined && last.length < size) last.push(fill);
  }
  return rows;
}

function inSlices(items: readonly Value[], slices: number, fill: Value): Value[] {
  if (slices === 0) throw new Problem("integer division or modulo by zero");
  checkItems(slices);
  const size = Math.floor(items.length / slices);
  const longer = items.length % slices;
  const result: Value[][] = [];
  let from = 0;
  for (let i = 0; i < slices; i++) {
    const to = from + size + (i < longer ? 1 : 0);
    const part = items.slice(from, to);
    if (fill !== null && i >= longer) part.push(fill);
    result.push(part);
    from = to;
  }
  return result;
}

function keyOfOne(
  run: Run,
  attribute: Value | undefined,
  sensitive: boolean,
  fallback?: Value,
): (item: Value) => Value {
  const get = attributeGetter(run, attribute, fallback);
  return sensitive ? get : (item): Value => ignoreCase(get(item));
}

/** Several attributes with commas between them make a list of keys. */
function keysOf(run: Run, attribute: Value | undefined, sensitive: boolean): (item: Value) => Value {
  if (!isStr(attribute)) return keyOfOne(run, attribute, sensitive);
  const getters = rawOf(attribute).split(",").map((name) => keyOfOne(run, name, sensitive));
  const [only] = getters;
  return getters.length === 1 && only !== undefined ? only : (item): Value => getters.map((get) => get(item));
}

function dictsort(
  value: Value,
  [sensitive = false, by = "key", reverse = false]: Bound,
  run: Run,
): Value {
  if (value instanceof Undefined) value.fail();
  if (!(value instanceof Dict)) throw new Problem(`dictsort needs a dict, not '${typeName(value)}'`);
  const at = ["key", "value"].indexOf(isStr(by) ? rawOf(by) : "");
  if (at < 0) throw new Problem('You can only sort by either "key" or "value"');
  const keyOf = (item: Value): Value => {
    const key = itemsOf(item)[at] as Value;
    return isTrue(sensitive) ? key : ignoreCase(key);
  };
  return sorted(value.items(), run, keyOf, isTrue(reverse));
}

function groupby(
  value: Value,
  [attribute, fallback = null, sensitive = false]: Bound,
  run: Run,
): Value {
  const missing = fallback === null ? undefined : fallback;
  const keyOf = keyOfOne(run, attribute, isTrue(sensitive), missing);
  const nameOf = attributeGetter(run, attribute, missing);
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(itemsOf(value), run, keyOf)) {
    const key = keyOf(item);
    const last = groups.at(-1);
    if (last !== undefined && isEqual(last.key, key, run)) last.items.push(item);
    else groups.push({ key, items: [item] });
  }
  return groups.map(({ items }) => new Group(nameOf(items[0] as Value), items));
}

function extreme(
  value: Value,
  [sensitive = false, attribute]: Bound,
  run: Run,
  sign: number,
): Value {
  const keyOf = keyOfOne(run, attribute, isTrue(sensitive));
  const [first, ...rest] = itemsOf(value);
  if (first === undefined) return new Undefined("item", undefined, "No aggregated item, sequence was empty.");
  return rest.reduce((best, item) => sign * compareValues(keyOf(item), keyOf(best), run) > 0 ? item : best, first);
}

function map(run: Run, value: Value, args: readonly Value[], named: Named): Value[] {
  const [name, ...rest] = args;
  const attribute = named.get("attribute");
  if (name === undefined && attribute !== undefined) {
    const unknown = [...named.keys()].find((key) => key !== "attribute" && key !== "default");
    if (unknown !== undefined) throw new Problem(`map has no argument "${unknown}"`);
    return itemsOf(value).map(attributeGetter(run, attribute, named.get("default") ?? undefined));
  }
  if (name === undefined) throw new Problem("map requires a filter argument");
  return itemsOf(value).map((item) => run.filter(rawOf(str(name, run)), item, rest, named));
}

/** The items, or an attribute of theirs, that pass a test or do not. */
function filter(
  run: Run,
  value: Value,
  args: readonly Value[],
  named: Named,
  { wanted, ofAttribute }: { readonly wanted: boolean; readonly ofAttribute: boolean },
): Value {
  return new Lazy(() => {
    if (!isTrue(value)) return [];
    const [attribute, name, ...rest] = ofAttribute ? args : [null, ...args];
    if (attribute === undefined) throw new Problem("Missing parameter for attribute name");
    const get = attributeGetter(run, attribute);
    const test = name === undefined
      ? isTrue
      : (item: Value): boolean => run.test(rawOf(str(name, run)), item, rest, named);
    return itemsOf(value).filter((item) => test(get(item)) === wanted);
  });
}

function round(value: Value, precision: number, method: string): Value {
  const number = numberOf(value);
  if (value instanceof Undefined) value.fail();
  if (number === undefined) throw new Problem(`round needs a number, not '${typeName(value)}'`);
  if (Math.abs(precision) > 300) throw new Problem(`round cannot keep ${precision} decimals`);
  if (method === "ceil" || method === "floor") return float(Math[method](number * 10 ** precision) / 10 ** precision);
  if (method !== "common") throw new Problem("method must be common, ceil or floor");
  if (!Number.isFinite(number)) return number;
  const unit = 10 ** -precision;
  const magnitude = Math.abs(number);
  const rounded = precision >= 0
    ? Number(fixed(magnitude, Math.min(precision, 100)))
    : Number(fixed(magnitude / unit, 0)) * unit;
  const result = number < 0 ? -rounded : rounded;
  return isInt(value) ? result : float(result);
}

function toInt(value: Value, base: number): number | undefined {
  if (value instanceof Undefined) value.fail();
  if (isStr(value)) {
    const whole = parseInteger(rawOf(value), base);
    if (whole !== undefined) return whole;
  }
  const number = toFloat(value);
  if (number === undefined || Number.isNaN(number)) return undefined;
  if (!Number.isFinite(number)) throw new Problem("cannot convert float infinity to integer");
  return Math.trunc(number) + 0;
}

const PREFIXES: Readonly<Record<number, string>> = { 2: "0b", 8: "0o", 16: "0x" };

function parseInteger(raw: string, base: number): number | undefined {
  if (base !== 0 && (base < 2 || base > 36)) throw new Problem("int() base must be >= 2 and <= 36, or 0");
  const [, sign = "", digits = ""] = /^([+-]?)(\w+)$/.exec(raw.trim().toLowerCase()) ?? [];
  const named = [2, 8, 16].find((one) => digits.startsWith(PREFIXES[one] as string) && (base === 0 || base === one));
  const radix = named ?? (base === 0 ? 10 : base);
  const plain = named === undefined ? digits : digits.slice(2).replace(/^_/, "");
  if (!/^[\da-z]+(_[\da-z]+)*$/.test(plain)) return undefined;
  const figures = plain.replaceAll("_", "");
  if (Array.from(figures).some((figure) => parseInt(figure, 36) >= radix)) return undefined;
  const number = parseInt(figures, radix);
  if (!Number.isSafeInteger(number)) throw new Problem(`The integer "${raw}" is too large`);
  return (sign === "-" ? -number : number) + 0;
}

const FLOAT = /^[+-]?(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i;

function toFloat(value: Value): number | undefined {
  if (!isStr(value)) return numberOf(value);
  const raw = rawOf(value).trim();
  if (FLOAT.test(raw)) return Number(raw.replaceAll("_", ""));
  const [, sign, word] = /^([+-]?)(inf|infinity|nan)$/i.exec(raw) ?? [];
  if (word === undefined) return undefined;
  return word.toLowerCase() === "nan" ? NaN : sign === "-" ? -Infinity : Infinity;
}
