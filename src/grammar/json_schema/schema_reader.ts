/**
 * Reads JSON Schemas without saying what they mean: which keywords one has, what a reference refers to, and several
 * schemas as one. Looks only at what objects have themselves, as names in a schema may be any.
 */
import { child, type Path, SchemaError, show } from "./schema_path.ts";

/** Types of JSON values. */
export const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"] as const;
export type Type = typeof TYPES[number];

/** What a schema demands, by keyword, and where it does. */
export type Keywords = ReadonlyMap<string, { readonly value: unknown; readonly at: Path }>;

/** A schema and where it stands. */
export interface Located {
  readonly schema: unknown;
  readonly at: Path;
}

/** Keywords that allow or refuse nothing. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  ...["title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly"],
  ...["$schema", "$id", "id", "$comment", "$anchor", "$vocabulary", "$defs", "definitions"],
  ...["contentMediaType", "contentEncoding", "contentSchema"],
  // OpenAPI's hint at what tells the alternatives of a `oneOf` apart.
  "discriminator",
]);
const SUPPORTED: ReadonlySet<string> = new Set([
  ...["type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"],
  ...["properties", "required", "additionalProperties"],
  ...["items", "prefixItems", "minItems", "maxItems", "uniqueItems"],
  ...["minLength", "maxLength", "format", "pattern"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
]);
/** References to references, and members of members of `allOf`. */
const MAX_HOPS = 64;

/** Reads the schemas within one. */
export class SchemaReader {
  readonly #root: Located;
  /** Told of every part that is looked at; throws when they are too many. */
  readonly #count: (at: Path) => void;

  constructor(schema: unknown, at: Path, count: (at: Path) => void) {
    this.#root = { schema, at };
    this.#count = count;
  }

  /** The reference a schema consists of, if it consists of one; also of an `allOf` of one. */
  loneReference(schema: unknown, at: Path): { pointer: string; at: Path } | undefined {
    for (let hops = 0; hops < MAX_HOPS; hops++) {
      if (!isObject(schema)) return undefined;
      const demands = Object.keys(schema).filter((key) => {
        this.#count(at);
        return !isAnnotation(key);
      });
      if (demands.length !== 1) return undefined;
      const { $ref: pointer, allOf } = schema;
      if (demands[0] === "$ref") {
        const where = child(at, "$ref");
        if (typeof pointer !== "string") throw new SchemaError(`"${show(where)}" must be a string`);
        return { pointer, at: where };
      }
      if (demands[0] !== "allOf" || !Array.isArray(allOf) || allOf.length !== 1) return undefined;
      [schema, at] = [allOf[0], child(child(at, "allOf"), 0)];
    }
    return undefined;
  }

  /** What a schema demands, with what its references and its `allOf` demand. */
  read(schema: unknown, at: Path): Keywords {
    return this.#read(schema, at, 0);
  }

  #read(schema: unknown, at: Path, hops: number): Keywords {
    this.#count(at);
    if (hops > MAX_HOPS) {
      throw new SchemaError(`"${show(at)}" refers to itself, or through more than ${MAX_HOPS} others`);
    }
    if (schema === true) return new Map();
    if (schema === false) throw new SchemaError(`"${show(at)}" allows no value`);
    if (!isObject(schema)) throw new SchemaError(`"${show(at)}" must be a schema: an object, or true`);
    const own = new Map<string, { value: unknown; at: Path }>();
    for (const name of Object.keys(schema)) {
      this.#count(at);
      if (isAnnotation(name)) continue;
      const where = child(at, name);
      if (!SUPPORTED.has(name)) throw new SchemaError(`"${show(where)}" is not supported`);
      own.set(name, { value: schema[name], at: where });
    }
    const parts: Keywords[] = [own];
    const reference = own.get("$ref");
    if (reference !== undefined) {
      own.delete("$ref");
      if (typeof reference.value !== "string") throw new SchemaError(`"${show(reference.at)}" must be a string`);
      const target = this.resolve(reference.value, reference.at);
      parts.push(this.#read(target.schema, target.at, hops + 1));
    }
    const all = own.get("allOf");
    if (all !== undefined) {
      own.delete("allOf");
      if (!Array.isArray(all.value) || all.value.length === 0) {
        throw new SchemaError(`"${show(all.at)}" must list schemas`);
      }
      for (const [index, member] of all.value.entries()) {
        parts.push(this.#read(member, child(all.at, index), hops + 1));
      }
    }
    return this.merge(parts);
  }

  /** All of these demands as one. */
  merge(parts: readonly Keywords[]): Keywords {
    const [first = new Map(), ...others] = parts.filter(({ size }) => size > 0);
    return others.reduce((merged, part) => this.#both(merged, part), first);
  }

  #both(one: Keywords, other: Keywords): Keywords {
    this.#refuseOpenEnds(one, other);
    refuseOpenLists(one, other);
    const merged = new Map(one);
    for (const [name, keyword] of other) {
      const known = merged.get(name);
      if (known === undefined) {
        merged.set(name, keyword);
      } else if (name === "properties") {
        merged.set(name, { value: this.#mergeProperties(one, other), at: known.at });
      } else if (name === "required") {
        merged.set(name, { value: [...this.required(one), ...this.required(other)], at: known.at });
      } else if (name === "type") {
        merged.set(name, { value: commonTypes(readTypes(known), readTypes(keyword)), at: known.at });
      } else if (!this.#same(known.value, keyword.value, keyword.at)) {
        throw new SchemaError(`"${show(keyword.at)}" and "${show(known.at)}" cannot be taken together`);
      }
    }
    return merged;
  }

  /** What a schema says of additional properties is about its own properties, not about another's. */
  #refuseOpenEnds(one: Keywords, other: Keywords): void {
    for (const [closing, with_] of [[one, other], [other, one]] as const) {
      const additional = closing.get("additionalProperties");
      if (additional === undefined || additional.value === true) continue;
      const own = this.properties(closing);
      for (const [name, { at }] of this.properties(with_)) {
        if (!own.has(name)) {
          throw new SchemaError(`"${show(at)}" cannot be taken together with "${show(additional.at)}"`);
        }
      }
    }
  }

  #mergeProperties(one: Keywords, other: Keywords): Record<string, unknown> {
    const merged: Record<string, unknown> = Object.create(null);
    for (const [name, { schema }] of this.properties(one)) merged[name] = schema;
    for (const [name, { schema, at }] of this.properties(other)) {
      this.#count(at);
      const known = Object.hasOwn(merged, name) ? merged[name] : undefined;
      merged[name] = known === undefined || known === schema ? schema : { allOf: [known, schema] };
    }
    return merged;
  }

  /** Whether two values are the same JSON; too deep ones are taken to differ. */
  #same(one: unknown, other: unknown, at: Path, depth = 0): boolean {
    this.#count(at);
    if (one === other) return true;
    if (depth > MAX_HOPS) return false;
    const same = (a: unknown, b: unknown): boolean => this.#same(a, b, at, depth + 1);
    if (Array.isArray(one) && Array.isArray(other)) {
      return one.length === other.length && one.every((item, i) => same(item, other[i]));
    }
    if (!isObject(one) || !isObject(other)) return false;
    const keys = Object.keys(one);
    return keys.length === Object.keys(other).length &&
      keys.every((key) => Object.hasOwn(other, key) && same(one[key], other[key]));
  }

