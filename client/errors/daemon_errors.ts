/**
 * Error frames as classes. Distinguish errors by class, or by `code` if a daemon is newer than this client; never by text.
 */
import { InferdError } from "./errors.ts";

/**
 * The daemon answered with an error frame. A code this client does not know is this class itself, not retryable.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { DaemonError } from "@inferd/client";
 *
 * // Also where the daemon is newer than this client, and has codes that it does not know.
 * export function codeOf(error: unknown): string | undefined {
 *   return error instanceof DaemonError ? error.code : undefined;
 * }
 * ```
 */
export class DaemonError extends InferdError {
  /** Names the class. */
  override readonly name: string = "DaemonError";
  /** The wire code, e.g. `queue_full`. */
  readonly code: string;

  /**
   * Make one.
   *
   * @param code The wire code.
   * @param message The daemon's sentence.
   * @param options `retryable`, default false.
   */
  constructor(code: string, message: string, options: { readonly retryable?: boolean } = {}) {
    super(message, options);
    this.code = code;
  }
}

/**
 * `queue_full`: no place at submit time. Retry with backoff.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { type Client, QueueFullError } from "@inferd/client";
 *
 * export async function patiently(client: Client, prompt: string): Promise<string> {
 *   for (let waitMs = 100;; waitMs *= 2) {
 *     try {
 *       return await client.generate(prompt).text();
 *     } catch (error) {
 *       if (!(error instanceof QueueFullError)) throw error;
 *       await new Promise((resolve) => setTimeout(resolve, waitMs));
 *     }
 *   }
 * }
 * ```
 */
export class QueueFullError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "QueueFullError";

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("queue_full", message, { retryable: true });
  }
}

/**
 * `backend_unavailable`: no backend, or it failed before or during the answer. May be retried.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { admin, BackendUnavailableError, type Client } from "@inferd/client";
 *
 * export async function onceMore(client: Client, prompt: string): Promise<string> {
 *   try {
 *     return await client.generate(prompt).text();
 *   } catch (error) {
 *     if (!(error instanceof BackendUnavailableError)) throw error;
 *     await admin().ready({ timeoutMs: 60_000 });
 *     return await client.generate(prompt).text();
 *   }
 * }
 * ```
 */
export class BackendUnavailableError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "BackendUnavailableError";

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("backend_unavailable", message, { retryable: true });
  }
}

/**
 * `invalid_request`: the request breaks a rule, or its prompt does not fit the context. Not unchanged again.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { type Client, InvalidRequestError } from "@inferd/client";
 *
 * export async function follows(client: Client, grammar: string): Promise<string> {
 *   try {
 *     return await client.generate({ messages: [{ role: "user", content: "Hi" }], grammar }).text();
 *   } catch (error) {
 *     // The message says which rule the request breaks.
 *     if (error instanceof InvalidRequestError) return error.message;
 *     throw error;
 *   }
 * }
 * ```
 */
export class InvalidRequestError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "InvalidRequestError";
  /** Which case it is, where programs treat them differently: `context_length`, the prompt does not fit the context. */
  readonly reason: string | undefined;
  /** With `context_length`: tokens of the prompt, so many at least; absent: not known. */
  readonly promptTokens: number | undefined;
  /** With `context_length`: tokens that prompt and answer together may have; absent: not known. */
  readonly contextTokens: number | undefined;

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   * @param options `reason`: the specific case, if the daemon reports one; the sizes of a prompt that is too long.
   */
  constructor(
    message: string,
    options: {
      readonly reason?: string | undefined;
      readonly promptTokens?: number | undefined;
      readonly contextTokens?: number | undefined;
    } = {},
  ) {
    super("invalid_request", message);
    this.reason = options.reason;
    this.promptTokens = options.promptTokens;
    this.contextTokens = options.contextTokens;
  }
}

/**
 * `frame_too_large`: the request is over the frame limit. Told by the client before anything is sent, too.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { type Client, FrameTooLargeError } from "@inferd/client";
 *
 * export async function fits(client: Client, text: string): Promise<boolean> {
 *   return await client.embed(text).then(() => true, (error: unknown) => {
 *     if (error instanceof FrameTooLargeError) return false;
 *     throw error;
 *   });
 * }
 * ```
 */
export class FrameTooLargeError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "FrameTooLargeError";

  /**
   * Make one.
   *
   * @param message What is too large.
   */
  constructor(message: string) {
    super("frame_too_large", message);
  }
}

/**
 * `internal`: a bug of the daemon; its log has details.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { InternalError } from "@inferd/client";
 *
 * export function advice(error: unknown): string {
 *   return error instanceof InternalError ? "See the daemon's log, ~/.inferd/logs/inferd.ndjson" : "";
 * }
 * ```
 */
export class InternalError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "InternalError";

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("internal", message);
  }
}

/**
 * `attachment_unsupported`: no backend takes attachments of that kind. Do not retry.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { AttachmentUnsupportedError, type Client } from "@inferd/client";
 *
 * export async function describe(client: Client, png: Uint8Array): Promise<string> {
 *   const generation = client.generate({
 *     messages: [{ role: "user", content: [{ type: "image", attachmentId: "a" }] }],
 *     attachments: [{ id: "a", kind: "image", bytes: png }],
 *   });
 *   return await generation.text().catch((error: unknown) => {
 *     if (error instanceof AttachmentUnsupportedError) return "This daemon has no model that sees.";
 *     throw error;
 *   });
 * }
 * ```
 */
export class AttachmentUnsupportedError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "AttachmentUnsupportedError";

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("attachment_unsupported", message);
  }
}

/**
 * `cancelled`: the operator cancelled the request. Do not retry.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { RequestCancelledError } from "@inferd/client";
 *
 * export function wasUnwanted(error: unknown): boolean {
 *   return error instanceof RequestCancelledError;
 * }
 * ```
 */
export class RequestCancelledError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "RequestCancelledError";

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("cancelled", message);
  }
}

/**
 * `tool_call_malformed`: the model wrote a call that cannot be read, or that its schema refuses. May be retried: the
 * next answer may be better.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { ToolCallMalformedError } from "@inferd/client";
 *
 * // With another seed, the next answer may have a call that can be read.
 * export function isWorthAnotherTry(error: unknown): boolean {
 *   return error instanceof ToolCallMalformedError;
 * }
 * ```
 */
export class ToolCallMalformedError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "ToolCallMalformedError";

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("tool_call_malformed", message, { retryable: true });
  }
}

/**
 * `embed_unsupported`: no backend embeds. Do not retry.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { type Client, ConnectError, EmbedUnsupportedError } from "@inferd/client";
 *
 * export async function canEmbed(client: Client): Promise<boolean> {
 *   return await client.embed("a").then(() => true, (error: unknown) => {
 *     if (error instanceof EmbedUnsupportedError || error instanceof ConnectError) return false;
 *     throw error;
 *   });
 * }
 * ```
 */
export class EmbedUnsupportedError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "EmbedUnsupportedError";

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("embed_unsupported", message);
  }
}

/**
 * `rerank_unsupported`: no backend reranks. Do not retry.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { type Client, ConnectError, RerankUnsupportedError } from "@inferd/client";
 *
 * export async function canRerank(client: Client): Promise<boolean> {
 *   return await client.rerank("a", ["b"]).then(() => true, (error: unknown) => {
 *     if (error instanceof RerankUnsupportedError || error instanceof ConnectError) return false;
 *     throw error;
 *   });
 * }
 * ```
 */
export class RerankUnsupportedError extends DaemonError {
  /** Names the class. */
  override readonly name: string = "RerankUnsupportedError";

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("rerank_unsupported", message);
  }
}
