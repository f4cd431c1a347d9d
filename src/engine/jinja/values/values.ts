/**
 * The values of the template language and Python's rules for them: truth, length, iteration, types. Null, booleans,
 * strings and lists are JavaScript's; a JavaScript number without a fraction is an `int`.
 */
import { Problem } from "./error.ts";
import { charsOf, isStr, lengthOf, rawOf, type Str, Text } from "./text.ts";

/** A value of the template language. */
export type Value =
  | null
  | boolean
  | number
  | Str
  | Float
  | Value[]
  | Tuple
  | Dict
  | Range
  | View
  | Lazy
  | Undefined
  | Thing;

export type Named = ReadonlyMap<string, Value>;

export const NONE_NAMED: Named = new Map();

/** Counts the work of a rendering. */
export interface Meter {
  /** Counts steps, and throws once a template takes too many. */
  spend(steps: number): void;
}

/** The rendering a function is called in. */
export interface Run extends Meter {
  /** `value.name`, by the template language's rules. */
  attribute(value: Value, name: Str): Value;
  /** `value[key]`, by the template language's rules. */
  element(value: Value, key: Value): Value;
  /** `str(value)`. */
  print(value: Value): Str;
  /** Calls a value; throws if it cannot be called. */
  call(value: Value, args: readonly Value[], named?: Named): Value;
  /** Applies a filter; throws if there is none of this name. */
  filter(name: string, value: Value, args: readonly Value[], named?: Named): Value;
  /** Applies a test; throws if there is none of this name. */
  test(name: string, value: Value, args: readonly Value[], named?: Named): boolean;
  now(): Date;
}

/** Largest number of elements of a list a template makes. */
export const MAX_ITEMS = 1_000_000;

/** A `float` without a fraction; one with a fraction is a plain number. */
export class Float {
  constructor(readonly value: number) {}
}

/** A list that does not change. */
export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** What `groupby` returns: the common value and the items that have it. */
export class Group extends Tuple {
  constructor(readonly grouper: Value, readonly list: Value[]) {
    super([grouper, list]);
  }
}

/** A range of numbers, computed lazily. */
export class Range {
  constructor(readonly start: number, readonly stop: number, readonly step: number) {}

  get length(): number {
    return Math.max(0, Math.ceil((this.stop - this.start) / this.step));
  }

  at(index: number): number {
    return this.start + index * this.step;
  }
}

/** What `keys()`, `values()` and `items()` of a dict return. */
export class View {
  constructor(readonly kind: "keys" | "values" | "items", readonly dict: Dict) {}

  /** The current elements. */
  get items(): Value[] {
    if (this.kind === "keys") return this.dict.keys();
    return this.kind === "values" ? this.dict.values() : this.dict.items();
  }
}

/** A generator: computed when first needed, and consumed by one iteration. */
export class Lazy {
  #make: (() => readonly Value[]) | undefined;

  constructor(make: () => readonly Value[]) {
    this.#make = make;
  }

  /** Computes and consumes the remaining elements. */
  take(): readonly Value[] {
    const make = this.#make;
    this.#make = undefined;
    return make?.() ?? [];
  }

  /** Takes the first element and leaves the rest. */
  next(): Value | undefined {
    const [first, ...rest] = this.take();
    this.#make = () => rest;
    return first;
  }
}

/** A name or an attribute that does not exist: empty text, but no operation may use it. */
export class Undefined {
  constructor(
    readonly name: Value,
    /** The object of a missing attribute; absent for a variable. */
    readonly owner?: Value,
    readonly hint?: string,
  ) {}

  /** The error of operations that use it. */
  get message(): string {
    if (this.hint !== undefined) return this.hint;
    const name = isStr(this.name)
      ? `'${rawOf(this.name)}'`
      : typeof this.name === "number"
      ? String(this.name)
      : typeName(this.name);
    if (this.owner === undefined) return `${name} is undefined`;
    const owner = this.owner === null ? "None" : `${typeName(this.owner)} object`;
    return isStr(this.name) ? `'${owner}' has no attribute ${name}` : `${owner} has no element ${name}`;
  }

  /** Throws, as every operation on it does. */
  fail(): never {
    throw new Problem(this.message);
  }
}

/** Anything else: functions, macros, namespaces, a loop's state. */
export abstract class Thing {
  /** Name of its Python type. */
  abstract readonly type: string;

  /** An attribute, or `undefined` if it has no such. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }

  /** Its printed form. */
  print(): string {
    return `<${this.type} object>`;
  }
}

/** Something that can be called. */
export class Callable extends Thing {
  override readonly type: string = "function";

  constructor(readonly name: string, readonly call: (run: Run, args: readonly Value[], named: Named) => Value) {
    super();
  }

  override print(): string {
    return `<${this.type} ${this.name}>`;
  }
}

const UNDEFINED_KEY = Symbol("undefined");
/** Identity of a key that Python cannot hash: one that holds a list or a dict. */
const UNHASHABLE = Symbol("unhashable");
/** Longest identity of a tuple. */
const MAX_IDENTITY = 65_536;

/** Two keys with the same identity are one: 1, 1.0 and true are, and marks do not count. */
function identityOf(key: Value): unknown {
  if (typeof key === "string") return key.charCodeAt(0) === 0 ? `\0${key}` : key;
  if (key instanceof Text) return identityOf(key.raw);
  if (typeof key === "boolean") return Number(key);
  if (key instanceof Float) return key.value;
  if (key instanceof Undefined) return UNDEFINED_KEY;
  if (key instanceof Tuple) return tupleIdentity(key);
  return Array.isArray(key) || key instanceof Dict ? UNHASHABLE : key;
}

