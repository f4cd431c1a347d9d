/** Errors of requests: one class per kind, which the pipeline maps to wire codes. */
import type { PromptSize } from "./prompt_size.ts";

/** The caller's fault; the message is for the caller. Not counted by the circuit breaker. */
export class InvalidRequestError extends Error {
  override readonly name: string = "InvalidRequestError";
}

/** The prompt does not fit the context; a shorter one would. Not counted by the circuit breaker. */
export class ContextLengthError extends InvalidRequestError {
  override readonly name = "ContextLengthError";
  /** Absent: not known. */
  readonly size: PromptSize | undefined;

  constructor(message: string, size?: PromptSize) {
    super(message);
    this.size = size;
  }
}

/** The backend's fault; the message is for the caller. Counted by the circuit breaker. */
export class BackendUnavailableError extends Error {
  override readonly name: string = "BackendUnavailableError";
}

/** The model does not fit into the memory that is available now. */
export class NotEnoughMemoryError extends BackendUnavailableError {
  override readonly name = "NotEnoughMemoryError";
}

/** The backend does not support this kind of attachment. Not counted by the circuit breaker. */
export class AttachmentUnsupportedError extends Error {
  override readonly name = "AttachmentUnsupportedError";
}

/** The model wrote a call that cannot be parsed. Not counted by the circuit breaker. */
export class ToolCallMalformedError extends Error {
  override readonly name = "ToolCallMalformedError";
}

/** No backend here can embed. Not counted by the circuit breaker. */
export class EmbedUnsupportedError extends Error {
  override readonly name = "EmbedUnsupportedError";
}

/** No backend here can rerank. Not counted by the circuit breaker. */
export class RerankUnsupportedError extends Error {
  override readonly name = "RerankUnsupportedError";
}
