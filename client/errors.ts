/**
 * Everything the client throws, one class per condition, and the one place that turns a wire code into a class. Tell
 * errors apart by class, or by `code` where a daemon is newer than this client; never by text.
 */
import type { EmbedErrorCode, RerankErrorCode, V2ErrorCode } from "./protocol/mod.ts";
import type { Message } from "./blocks.ts";

/**
 * What every error of this client is. The reason of an aborted signal is thrown as it is, and wrong arguments are a
 * `TypeError` or `RangeError`.
 *
 * @example
 * ```ts
 * import { type Client, InferdError } from "@inferd/client";
 *
 * export async function ask(client: Client, prompt: string): Promise<string | undefined> {
 *   try {
 *     return await client.generate(prompt).text();
 *   } catch (error) {
 *     if (error instanceof InferdError && error.retryable) return undefined;
 *     throw error;
 *   }
 * }
 * ```
 */
export class InferdError extends Error {
  /** Names the class. */
  override readonly name: string = "InferdError";
  /** Whether the same call may succeed later without being changed. Back off before. */
  readonly retryable: boolean;

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param options `retryable` (default false) and the cause.
   */
  constructor(message: string, options: { readonly retryable?: boolean; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.retryable = options.retryable ?? false;
  }
}

/**
 * The daemon answered with an error frame. A code this client does not know is this class itself, not retryable.
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

  /**
   * Make one.
   *
   * @param message The daemon's sentence.
   */
  constructor(message: string) {
    super("invalid_request", message);
  }
}

/**
 * `frame_too_large`: the request is over the frame limit. Told by the client before anything is sent, too.
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
 * `internal`: a bug of the daemon's; its log says more.
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
 * `tool_call_malformed`: the model wrote a call that cannot be read. May be retried: the next answer may be better.
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

/**
 * No connection could be made. `retryable` tells a daemon that is not there yet (no socket, nothing listens) from what
 * waiting does not mend (permission denied, not a socket).
 *
 * @example
 * ```ts
 * import { connect, ConnectError } from "@inferd/client";
 *
 * export async function isThere(): Promise<boolean> {
 *   try {
 *     await using _client = await connect({ timeoutMs: 0 });
 *     return true;
 *   } catch (error) {
 *     if (error instanceof ConnectError && error.retryable) return false;
 *     throw error;
 *   }
 * }
 * ```
 */
export class ConnectError extends InferdError {
  /** Names the class. */
  override readonly name: string = "ConnectError";
  /** What was tried: `unix:<path>` or `tcp:<host>:<port>`. */
  readonly endpoint: string;
  /** The system's error code, e.g. `ENOENT`, where there is one. */
  readonly code: string | undefined;

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param options What was tried, the system's code and error, and whether to try again.
   */
  constructor(
    message: string,
    options: {
      readonly endpoint: string;
      readonly code?: string | undefined;
      readonly retryable?: boolean;
      readonly cause?: unknown;
    },
  ) {
    super(message, options);
    this.endpoint = options.endpoint;
    this.code = options.code;
  }
}

/**
 * The daemon closed the connection before the answer was complete: it ended, was cut off, or (over TCP) did not like
 * the API key. May be retried.
 *
 * @example
 * ```ts
 * import { type Client, ConnectionClosedError } from "@inferd/client";
 *
 * // The client connects anew for the next request.
 * export async function onceMore(client: Client, prompt: string): Promise<string> {
 *   return await client.generate(prompt).text().catch((error: unknown) => {
 *     if (error instanceof ConnectionClosedError) return client.generate(prompt).text();
 *     throw error;
 *   });
 * }
 * ```
 */
export class ConnectionClosedError extends InferdError {
  /** Names the class. */
  override readonly name: string = "ConnectionClosedError";

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param options The cause.
   */
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, { ...options, retryable: true });
  }
}

/**
 * What came is not the protocol: another program listens there, or one side has a bug.
 *
 * @example
 * ```ts
 * import { ProtocolError } from "@inferd/client";
 *
 * export function advice(error: unknown): string {
 *   return error instanceof ProtocolError ? "What listens there is no inferd, or not of this version" : "";
 * }
 * ```
 */
export class ProtocolError extends InferdError {
  /** Names the class. */
  override readonly name: string = "ProtocolError";
}

