/** The only place where an error becomes a code on the wire. */
import type { V1ErrorCode } from "@inferd/client/protocol";
import { BackendUnavailableError, InvalidRequestError } from "../backend/backend.ts";
import { QueueFullError } from "./admission.ts";

/** A line went over the byte cap. */
export class FrameTooLargeError extends Error {
  override readonly name = "FrameTooLargeError";
}

/** The connection ended before the answer did: nobody is left to answer. */
export class ClientGoneError extends Error {
  override readonly name = "ClientGoneError";
}

/** A failure as a client sees it. */
export interface WireError {
  readonly code: V1ErrorCode;
  readonly message: string;
}

/** What the client is told. An error of no known class is a bug of ours, and its text is not the client's business. */
export function toWireError(error: unknown): WireError {
  if (error instanceof InvalidRequestError) return { code: "invalid_request", message: error.message };
  if (error instanceof QueueFullError) return { code: "queue_full", message: error.message };
  if (error instanceof BackendUnavailableError) return { code: "backend_unavailable", message: error.message };
  if (error instanceof FrameTooLargeError) return { code: "frame_too_large", message: error.message };
  return { code: "internal", message: "Internal error; the daemon's log has the details" };
}

/** The error frame, which is the same on every surface; one line with its newline. */
export function errorFrame(id: string, error: WireError): string {
  return `${JSON.stringify({ id, type: "error", code: error.code, message: error.message })}\n`;
}
