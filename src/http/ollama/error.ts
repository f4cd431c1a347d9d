/** How Ollama's API writes an error. */
import { toApiError } from "../api_error.ts";

/**
 * An error's body.
 *
 * @param error What was caught.
 */
export function ollamaErrorBody(error: unknown): Record<string, unknown> {
  return { error: toApiError(error).message };
}
