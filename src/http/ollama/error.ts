/** Error bodies of Ollama's API. */
import { toApiError } from "../api_error.ts";

export function ollamaErrorBody(error: unknown): Record<string, unknown> {
  return { error: toApiError(error).message };
}
