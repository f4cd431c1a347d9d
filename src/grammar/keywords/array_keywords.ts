/** Keywords about arrays. */
import { ARRAY, type CountedItems, type Demand, longer, withArray } from "./demand.ts";
import { ALWAYS, type Literal } from "./document.ts";
import { count, isFirst, type Keyword, negated, type Outcome, partOf, type Use } from "./keyword.ts";
import { own, readCount } from "./read.ts";
import { child, SchemaError, UnenforceableError } from "./schema_path.ts";

type Denial = (demand: Demand) => Outcome;

/** Compiled together: which items are additional depends on the positional ones. */
export const ITEMS = ["prefixItems", "items", "additionalItems"];

function counted(demand: Demand, items: CountedItems): Demand {
  return withArray(demand, (array) => ({ counted: [...array.counted, items] }));
}

const items: Keyword = {
  types: ARRAY,
  assert: (use, demand) => {
    if (!isFirst(use, ITEMS)) return demand;
    const own = use.meaning.items(use.part);
    return withArray(demand, (array) => ({ items: [...array.items, own] }));
  },
  deny: (use) => {
    if (!isFirst(use, ITEMS)) return [];
    const { first, others } = use.meaning.items(use.part);
    const all: Denial[] = first.flatMap((literal, index) => {
      if (literal === ALWAYS) return [];
      const before = Array.from({ length: index }, () => ALWAYS);
      const item = { first: [...before, negated(literal)], others: ALWAYS, isOpen: false };
      return [
        (demand: Demand) => longer(withArray(demand, ({ items }) => ({ items: [...items, item] })), "array", index + 1),
      ];
    });
    if (others !== ALWAYS) {
      all.push((demand) => counted(demand, { literal: negated(others), from: first.length, least: 1, most: Infinity }));
    }
    return all;
  },
};

function readContains(use: Use): { readonly literal: Literal; readonly least: number; readonly most: number } {
  const { schema, part, meaning } = use;
  const [least, most] = ["minContains", "maxContains"].map((name) => {
    const value = own(schema, name);
    return value === undefined ? undefined : readCount(value, child(part.at, name));
  });
  return { literal: meaning.literal(partOf(use)), least: least ?? 1, most: most ?? Infinity };
}

const contains: Keyword = {
  types: ARRAY,
  assert: (use, demand) => {
    const { literal, least, most } = readContains(use);
    return counted(demand, { literal, from: 0, least, most });
  },
  deny: (use) => {
    const { literal, least, most } = readContains(use);
    return [
      ...least > 0 ? [(demand: Demand) => counted(demand, { literal, from: 0, least: 0, most: least - 1 })] : [],
      ...most < Infinity
        ? [(demand: Demand) => counted(demand, { literal, from: 0, least: most + 1, most: Infinity })]
        : [],
    ];
  },
};

const uniqueItems: Keyword = {
  types: ARRAY,
  assert: ({ value, at }, demand) => {
    if (typeof value !== "boolean") throw new SchemaError(at, "must be true or false");
    return value ? withArray(demand, () => ({ unique: at })) : demand;
  },
  deny: ({ value, at }) => {
    if (value !== true) return [];
    throw new UnenforceableError(at, "cannot be excluded");
  },
};

/** Applies to items that no keyword of the schema or its subschemas has evaluated. */
const unevaluatedItems: Keyword = {
  types: ARRAY,
  assert: (use, demand) => {
    const literal = use.meaning.literal(partOf(use));
    if (literal === ALWAYS) return demand;
    const spoken = demand.array.items.slice(use.before.items);
    if (spoken.some(({ isOpen }) => isOpen)) return demand;
    const first = Array.from({ length: Math.max(0, ...spoken.map(({ first }) => first.length)) }, () => ALWAYS);
    return withArray(demand, ({ items }) => ({ items: [...items, { first, others: literal, isOpen: true }] }));
  },
};

export const ARRAY_KEYWORDS: Readonly<Record<string, Keyword>> = {
  prefixItems: items,
  items,
  additionalItems: items,
  minItems: count("array", true),
  maxItems: count("array", false),
  contains,
  uniqueItems,
  unevaluatedItems,
};
