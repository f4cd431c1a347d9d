/** Which types a schema allows for a property, where the text of a call is ambiguous. */
import type { JsonObject } from "../../inference/request.ts";
import type { JsonType } from "../../inference/request.ts";

/** Maximum references followed, and nesting. */
const MAX_DEPTH = 16;
const TYPES: readonly JsonType[] = ["string", "integer", "number", "boolean", "null", "array", "object"];

/**
 * The possible types of a property.
 *
 * @param schema Schema of an object, or of an array whose `item`s are meant.
 * @param name The property.
 * @returns `undefined` where the schema does not say.
 */
export function typesOf(schema: JsonObject, name: string): ReadonlySet<JsonType> | undefined {
  const found = propertyOf(schema, name, schema, 0);
  return found === undefined ? undefined : allowed(found, schema, 0);
}

function propertyOf(schema: unknown, name: string, root: JsonObject, depth: number): unknown {
  const resolved = resolve(schema, root, depth);
  if (resolved === undefined || depth > MAX_DEPTH) return undefined;
  const properties = record(resolved.properties);
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name];
  for (const keyword of ["allOf", "anyOf", "oneOf"]) {
    const parts = resolved[keyword];
    if (!Array.isArray(parts)) continue;
    for (const part of parts) {
      const found = propertyOf(part, name, root, depth + 1);
      if (found !== undefined) return found;
    }
  }
  if (name === "item" && resolved.items !== undefined) return resolved.items;
  return record(resolved.additionalProperties);
}

function allowed(schema: unknown, root: JsonObject, depth: number): Set<JsonType> | undefined {
  const resolved = resolve(schema, root, depth);
  if (resolved === undefined || depth > MAX_DEPTH) return undefined;
  const { type, enum: values } = resolved;
  if (type !== undefined) {
    const named = (Array.isArray(type) ? type : [type]).filter((name) => TYPES.includes(name as JsonType));
    if (named.length > 0) return new Set(named as JsonType[]);
  }
  if (Array.isArray(values)) return new Set(values.map(typeOf));
  if ("const" in resolved) return new Set([typeOf(resolved.const)]);
  for (const keyword of ["anyOf", "oneOf"]) {
    const parts = resolved[keyword];
    if (!Array.isArray(parts)) continue;
    const all = new Set<JsonType>();
    for (const part of parts) {
      const types = allowed(part, root, depth + 1);
      if (types === undefined) return undefined;
      for (const each of types) all.add(each);
    }
    return all;
  }
  const all = resolved.allOf;
  if (Array.isArray(all)) {
    for (const part of all) {
      const types = allowed(part, root, depth + 1);
      if (types !== undefined) return types;
    }
  }
  if ("properties" in resolved) return new Set<JsonType>(["object"]);
  if ("items" in resolved) return new Set<JsonType>(["array"]);
  if (["pattern", "minLength", "maxLength", "format"].some((keyword) => keyword in resolved)) {
    return new Set<JsonType>(["string"]);
  }
  return undefined;
}

function resolve(schema: unknown, root: JsonObject, depth: number): JsonObject | undefined {
  let at = record(schema);
  for (let hops = depth; at !== undefined && typeof at.$ref === "string"; hops++) {
    if (hops > MAX_DEPTH || !at.$ref.startsWith("#")) return undefined;
    let target: unknown = root;
    for (const part of at.$ref.slice(1).split("/").slice(1)) {
      target = record(target)?.[decode(part)];
    }
    at = record(target);
  }
  return at;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return part;
  }
}

function record(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : undefined;
}

function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  const type = typeof value;
  return type === "number" ? Number.isInteger(value) ? "integer" : "number" : type as JsonType;
}
