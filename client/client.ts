/**
 * A client of one daemon: connecting, and the lifetime of what was started through it.
 */
import { type Admin, adminAt } from "./admin.ts";
import { Connection } from "./connection.ts";
import { ClientClosedError } from "./errors.ts";
import { ActiveGeneration, type GenerateRequest, type Generation } from "./generation.ts";
import {
  adminEndpoint,
  type CancelOptions,
  type ConnectOptions,
  DEFAULT_READY_TIMEOUT_MS,
  endpointName,
  inferEndpoint,
  timeoutOr,
} from "./options.ts";
import { persist } from "./patience.ts";
import { Pool } from "./pool.ts";

/**
 * A connected client. Dispose of it, or close it, when it is no longer needed.
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 *
 * export async function answer(prompt: string): Promise<string> {
 *   await using client = await connect();
 *   return await client.generate({ messages: [{ role: "user", content: prompt }], maxTokens: 100 }).text();
 * }
 * ```
 */
export interface Client extends AsyncDisposable {
  /** Where it is connected to: `unix:<path>` or `tcp:<host>:<port>`. */
  readonly endpoint: string;
  /** The same daemon's admin socket. Unless `adminPath` was given it is where the environment says. */
  readonly admin: Admin;
  /** Resolves when the client is closed; never rejects. */
  readonly closed: Promise<void>;

  /**
   * Ask for an answer. The request is sent at once, on a connection of its own while it runs: requests made together
   * run together, as far as the daemon lets them. One attempt is made to connect where no connection is left over.
   *
   * A request on a connection left over from an earlier one is sent once more, on a new connection, if that connection
   * turns out to be dead before a single byte of the answer came. Nothing else is ever sent twice.
   *
   * @param request A prompt, or a conversation and how to answer it.
   * @param options `signal` cancels the request; its consumers are told the signal's reason.
   * @returns The running request: iterate it, or ask for its result. Not a promise.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws {TypeError} If the request cannot be said in JSON.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function firstWords(client: Client, signal: AbortSignal): Promise<string> {
   *   let text = "";
   *   for await (const event of client.generate("Tell me a story.", { signal })) {
   *     if (event.type === "token") text += event.text;
   *     if (text.length > 100) break; // The daemon stops, too.
   *   }
   *   return text;
   * }
   * ```
   */
  generate(request: string | GenerateRequest, options?: CancelOptions): Generation;

  /**
   * Take no further requests, let those that run finish, then close. A request whose events nobody takes does not
   * finish; `close()` ends it.
   *
   * @returns Resolves when the client is closed.
   */
  drain(): Promise<void>;

  /**
   * Close at once. Running requests are cancelled, and their consumers told so with a `ClientClosedError`.
   *
   * @returns Resolves when the client is closed.
   */
  close(): Promise<void>;
}

/**
 * Connect to a daemon, and wait for it to become ready: first 100 ms, then doubling up to 5 s between attempts. A
 * daemon that is not there yet is waited for; what waiting does not mend (permission denied, not a socket) fails at
 * once.
 *
 * Over TCP a wrong API key shows at the first request, not here: the daemon just closes the connection.
 *
 * @param options Where the daemon is, and how long to wait.
 * @returns The client.
 * @throws {ConnectError} If waiting does not mend it, or `timeoutMs` is 0 and there is no daemon.
 * @throws {TimeoutError} If there is no daemon for `timeoutMs`; its cause is the last `ConnectError`.
 * @throws {TypeError} If options contradict each other or cannot be an endpoint.
 * @throws {RangeError} If a number or the length of a path is out of range.
 * @throws The signal's reason, if it was aborted.
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 *
 * export async function main(): Promise<void> {
 *   await using client = await connect({ tcp: { port: 47321, apiKey: "..." }, timeoutMs: 60_000 });
 *   console.log(await client.generate("Say hello.").text());
 * }
 * ```
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const call = new Error();
  const endpoint = inferEndpoint(options);
  const timeoutMs = timeoutOr(options.timeoutMs, DEFAULT_READY_TIMEOUT_MS);
  const name = endpointName(endpoint);
  const first = await persist((signal) => Connection.open(endpoint, signal), {
    what: `reach a daemon at "${name}"`,
    timeoutMs,
    signal: options.signal,
    call,
  });
  const admin = adminAt(() => adminEndpoint(options.adminPath));
  return new PoolingClient(name, { pool: new Pool(endpoint, first), admin });
}

class PoolingClient implements Client {
  readonly endpoint: string;
  readonly admin: Admin;
  readonly closed: Promise<void>;
  readonly #pool: Pool;
  readonly #running = new Set<ActiveGeneration>();
  #state: "open" | "draining" | "closed" = "open";
  #resolveClosed!: () => void;

  constructor(endpoint: string, parts: { readonly pool: Pool; readonly admin: Admin }) {
    this.endpoint = endpoint;
    this.admin = parts.admin;
    this.#pool = parts.pool;
    this.closed = new Promise((resolve) => this.#resolveClosed = resolve);
  }

  generate(request: string | GenerateRequest, options: CancelOptions = {}): Generation {
    if (this.#state !== "open") throw new ClientClosedError(`Cannot generate: the client is ${this.#state}`);
    const generation = new ActiveGeneration(request, {
      signal: options.signal,
      pool: this.#pool,
      call: new Error(),
      onSettled: (settled) => {
        this.#running.delete(settled);
        this.#closeWhenDrained();
      },
    });
    if (!generation.over) this.#running.add(generation);
    return generation;
  }

  drain(): Promise<void> {
    if (this.#state === "open") this.#state = "draining";
    this.#closeWhenDrained();
    return this.closed;
  }

  close(): Promise<void> {
    if (this.#state !== "closed") {
      this.#state = "closed";
      this.#pool.close();
      for (const generation of this.#running) generation.cancel(new ClientClosedError("The client was closed"));
      this.#resolveClosed();
    }
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #closeWhenDrained(): void {
    if (this.#state === "draining" && this.#running.size === 0) void this.close();
  }
}
