/**
 * The admin socket: the activity of the daemon, as a stream of events or as a snapshot, and cancelling a request. Every
 * call uses its own connection.
 */
import type { DaemonActivity } from "./activity.ts";
import type { Capabilities } from "./capabilities.ts";
import type { AdminEvent, LogStoppedEvent, ReloadFailedEvent, StatusEvent } from "./admin_events.ts";
import { readActivity, readCancelled } from "./wire/activity_frames.ts";
import { ask, follow, type FollowOptions as StreamOptions, sawReady } from "./wire/admin_stream.ts";
import { CancelledError, ClientClosedError, ConnectionClosedError, TimeoutError } from "./errors/errors.ts";
import { interruptible } from "./interruptible.ts";
import { endpointName, type UnixEndpoint, unixSurfaceEndpoint } from "./endpoints.ts";
import {
  type AdminOptions,
  DEFAULT_READY_TIMEOUT_MS,
  DEFAULT_SNAPSHOT_TIMEOUT_MS,
  type FollowOptions,
  timeoutOr,
  type WaitOptions,
} from "./options.ts";
import type { AdminRequest } from "./protocol/mod.ts";
import { persist, within } from "./patience.ts";
import { onAbort } from "./signals.ts";

/**
 * One look at the daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { AdminSnapshot } from "@inferd/client";
 *
 * export function show({ status, capabilities, logStopped }: AdminSnapshot): string {
 *   const models = capabilities.map(({ model }) => model).join(", ");
 *   return `${status.status}: ${models}${logStopped === undefined ? "" : `, no log: ${logStopped.reason}`}`;
 * }
 * ```
 */
export interface AdminSnapshot {
  /** The state of the daemon. */
  readonly status: StatusEvent;
  /** Capabilities of its backends, as far as known, in the operator's order. */
  readonly capabilities: readonly Capabilities[];
  /** Set if the daemon cannot write its activity log. */
  readonly logStopped?: Pick<LogStoppedEvent, "reason">;
  /** Set if the reloaded configuration is not usable. */
  readonly reloadFailed?: Pick<ReloadFailedEvent, "reason">;
}

/**
 * A daemon's admin socket. It is there from the first moment on, long before requests are taken, and only for the user
 * who runs the daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import { admin } from "@inferd/client";
 *
 * export async function follow(signal: AbortSignal): Promise<void> {
 *   for await (const event of admin().watch({ signal })) {
 *     if (event.status === "loading_model" && event.phase === "download") console.log(event.downloadedBytes);
 *     else console.log(event.status);
 *   }
 * }
 * ```
 */
export interface Admin {
  /**
   * Follow what the daemon does: what its backends can do, the state it is in, then every event as it happens, until
   * the daemon ends. States this client does not know are passed over.
   *
   * Each loop connects once; leaving it disconnects. A daemon that ends, or cuts off a reader that fell 256
   * events behind, ends the loop: start another to look again. So does closing the client it was asked of.
   *
   * @param options `signal` ends the loop with its reason thrown; with `requests` requests are told of, too.
   * @returns The events. The loop throws a `ConnectError` if there is no daemon.
   * @throws {ClientClosedError} If the client it is asked of is closed.
   *
   * @example
   * ```ts
   * import { admin } from "@inferd/client";
   *
   * export async function untilDraining(): Promise<void> {
   *   for await (const event of admin().watch()) if (event.status === "draining") break;
   * }
   * ```
   */
  watch(options?: FollowOptions): AsyncIterable<AdminEvent>;

  /**
   * Wait until the daemon is ready, also for one that is not started yet or is being started again.
   *
   * @param options `timeoutMs` (default 30 000; 0 looks once) and `signal`.
   * @returns Resolves when the daemon says `ready`.
   * @throws {TimeoutError} If it is not ready within `timeoutMs`.
   * @throws {ConnectError} If waiting does not fix it, or `timeoutMs` is 0 and there is no daemon.
   * @throws {ClientClosedError} If the client it is asked of is closed, or was.
   * @throws The signal's reason, if it was aborted.
   *
   * @example
   * ```ts
   * import { admin, connect } from "@inferd/client";
   *
   * export async function afterDownload(): Promise<void> {
   *   await admin().ready({ timeoutMs: Infinity });
   *   await using client = await connect();
   *   console.log(await client.generate("Say hello.").text());
   * }
   * ```
   */
  ready(options?: WaitOptions): Promise<void>;

