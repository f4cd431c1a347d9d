/** One line into a JSON value, at a bounded price. */
import { InvalidRequestError } from "../inference/errors.ts";

/**
 * The most values a line may hold. Strings cost what they weigh, but each value of a large line costs tens of bytes
 * and time besides: 64 MiB of `[` keep the parser busy for ten seconds, 64 MiB of `{},` take more than 2 GiB.
 */
export const MAX_LINE_VALUES = 1 << 18;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/**
 * Parse a line.
 *
 * @throws {InvalidRequestError} If it is not JSON, or holds too many values.
 */
export function parseLine(line: string): unknown {
  // Every value but the first has a character of its own before it, so only long lines can hold too many.
  if (line.length > MAX_LINE_VALUES && hasTooManyValues(line)) {
    throw new InvalidRequestError(`The line holds more than ${MAX_LINE_VALUES} JSON values`);
  }
  try {
    return JSON.parse(line);
  } catch {
    throw new InvalidRequestError("The line is not valid JSON");
  }
}

function hasTooManyValues(line: string): boolean {
  let values = 1;
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(line, at + 1);
      if (at === -1) return false;
    } else if ((code === COMMA || code === BRACKET || code === BRACE) && ++values > MAX_LINE_VALUES) {
      return true;
    }
  }
  return false;
}

/** Where the quote that ends a string stands; -1 where it has none, which the parser will complain about. */
function endOfString(line: string, start: number): number {
  let end = line.indexOf('"', start);
  while (end !== -1) {
    let escapes = end;
    while (line.charCodeAt(escapes - 1) === BACKSLASH && escapes > start) escapes--;
    if ((end - escapes) % 2 === 0) return end;
    end = line.indexOf('"', end + 1);
  }
  return -1;
}
