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

/** A line went over the byte cap. */
export class FrameTooLargeError extends Error {
  override readonly name = "FrameTooLargeError";
}

/** The connection ended before the answer did, so nobody is left to read it. */
export class ClientGoneError extends Error {
  override readonly name = "ClientGoneError";
}

/** Every code there is. */
export type ErrorCode = V2ErrorCode | EmbedErrorCode | RerankErrorCode;

/** A failure as a client sees it. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  /** Which of the cases of its code it is, where programs treat them differently. */
  readonly reason?: InvalidRequestReason;
  /** Of a prompt that does not fit the context. */
  readonly size?: PromptSize;
}

/** A request failed with what a client would be told; for callers without a socket. */
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

/** What the client is told. An error of an unknown class is our bug, and its text is not sent. */
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

/** Whether an error says that the backend fails, so that the breaker counts it. */
export function blamesBackend(error: unknown): boolean {
  return KNOWN.find(([known]) => error instanceof known)?.[2] !== "neutral";
}

/** The error frame, the same on every surface: one line with its newline. */
export function errorFrame(id: string, error: WireError): string {
  const { code, message, reason, size } = error;
  const sizes = { prompt_tokens: size?.promptTokens, context_tokens: size?.contextTokens };
  return `${JSON.stringify({ id, type: "error", code, message, reason, ...sizes })}\n`;
}
