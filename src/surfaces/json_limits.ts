/** Limits on depth and size of schemas and arguments, the parts of a v2 request that are passed on unchanged. */
import { isLonger, MAX_DEPTH, MAX_SCHEMA_LENGTH } from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import type { JsonObject } from "../inference/request.ts";
import { readRecord } from "../pipeline/resolve.ts";
import { isDeeper } from "../inference/json_bounds.ts";

/** Schemas of more characters than this are too long, and not written to tell how long exactly. */
const COUNTED_LENGTH = 16 * MAX_SCHEMA_LENGTH;

/** Read an object of limited depth, so that later code may recurse. */
export function readJsonObject(field: string, value: unknown): JsonObject {
  const object = readRecord(field, value);
  if (isDeeper(object, MAX_DEPTH)) {
    throw new InvalidRequestError(`"${field}" must be at most ${MAX_DEPTH} levels deep`);
  }
  return object;
}

/** Read a JSON Schema of limited size. Whether it compiles is decided by the backend. */
export function readSchema(field: string, value: unknown): JsonObject {
  const schema = readJsonObject(field, value);
  const length = isLonger(schema, COUNTED_LENGTH) ? Infinity : JSON.stringify(schema).length;
  if (length > MAX_SCHEMA_LENGTH) {
    const got = length === Infinity ? "far more" : length;
    throw new InvalidRequestError(`"${field}" must have at most ${MAX_SCHEMA_LENGTH} characters of JSON, got ${got}`);
  }
  return schema;
}
