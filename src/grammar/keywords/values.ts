/**
 * Constants that are required or excluded, by `const` and `enum`; arrays and objects are compared element by element.
 */
import {
  ALL_TYPES,
  ARRAY,
  bitOf,
  type Demand,
  longer,
  NULL,
  OBJECT,
  only,
  shorter,
  STRING,
  withArray,
  withNumber,
  withObject,
  withString,
} from "./demand.ts";
import { ALWAYS, NEVER, type Part } from "./document.ts";
import { type Meaning, negated, type Outcome } from "./keyword.ts";
import { isObject } from "./read.ts";
import { child } from "./schema_path.ts";

/** The demand of equality with a constant. */
export function assertValue(demand: Demand, { value, at }: Part, { document, languages }: Meaning): Outcome {
  const left = only(demand, bitOf(value));
  if (left === undefined) return undefined;
  if (Array.isArray(value)) {
    const first = value.map((item, index) => document.valueLiteral(item, child(at, index)));
    return withArray(left, ({ items, least, most }) => ({
      items: [...items, { first, others: NEVER, isOpen: true }],
      least: Math.max(least, value.length),
      most: Math.min(most, value.length),
    }));
  }
  if (isObject(value)) {
    const names = Object.keys(value);
    const named = new Map(names.map((name) => [name, document.valueLiteral(value[name], child(at, name))]));
    return withObject(left, ({ properties, required, lists }) => ({
      properties: [...properties, { named, patterns: [], others: NEVER, isOpen: true }],
      required: [...required, ...names],
      lists: lists + 1,
    }));
  }
  switch (typeof value) {
    case "string": {
      const language = languages.text(value);
      return withString(left, ({ texts }) => ({ texts: [...texts, { language, at }] }));
    }
    case "number":
      return withNumber(left, ({ values }) => ({ values: (values ?? [value]).filter((other) => other === value) }));
    case "boolean":
      return { ...left, booleans: left.booleans & (value ? 2 : 1) };
    default:
      return left;
  }
}

/** The ways to differ from a constant. */
export function denyValue(demand: Demand, { value, at }: Part, { document, languages }: Meaning): Outcome {
  const bit = bitOf(value);
  if ((demand.types & bit) === 0) return demand;
  const others = only(demand, ALL_TYPES & ~bit);
  const same = only(demand, bit) as Demand;
  const ways: Demand[] = others === undefined ? [] : [others];
  switch (bit) {
    case NULL:
      break;
    case STRING: {
      const language = languages.not(languages.text(value as string));
      return withString(demand, ({ texts }) => ({ texts: [...texts, { language, at }] }));
    }
    case ARRAY: {
      const items = value as readonly unknown[];
      ways.push(
        shorter(same, "array", items.length - 1),
        longer(same, "array", items.length + 1),
      );
      for (const [index, item] of items.entries()) {
        const literal = negated(document.valueLiteral(item, child(at, index)));
        const first = [...Array.from({ length: index }, () => ALWAYS), literal];
        ways.push(withArray(same, (array) => ({
          items: [...array.items, { first, others: ALWAYS, isOpen: false }],
          least: Math.max(array.least, index + 1),
        })));
      }
      break;
    }
    case OBJECT: {
      const names = Object.keys(value as object);
      const left = languages.not(languages.words(names));
      ways.push(withObject(same, ({ some }) => ({ some: [...some, { names: left, literal: ALWAYS }] })));
      for (const name of names) {
        const literal = document.valueLiteral((value as Record<string, unknown>)[name], child(at, name));
        ways.push(
          withObject(same, ({ forbidden }) => ({ forbidden: [...forbidden, name] })),
          withObject(same, ({ required, lists, more }) => ({
            required: [...required, name],
            lists: lists + 1,
            more: [...more, [name, negated(literal)]],
          })),
        );
      }
      break;
    }
    default:
      if (typeof value === "number") return withNumber(demand, ({ not }) => ({ not: [...not, value] }));
      return { ...demand, booleans: demand.booleans & ~(value === true ? 2 : 1) };
  }
  return ways;
}
