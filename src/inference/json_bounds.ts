/** Limits on JSON from untrusted senders: bounds the cost of parsing and walking it, before it is parsed. */
import { JoinedText } from "@inferd/client/protocol";

/**
 * Maximum number of values in one text. A string costs in proportion to its length, but each value of a large text
 * costs tens of bytes and time besides: 64 MiB of `{},` take more than 2 GiB and fourteen seconds.
 */
export const MAX_JSON_VALUES = 1 << 18;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;
const BRACE = 0x7b;
const BRACE_END = 0x7d;

/**
 * Whether a text is within limits. Does not validate the JSON.
 *
 * @param maxDepth Maximum nesting depth. Default: the maximum number of values.
 */
export function isBoundedJson(text: string, maxDepth: number = MAX_JSON_VALUES): boolean {
  // Every value but the first, and every level, takes at least one character.
  if (text.length <= Math.min(MAX_JSON_VALUES, maxDepth)) return true;
  return countJsonValues(text, maxDepth) <= MAX_JSON_VALUES;
}

/**
 * How many values a text has; infinitely many if they are more than {@linkcode MAX_JSON_VALUES}, or nested deeper than
 * `maxDepth`. Does not validate the JSON.
 */
export function countJsonValues(text: string, maxDepth: number = MAX_JSON_VALUES): number {
  let values = 1;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at + 1);
        if (at === -1) return values;
        break;
      case BRACKET:
      case BRACE:
        if (++values > MAX_JSON_VALUES || ++depth > maxDepth) return Infinity;
        break;
      case BRACKET_END:
      case BRACE_END:
        depth--;
        break;
      case COMMA:
        if (++values > MAX_JSON_VALUES) return Infinity;
    }
  }
  return values;
}

/** Position of the closing quote; -1 if missing, which the parser reports. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end !== -1) {
    let escapes = end;
    while (text.charCodeAt(escapes - 1) === BACKSLASH && escapes > start) escapes--;
    if ((end - escapes) % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return -1;
}

/** Whether a value has more levels than these; an empty object or array is one level deep. */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null || value instanceof JoinedText) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1));
}
