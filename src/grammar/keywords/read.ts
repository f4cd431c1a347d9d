/** Reads the values of keywords. Considers own properties only, because names in a schema are arbitrary. */
import { child, type Path, SchemaError } from "./schema_path.ts";

/** Types of JSON values. */
export const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"] as const;
export type Type = typeof TYPES[number];

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An own property. */
export function own(object: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** The types in `type`. */
export function readTypes(value: unknown, at: Path): Type[] {
  const names: unknown[] = Array.isArray(value) ? value : [value];
  const types = names.slice(0, TYPES.length + 1).flatMap((name) => TYPES.filter((type) => type === name));
  if (types.length < names.length || types.length > TYPES.length) {
    throw new SchemaError(at, `must be one of ${TYPES.join(", ")}, or a list of them`);
  }
  return [...new Set(types)];
}

/** A non-negative integer. */
export function readCount(value: unknown, at: Path): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) {
    throw new SchemaError(at, "must be a whole number from 0");
  }
  return value;
}

export function readNumber(value: unknown, at: Path): number {
  if (typeof value !== "number") throw new SchemaError(at, "must be a number");
  return value;
}

export function readText(value: unknown, at: Path): string {
  if (typeof value !== "string") throw new SchemaError(at, "must be a string");
  return value;
}

export function readMembers(value: unknown, at: Path): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new SchemaError(at, "must be an object");
  return value;
}

/** A list of schemas, which are validated when they are read. */
export function readSchemas(value: unknown, at: Path): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw new SchemaError(at, "must list schemas");
  return value;
}

/** Names of properties. */
export function readNames(value: unknown, at: Path): readonly string[] {
  if (!Array.isArray(value) || value.some((name) => typeof name !== "string")) {
    throw new SchemaError(at, "must list names");
  }
  for (const name of value) refuseHalf(name, at);
  return value;
}

/** JSON strings can contain lone surrogates, UTF-8 text cannot. */
export function refuseHalf(text: string, at: Path): void {
  if (!text.isWellFormed()) throw new SchemaError(at, "has half of a surrogate pair");
}

const MAX_DEPTH = 64;

/**
 * A canonical text: equal for equal values.
 *
 * @param count Called for every part; throws if there are too many.
 * @throws {SchemaError} If it cannot be written as JSON.
 */
export function canonical(value: unknown, at: Path, count: (at: Path) => void, depth = 0): string {
  count(at);
  if (depth > MAX_DEPTH) throw new SchemaError(at, `nests values more than ${MAX_DEPTH} deep`);
  if (Array.isArray(value)) {
    return `[${value.map((item, index) => canonical(item, child(at, index), count, depth + 1)).join()}]`;
  }
  if (isObject(value)) {
    const entries = Object.keys(value).sort().map((key) => {
      refuseHalf(key, at);
      return `${JSON.stringify(key)}:${canonical(value[key], child(at, key), count, depth + 1)}`;
    });
    return `{${entries.join()}}`;
  }
  if (typeof value === "string") refuseHalf(value, at);
  // A number like 1e400 was read as infinity, which JSON cannot write.
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new SchemaError(at, "is too large a number");
  }
  return JSON.stringify(value);
}
