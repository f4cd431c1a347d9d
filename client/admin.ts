/**
 * The admin socket: what the daemon is doing, as events, and the questions that one look answers. Read-only; every call
 * has its own connection, and none is kept.
 */
import { Connection } from "./connection.ts";
import { CancelledError, ConnectionClosedError, TimeoutError, withCallerStack } from "./errors.ts";
import { readAdminFrame } from "./frames.ts";
import { interruptible } from "./interruptible.ts";
import {
  adminEndpoint,
  type AdminOptions,
  type CancelOptions,
  DEFAULT_READY_TIMEOUT_MS,
  DEFAULT_SNAPSHOT_TIMEOUT_MS,
  endpointName,
  timeoutOr,
  type UnixEndpoint,
  type WaitOptions,
} from "./options.ts";
import { persist, within } from "./patience.ts";
import type { QueueStatus, TemplateError } from "./protocol/mod.ts";

/** The daemon has started and has done nothing yet. */
export interface StartingEvent {
  /** Discriminates the event. */
  readonly status: "starting";
}

/** A file is being looked at, checked or mapped into memory. */
export interface LoadingFileEvent {
  /** Discriminates the event. */
  readonly status: "loading_model";
  /** Discriminates the phase. */
  readonly phase: "checking_local" | "verify" | "mmap";
  /** The file. */
  readonly path: string;
}

/** A model is being fetched. */
export interface DownloadingEvent {
  /** Discriminates the event. */
  readonly status: "loading_model";
  /** Discriminates the phase. */
  readonly phase: "download";
  /** Bytes that are here. */
  readonly downloadedBytes: number;
  /** Bytes there are, `null` where the source does not say. */
  readonly totalBytes: number | null;
  /** Where from. */
  readonly sourceUrl: string;
}

/** A file was not what it should be and was put aside. */
export interface QuarantineEvent {
  /** Discriminates the event. */
  readonly status: "loading_model";
  /** Discriminates the phase. */
  readonly phase: "quarantine";
  /** The file. */
  readonly path: string;
  /** What it should hash to. */
  readonly expectedSha256: string;
  /** What it does hash to. */
  readonly actualSha256: string;
  /** Where it is now. */
  readonly quarantinePath: string;
}

/** The context is being made. */
export interface KvCacheEvent {
  /** Discriminates the event. */
  readonly status: "loading_model";
  /** Discriminates the phase. */
  readonly phase: "kv_cache";
  /** Tokens it holds. */
  readonly contextTokens: number;
}

/** A model is being fetched, checked or loaded. */
export type LoadingModelEvent = LoadingFileEvent | DownloadingEvent | QuarantineEvent | KvCacheEvent;

/** Every backend is ready, and requests are taken. */
export interface ReadyEvent {
  /** Discriminates the event. */
  readonly status: "ready";
}

/** An engine died and is started again; no requests are taken until `ready`. */
export interface RestartingEvent {
  /** Discriminates the event. */
  readonly status: "restarting";
  /** What the restart waits for, e.g. `loading_model`. */
  readonly phase: string;
}

/** The daemon finishes what runs and then ends. */
export interface DrainingEvent {
  /** Discriminates the event. */
  readonly status: "draining";
}

/** What one backend can do. */
export interface Capabilities {
  /** The backend's name. */
  readonly backend: string;
  /** Speaks generation v2. */
  readonly v2: boolean;
  /** Takes images. */
  readonly vision: boolean;
  /** Takes audio. */
  readonly audio: boolean;
  /** Calls tools. */
  readonly tools: boolean;
  /** Can show its reasoning. */
  readonly thinking: boolean;
  /** Serves embeddings. */
  readonly embed: boolean;
  /** What computes: `cpu`, `cuda`, `vulkan`, `metal`, `none`. */
  readonly accelerator: string;
  /** Layers offloaded to the accelerator. */
  readonly gpuLayers: number;
  /** Serves rerank. */
  readonly rerank?: boolean;
  /** The model's name. */
  readonly model?: string;
  /** Tokens one request may use, prompt and answer together. */
  readonly contextTokens?: number;
  /** Requests decoded together. */
  readonly parallel?: number;
  /** The model's own chat template cannot be evaluated: what is wrong with it, and what is used instead. */
  readonly templateError?: Readonly<TemplateError>;
  /** The admission queue at that time. */
  readonly queue?: Readonly<QueueStatus>;
}

/** What one backend can do, told once it is known and to every reader on connecting. No state of the daemon. */
export interface CapabilitiesEvent extends Capabilities {
  /** Discriminates the event. */
  readonly status: "capabilities";
}

/** A state of the daemon. */
export type StatusEvent = StartingEvent | LoadingModelEvent | ReadyEvent | RestartingEvent | DrainingEvent;

/** What the admin stream tells; tell them apart by `status`, and `loading_model` further by `phase`. */
export type AdminEvent = StatusEvent | CapabilitiesEvent;

/** One look at the daemon. */
export interface AdminSnapshot {
  /** The state it was in. */
  readonly status: StatusEvent;
  /** What its backends can do, as far as it was known, in the operator's order. */
  readonly capabilities: readonly Capabilities[];
}