function tupleIdentity({ items }: Tuple): unknown {
  let identity = "\0(";
  for (const item of items) {
    const part = identityOf(item);
    if (typeof part !== "string" && typeof part !== "number" && part !== null) return UNHASHABLE;
    identity += `${JSON.stringify(part)},`;
    if (identity.length > MAX_IDENTITY) throw new Problem("A tuple is too large for a key");
  }
  return identity;
}

function hash(key: Value): unknown {
  const identity = identityOf(key);
  if (identity === UNHASHABLE) throw new Problem(`unhashable type: '${typeName(key)}'`);
  return identity;
}

/** A mapping that keeps the order in which its keys came. */
export class Dict {
  readonly #entries = new Map<unknown, { readonly key: Value; value: Value }>();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Throws if the key holds a list or a dict, as Python does. */
  get(key: Value): Value | undefined {
    return this.#entries.get(hash(key))?.value;
  }

  /** As {@linkcode get}, but `undefined` for a key that holds a list or a dict. */
  find(key: Value): Value | undefined {
    return this.#entries.get(identityOf(key))?.value;
  }

  has(key: Value): boolean {
    return this.#entries.has(hash(key));
  }

  set(key: Value, value: Value): void {
    const identity = hash(key);
    const entry = this.#entries.get(identity);
    if (entry !== undefined) entry.value = value;
    else if (this.#entries.size >= MAX_ITEMS) throw new Problem(`A dict grows beyond ${MAX_ITEMS} keys`);
    else this.#entries.set(identity, { key, value });
  }

  delete(key: Value): void {
    this.#entries.delete(hash(key));
  }

  clear(): void {
    this.#entries.clear();
  }

  keys(): Value[] {
    return Array.from(this.#entries.values(), ({ key }) => key);
  }

  values(): Value[] {
    return Array.from(this.#entries.values(), ({ value }) => value);
  }

  /** Keys and values, without tuples around them. */
  pairs(): [Value, Value][] {
    return Array.from(this.#entries.values(), ({ key, value }) => [key, value]);
  }

  items(): Tuple[] {
    return Array.from(this.#entries.values(), ({ key, value }) => new Tuple([key, value]));
  }
}

export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (isStr(value)) return "str";
  if (value instanceof Float) return "float";
  if (Array.isArray(value)) return "list";
  if (value instanceof Tuple) return "tuple";
  if (value instanceof Dict) return "dict";
  if (value instanceof Range) return "range";
  if (value instanceof View) return `dict_${value.kind}`;
  if (value instanceof Lazy) return "generator";
  return value instanceof Undefined ? "Undefined" : value.type;
}

export function isTrue(value: Value): boolean {
  if (typeof value === "boolean") return value;
  if (value === null || value instanceof Undefined) return false;
  if (typeof value === "string") return value !== "";
  if (typeof value === "number") return value !== 0;
  if (value instanceof Text) return value.raw !== "";
  if (value instanceof Float) return value.value !== 0;
  return sizeOf(value) !== 0;
}

/** Number of elements of a value; `undefined` if it has no length. */
export function sizeOf(value: Value): number | undefined {
  if (isStr(value)) return lengthOf(value);
  if (Array.isArray(value)) return value.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof View) return value.dict.size;
  if (value instanceof Range) return value.length;
  return value instanceof Undefined ? 0 : undefined;
}

export function isIterable(value: Value): boolean {
  return sizeOf(value) !== undefined || value instanceof Lazy;
}

/** A value's elements; a generator is consumed. For a list the list itself, which may change. */
export function itemsOf(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value;
  if (isStr(value)) return charsOf(value);
  if (value instanceof Tuple || value instanceof View) return value.items;
  if (value instanceof Dict) return value.keys();
  if (value instanceof Lazy) return value.take();
  if (value instanceof Undefined) return [];
  if (value instanceof Range) {
    const items: number[] = [];
    for (let i = 0; i < value.length; i++) items.push(value.at(i));
    return items;
  }
  throw new Problem(`'${typeName(value)}' object is not iterable`);
}

/** Characters or elements processed per step. */
const STEP_CHARS = 256;
const STEP_ITEMS = 16;

/** Additional steps of an operation on a value. */
export function costOf(value: Value): number {
  if (typeof value === "string") return Math.floor(value.length / STEP_CHARS);
  if (value instanceof Text) return Math.floor(value.raw.length / STEP_CHARS) + marksCost(value);
  return Math.floor((sizeOf(value) ?? 0) / STEP_ITEMS);
}

/** Steps for copying a string's marks. */
export function marksCost(value: Value): number {
  return value instanceof Text ? Math.floor(value.size / STEP_ITEMS) : 0;
}

/** A number as a `float`. */
export function float(value: number): number | Float {
  return Number.isInteger(value) ? new Float(value) : value;
}

/** A number's value, with booleans as 0 and 1; `undefined` for anything else. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  return value instanceof Float ? value.value : undefined;
}

/** Whether a value is a Python `int`, booleans included. */
export function isInt(value: Value): value is number | boolean {
  return typeof value === "boolean" || (typeof value === "number" && Number.isInteger(value));
}

/** A value, or another if there is none; None is a value. */
export function orElse(value: Value | undefined, otherwise: () => Value): Value {
  return value === undefined ? otherwise() : value;
}

/** Checks the length of a new list. */
export function checkItems(length: number): void {
  if (length > MAX_ITEMS) throw new Problem(`A list grows beyond ${MAX_ITEMS} elements`);
}
