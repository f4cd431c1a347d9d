/** Error bodies of Anthropic's API. */
import { type ErrorStatus, toApiError } from "../api_error.ts";

const TYPES: Readonly<Partial<Record<ErrorStatus, string>>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  501: "api_error",
  503: "overloaded_error",
};

export function anthropicErrorBody(error: unknown): Record<string, unknown> {
  const { status, code, message: plain } = toApiError(error);
  // Agents look for these words and shorten the conversation.
  const message = code === "context_length_exceeded" ? `prompt is too long: ${plain}` : plain;
  return { type: "error", error: { type: TYPES[status] ?? "invalid_request_error", message }, request_id: null };
}
