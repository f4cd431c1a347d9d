/**
 * Interprets schemas as demands: keyword by keyword, in a fixed order, following every alternative. The result is a
 * disjunction of demands.
 */
import type { Language, Languages } from "../language/language.ts";
import { languageOf } from "../language/pattern.ts";
import { finish, type Work } from "../../work/work.ts";
import { ARRAY_KEYWORDS, ITEMS } from "./array_keywords.ts";
import { bitsOf, type Demand, type Items, NOTHING, only, type Properties, type Task } from "./demand.ts";
import { ALWAYS, type Literal, NEVER, type Part, type SchemaDocument } from "./document.ts";
import { type Keyword, type Meaning, negated, type Outcome, type Use, withPart } from "./keyword.ts";
import { LOGIC_KEYWORDS } from "./logic_keywords.ts";
import { OBJECT_KEYWORDS, PROPERTIES } from "./object_keywords.ts";
import { Outlines } from "./outlines.ts";
import { isObject, own, readMembers, readSchemas, readTypes } from "./read.ts";
import { SCALAR_KEYWORDS } from "./scalar_keywords.ts";
import { assertValue, denyValue } from "./values.ts";
import { child, type Path, SchemaError, UnenforceableError } from "./schema_path.ts";

/** Groups of keywords that are read together. */
const KEYWORDS: ReadonlyMap<string, Keyword> = new Map(
  Object.entries({ ...SCALAR_KEYWORDS, ...OBJECT_KEYWORDS, ...ARRAY_KEYWORDS, ...LOGIC_KEYWORDS }),
);
/** Keywords whose value decides what is read next. */
const BRANCHING: ReadonlySet<string> = new Set([
  ...Object.keys(LOGIC_KEYWORDS),
  ...["enum", "const", "dependencies", "dependentSchemas"],
]);
/** Keywords that depend on what all others have evaluated. */
const LAST: ReadonlySet<string> = new Set(["unevaluatedProperties", "unevaluatedItems"]);

/** Whether a key is a known keyword. */
export function isKeyword(key: string | number): key is string {
  return typeof key === "string" && KEYWORDS.has(key);
}

/** Maximum alternatives of a value. */
const MAX_DEMANDS = 512;
/** Maximum steps of a compilation. */
const MAX_STEPS = 100_000;
/** Steps per slice. */
const PIECE_STEPS = 32;
/** Maximum pairs of alternatives compared in full. */
const MAX_COMPARISONS = 400;

/** Ignores a keyword that cannot be enforced; throws the error if it cannot be ignored. */
export type PassOver = (error: SchemaError) => void;

/** The demands of the schemas in one document. */
export class Demands implements Meaning {
  readonly document: SchemaDocument;
  readonly languages: Languages;
  readonly #passOver: PassOver;
  readonly #outlines: Outlines;
  readonly #isPossible: (demand: Demand, at: Path) => Work<boolean>;
  readonly #stringsOf: (literal: Literal) => Language;
  readonly #literals = new Map<Part, Literal>();
  readonly #keys = new Map<Part, readonly string[]>();
  readonly #properties = new Map<Part, Properties>();
  readonly #items = new Map<Part, Items>();
  readonly #apart = new WeakMap<Demand, Map<string, boolean>>();
  #steps = 0;
  #comparisons = 0;
  #compared = 0;
  #isComparing = false;
  /** Location where a demand became unsatisfiable. */
  conflict: Path | undefined;

  constructor(
    document: SchemaDocument,
    { languages, passOver, isPossible, stringsOf }: {
      readonly languages: Languages;
      readonly passOver: PassOver;
      /** Whether a demand may be satisfiable; true if unknown. */
      readonly isPossible: (demand: Demand, at: Path) => Work<boolean>;
      readonly stringsOf: (literal: Literal) => Language;
    },
  ) {
    this.document = document;
    this.languages = languages;
    this.#passOver = passOver;
    this.#isPossible = isPossible;
    this.#stringsOf = stringsOf;
    this.#outlines = new Outlines(document);
  }

  /**
   * All ways to satisfy some literals.
   *
   * @throws {SchemaError} If something in them cannot be read or followed.
   */
  *of(literals: readonly Literal[], at: Path): Work<Demand[]> {
    this.conflict = undefined;
    const start = literals.reduceRight<Demand>(
      (demand, literal) => withPart(demand, this.document.part(literal), (literal & 1) === 1, undefined),
      NOTHING,
    );
    return yield* this.#read(start, at);
  }

