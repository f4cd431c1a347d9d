/** The semantics of a keyword: the demands it makes, and the ways to violate it. */
import type { Language, Languages } from "../language/language.ts";
import { ALWAYS, type Literal, NEVER, type Part, type SchemaDocument } from "./document.ts";
import {
  type Around,
  bitsOf,
  type Counted,
  type Demand,
  type Items,
  longer,
  type Properties,
  shorter,
} from "./demand.ts";
import { readCount } from "./read.ts";
import type { Path } from "./schema_path.ts";
import type { Work } from "../../work/work.ts";

/** A demand, alternatives of which any may hold, or none if it is impossible. */
export type Outcome = Demand | readonly Demand[] | undefined;

/** A keyword in its schema. */
export interface Use {
  readonly name: string;
  readonly value: unknown;
  readonly at: Path;
  readonly part: Part;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly around: Around;
  /** Number of evaluations of properties and items before its schema. */
  readonly before: { readonly properties: number; readonly items: number };
  readonly meaning: Meaning;
}

export interface Keyword {
  /** The types it applies to. */
  readonly types: number;
  readonly assert: (use: Use, demand: Demand) => Outcome;
  /** Long computations for `assert`, done beforehand in slices. */
  readonly ahead?: (use: Use, demand: Demand) => Work<void>;
  /** Ways to violate it, for values of its types; absent if they cannot be expressed. */
  readonly deny?: (use: Use) => readonly ((demand: Demand) => Outcome)[];
}

/** The context of a keyword. */
export interface Meaning {
  readonly document: SchemaDocument;
  readonly languages: Languages;
  /** The literal that a schema matches; an empty one always does. */
  literal(part: Part): Literal;
  /** The strings that match. */
  stringsOf(literal: Literal): Language;
  /** What a schema says about its properties. */
  properties(part: Part): Properties;
  items(part: Part): Items;
  /** Whether two schemas are certainly disjoint within the demand. */
  areApart(one: Part, other: Part, demand: Demand): boolean;
  /** Precompute the answer of `areApart`. */
  compare(one: Part, other: Part, demand: Demand): Work<void>;
}

/** The demand with another part to read. */
export function withPart(demand: Demand, part: Part, isNegated: boolean, around: Around | undefined): Demand {
  return { ...demand, todo: { part, isNegated, around, next: demand.todo } };
}

/** The demand with another literal. */
export function withLiteral(demand: Demand, literal: Literal, { meaning, around }: Use): Demand | undefined {
  if (literal === NEVER) return undefined;
  if (literal === ALWAYS) return demand;
  return withPart(demand, meaning.document.part(literal), (literal & 1) === 1, around);
}

/** The negation of a literal. */
export function negated(literal: Literal): Literal {
  return literal ^ 1;
}

/** The subschemas of a list or an object. */
export function partsOf(use: Use, keys: Iterable<string | number>): Part[] {
  return [...keys].map((key) => use.meaning.document.within(use.part, use.name, key));
}

/** The subschema of a keyword. */
export function partOf(use: Use): Part {
  return use.meaning.document.within(use.part, use.name);
}

/** A least or greatest length. */
export function count(type: Counted, isLeast: boolean): Keyword {
  return {
    types: bitsOf([type]),
    assert: ({ value, at }, demand) => (isLeast ? longer : shorter)(demand, type, readCount(value, at)),
    deny: ({ value, at }) => {
      const count = readCount(value, at);
      return [(demand) => isLeast ? shorter(demand, type, count - 1) : longer(demand, type, count + 1)];
    },
  };
}

/** Whether a keyword is the first present of a group. */
export function isFirst({ name, schema }: Use, names: readonly string[]): boolean {
  return Object.keys(schema).find((key) => names.includes(key)) === name;
}
