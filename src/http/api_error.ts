/**
 * The class for all HTTP errors, and the only place that maps the daemon's errors to statuses. Error bodies belong to
 * each API.
 */
import {
  AttachmentUnsupportedError,
  BackendUnavailableError,
  ConnectError,
  ConnectionClosedError,
  DaemonError,
  EmbedUnsupportedError,
  FrameTooLargeError,
  InvalidRequestError,
  QueueFullError,
  RequestCancelledError,
  RerankUnsupportedError,
  TimeoutError,
  ToolCallMalformedError,
} from "@inferd/client";

export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 429 | 500 | 501 | 503;

export interface ApiErrorOptions {
  /** A machine-readable code, e.g. `model_not_found`. */
  readonly code?: string;
  /** The invalid field, e.g. `messages[0].role`. */
  readonly param?: string;
  /** Of a prompt that does not fit the context, if they are known. */
  readonly size?: PromptSize | undefined;
}

/** Tokens of a prompt, so many at least, and what prompt and answer together may have. */
export interface PromptSize {
  readonly promptTokens: number;
  readonly contextTokens: number;
}

/** `Retry-After` for a full queue, in seconds. */
const RETRY_AFTER_SECS = 1;

/** An HTTP error. The message is for the caller. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: ErrorStatus;
  readonly code: string | undefined;
  readonly param: string | undefined;
  readonly size: PromptSize | undefined;

  /** @param message One sentence: the given value and what is allowed. */
  constructor(status: ErrorStatus, message: string, options: ApiErrorOptions = {}) {
    super(message);
    this.status = status;
    this.code = options.code;
    this.param = options.param;
    this.size = options.size;
  }

  /** Headers required by the status. */
  get headers(): Record<string, string> {
    return this.status === 429 ? { "Retry-After": String(RETRY_AFTER_SECS) } : {};
  }
}

/** Error for a parameter of the API that this server does not support. */
export function unsupported(param: string, why: string): ApiError {
  return new ApiError(400, `"${param}" is not supported: ${why}`, { code: "unsupported_parameter", param });
}

/** @param rule The rule it violates, e.g. `must be a JSON object`. */
export function invalid(param: string, rule: string): ApiError {
  return new ApiError(400, `"${param}" ${rule}`, { code: "invalid_value", param });
}

/**
 * Convert any thrown value to an API error.
 *
 * @returns The error to send; unknown errors become a 500 with a fixed message.
 */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof QueueFullError) return new ApiError(429, error.message, { code: "queue_full" });
  if (error instanceof FrameTooLargeError) return new ApiError(413, error.message, { code: "request_too_large" });
  if (error instanceof AttachmentUnsupportedError) {
    return new ApiError(400, error.message, { code: "unsupported_content" });
  }
  if (error instanceof EmbedUnsupportedError || error instanceof RerankUnsupportedError) {
    return new ApiError(404, error.message, { code: "model_not_found", param: "model" });
  }
  // A status on which clients do not retry.
  if (error instanceof RequestCancelledError) return new ApiError(403, error.message, { code: "cancelled" });
  if (error instanceof InvalidRequestError) {
    const { promptTokens, contextTokens } = error;
    const size = promptTokens === undefined || contextTokens === undefined
      ? undefined
      : { promptTokens, contextTokens };
    const code = error.reason === "context_length" ? "context_length_exceeded" : "invalid_request";
    return new ApiError(400, error.message, { code, size });
  }
  if (error instanceof ToolCallMalformedError) return new ApiError(500, error.message, { code: "tool_call_malformed" });
  if (
    error instanceof BackendUnavailableError || error instanceof ConnectError ||
    error instanceof ConnectionClosedError || error instanceof TimeoutError
  ) {
    return new ApiError(503, error.message, { code: "backend_unavailable" });
  }
  if (error instanceof DaemonError && error.code === "internal") {
    return new ApiError(500, error.message, { code: "internal" });
  }
  return new ApiError(500, "The server failed to answer; its log says more", { code: "internal" });
}

/** Whether an error is unknown and therefore must be logged. */
export function isUnexpected(error: unknown): boolean {
  return !(error instanceof ApiError) && toApiError(error).code === "internal" && !(error instanceof DaemonError);
}
