/**
 * What can go wrong with an HTTP request, as one class, and the one place where the daemon's errors get their status.
 * How an error is written down belongs to each API.
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

/** The statuses this server answers with when something is wrong. */
export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 429 | 500 | 501 | 503;

/** What else an error says. */
export interface ApiErrorOptions {
  /** A word that clients tell the error by, e.g. `model_not_found`. */
  readonly code?: string;
  /** The field that is wrong, e.g. `messages[0].role`. */
  readonly param?: string;
}

/** Seconds after which a full queue is worth another try. */
const RETRY_AFTER_SECS = 1;

/** A request that is not answered as it was meant to be. The message is for the caller. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: ErrorStatus;
  readonly code: string | undefined;
  readonly param: string | undefined;

  /**
   * @param status The HTTP status.
   * @param message One sentence: what was given, what is allowed.
   * @param options What else it says.
   */
  constructor(status: ErrorStatus, message: string, options: ApiErrorOptions = {}) {
    super(message);
    this.status = status;
    this.code = options.code;
    this.param = options.param;
  }

  /** Headers that belong to the status. */
  get headers(): Record<string, string> {
    return this.status === 429 ? { "Retry-After": String(RETRY_AFTER_SECS) } : {};
  }
}

/**
 * A parameter that the API has and this server cannot honour.
 *
 * @param param Its path.
 * @param why What is not possible, and what to do.
 */
export function unsupported(param: string, why: string): ApiError {
  return new ApiError(400, `"${param}" is not supported: ${why}`, { code: "unsupported_parameter", param });
}

/**
 * A parameter with a wrong value.
 *
 * @param param Its path.
 * @param rule What it must be, e.g. `must be a JSON object`.
 */
export function invalid(param: string, rule: string): ApiError {
  return new ApiError(400, `"${param}" ${rule}`, { code: "invalid_value", param });
}

/**
 * What to answer for an error, whatever threw it.
 *
 * @param error What was caught.
 * @returns The error to answer with; what is not known becomes a 500 with a fixed message.
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
  // Not a status that clients try again on.
  if (error instanceof RequestCancelledError) return new ApiError(403, error.message, { code: "cancelled" });
  if (error instanceof InvalidRequestError) {
    const code = error.reason === "context_length" ? "context_length_exceeded" : "invalid_request";
    return new ApiError(400, error.message, { code });
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

/**
 * Whether nothing is known of an error, so that it belongs in the log.
 *
 * @param error What was caught.
 */
export function isUnexpected(error: unknown): boolean {
  return !(error instanceof ApiError) && toApiError(error).code === "internal" && !(error instanceof DaemonError);
}