  /** The properties an object is told to have, in order. */
  properties(keywords: Keywords): Map<string, Located> {
    const found = new Map<string, Located>();
    const properties = keywords.get("properties");
    if (properties === undefined) return found;
    const { value, at } = properties;
    if (!isObject(value)) throw new SchemaError(`"${show(at)}" must be an object`);
    for (const name of Object.keys(value)) {
      const where = child(at, name);
      this.#count(where);
      found.set(name, { schema: value[name], at: where });
    }
    return found;
  }

  /** The names an object must have. */
  required(keywords: Keywords): Set<string> {
    const found = new Set<string>();
    const required = keywords.get("required");
    if (required === undefined) return found;
    const { value, at } = required;
    if (!Array.isArray(value)) throw new SchemaError(`"${show(at)}" must list names`);
    for (const name of value) {
      this.#count(at);
      if (typeof name !== "string") throw new SchemaError(`"${show(at)}" must list names`);
      found.add(name);
    }
    return found;
  }

  /**
   * What a reference refers to.
   *
   * @param pointer `#`, or `#/` and keys.
   * @param at Where the reference stands.
   * @throws {SchemaError} If it refers to nothing in this schema.
   */
  resolve(pointer: string, at: Path): Located {
    const shown = pointer.length > 64 ? `${pointer.slice(0, 64)}…` : pointer;
    if (pointer !== "#" && !pointer.startsWith("#/")) {
      throw new SchemaError(`"${show(at)}" must be "#" or begin with "#/", got ${JSON.stringify(shown)}`);
    }
    let { schema, at: where } = this.#root;
    for (const part of pointer.split("/").slice(1)) {
      this.#count(at);
      const key = unescape(part);
      const known = key !== undefined && (isObject(schema) || Array.isArray(schema) && /^\d+$/.test(key));
      if (!known || !Object.hasOwn(schema as object, key)) {
        throw new SchemaError(`"${show(at)}" refers to nothing, got ${JSON.stringify(shown)}`);
      }
      where = child(where, Array.isArray(schema) ? Number(key) : key);
      schema = (schema as Record<string, unknown>)[key];
    }
    return { schema, at: where };
  }
}

/**
 * The types a keyword names.
 *
 * @throws {SchemaError} If they are none.
 */
export function readTypes({ value, at }: { readonly value: unknown; readonly at: Path }): Type[] {
  const names: unknown[] = Array.isArray(value) ? value : [value];
  const types = names.slice(0, TYPES.length + 1).flatMap((name) => TYPES.filter((type) => type === name));
  if (types.length < names.length || types.length > TYPES.length) {
    throw new SchemaError(`"${show(at)}" must be one of ${TYPES.join(", ")}, or a list of them`);
  }
  return [...new Set(types)];
}

/** As with properties: which items `items` is about depends on the `prefixItems` beside it, not on another's. */
function refuseOpenLists(one: Keywords, other: Keywords): void {
  for (const [all, with_] of [[one, other], [other, one]] as const) {
    const items = all.get("items");
    const prefix = with_.get("prefixItems");
    if (items === undefined || items.value === true || prefix === undefined || all.has("prefixItems")) continue;
    throw new SchemaError(`"${show(items.at)}" and "${show(prefix.at)}" cannot be taken together`);
  }
}

/** Whether a value has a type. */
export function isOf(value: unknown, type: Type): boolean {
  switch (type) {
    case "object":
      return isObject(value);
    case "array":
      return Array.isArray(value);
    case "null":
      return value === null;
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    case "string":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
  }
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isAnnotation(keyword: string): boolean {
  return ANNOTATIONS.has(keyword) || keyword.startsWith("x-");
}

function unescape(part: string): string | undefined {
  try {
    return decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return undefined;
  }
}

function commonTypes(ones: readonly Type[], others: readonly Type[]): Type[] {
  const has = (types: readonly Type[], type: Type): boolean =>
    types.includes(type) || type === "integer" && types.includes("number");
  return TYPES.filter((type) => has(ones, type) && has(others, type));
}