  /**
   * Take a snapshot: the state of the daemon and the capabilities of its backends.
   *
   * @param options `timeoutMs` (default 5 000) and `signal`.
   * @returns The snapshot.
   * @throws {ConnectError} If there is no daemon. One attempt is made.
   * @throws {TimeoutError} If it says nothing within `timeoutMs`.
   * @throws {ConnectionClosedError} If it ended before it said anything.
   * @throws {ClientClosedError} If the client it is asked of is closed, or was.
   * @throws The signal's reason, if it was aborted.
   *
   * @example
   * ```ts
   * import { admin } from "@inferd/client";
   *
   * export async function stateOf(): Promise<string> {
   *   return (await admin().snapshot({ timeoutMs: 1_000 })).status.status;
   * }
   * ```
   */
  snapshot(options?: WaitOptions): Promise<AdminSnapshot>;

  /**
   * The capabilities of the backends, as far as known by now.
   *
   * @param options As for {@linkcode Admin.snapshot}.
   * @returns One entry for each backend, in the operator's order.
   * @throws What {@linkcode Admin.snapshot} throws.
   *
   * @example
   * ```ts
   * import { admin } from "@inferd/client";
   *
   * export async function sees(): Promise<boolean> {
   *   return (await admin().capabilities()).some(({ vision }) => vision);
   * }
   * ```
   */
  capabilities(options?: WaitOptions): Promise<readonly Capabilities[]>;

  /**
   * The running and waiting requests of all clients, and the totals of ended ones.
   *
   * @param options As for {@linkcode Admin.snapshot}.
   * @returns The snapshot.
   * @throws What {@linkcode Admin.snapshot} throws.
   *
   * @example
   * ```ts
   * import { admin } from "@inferd/client";
   *
   * export async function waiting(): Promise<number> {
   *   return (await admin().activity()).queue.waiting;
   * }
   * ```
   */
  activity(options?: WaitOptions): Promise<DaemonActivity>;

  /**
   * Cancel a request of any client. That client gets a `RequestCancelledError`.
   *
   * @param number As {@linkcode Admin.activity} tells it.
   * @param options As for {@linkcode Admin.snapshot}.
   * @returns Whether it was under way.
   * @throws What {@linkcode Admin.snapshot} throws.
   *
   * @example
   * ```ts
   * import { admin } from "@inferd/client";
   *
   * export async function cancelAll(): Promise<void> {
   *   for (const { number } of (await admin().activity()).requests) await admin().cancel(number);
   * }
   * ```
   */
  cancel(number: number, options?: WaitOptions): Promise<boolean>;
}

/**
 * A daemon's admin socket, without a client.
 *
 * @param options Where it is. Looked up now; nothing is connected yet.
 * @returns What can be asked there.
 * @throws {TypeError} If the path cannot be one of a socket.
 * @throws {RangeError} If the path is too long.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import { admin } from "@inferd/client";
 *
 * export async function isReady(): Promise<boolean> {
 *   const { status } = await admin().snapshot();
 *   return status.status === "ready";
 * }
 * ```
 */
export function admin(options: AdminOptions = {}): Admin {
  const endpoint = unixSurfaceEndpoint("admin", options.path);
  return new SocketAdmin(() => endpoint);
}

/** The ways to end a loop over the daemon's events. (`AbortSignal.any` is newer than Node 20.) */
interface LoopSignals {
  /** The caller's signal: its reason is thrown. */
  readonly signal: AbortSignal | undefined;
  /** The client's signal: the loop just ends. */
  readonly closing: AbortSignal | undefined;
  /** Aborted with either of them. */
  readonly left: AbortController;
}

/** Yields the events of `make` until a signal ends it. */
async function* until<T>(
  { signal, closing, left }: LoopSignals,
  make: () => AsyncGenerator<T, void, void>,
): AsyncGenerator<T, void, void> {
  const abort = (): void => left.abort(signal?.reason);
  const close = (): void => left.abort();
  if (signal?.aborted) abort();
  if (closing?.aborted) close();
  const forget = [onAbort(signal, abort), onAbort(closing, close)];
  try {
    yield* make();
  } catch (error) {
    if (!closing?.aborted || signal?.aborted) throw error;
  } finally {
    for (const each of forget) each();
  }
}

/** An admin socket that is looked up when it is used. */
export class SocketAdmin implements Admin {
  readonly #locate: () => UnixEndpoint;
  readonly #closing: AbortSignal | undefined;

