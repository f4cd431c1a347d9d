/** Parses one line of JSON at bounded cost. */
import { InvalidRequestError } from "../inference/errors.ts";
import { GradualParser, TooManyValuesError } from "../ndjson/gradual_parser.ts";
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
    throw notJson();
  }
}

function notJson(): InvalidRequestError {
  return new InvalidRequestError("The line is not valid JSON");
}

/** A line that is parsed while it arrives. */
export class LargeLine {
  #parser: GradualParser | undefined;
  #fault: InvalidRequestError | undefined;

  /** @param inParts Whether its longest texts stay in parts, as `JoinedText`. */
  constructor(inParts: boolean) {
    this.#parser = new GradualParser({ maxValues: MAX_JSON_VALUES, inParts });
  }

  /** Parse more of it. */
  add(text: string): void {
    try {
      this.#parser?.feed(text);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof TooManyValuesError)) throw error;
      this.#parser = undefined;
      this.#fault = error instanceof TooManyValuesError ? tooManyValues() : notJson();
    }
  }

  /** Whether it holds nothing but white space. */
  get isBlank(): boolean {
    return this.#parser?.isBlank ?? false;
  }

  /**
   * Its value, once all of it has been added. It is not kept here.
   *
   * @throws {InvalidRequestError} As `parseLine`.
   */
  take(): unknown {
    const parser = this.#parser;
    this.#parser = undefined;
    try {
      if (parser !== undefined) return parser.finish();
    } catch (error) {
      throw error instanceof SyntaxError ? notJson() : error;
    }
    throw this.#fault ?? new Error("The line has been taken");
  }
}
