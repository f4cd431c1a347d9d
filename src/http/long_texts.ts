/** Texts of many megabytes in a body: they stay in the parts in which they came, where a schema says that it takes them. */
import { isText, JoinedText, type LongText } from "@inferd/client/protocol";
import { z } from "zod";

/** A text that may be long. Whatever asks for a `z.string()` gets a long one as a string. */
export const longText = z.custom<LongText>(isText, {
  error: ({ input }) => `Invalid input: expected string, received ${typeName(input)}`,
});

/** As zod has it. */
function typeName(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

/** Whether a value holds texts in parts; it is not deep. */
export function hasLongTexts(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return value instanceof JoinedText || Object.values(value).some(hasLongTexts);
}

/** The same value with strings in place of texts in parts; it is not deep. */
export function withStrings(value: unknown): unknown {
  if (value instanceof JoinedText) return value.toString();
  if (!hasLongTexts(value)) return value;
  if (Array.isArray(value)) return value.map(withStrings);
  return Object.fromEntries(Object.entries(value as object).map(([key, field]) => [key, withStrings(field)]));
}
