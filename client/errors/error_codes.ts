/** Which class an error frame's code stands for. */
import type { EmbedErrorCode, RerankErrorCode, V2ErrorCode } from "../protocol/mod.ts";
import {
  AttachmentUnsupportedError,
  BackendUnavailableError,
  DaemonError,
  EmbedUnsupportedError,
  FrameTooLargeError,
  InternalError,
  InvalidRequestError,
  QueueFullError,
  RequestCancelledError,
  RerankUnsupportedError,
  ToolCallMalformedError,
} from "./daemon_errors.ts";

type ErrorCode = V2ErrorCode | EmbedErrorCode | RerankErrorCode;

const CLASSES: Readonly<Record<ErrorCode, new (message: string) => DaemonError>> = {
  queue_full: QueueFullError,
  backend_unavailable: BackendUnavailableError,
  invalid_request: InvalidRequestError,
  frame_too_large: FrameTooLargeError,
  cancelled: RequestCancelledError,
  internal: InternalError,
  attachment_unsupported: AttachmentUnsupportedError,
  tool_call_malformed: ToolCallMalformedError,
  embed_unsupported: EmbedUnsupportedError,
  rerank_unsupported: RerankUnsupportedError,
};

/** The error of an error frame, whose fields are known or not. */
export function daemonError(
  code: string,
  message: string,
  details?: ConstructorParameters<typeof InvalidRequestError>[1],
): DaemonError {
  if (code === "invalid_request") return new InvalidRequestError(message, details);
  if (!Object.hasOwn(CLASSES, code)) return new DaemonError(code, message);
  return new CLASSES[code as ErrorCode](message);
}
