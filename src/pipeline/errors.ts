/** The only place where errors become codes on the wire. */
import type { EmbedErrorCode, InvalidRequestReason, RerankErrorCode, V2ErrorCode } from "@inferd/client/protocol";
import {
  AttachmentUnsupportedError,
  BackendUnavailableError,
  ContextLengthError,
  EmbedUnsupportedError,
  InvalidRequestError,
  RerankUnsupportedError,
  ToolCallMalformedError,
} from "../inference/errors.ts";
import { defined } from "../inference/objects.ts";
import type { PromptSize } from "../inference/prompt_size.ts";
import { QueueFullError } from "./admission.ts";
import { RequestCancelledError } from "./live_requests.ts";

/** A line exceeds the limit in bytes. */
export class FrameTooLargeError extends Error {
  override readonly name = "FrameTooLargeError";
}

/** The connection ended before the answer was complete. */
export class ClientGoneError extends Error {
  override readonly name = "ClientGoneError";
}

/** All error codes. */
export type ErrorCode = V2ErrorCode | EmbedErrorCode | RerankErrorCode;

/** A failure as reported to clients. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  /** The specific case of its code, if programs need to distinguish them. */
  readonly reason?: InvalidRequestReason;
  /** Of a prompt that does not fit the context. */
  readonly size?: PromptSize;
}

/** A failed request, with the failure reported to clients; for callers without a socket. */
export class RequestFailedError extends Error {
  override readonly name = "RequestFailedError";
  readonly code: ErrorCode;

  constructor({ code, message }: WireError) {
    super(message);
    this.code = code;
  }
}

/** Errors whose message is for the client, and whether the backend is to blame. */
const KNOWN: readonly (readonly [new (message: string) => Error, ErrorCode, "counted" | "neutral"])[] = [
  [InvalidRequestError, "invalid_request", "neutral"],
  [QueueFullError, "queue_full", "neutral"],
  [BackendUnavailableError, "backend_unavailable", "counted"],
  [RequestCancelledError, "cancelled", "neutral"],
  [FrameTooLargeError, "frame_too_large", "neutral"],
  [AttachmentUnsupportedError, "attachment_unsupported", "neutral"],
  [ToolCallMalformedError, "tool_call_malformed", "neutral"],
  [EmbedUnsupportedError, "embed_unsupported", "neutral"],
  [RerankUnsupportedError, "rerank_unsupported", "neutral"],
];

/** The failure to report to the client. An error of an unknown class is a bug, and its text is not sent. */
export function toWireError(error: unknown): WireError {
  for (const [known, code] of KNOWN) {
    if (!(error instanceof known)) continue;
    return {
      code,
      message: error.message,
      ...(error instanceof ContextLengthError ? { reason: "context_length", ...defined({ size: error.size }) } : {}),
    };
  }
  return { code: "internal", message: "Internal error; the daemon's log has the details" };
}

/** Whether an error is a failure of the backend, which the breaker counts. */
export function blamesBackend(error: unknown): boolean {
  return KNOWN.find(([known]) => error instanceof known)?.[2] !== "neutral";
}

/** The error frame, the same on every surface: one line with its newline. */
export function errorFrame(id: string, error: WireError): string {
  const { code, message, reason, size } = error;
  const sizes = { prompt_tokens: size?.promptTokens, context_tokens: size?.contextTokens };
  return `${JSON.stringify({ id, type: "error", code, message, reason, ...sizes })}\n`;
}