/**
 * A daemon's admin socket. It is there from the first moment on, long before requests are taken, and only for the user
 * who runs the daemon.
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
   * Each loop connects anew, once; leaving it disconnects. A daemon that ends, or cuts off a reader that fell 256
   * events behind, ends the loop: start another to look again.
   *
   * @param options `signal` ends the loop with its reason thrown.
   * @returns The events. The loop throws a `ConnectError` if there is no daemon.
   */
  watch(options?: CancelOptions): AsyncIterable<AdminEvent>;

  /**
   * Wait until the daemon is ready, also for one that is not started yet or is being started again.
   *
   * @param options `timeoutMs` (default 30 000; 0 looks once) and `signal`.
   * @returns Resolves when the daemon says `ready`.
   * @throws {TimeoutError} If it is not ready within `timeoutMs`.
   * @throws {ConnectError} If waiting does not mend it, or `timeoutMs` is 0 and there is no daemon.
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
   * One look: the state of the daemon and what its backends can do.
   *
   * @param options `timeoutMs` (default 5 000) and `signal`.
   * @returns What was seen.
   * @throws {ConnectError} If there is no daemon. One attempt is made.
   * @throws {TimeoutError} If it says nothing within `timeoutMs`.
   * @throws {ConnectionClosedError} If it ended before it said anything.
   * @throws The signal's reason, if it was aborted.
   */
  snapshot(options?: WaitOptions): Promise<AdminSnapshot>;

  /**
   * What the backends can do, as far as it is known by now.
   *
   * @param options As for {@linkcode Admin.snapshot}.
   * @returns One entry for each backend, in the operator's order.
   * @throws What {@linkcode Admin.snapshot} throws.
   */
  capabilities(options?: WaitOptions): Promise<readonly Capabilities[]>;
}

/**
 * A daemon's admin socket, without a client.
 *
 * @param options Where it is. Looked up now; nothing is connected yet.
 * @returns What can be asked there.
 * @throws {TypeError} If the path cannot be one of a socket.
 * @throws {RangeError} If the path is too long.
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
  const endpoint = adminEndpoint(options.path);
  return adminAt(() => endpoint);
}

/**
 * An admin socket that is looked up when it is used.
 *
 * @param locate Says where it is.
 * @returns What can be asked there.
 */
export function adminAt(locate: () => UnixEndpoint): Admin {
  return new SocketAdmin(locate);
}

/** What `make` yields, while `to` aborts with `from`. (`AbortSignal.any` is younger than Node 20.) */
async function* forwarding<T>(
  from: AbortSignal | undefined,
  to: AbortController,
  make: () => AsyncGenerator<T, void, void>,
): AsyncGenerator<T, void, void> {
  const abort = (): void => to.abort(from?.reason);
  if (from?.aborted) abort();
  from?.addEventListener("abort", abort, { once: true });
  try {
    yield* make();
  } finally {
    from?.removeEventListener("abort", abort);
  }
}

class SocketAdmin implements Admin {
  readonly #locate: () => UnixEndpoint;

  constructor(locate: () => UnixEndpoint) {
    this.#locate = locate;
  }

  watch(options: CancelOptions = {}): AsyncIterable<AdminEvent> {
    const call = new Error();
    const endpoint = this.#locate();
    return {
      [Symbol.asyncIterator]: () => {
        const left = new AbortController();
        const events = forwarding(options.signal, left, () => follow(endpoint, { signal: left.signal, call }));
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
      call,
    });
  }

  async capabilities(options: WaitOptions = {}): Promise<readonly Capabilities[]> {
    return (await this.snapshot(options)).capabilities;
  }
}

/** How one connection to the admin socket can be given up, and where its errors come from. */
interface FollowOptions {
  readonly signal: AbortSignal;
  /** Made where the call came in, for the stacks of errors. */
  readonly call: Error;
}

async function* follow(endpoint: UnixEndpoint, options: FollowOptions): AsyncGenerator<AdminEvent, void, void> {
  const { signal, call } = options;
  let connection: Connection | undefined;
  const close = (): void => connection?.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    connection = await Connection.open(endpoint, signal);
    for (;;) {
      signal.throwIfAborted();
      const line = connection.take();
      if (line === undefined) {
        if (await connection.fill()) continue;
        signal.throwIfAborted();
        return;
      }
      const event = connection.read(() => readAdminFrame(line));
      if (event !== undefined) yield event;
    }
  } catch (error) {
    throw withCallerStack(error, call);
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

async function sawReady(endpoint: UnixEndpoint, options: FollowOptions): Promise<void> {
  for await (const event of follow(endpoint, options)) {
    if (event.status === "ready") return;
  }
  throw new ConnectionClosedError(`The daemon at "${endpointName(endpoint)}" ended before it was ready`);
}

async function look(endpoint: UnixEndpoint, options: FollowOptions): Promise<AdminSnapshot> {
  const capabilities: Capabilities[] = [];
  for await (const event of follow(endpoint, options)) {
    if (event.status !== "capabilities") return { status: event, capabilities };
    const { status: _, ...rest } = event;
    capabilities.push(rest);
  }
  throw new ConnectionClosedError(`The daemon at "${endpointName(endpoint)}" ended before it told its state`);
}
