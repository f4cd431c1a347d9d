/** Error bodies of OpenAI's API. */
import { type ErrorStatus, type PromptSize, toApiError } from "../api_error.ts";
import { serverSentEvent } from "../event_stream.ts";

const TYPES: Readonly<Partial<Record<ErrorStatus, string>>> = {
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
  500: "server_error",
  501: "server_error",
  503: "server_error",
};

/** @param tooLong The type of the error for a prompt that is too long. */
export function openAiErrorBody(error: unknown, tooLong = "invalid_request_error"): Record<string, unknown> {
  const { status, message, param, code, size } = toApiError(error);
  const type = code === "context_length_exceeded" ? tooLong : TYPES[status] ?? "invalid_request_error";
  return { error: { message, type, param: param ?? null, code: code ?? null, ...sizesOf(size) } };
}

/** llama-server's fields for a prompt that is too long. */
export function sizesOf(size: PromptSize | undefined): Record<string, number> {
  return size === undefined ? {} : { n_prompt_tokens: size.promptTokens, n_ctx: size.contextTokens };
}

/** The last event of a stream that failed. */
export function openAiErrorEvent(error: unknown): string {
  return serverSentEvent(openAiErrorBody(error));
}
