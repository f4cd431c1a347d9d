/** Error bodies of Ollama's API. */
import { toApiError } from "../api_error.ts";

/**
 * Format an error body.
 *
 * @param error The caught error.
 */
export function ollamaErrorBody(error: unknown): Record<string, unknown> {
  return { error: toApiError(error).message };
}
