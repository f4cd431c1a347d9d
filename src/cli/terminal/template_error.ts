/** What the commands say of a chat template that cannot be evaluated. */
import type { TemplateError } from "@inferd/client";

/**
 * An error of a chat template in one line, whatever is in its message.
 *
 * @param error The error.
 * @returns What is wrong, and what is used instead.
 */
export function describeTemplateError({ message, line, format }: Readonly<TemplateError>): string {
  const wrong = message.replaceAll(/\s+/g, " ").trim();
  return `cannot be used (line ${line}: ${wrong}); conversations are written as ${format}`;
}