/**
 * The time this call was given is over; `cause` is what the last attempt failed with. May be retried.
 *
 * @example
 * ```ts
 * import { type Client, connect, TimeoutError } from "@inferd/client";
 *
 * export async function within(timeoutMs: number): Promise<Client | undefined> {
 *   try {
 *     return await connect({ timeoutMs });
 *   } catch (error) {
 *     if (error instanceof TimeoutError) return undefined; // Its cause says what the last attempt came to.
 *     throw error;
 *   }
 * }
 * ```
 */
export class TimeoutError extends InferdError {
  /** Names the class. */
  override readonly name: string = "TimeoutError";

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param options The cause.
   */
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, { ...options, retryable: true });
  }
}

/**
 * The consumer left the loop before the answer was complete, so there is no result.
 *
 * @example
 * ```ts
 * import { CancelledError, type Client } from "@inferd/client";
 *
 * export async function firstPiece(client: Client): Promise<string> {
 *   const generation = client.generate("Tell me a story.");
 *   for await (const event of generation) if (event.type === "token") break;
 *   return await generation.result().then(({ text }) => text, (error: unknown) => {
 *     if (error instanceof CancelledError) return "There is no result: the loop was left.";
 *     throw error;
 *   });
 * }
 * ```
 */
export class CancelledError extends InferdError {
  /** Names the class. */
  override readonly name: string = "CancelledError";
}

/**
 * The client was closed, or is draining and takes nothing new.
 *
 * @example
 * ```ts
 * import { type Client, ClientClosedError } from "@inferd/client";
 *
 * export async function unlessClosed(client: Client, prompt: string): Promise<string | undefined> {
 *   try {
 *     return await client.generate(prompt).text();
 *   } catch (error) {
 *     if (error instanceof ClientClosedError) return undefined;
 *     throw error;
 *   }
 * }
 * ```
 */
export class ClientClosedError extends InferdError {
  /** Names the class. */
  override readonly name: string = "ClientClosedError";
}

/**
 * The answer is not the value that was asked for: it was cut off, or is not JSON. `retryable` unless the tokens ran out,
 * which more of them mend.
 *
 * @example
 * ```ts
 * import { type Client, ObjectError } from "@inferd/client";
 *
 * export async function colours(client: Client): Promise<readonly string[]> {
 *   const schema = { type: "array", items: { type: "string" } } as const;
 *   return await client.generateObject("Name three colours.", { schema }).catch((error: unknown) => {
 *     if (error instanceof ObjectError && error.stopReason === "max_tokens") return [];
 *     throw error;
 *   });
 * }
 * ```
 */
export class ObjectError extends InferdError {
  /** Names the class. */
  override readonly name: string = "ObjectError";
  /** What the model wrote. */
  readonly text: string;
  /** Why it stopped, e.g. `max_tokens`. */
  readonly stopReason: string;

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param options What the model wrote, why it stopped, and the cause.
   */
  constructor(
    message: string,
    options: { readonly text: string; readonly stopReason: string; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause, retryable: options.stopReason !== "max_tokens" });
    this.text = options.text;
    this.stopReason = options.stopReason;
  }
}

/**
 * Why a run of tools cannot go on, with the conversation as far as it came.
 *
 * @example
 * ```ts
 * import { type Message, ToolRunError } from "@inferd/client";
 *
 * // What another run may go on from.
 * export function soFar(error: unknown): readonly Message[] {
 *   return error instanceof ToolRunError ? error.messages : [];
 * }
 * ```
 */
export abstract class ToolRunError extends InferdError {
  /** Names the class. */
  override readonly name: string = "ToolRunError";
  /**
   * The conversation. Its last turn holds the calls that were not run: the daemon takes it again once a message with
   * their results follows.
   */
  readonly messages: readonly Message[];

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param messages The conversation.
   */
  constructor(message: string, messages: readonly Message[]) {
    super(message);
    this.messages = messages;
  }
}

/**
 * The model called a tool that there is no function for.
 *
 * @example
 * ```ts
 * import { UnknownToolError } from "@inferd/client";
 *
 * export function missingTool(error: unknown): string | undefined {
 *   return error instanceof UnknownToolError ? error.tool : undefined;
 * }
 * ```
 */
