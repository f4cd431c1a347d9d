/** Error bodies of llama-server's own endpoints. */
import { type ErrorStatus, toApiError } from "../api_error.ts";
import { serverSentEvent } from "../event_stream.ts";
import { sizesOf } from "../openai/error.ts";

const TYPES: Readonly<Partial<Record<ErrorStatus, string>>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  500: "server_error",
  501: "not_supported_error",
  503: "unavailable_error",
};

/** llama-server's type for a prompt that is too long. */
export const TOO_LONG = "exceed_context_size_error";

/** `code` is the status, where OpenAI has a word; `param` is this server's addition. */
export function llamaServerErrorBody(error: unknown): Record<string, unknown> {
  const { status, message, param, code, size } = toApiError(error);
  const type = code === "context_length_exceeded" ? TOO_LONG : TYPES[status] ?? "invalid_request_error";
  return { error: { code: status, message, type, ...(param === undefined ? {} : { param }), ...sizesOf(size) } };
}

/** The last event of a stream that failed. */
export function llamaServerErrorEvent(error: unknown): string {
  return serverSentEvent(llamaServerErrorBody(error));
}
