/** What a keyword means: what a value has to be where it holds, and the ways there are not to hold. */
import type { Languages } from "../language/language.ts";
import type { Language } from "../language/language.ts";
import { ALWAYS, type Literal, NEVER, type Part, type SchemaDocument } from "./document.ts";
import type { Around, Demand, Items, Properties } from "./demand.ts";

import type { Path } from "./schema_path.ts";
import type { Work } from "../../work/work.ts";

/** One demand, several of which any may hold, or none that could. */
export type Outcome = Demand | readonly Demand[] | undefined;

/** A keyword where it stands. */
export interface Use {
  readonly name: string;
  readonly value: unknown;
  readonly at: Path;
  readonly part: Part;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly around: Around;
  /** How many schemas had spoken of properties and items before the schema it stands in. */
  readonly before: { readonly properties: number; readonly items: number };
  readonly meaning: Meaning;
}

export interface Keyword {
  /** The types it is about; it says nothing of others. */
  readonly types: number;
  readonly assert: (use: Use, demand: Demand) => Outcome;
  /** What `assert` asks for and takes long, ahead of it and in pieces. */
  readonly ahead?: (use: Use, demand: Demand) => Work<void>;
  /** How it may not hold, for values of its types; absent where that cannot be said. */
  readonly deny?: (use: Use) => readonly ((demand: Demand) => Outcome)[];
}

/** What keywords need to know of the schema they stand in. */
export interface Meaning {
  readonly document: SchemaDocument;
  readonly languages: Languages;
  /** That a schema fits; one that says nothing always does. */
  literal(part: Part): Literal;
  /** The strings that fit. */
  stringsOf(literal: Literal): Language;
  /** What a schema says of its properties. */
  properties(part: Part): Properties;
  items(part: Part): Items;
  /** Whether two schemas surely have no value in common that is also demanded. */
  areApart(one: Part, other: Part, demand: Demand): boolean;
  /** Find out what `areApart` then says at once. */
  compare(one: Part, other: Part, demand: Demand): Work<void>;
}

/** The same demand, with a part to be read. */
export function withPart(demand: Demand, part: Part, isNegated: boolean, around: Around | undefined): Demand {
  return { ...demand, todo: { part, isNegated, around, next: demand.todo } };
}

/** The same demand, with what a literal says. */
export function withLiteral(demand: Demand, literal: Literal, { meaning, around }: Use): Demand | undefined {
  if (literal === NEVER) return undefined;
  if (literal === ALWAYS) return demand;
  return withPart(demand, meaning.document.part(literal), (literal & 1) === 1, around);
}

/** Where a literal does not hold. */
export function negated(literal: Literal): Literal {
  return literal ^ 1;
}

/** The schemas in a list, or under the keys of an object. */
export function partsOf(use: Use, keys: Iterable<string | number>): Part[] {
  return [...keys].map((key) => use.meaning.document.within(use.part, use.name, key));
}

/** The schema a keyword has. */
export function partOf(use: Use): Part {
  return use.meaning.document.within(use.part, use.name);
}

/** Whether a keyword is the first of several that belong together. */
export function isFirst({ name, schema }: Use, names: readonly string[]): boolean {
  return Object.keys(schema).find((key) => names.includes(key)) === name;
}
