/** Reads single values as servers send them: numbers as texts, texts in parts, and what is not needed in any form. */
import { MAX_DEPTH } from "@inferd/client/protocol";
import { isBoundedJson } from "../../inference/json_bounds.ts";
import type { JsonObject } from "../../inference/request.ts";

/** How deep texts lie in parts of parts. */
const MAX_NESTING = 8;

/** How deep a server's JSON may be: a call's arguments as deep as anyone's, and the message around them. */
const MAX_MESSAGE_DEPTH = MAX_DEPTH + 16;

/** Keys under which an object holds a text. */
const TEXTS = ["text", "value", "content", "thinking", "reasoning", "reasoning_content", "summary"] as const;

/** Whether a text of a server's may be parsed at all: it has no more values and levels than a client's line may. */
export function isBounded(text: string): boolean {
  return isBoundedJson(text, MAX_MESSAGE_DEPTH);
}

/** Parse JSON; `undefined` for anything else, and for what is not {@linkcode isBounded}. */
export function parseJson(text: string): unknown {
  if (!isBounded(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a value is what JSON calls an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value says something; `null`, `""`, `false` and `{}` do not. */
export function saysSomething(value: unknown): boolean {
  return typeof value === "object" && value !== null ? Object.keys(value).length > 0 : Boolean(value);
}

/** The text of a value, wherever in lists and objects it lies; empty where there is none. */
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

/** A count, which may come as a text or with a fraction; undefined where it is none. */
export function countOf(value: unknown): number | undefined {
  const number = numberOf(value);
  return number !== undefined && number >= 0 ? Math.min(Math.round(number), Number.MAX_SAFE_INTEGER) : undefined;
}

/** A place in a list, which may come as a text; undefined where it is none, as the -1 of some servers. */
export function indexOf(value: unknown): number | undefined {
  const number = numberOf(value);
  return Number.isSafeInteger(number) && number !== undefined && number >= 0 ? number : undefined;
}

/** A name that must not be empty; a number becomes its digits. */
export function wordOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}