  literal(part: Part): Literal {
    return this.#literals.getOrInsertComputed(part, () => {
      const literal = this.document.literal(part);
      return literal !== NEVER && isObject(part.value) && this.#keysOf(part).length === 0 ? ALWAYS : literal;
    });
  }

  stringsOf(literal: Literal): Language {
    return literal === ALWAYS ? this.languages.any : this.#stringsOf(literal);
  }

  properties(part: Part): Properties {
    return this.#properties.getOrInsertComputed(part, () => this.#readProperties(part));
  }

  items(part: Part): Items {
    return this.#items.getOrInsertComputed(part, () => this.#readItems(part));
  }

  areApart(one: Part, other: Part, demand: Demand): boolean {
    return finish(this.#compare(one, other, demand));
  }

  *compare(one: Part, other: Part, demand: Demand): Work<void> {
    yield* this.#compare(one, other, demand);
    // Each takes at least some hundredths of a millisecond.
    if (++this.#compared % PIECE_STEPS === 0) yield;
  }

  *#compare(one: Part, other: Part, demand: Demand): Work<boolean> {
    const known = this.#apart.getOrInsertComputed(demand, () => new Map());
    const key = one.id < other.id ? `${one.id},${other.id}` : `${other.id},${one.id}`;
    let apart = known.get(key);
    if (apart === undefined) {
      apart = this.#outlines.areApart(one, other, demand) ||
        !this.#isComparing && ++this.#comparisons <= MAX_COMPARISONS && (yield* this.#haveNothing(one, other, demand));
      known.set(key, apart);
    }
    return apart;
  }

  *#haveNothing(one: Part, other: Part, demand: Demand): Work<boolean> {
    const { conflict } = this;
    this.#isComparing = true;
    try {
      const both = [one, other].reduce((all, part) => withPart(all, part, false, undefined), demand);
      for (const each of yield* this.#read(both, one.at)) if (yield* this.#isPossible(each, one.at)) return false;
      return true;
    } catch (error) {
      // Errors are reported when it is read.
      if (error instanceof SchemaError) return false;
      throw error;
    } finally {
      this.#isComparing = false;
      this.conflict = conflict;
    }
  }

  *#read(start: Demand, at: Path): Work<Demand[]> {
    const found: Demand[] = [];
    const open: Demand[] = [start];
    for (let demand = open.pop(); demand !== undefined; demand = open.pop()) {
      if (++this.#steps > MAX_STEPS || found.length + open.length > MAX_DEMANDS) {
        throw new UnenforceableError(at, "has too many alternatives");
      }
      if (this.#steps % PIECE_STEPS === 0) yield;
      const task = demand.todo;
      if (task === undefined) {
        found.push(demand);
        continue;
      }
      const outcome = yield* this.#step({ ...demand, todo: task.next }, task);
      if (outcome === undefined) this.conflict ??= task.part.at;
      else if ("types" in outcome) open.push(outcome);
      else open.push(...outcome.toReversed());
    }
    return found;
  }

  *#step(demand: Demand, task: Task): Work<Outcome> {
    const { part, isNegated } = task;
    if (task.keys !== undefined) return yield* this.#assert(demand, task, task.keys);
    const literal = 2 * part.id + (isNegated ? 1 : 0);
    for (let seen = demand.seen; seen !== undefined; seen = seen.next) {
      if (seen.literal === literal) {
        this.#refuseCircle(task);
        return demand;
      }
      if (seen.literal === negated(literal)) {
        this.#refuseCircle(task);
        return undefined;
      }
    }
    demand = { ...demand, seen: { literal, next: demand.seen } };
    if (part.kind === "value") return (isNegated ? denyValue : assertValue)(demand, part, this);
    if (!isObject(part.value)) {
      throw new SchemaError(part.at, "must be a schema: an object, true or false");
    }
    return isNegated ? this.#deny(demand, task) : yield* this.#assert(demand, task, this.#keysOf(part));
  }

  #refuseCircle({ part, around }: Task): void {
    for (let at = around; at !== undefined; at = at.around) {
      if (at.part === part) throw new SchemaError(part.at, "refers to itself");
    }
  }

  *#assert(demand: Demand, task: Task, keys: readonly string[]): Work<Outcome> {
    const before = task.before ?? { properties: demand.object.properties.length, items: demand.array.items.length };
    for (const [index, key] of keys.entries()) {
      const keyword = KEYWORDS.get(key) as Keyword;
      const use = this.#use(task, key, before);
      const isBranching = BRANCHING.has(key);
      const left = keys.slice(index + 1);
      const { todo } = demand;
      if (isBranching && left.length > 0) demand = { ...demand, todo: { ...task, keys: left, before, next: todo } };
      let outcome: Outcome;
      try {
        if (keyword.ahead !== undefined) yield* keyword.ahead(use, demand);
        outcome = keyword.assert(use, demand);
      } catch (error) {
        if (!(error instanceof SchemaError)) throw error;
        this.#passOver(error);
        outcome = demand;
      }
      if (outcome === undefined) this.conflict ??= use.at;
      if (isBranching || outcome === undefined || !("types" in outcome)) return outcome;
      demand = outcome;
    }
    return demand;
  }

  #deny(demand: Demand, task: Task): Outcome {
    const { value } = task.part;
    const type = own(value as Readonly<Record<string, unknown>>, "type");
    try {
      if (type !== undefined && (bitsOf(readTypes(type, child(task.part.at, "type"))) & demand.types) === 0) {
        return demand;
      }
      const before = { properties: demand.object.properties.length, items: demand.array.items.length };
      return this.#keysOf(task.part).flatMap((key) => {
        const keyword = KEYWORDS.get(key) as Keyword;
        const use = this.#use(task, key, before);
        if (keyword.deny === undefined) {
          throw new UnenforceableError(use.at, "is not supported where it is excluded");
        }
        const left = keyword.types === 0 ? demand : only(demand, keyword.types);
        if (left === undefined) return [];
        return keyword.deny(use).flatMap((deny) => deny(left) ?? []);
      });
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      this.#passOver(error);
      return demand;
    }
  }

  #use({ part, around }: Task, name: string, before: Use["before"]): Use {
    const schema = part.value as Readonly<Record<string, unknown>>;
    return {
      name,
      value: schema[name],
      at: child(part.at, name),
      part,
      schema,
      around: { part, around },
      before,
      meaning: this,
    };
  }

  #keysOf(part: Part): readonly string[] {
    return this.#keys.getOrInsertComputed(part, () => {
      const all = Object.keys(part.value as object).filter((key) => KEYWORDS.has(key));
      return [...all.filter((key) => !LAST.has(key)), ...all.filter((key) => LAST.has(key))];
    });
  }

  #readProperties(part: Part): Properties {
    const schema = part.value as Readonly<Record<string, unknown>>;
    const [properties, patterns, others] = PROPERTIES.map((name) => own(schema, name));
    const [at, patternsAt] = PROPERTIES.map((name) => child(part.at, name)) as [Path, Path, Path];
    const literal = (...keys: string[]): Literal => this.literal(this.document.within(part, ...keys));
    const named = new Map<string, Literal>();
    for (const name of properties === undefined ? [] : Object.keys(readMembers(properties, at))) {
      if (!name.isWellFormed()) throw new SchemaError(child(at, name), "has half of a surrogate pair");
      named.set(name, literal("properties", name));
    }
    return {
      named,
      patterns: Object.keys(patterns === undefined ? {} : readMembers(patterns, patternsAt)).map((pattern) => {
        try {
          return [languageOf(pattern, this.languages), literal("patternProperties", pattern)] as const;
        } catch (error) {
          if (error instanceof SchemaError || !(error instanceof Error)) throw error;
          throw new UnenforceableError(child(patternsAt, pattern), `is not supported: ${error.message}`);
        }
      }),
      others: others === undefined ? ALWAYS : literal("additionalProperties"),
      isOpen: others !== undefined,
    };
  }

  #readItems(part: Part): Items {
    const schema = part.value as Readonly<Record<string, unknown>>;
    const [prefix, items, additional] = ITEMS.map((name) => own(schema, name));
    const literal = (...keys: (string | number)[]): Literal => this.literal(this.document.within(part, ...keys));
    // Before 2020-12, `items` with a list was what `prefixItems` is now.
    const first = prefix === undefined && Array.isArray(items) ? "items" : "prefixItems";
    const told = first === "items" ? items : prefix;
    const others = first === "items" ? additional : items;
    const count = told === undefined || Array.isArray(told) && told.length === 0
      ? 0
      : readSchemas(told, child(part.at, first)).length;
    return {
      first: Array.from({ length: count }, (_, index) => literal(first, index)),
      others: others === undefined ? ALWAYS : literal(first === "items" ? "additionalItems" : "items"),
      isOpen: others !== undefined,
    };
  }
}
