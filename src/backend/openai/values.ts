/** Lenient readers for single values from servers: numbers as strings, text in parts, unneeded fields in any form. */
import { MAX_DEPTH } from "@inferd/client/protocol";
import { isBoundedJson } from "../../inference/json_bounds.ts";
import { isObject } from "../../inference/objects.ts";

/** Maximum nesting of text parts. */
const MAX_NESTING = 8;

/** Maximum depth of a server's JSON: that of call arguments plus the surrounding message. */
const MAX_MESSAGE_DEPTH = MAX_DEPTH + 16;

/** Keys that hold text. */
const TEXTS = ["text", "value", "content", "thinking", "reasoning", "reasoning_content", "summary"] as const;

/** Whether a server's text may be parsed: it has no more values and levels than a client's line may have. */
export function isBounded(text: string): boolean {
  return isBoundedJson(text, MAX_MESSAGE_DEPTH);
}

/** Parse JSON; `undefined` if invalid or not {@linkcode isBounded}. */
export function parseJson(text: string): unknown {
  if (!isBounded(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a value carries information; `null`, `""`, `false`, `0` and objects of nothing else do not. */
export function saysSomething(value: unknown): boolean {
  return typeof value === "object" && value !== null ? Object.values(value).some(saysSomething) : Boolean(value);
}

/** The text in a value, wherever it is nested; empty if there is none. */
export function textIn(value: unknown, depth: number = MAX_NESTING): string {
  if (typeof value === "string") return value;
  if (depth === 0) return "";
  if (Array.isArray(value)) return value.map((entry) => textIn(entry, depth - 1)).join("");
  if (!isObject(value)) return "";
  for (const key of TEXTS) {
    const text = textIn(value[key], depth - 1);
    if (text !== "") return text;
  }
  return "";
}

/** A count, possibly as a string or with a fraction; undefined if it is none. */
export function countOf(value: unknown): number | undefined {
  const number = numberOf(value);
  return number !== undefined && number >= 0 ? Math.min(Math.round(number), Number.MAX_SAFE_INTEGER) : undefined;
}

/** A list index, possibly as a string; undefined if it is none, such as the -1 of some servers. */
export function indexOf(value: unknown): number | undefined {
  const number = numberOf(value);
  return Number.isSafeInteger(number) && number !== undefined && number >= 0 ? number : undefined;
}

/** A non-empty name; a number is converted to digits. */
export function wordOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}
