/** Describes a chat template that cannot be evaluated. */
import type { TemplateError } from "@inferd/client";

/**
 * Describe a chat template's error in one line, whatever its message contains.
 *
 * @param error The error.
 * @returns The problem, and the fallback.
 */
export function describeTemplateError({ message, line, format }: Readonly<TemplateError>): string {
  const wrong = message.replaceAll(/\s+/g, " ").trim();
  return `cannot be used (line ${line}: ${wrong}); conversations are written as ${format}`;
}
