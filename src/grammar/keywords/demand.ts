/**
 * The constraints on one value, by type: the conjunction of all keywords read so far. Immutable, so that alternatives
 * can share it.
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

/** A language that a string must belong to, and the keyword that requires it. */
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
  /** Not an integer. */
  readonly fraction: boolean;
  readonly least: number;
  readonly above: boolean;
  readonly most: number;
  readonly below: boolean;
  readonly multipleOf: readonly number[];
  readonly notMultipleOf: readonly number[];
  /** The only allowed values. */
  readonly values: readonly number[] | undefined;
  readonly not: readonly number[];
}

/** What one schema says about properties. */
export interface Properties {
  readonly named: ReadonlyMap<string, Literal>;
  readonly patterns: readonly (readonly [language: Language, literal: Literal])[];
  /** For all other names. */
  readonly others: Literal;
  /** Whether it constrains properties that are not named. */
  readonly isOpen: boolean;
}

/** A required property whose name belongs to a language. */
export interface SomeProperty {
  readonly names: Language;
  readonly literal: Literal;
}

/** A clause: one of these names is present, or one of those absent. */
export interface Clause {
  readonly present: readonly string[];
  readonly absent: readonly string[];
}

export interface ObjectDemand {
  readonly properties: readonly Properties[];
  readonly required: readonly string[];
  /** Number of `required` keywords. */
  readonly lists: number;
  readonly forbidden: readonly string[];
  /** Additional constraints on named properties. */
  readonly more: readonly (readonly [name: string, literal: Literal])[];
  readonly some: readonly SomeProperty[];
  readonly clauses: readonly Clause[];
  /** Constraints on property names. */
  readonly names: readonly Literal[];
  readonly least: number;
  readonly most: number;
}

/** What one schema says about items. */
export interface Items {
  readonly first: readonly Literal[];
  readonly others: Literal;
  /** Whether it constrains items after the positional ones. */
  readonly isOpen: boolean;
}

/** How many items from an index on match. */
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
  /** The keyword that requires unique items. */
  readonly unique: Path | undefined;
}

/** A part that is not completely read. */
export interface Task {
  readonly part: Part;
  readonly isNegated: boolean;
  /** Remaining keywords of a part in progress. */
  readonly keys?: readonly string[];
  /** Parts applied in place (not nested) that led here; a cycle of them is an error. */
  readonly around: Around | undefined;
  /** Number of evaluations of properties and items before it. */
  readonly before?: { readonly properties: number; readonly items: number };
  readonly next: Task | undefined;
}

export interface Around {
  readonly part: Part;
  readonly around: Around | undefined;
}

/** Literals already read, so that duplicates are skipped. */
export interface Seen {
  readonly literal: Literal;
  readonly next: Seen | undefined;
}

export interface Demand {
  /** The remaining types. */
  readonly types: number;
  /** One bit each for false and true. */
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

/** No constraints. */
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

/** Types whose values have a length. */
export type Counted = "string" | "array" | "object";

/** The demand restricted to some types; `undefined` if none is left. */
export function only(demand: Demand, types: number): Demand | undefined {
  const left = demand.types & types;
  return left === 0 ? undefined : left === demand.types ? demand : { ...demand, types: left };
}

/** Adds constraints on values of a type to a demand, if it allows them. */
function constraining<T extends Counted | "number">(
  type: T,
): (demand: Demand, change: (own: Demand[T]) => Partial<Demand[T]>) => Demand {
  return (demand, change) =>
    (demand.types & BITS[type]) === 0 ? demand : { ...demand, [type]: { ...demand[type], ...change(demand[type]) } };
}

export const withString = constraining("string");
export const withNumber = constraining("number");
export const withArray = constraining("array");
export const withObject = constraining("object");

/** Lengths at least so long, where the type is allowed. */
export function longer(demand: Demand, type: Counted, least: number): Demand {
  return cut(demand, type, { least: Math.max(demand[type].least, least) });
}

/** Lengths at most so long, where the type is allowed. */
export function shorter(demand: Demand, type: Counted, most: number): Demand {
  return cut(demand, type, { most: Math.min(demand[type].most, most) });
}

function cut(demand: Demand, type: Counted, length: { readonly least?: number; readonly most?: number }): Demand {
  return (demand.types & BITS[type]) === 0 ? demand : { ...demand, [type]: { ...demand[type], ...length } };
}
