/**
 * A cheap summary of schemas, to prove the alternatives of a `oneOf` disjoint in the common cases: by type, or by a
 * constant property.
 */
import { ALL_TYPES, bitOf, bitsOf, type Demand, OBJECT } from "./demand.ts";
import type { Part, SchemaDocument } from "./document.ts";
import { isObject, own, type Type, TYPES } from "./read.ts";

/** Maximum schemas visited per summary. */
const MAX_PARTS = 32;
/** Maximum nesting of properties. */
const MAX_DEPTH = 3;

interface Outline {
  readonly types: number;
  /** All possible values, as text. */
  readonly values: ReadonlySet<string> | undefined;
  readonly required: ReadonlySet<string>;
  readonly properties: ReadonlyMap<string, readonly Part[]>;
  /** The only allowed names; absent: any. */
  readonly closed: ReadonlySet<string> | undefined;
}

/** The summaries of the schemas of a document. */
export class Outlines {
  readonly #document: SchemaDocument;
  readonly #known = new Map<Part, Outline>();

  constructor(document: SchemaDocument) {
    this.#document = document;
  }

  /** Whether two schemas are provably disjoint. */
  areApart(one: Part, other: Part, demand: Demand, depth = 0): boolean {
    const [a, b] = [this.#of(one), this.#of(other)];
    const types = a.types & b.types & demand.types;
    if (types === 0) return true;
    if (a.values !== undefined && b.values !== undefined && a.values.isDisjointFrom(b.values)) return true;
    if (types !== OBJECT || depth > MAX_DEPTH) return false;
    const required = new Set([...a.required, ...b.required, ...depth === 0 ? demand.object.required : []]);
    for (const name of required) {
      if (a.closed?.has(name) === false || b.closed?.has(name) === false) return true;
      const pairs = (a.properties.get(name) ?? []).flatMap((mine) =>
        (b.properties.get(name) ?? []).map((theirs) => [mine, theirs] as const)
      );
      const anything = { ...demand, types: ALL_TYPES };
      if (pairs.some(([mine, theirs]) => this.areApart(mine, theirs, anything, depth + 1))) return true;
    }
    return false;
  }

  #of(part: Part): Outline {
    return this.#known.getOrInsertComputed(part, () => this.#look(part));
  }

  #look(part: Part): Outline {
    let types = ALL_TYPES;
    let values: Set<string> | undefined;
    let closed: Set<string> | undefined;
    const required = new Set<string>();
    const properties = new Map<string, Part[]>();
    const parts = new Set([part]);
    for (const each of parts) {
      const { value } = each;
      if (parts.size > MAX_PARTS || !isObject(value)) continue;
      const type = own(value, "type");
      const names = (Array.isArray(type) ? type : [type]).filter((name) => TYPES.includes(name as Type)) as Type[];
      if (type !== undefined) types &= bitsOf(names);
      const told = Object.hasOwn(value, "const") ? [value.const] : own(value, "enum");
      if (Array.isArray(told)) {
        types &= told.reduce((bits: number, value) => bits | bitOf(value), 0);
        const isScalar = told.every((value) => typeof value !== "object" || value === null);
        if (isScalar) values = new Set(told.map((value) => JSON.stringify(value)));
      }
      const needed = own(value, "required");
      if (Array.isArray(needed)) { for (const name of needed) required.add(name); }
      const named = own(value, "properties");
      const own_ = isObject(named) ? Object.keys(named) : [];
      for (const name of own_) {
        properties.set(name, [...properties.get(name) ?? [], this.#document.within(each, "properties", name)]);
      }
      if (own(value, "additionalProperties") === false && own(value, "patternProperties") === undefined) {
        closed = closed === undefined ? new Set(own_) : closed.intersection(new Set(own_));
      }
      const all = own(value, "allOf");
      if (Array.isArray(all)) {
        for (const index of all.keys()) parts.add(this.#document.within(each, "allOf", index));
      }
      const reference = own(value, "$ref");
      if (typeof reference === "string") {
        try {
          parts.add(this.#document.resolve(reference, each, each.at));
        } catch {
          // Reported when it is read.
        }
      }
    }
    return { types, values, required, properties, closed };
  }
}
