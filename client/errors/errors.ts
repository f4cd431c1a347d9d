/**
 * Errors of connections and of the client's own state, one class per condition. Distinguish errors by class, never by
 * text. Error frames are in `daemon_errors.ts`, unusable answers in `answer_errors.ts`.
 */

/**
 * What every error of this client is. The reason of an aborted signal is thrown as it is, and wrong arguments are a
 * `TypeError` or `RangeError`.
 *
 * @category Errors
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
  /** Whether the same call may succeed later, unchanged. Back off before retrying. */
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
 * No connection could be made. `retryable` tells a daemon that is not there yet (no socket, nothing listens) from what
 * waiting does not fix (permission denied, not a socket).
 *
 * @category Errors
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
  /** The endpoint: `unix:<path>` or `tcp:<host>:<port>`. */
  readonly endpoint: string;
  /** The system's error code, e.g. `ENOENT`, if there is one. */
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
 * @category Errors
 *
 * @example
 * ```ts
 * import { type Client, ConnectionClosedError } from "@inferd/client";
 *
 * // The client reconnects for the next request.
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
 * The data received violates the protocol: another program listens there, or one side has a bug.
 *
 * @category Errors
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
 * @category Errors
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
 * The consumer left the loop before the answer was complete.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { CancelledError, type Client } from "@inferd/client";
 *
 * export async function firstPiece(client: Client): Promise<string> {
 *   const generation = client.generate("Tell me a story.");
 *   for await (const event of generation) if (event.type === "text") break;
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
 * The client was closed, or is draining.
 *
 * @category Errors
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
 * The daemon did not run a dispatch request, because a call in it cannot be read. Not unchanged again.
 *
 * @category Errors
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
 * Starting a daemon failed.
 *
 * @category Errors
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
  /** The last lines of the daemon's output; may be empty. */
  readonly output: string;

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param options The process's exit code, its output, and the cause.
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

/** Give an error of this client, created elsewhere, the stack trace of `call`, an error created in the call. */
export function withCallerStack<T>(error: T, call: Error): T {
  if (error instanceof InferdError) {
    const frames = call.stack?.slice(call.stack.indexOf("\n")) ?? "";
    error.stack = `${error.name}: ${error.message}${frames}`;
  }
  return error;
}
