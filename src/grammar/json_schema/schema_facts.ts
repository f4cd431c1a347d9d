/**
 * What schemas without others in them say of their values: which types, how many, how large. Only reads; what cannot
 * be is refused where it is compiled.
 */
import { isObject, isOf, type Keywords, readTypes, type Type, TYPES } from "./schema_reader.ts";
import type { Path } from "./schema_path.ts";

/** From and to, both included. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

/** Types it allows; integers are numbers. */
export function typesOf(keywords: Keywords): Type[] {
  const type = keywords.get("type");
  const types = type === undefined ? [...TYPES] : readTypes(type);
  return [...new Set(types.map((type) => type === "integer" ? "number" : type))];
}

/** Between what counts are: of characters, of items. */
export function range(keywords: Keywords, least: string, most: string): Range {
  return { least: numberAt(keywords, least) ?? 0, most: numberAt(keywords, most) ?? Infinity };
}

function numberAt(keywords: Keywords, name: string): number | undefined {
  const value = keywords.get(name)?.value;
  return typeof value === "number" ? value : undefined;
}

/** Whether nothing is in all of them. */
export function isNone(ranges: readonly Range[]): boolean {
  return Math.max(...ranges.map(({ least }) => least)) > Math.min(...ranges.map(({ most }) => most));
}

/** Whether no number is within the bounds of both. */
export function areNumbersApart(one: Keywords, other: Keywords): boolean {
  const bounds = (name: string, none: number): number[] => [one, other].map((of) => numberAt(of, name) ?? none);
  const [above, below] = [
    Math.max(...bounds("exclusiveMinimum", -Infinity)),
    Math.min(...bounds("exclusiveMaximum", Infinity)),
  ];
  let least = Math.max(above, ...bounds("minimum", -Infinity));
  let most = Math.min(below, ...bounds("maximum", Infinity));
  if ([one, other].some(isInteger)) {
    least = above === least && Number.isInteger(least) ? least + 1 : Math.ceil(least);
    most = below === most && Number.isInteger(most) ? most - 1 : Math.floor(most);
    return least > most;
  }
  return least > most || least === most && (above === least || below === most);
}

function isInteger(keywords: Keywords): boolean {
  const type = keywords.get("type");
  return type !== undefined && !readTypes(type).includes("number");
}

/**
 * A schema that a value fits, and as few others as can be said without `const` for itself.
 *
 * @param at Where the value stands.
 */
export function describe(value: unknown, at: Path): Keywords {
  const only = (schemas: readonly unknown[]): unknown[] => schemas.map((schema) => ({ const: schema }));
  const type = TYPES.find((type) => type !== "integer" && isOf(value, type));
  const keywords: Record<string, unknown> = { type };
  if (typeof value === "string") {
    keywords.minLength = keywords.maxLength = [...value].length;
  } else if (typeof value === "number") {
    keywords.minimum = keywords.maximum = value;
  } else if (Array.isArray(value)) {
    Object.assign(keywords, { minItems: value.length, prefixItems: only(value), items: false });
  } else if (isObject(value)) {
    const names = Object.keys(value);
    const properties = Object.fromEntries(names.map((name) => [name, { const: value[name] }]));
    Object.assign(keywords, { properties, required: names, additionalProperties: false });
  }
  return new Map(Object.entries(keywords).map(([name, value]) => [name, { value, at }]));
}