export class UnknownToolError extends ToolRunError {
  /** Names the class. */
  override readonly name: string = "UnknownToolError";
  /** What it called. */
  readonly tool: string;

  /**
   * Make one.
   *
   * @param tool What the model called.
   * @param messages The conversation.
   */
  constructor(tool: string, messages: readonly Message[]) {
    super(`The model called "${tool}", which there is no function for`, messages);
    this.tool = tool;
  }
}

/**
 * The model still called tools in the last answer it was allowed.
 *
 * @example
 * ```ts
 * import { StepLimitError } from "@inferd/client";
 *
 * export function advice(error: unknown): string {
 *   return error instanceof StepLimitError ? `${error.steps} steps were not enough: give more "maxSteps"` : "";
 * }
 * ```
 */
export class StepLimitError extends ToolRunError {
  /** Names the class. */
  override readonly name: string = "StepLimitError";
  /** How many answers there were. */
  readonly steps: number;

  /**
   * Make one.
   *
   * @param steps How many answers there were.
   * @param messages The conversation.
   */
  constructor(steps: number, messages: readonly Message[]) {
    super(`The model still calls tools after ${steps} answers, and no more were allowed`, messages);
    this.steps = steps;
  }
}

/**
 * The daemon did not run a dispatch request, because a call in it cannot be read. Not unchanged again.
 *
 * @example
 * ```ts
 * import { DispatchError, forwardOrLocal } from "@inferd/client";
 *
 * export async function canRead(ops: string, configId: string): Promise<boolean> {
 *   return await forwardOrLocal(ops, { configId, local: () => true }).then(() => true, (error: unknown) => {
 *     if (error instanceof DispatchError) return false;
 *     throw error;
 *   });
 * }
 * ```
 */
export class DispatchError extends InferdError {
  /** Names the class. */
  override readonly name: string = "DispatchError";
}

/**
 * A daemon was to be started and none answers.
 *
 * @example
 * ```ts
 * import { type Client, connect, SpawnError } from "@inferd/client";
 *
 * export async function start(): Promise<Client> {
 *   try {
 *     return await connect({ spawn: true });
 *   } catch (error) {
 *     if (error instanceof SpawnError) console.error(error.exitCode ?? "It never ran, or runs on", error.output);
 *     throw error;
 *   }
 * }
 * ```
 */
export class SpawnError extends InferdError {
  /** Names the class. */
  override readonly name: string = "SpawnError";
  /** What the daemon's process exited with; `null` where it has not ended, was ended by a signal, or never ran. */
  readonly exitCode: number | null;
  /** The last lines the daemon printed; `""` where there are none. */
  readonly output: string;

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param options What the process exited with, what it printed, and the cause.
   */
  constructor(
    message: string,
    options: { readonly exitCode?: number | null; readonly output?: string; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? null;
    this.output = options.output ?? "";
  }
}

type ErrorCode = V2ErrorCode | EmbedErrorCode | RerankErrorCode;

const CLASSES: Readonly<Record<ErrorCode, new (message: string) => DaemonError>> = {
  queue_full: QueueFullError,
  backend_unavailable: BackendUnavailableError,
  invalid_request: InvalidRequestError,
  frame_too_large: FrameTooLargeError,
  internal: InternalError,
  attachment_unsupported: AttachmentUnsupportedError,
  tool_call_malformed: ToolCallMalformedError,
  embed_unsupported: EmbedUnsupportedError,
  rerank_unsupported: RerankUnsupportedError,
};

/**
 * The error an error frame stands for.
 *
 * @param code The frame's code, known or not.
 * @param message The frame's message.
 * @returns The error.
 */
export function daemonError(code: string, message: string): DaemonError {
  if (!Object.hasOwn(CLASSES, code)) return new DaemonError(code, message);
  return new CLASSES[code as ErrorCode](message);
}

/**
 * Give an error that was made far from the caller's code the stack of the call.
 *
 * @param error Anything; only errors of this client are changed.
 * @param call An error made where the call came in.
 * @returns The same error.
 */
export function withCallerStack<T>(error: T, call: Error): T {
  if (error instanceof InferdError) {
    const frames = call.stack?.slice(call.stack.indexOf("\n")) ?? "";
    error.stack = `${error.name}: ${error.message}${frames}`;
  }
  return error;
}