  /** @param closing Aborted when the client is closed that it belongs to; absent: it belongs to none. */
  constructor(locate: () => UnixEndpoint, closing?: AbortSignal) {
    this.#locate = locate;
    this.#closing = closing;
  }

  watch(options: FollowOptions = {}): AsyncIterable<AdminEvent> {
    const call = new Error();
    const closing = this.#closing;
    if (closing?.aborted) throw new ClientClosedError("Cannot watch the daemon: the client is closed");
    const endpoint = this.#locate();
    return {
      [Symbol.asyncIterator]: () => {
        const left = new AbortController();
        const signals = { signal: options.signal, closing, left };
        const events = until(
          signals,
          () => follow(endpoint, { signal: left.signal, call, requests: options.requests === true }),
        );
        return interruptible(events, () => {
          left.abort(new CancelledError("The loop over the daemon's events was left"));
        });
      },
    };
  }

  async ready(options: WaitOptions = {}): Promise<void> {
    const call = new Error();
    const endpoint = this.#locate();
    const timeoutMs = timeoutOr(options.timeoutMs, DEFAULT_READY_TIMEOUT_MS);
    const name = endpointName(endpoint);
    if (timeoutMs === 0) {
      const { status } = (await this.snapshot({ signal: options.signal })).status;
      if (status !== "ready") throw new TimeoutError(`The daemon at "${name}" is not ready but "${status}"`);
      return;
    }
    const { signal } = options;
    await persist((signal) => sawReady(endpoint, { signal, call }), {
      what: `see a ready daemon at "${name}"`,
      timeoutMs,
      signal,
      closing: this.#closing,
      call,
    });
  }

  async snapshot(options: WaitOptions = {}): Promise<AdminSnapshot> {
    const call = new Error();
    const endpoint = this.#locate();
    return await within((signal) => look(endpoint, { signal, call }), {
      what: `learn the state of the daemon at "${endpointName(endpoint)}"`,
      timeoutMs: timeoutOr(options.timeoutMs, DEFAULT_SNAPSHOT_TIMEOUT_MS),
      signal: options.signal,
      closing: this.#closing,
      call,
    });
  }

  async capabilities(options: WaitOptions = {}): Promise<readonly Capabilities[]> {
    return (await this.snapshot(options)).capabilities;
  }

  activity(options: WaitOptions = {}): Promise<DaemonActivity> {
    return this.#ask({ type: "requests" }, readActivity, { ...options, call: new Error() });
  }

  cancel(number: number, options: WaitOptions = {}): Promise<boolean> {
    return this.#ask({ type: "cancel", number }, readCancelled, { ...options, call: new Error() });
  }

  /** Ask one question, on its own connection. */
  async #ask<T>(
    request: AdminRequest,
    read: (line: string) => T | undefined,
    { timeoutMs, signal, call }: WaitOptions & { readonly call: Error },
  ): Promise<T> {
    const endpoint = this.#locate();
    return await within((signal) => ask(endpoint, { request, read, signal }), {
      what: `get an answer from the admin socket "${endpointName(endpoint)}"`,
      timeoutMs: timeoutOr(timeoutMs, DEFAULT_SNAPSHOT_TIMEOUT_MS),
      signal,
      closing: this.#closing,
      call,
    });
  }
}

/** Snapshot of the state of the daemon. */
async function look(endpoint: UnixEndpoint, options: StreamOptions): Promise<AdminSnapshot> {
  const capabilities: Capabilities[] = [];
  let logStopped: AdminSnapshot["logStopped"];
  let reloadFailed: AdminSnapshot["reloadFailed"];
  for await (const event of follow(endpoint, options)) {
    if (event.status === "capabilities") {
      const { status: _, ...rest } = event;
      capabilities.push(rest);
    } else if (event.status === "log_stopped") {
      logStopped = { reason: event.reason };
    } else if (event.status === "reload_failed") {
      reloadFailed = { reason: event.reason };
    } else if (event.status !== "reloaded" && event.status !== "request") {
      return {
        status: event,
        capabilities,
        ...(logStopped === undefined ? {} : { logStopped }),
        ...(reloadFailed === undefined ? {} : { reloadFailed }),
      };
    }
  }
  throw new ConnectionClosedError(`The daemon at "${endpointName(endpoint)}" ended before it told its state`);
}
