/** Python's methods of lists, tuples and dicts. Templates may change the lists and dicts they are given: those are copies. */
import { Problem } from "../values/error.ts";
import { isEqual } from "../values/compare.ts";
import {
  checkItems,
  Dict,
  itemsOf,
  type Named,
  orElse,
  type Run,
  type Tuple,
  type Value,
  View,
} from "../values/values.ts";
import { repr } from "../values/print.ts";
import { rawOf } from "../values/text.ts";
import { type Apply, type Bound, definer, intArgument } from "./signature.ts";
import { sorted } from "./sorting.ts";

const listMethods = new Map<string, Apply>();
const addListMethod = definer<Value[]>(listMethods, "()");

addListMethod("append", "item", (list, [item]) => {
  checkItems(list.length + 1);
  list.push(item as Value);
  return null;
});
addListMethod("extend", "items", (list, [items]) => {
  const added = [...itemsOf(items as Value)];
  checkItems(list.length + added.length);
  for (const item of added) list.push(item);
  return null;
});
addListMethod("insert", "index item", (list, [index, item]) => {
  checkItems(list.length + 1);
  list.splice(intArgument(index, 0), 0, item as Value);
  return null;
});
addListMethod("pop", "/ index", (list, [index]) => {
  if (list.length === 0) throw new Problem("pop from empty list");
  const at = intArgument(index, -1);
  const [item] = list.splice(at < -list.length ? list.length : at, 1);
  if (item === undefined) throw new Problem("pop index out of range");
  return item;
});
addListMethod("remove", "item", (list, [item], run) => {
  list.splice(positionOf(list, item as Value, 0, list.length, run), 1);
  return null;
});
addListMethod("clear", "", (list) => {
  list.length = 0;
  return null;
});
addListMethod("reverse", "", (list) => {
  list.reverse();
  return null;
});
addListMethod("sort", "/ key reverse", (list, [key, reverse], run) => {
  const by = key === undefined || key === null ? undefined : (item: Value): Value => run.call(key, [item]);
  sorted(list, run, by, reverse === true).forEach((item, i) => list[i] = item);
  return null;
});
addListMethod("copy", "", (list) => [...list]);
addListMethod("count", "item", countOf);
addListMethod("index", "item / start end", indexOf);

export const LIST_METHODS: ReadonlyMap<string, Apply> = listMethods;

const tupleMethods = new Map<string, Apply>();
const addTupleMethod = definer<Tuple>(tupleMethods, "()");

addTupleMethod("count", "item", (tuple, args, run) => countOf(tuple.items, args, run));
addTupleMethod("index", "item / start end", (tuple, args, run) => indexOf(tuple.items, args, run));

export const TUPLE_METHODS: ReadonlyMap<string, Apply> = tupleMethods;

const dictMethods = new Map<string, Apply>();
const addDictMethod = definer<Dict>(dictMethods, "()");

addDictMethod("get", "key / default", (dict, [key, fallback = null]) => orElse(dict.get(key as Value), () => fallback));
addDictMethod("keys", "", (dict) => new View("keys", dict));
addDictMethod("values", "", (dict) => new View("values", dict));
addDictMethod("items", "", (dict) => new View("items", dict));
addDictMethod("copy", "", (dict) => new Dict(dict.pairs()));
addDictMethod("setdefault", "key / default", (dict, [key, fallback = null]) => {
  const found = dict.get(key as Value);
  if (found === undefined) dict.set(key as Value, fallback);
  return orElse(found, () => fallback);
});
addDictMethod("pop", "key / default", (dict, [key, fallback], run) => {
  const found = dict.has(key as Value) ? dict.get(key as Value) : fallback;
  if (found === undefined) throw new Problem(`There is no key ${rawOf(repr(key as Value, run))}`);
  dict.delete(key as Value);
  return found;
});
addDictMethod("popitem", "", (dict) => {
  const item = dict.items().at(-1);
  if (item === undefined) throw new Problem("popitem(): dictionary is empty");
  dict.delete(item.items[0] as Value);
  return item;
});
addDictMethod("clear", "", (dict) => {
  dict.clear();
  return null;
});
dictMethods.set("update", update);

export const DICT_METHODS: ReadonlyMap<string, Apply> = dictMethods;

function update(_run: Run, dict: Value, args: readonly Value[], named: Named): Value {
  if (args.length > 1) throw new Problem(`update() takes at most 1 argument, got ${args.length}`);
  for (const [key, value] of pairsOf(args[0] ?? [])) (dict as Dict).set(key, value);
  for (const [key, value] of named) (dict as Dict).set(key, value);
  return null;
}

/** Keys and values of a dict, or of a list of pairs. */
export function pairsOf(value: Value): [Value, Value][] {
  if (value instanceof Dict) return value.pairs();
  return itemsOf(value).map((pair) => {
    const [key, item, ...rest] = itemsOf(pair);
    if (key === undefined || item === undefined || rest.length > 0) {
      throw new Problem("A dict is made of pairs of a key and a value");
    }
    return [key, item];
  });
}

function countOf(items: readonly Value[], [item]: Bound, run: Run): number {
  return items.filter((other) => isEqual(other, item as Value, run)).length;
}

function indexOf(items: readonly Value[], [item, start, end]: Bound, run: Run): number {
  const clamp = (at: number): number => at < 0 ? Math.max(0, at + items.length) : at;
  return positionOf(items, item as Value, clamp(intArgument(start, 0)), clamp(intArgument(end, items.length)), run);
}

function positionOf(items: readonly Value[], item: Value, from: number, to: number, run: Run): number {
  const at = items.findIndex((other, i) => i >= from && i < to && isEqual(other, item, run));
  if (at < 0) throw new Problem(`${rawOf(repr(item, run))} is not in list`);
  return at;
}
