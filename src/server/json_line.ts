/** Parses one line of JSON at bounded cost. */
import { InvalidRequestError } from "../inference/errors.ts";
import { isBoundedJson, MAX_JSON_VALUES } from "../inference/json_bounds.ts";

export function tooManyValues(): InvalidRequestError {
  return new InvalidRequestError(`The line holds more than ${MAX_JSON_VALUES} JSON values`);
}

/** @throws {InvalidRequestError} If it is not JSON, or holds too many values. */
export function parseLine(line: string): unknown {
  if (!isBoundedJson(line)) {
    throw tooManyValues();
  }
  try {
    return JSON.parse(line);
  } catch {
    throw new InvalidRequestError("The line is not valid JSON");
  }
}
