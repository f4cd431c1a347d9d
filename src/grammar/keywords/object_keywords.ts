/** Keywords about objects. */
import { ALWAYS, type Literal } from "./document.ts";
import { type Demand, OBJECT, type ObjectDemand, type Properties, type SomeProperty, withObject } from "./demand.ts";
import { count, isFirst, type Keyword, negated, type Outcome, partOf, type Use, withLiteral } from "./keyword.ts";
import { readMembers, readNames } from "./read.ts";
import { child, UnenforceableError } from "./schema_path.ts";

type Denial = (demand: Demand) => Outcome;

/** Compiled together: which properties are additional depends on the others. */
export const PROPERTIES = ["properties", "patternProperties", "additionalProperties"];

const properties: Keyword = {
  types: OBJECT,
  assert: (use, demand) => {
    if (!isFirst(use, PROPERTIES)) return demand;
    const own = use.meaning.properties(use.part);
    return withObject(demand, (object) => ({ properties: [...object.properties, own] }));
  },
  deny: (use) => isFirst(use, PROPERTIES) ? denials(use.meaning.properties(use.part), use) : [],
};

/** Ways to violate the keyword: one property is present and does not match. */
function denials({ named, patterns, others }: Properties, use: Use): Denial[] {
  const { languages } = use.meaning;
  const all: Denial[] = [];
  for (const [name, literal] of named) {
    if (literal === ALWAYS) continue;
    all.push((demand) =>
      withObject(demand, ({ required, lists, more }) => ({
        required: [...required, name],
        lists: lists + 1,
        more: [...more, [name, negated(literal)]],
      }))
    );
  }
  for (const [language, literal] of patterns) {
    if (literal !== ALWAYS) all.push(some({ names: language, literal: negated(literal) }));
  }
  if (others !== ALWAYS) {
    const known = languages.or(languages.words(named.keys()), ...patterns.map(([language]) => language));
    all.push(some({ names: languages.not(known), literal: negated(others) }));
  }
  return all;
}

function some(property: SomeProperty): Denial {
  return (demand) => withObject(demand, (object) => ({ some: [...object.some, property] }));
}

const required: Keyword = {
  types: OBJECT,
  assert: ({ value, at }, demand) => {
    const names = readNames(value, at);
    return names.length === 0 ? demand : withObject(demand, requiring(names));
  },
  deny: ({ value, at }) => {
    const names = readNames(value, at);
    const [only, other] = names;
    if (only === undefined) return [];
    if (other === undefined) return [forbid([only])];
    return [
      (demand) =>
        withObject(demand, ({ clauses }) => ({ clauses: [...clauses, { present: [], absent: [...new Set(names)] }] })),
    ];
  },
};

function forbid(names: readonly string[]): Denial {
  return (demand) => withObject(demand, (object) => ({ forbidden: [...object.forbidden, ...names] }));
}

function requiring(names: readonly string[]): (object: ObjectDemand) => Partial<ObjectDemand> {
  return ({ required, lists }) => ({ required: [...required, ...names], lists: lists + 1 });
}

const propertyNames: Keyword = {
  types: OBJECT,
  assert: (use, demand) => {
    const literal = use.meaning.literal(partOf(use));
    return withObject(demand, (object) => ({ names: [...object.names, literal] }));
  },
  deny: (use) => {
    const { meaning } = use;
    const names = meaning.languages.not(meaning.stringsOf(meaning.literal(partOf(use))));
    return [some({ names, literal: ALWAYS })];
  },
};

/** What a property requires if it is present. */
const dependencies: Keyword = {
  types: OBJECT,
  assert: (use, demand) => {
    let all: readonly Demand[] = [demand];
    for (const [name, needed] of readDependencies(use)) {
      if (Array.isArray(needed)) {
        const clauses = needed.map((other: string) => ({ present: [other], absent: [name] }));
        all = all.map((each) => withObject(each, (object) => ({ clauses: [...object.clauses, ...clauses] })));
        continue;
      }
      if (needed === ALWAYS) continue;
      all = all.flatMap((each) => {
        // Says nothing about other types.
        const without = withObject(each, (object) => ({ forbidden: [...object.forbidden, name] }));
        const fitting = (each.types & OBJECT) === 0
          ? undefined
          : withLiteral(withObject({ ...each, types: OBJECT }, requiring([name])), needed as Literal, use);
        return fitting === undefined ? [without] : [without, fitting];
      });
      if (all.length > MAX_WAYS) throw new UnenforceableError(use.at, "has too many schemas that depend");
    }
    return all.length === 1 ? all[0] : all;
  },
  deny: (use) =>
    readDependencies(use).flatMap(([name, needed]): Denial[] => {
      if (Array.isArray(needed)) {
        return needed.map((other: string) => (demand) =>
          withObject(demand, ({ required, lists, forbidden }) => ({
            required: [...required, name],
            lists: lists + 1,
            forbidden: [...forbidden, other],
          }))
        );
      }
      if (needed === ALWAYS) return [];
      return [(demand) => withLiteral(withObject(demand, requiring([name])), negated(needed as Literal), use)];
    }),
};

/** Maximum alternatives opened by one keyword. */
const MAX_WAYS = 64;

function readDependencies(use: Use): (readonly [name: string, needed: readonly string[] | Literal])[] {
  const { name: keyword, value, at, meaning, part } = use;
  return Object.entries(readMembers(value, at)).map(([name, needed]) => {
    if (Array.isArray(needed) && keyword !== "dependentSchemas") return [name, readNames(needed, child(at, name))];
    if (keyword === "dependentRequired") return [name, readNames(needed, child(at, name))];
    // Draft 3 allows a single name.
    if (typeof needed === "string") return [name, [needed]];
    return [name, meaning.literal(meaning.document.within(part, keyword, name))];
  });
}

/** Applies to properties that no keyword of the schema or its subschemas has evaluated. */
const unevaluatedProperties: Keyword = {
  types: OBJECT,
  assert: (use, demand) => {
    const literal = use.meaning.literal(partOf(use));
    if (literal === ALWAYS) return demand;
    const spoken = demand.object.properties.slice(use.before.properties);
    if (spoken.some(({ isOpen }) => isOpen)) return demand;
    const named = new Map(spoken.flatMap(({ named }) => [...named.keys()]).map((name) => [name, ALWAYS]));
    const patterns = spoken.flatMap(({ patterns }) => patterns).map(([language]) => [language, ALWAYS] as const);
    return withObject(demand, (object) => ({
      properties: [...object.properties, { named, patterns, others: literal, isOpen: true }],
    }));
  },
};

export const OBJECT_KEYWORDS: Readonly<Record<string, Keyword>> = {
  properties,
  patternProperties: properties,
  additionalProperties: properties,
  required,
  minProperties: count("object", true),
  maxProperties: count("object", false),
  propertyNames,
  dependencies,
  dependentRequired: dependencies,
  dependentSchemas: dependencies,
  unevaluatedProperties,
};
