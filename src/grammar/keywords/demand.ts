/**
 * What is demanded of one value, type by type, as it is gathered from schemas: the conjunction of all that has been read
 * so far. Nothing is changed once made, so that a demand can go on in several ways.
 */
import type { Language } from "../language/language.ts";
import type { Literal, Part } from "./document.ts";
import type { Type } from "./read.ts";
import type { Path } from "./schema_path.ts";

/** Types as bits. */
export const NULL = 1;
export const BOOLEAN = 2;
export const NUMBER = 4;
export const STRING = 8;
export const ARRAY = 16;
export const OBJECT = 32;
export const ALL_TYPES = 63;

const BITS: Readonly<Record<Type, number>> = {
  null: NULL,
  boolean: BOOLEAN,
  number: NUMBER,
  integer: NUMBER,
  string: STRING,
  array: ARRAY,
  object: OBJECT,
};

/** The bits of some types. */
export function bitsOf(types: readonly Type[]): number {
  return types.reduce((bits, type) => bits | BITS[type], 0);
}

/** The bit of a value's type. */
export function bitOf(value: unknown): number {
  if (value === null) return NULL;
  if (Array.isArray(value)) return ARRAY;
  return BITS[typeof value as Type];
}

/** A language that a text has to be of, and what demands it. */
export interface Texts {
  readonly language: Language;
  readonly at: Path;
}

export interface StringDemand {
  readonly texts: readonly Texts[];
  readonly least: number;
  readonly most: number;
}

export interface NumberDemand {
  readonly integer: boolean;
  /** Not a whole number. */
  readonly fraction: boolean;
  readonly least: number;
  readonly above: boolean;
  readonly most: number;
  readonly below: boolean;
  readonly multipleOf: readonly number[];
  readonly notMultipleOf: readonly number[];
  /** The only ones there are. */
  readonly values: readonly number[] | undefined;
  readonly not: readonly number[];
}

/** What one schema says of properties by their names. */
export interface Properties {
  readonly named: ReadonlyMap<string, Literal>;
  readonly patterns: readonly (readonly [language: Language, literal: Literal])[];
  /** Of all others. */
  readonly others: Literal;
  /** Whether it says anything of those that are not named. */
  readonly isOpen: boolean;
}

/** A property there has to be: a name of some language, with a value. */
export interface SomeProperty {
  readonly names: Language;
  readonly literal: Literal;
}

/** Names of which one is present or one is absent. */
export interface Clause {
  readonly present: readonly string[];
  readonly absent: readonly string[];
}

export interface ObjectDemand {
  readonly properties: readonly Properties[];
  readonly required: readonly string[];
  /** How many keywords have required any. */
  readonly lists: number;
  readonly forbidden: readonly string[];
  /** More that a property of a name has to be. */
  readonly more: readonly (readonly [name: string, literal: Literal])[];
  readonly some: readonly SomeProperty[];
  readonly clauses: readonly Clause[];
  /** What names have to be, as strings. */
  readonly names: readonly Literal[];
  readonly least: number;
  readonly most: number;
}

/** What one schema says of items by their places. */
export interface Items {
  readonly first: readonly Literal[];
  readonly others: Literal;
  /** Whether it says anything of those behind the first. */
  readonly isOpen: boolean;
}

/** How many items, from some place on, are of some kind. */
export interface CountedItems {
  readonly literal: Literal;
  readonly from: number;
  readonly least: number;
  readonly most: number;
}

export interface ArrayDemand {
  readonly items: readonly Items[];
  readonly counted: readonly CountedItems[];
  readonly least: number;
  readonly most: number;
  /** What demands that no two are equal. */
  readonly unique: Path | undefined;
}

/** A part that has not been read to its end. */
export interface Task {
  readonly part: Part;
  readonly isNegated: boolean;
  /** Keywords that are left, of one that has been begun. */
  readonly keys?: readonly string[];
  /** What it is part of without being in it; a part that comes back to itself so has no meaning. */
  readonly around: Around | undefined;
  /** How many schemas had spoken of properties and items before it. */
  readonly before?: { readonly properties: number; readonly items: number };
  readonly next: Task | undefined;
}

export interface Around {
  readonly part: Part;
  readonly around: Around | undefined;
}

/** Literals that have been read, so that what is said twice is read once. */
export interface Seen {
  readonly literal: Literal;
  readonly next: Seen | undefined;
}

export interface Demand {
  /** The types that are left. */
  readonly types: number;
  /** A bit each for false and true. */
  readonly booleans: number;
  readonly number: NumberDemand;
  readonly string: StringDemand;
  readonly array: ArrayDemand;
  readonly object: ObjectDemand;
  readonly todo: Task | undefined;
  readonly seen: Seen | undefined;
}

const NO_STRING: StringDemand = { texts: [], least: 0, most: Infinity };
export const NO_NUMBER: NumberDemand = {
  integer: false,
  fraction: false,
  least: -Infinity,
  above: false,
  most: Infinity,
  below: false,
  multipleOf: [],
  notMultipleOf: [],
  values: undefined,
  not: [],
};
const NO_ARRAY: ArrayDemand = { items: [], counted: [], least: 0, most: Infinity, unique: undefined };
const NO_OBJECT: ObjectDemand = {
  properties: [],
  required: [],
  lists: 0,
  forbidden: [],
  more: [],
  some: [],
  clauses: [],
  names: [],
  least: 0,
  most: Infinity,
};

/** Nothing is demanded. */
export const NOTHING: Demand = {
  types: ALL_TYPES,
  booleans: 3,
  number: NO_NUMBER,
  string: NO_STRING,
  array: NO_ARRAY,
  object: NO_OBJECT,
  todo: undefined,
  seen: undefined,
};

/** The same demand for fewer types; `undefined` if there is none left. */
export function only(demand: Demand, types: number): Demand | undefined {
  const left = demand.types & types;
  return left === 0 ? undefined : left === demand.types ? demand : { ...demand, types: left };
}

/** The demand with more of strings, if there are any; the same for other types. */
export function withString(demand: Demand, change: (string: StringDemand) => Partial<StringDemand>): Demand {
  return (demand.types & STRING) === 0 ? demand : { ...demand, string: { ...demand.string, ...change(demand.string) } };
}

export function withNumber(demand: Demand, change: (number: NumberDemand) => Partial<NumberDemand>): Demand {
  return (demand.types & NUMBER) === 0 ? demand : { ...demand, number: { ...demand.number, ...change(demand.number) } };
}

export function withArray(demand: Demand, change: (array: ArrayDemand) => Partial<ArrayDemand>): Demand {
  return (demand.types & ARRAY) === 0 ? demand : { ...demand, array: { ...demand.array, ...change(demand.array) } };
}

export function withObject(demand: Demand, change: (object: ObjectDemand) => Partial<ObjectDemand>): Demand {
  return (demand.types & OBJECT) === 0 ? demand : { ...demand, object: { ...demand.object, ...change(demand.object) } };
}
