/** The options of callers, and their defaults. `endpoints.ts` and `spawn_plan.ts` resolve them. */
import type { DebugEvent } from "./status.ts";
import type { SurfaceName } from "./protocol/surfaces.ts";

export type { SurfaceName };

/**
 * The paths of the other surfaces' sockets. Default: `infer.v2.sock`, `infer.embed.sock`, `infer.rerank.sock` in the
 * folder of the generation socket.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { SurfacePaths } from "@inferd/client";
 *
 * export const paths: SurfacePaths = { v2: "/run/inferd/v2.sock", embed: "/run/inferd/embed.sock" };
 * ```
 */
export type SurfacePaths = { readonly [Name in Exclude<SurfaceName, "infer">]?: string | undefined };

/**
 * The TCP ports of the other surfaces. Default: v2 47322, embed 47323, rerank 47324.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { SurfacePorts } from "@inferd/client";
 *
 * export const ports: SurfacePorts = { v2: 5002, embed: 5003, rerank: 5004 };
 * ```
 */
export type SurfacePorts = { readonly [Name in Exclude<SurfaceName, "infer">]?: number | undefined };

/**
 * A daemon's TCP endpoint.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { TcpOptions } from "@inferd/client";
 * import process from "node:process";
 *
 * export const tcp: TcpOptions = { hostname: "127.0.0.1", port: 47321, apiKey: process.env.INFERD_API_KEY };
 * ```
 */
export interface TcpOptions {
  /** Default `127.0.0.1`. */
  readonly hostname?: string | undefined;
  /** The port of generation v1. Default 47321. */
  readonly port?: number | undefined;
  /** The ports of the other surfaces. */
  readonly ports?: SurfacePorts | undefined;
  /** The daemon's API key; absent: none is sent. The environment is not read. */
  readonly apiKey?: string | undefined;
}

/**
 * Where a daemon is and how long to wait for it. With neither `path` nor `tcp` the environment decides: `INFERD_UDS`,
 * else `INFERD_TCP` with `INFERD_API_KEY`, else `infer.sock` in the default runtime directory.
 *
 * The other surfaces are looked for when they are first used: where `paths` or `tcp.ports` say, else next to `path`;
 * with neither `path` nor `tcp` where `INFERD_V2_ADDR`, `INFERD_EMBED_ADDR` or `INFERD_RERANK_ADDR` says, else next to
 * `INFERD_UDS`, else at `INFERD_V2_TCP`, `INFERD_EMBED_TCP` or `INFERD_RERANK_TCP`, else on the host of `INFERD_TCP`,
 * else in the default runtime directory.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { ConnectOptions } from "@inferd/client";
 *
 * export const patient: ConnectOptions = { path: "/run/inferd/infer.sock", timeoutMs: 10 * 60_000 };
 * ```
 */
export interface ConnectOptions {
  /** The path of the generation socket. Not together with `tcp`. */
  readonly path?: string | undefined;
  /** The paths of the other surfaces' sockets. Not together with `tcp`. */
  readonly paths?: SurfacePaths | undefined;
  /** The TCP endpoint. Not together with `path` or `paths`. */
  readonly tcp?: TcpOptions | undefined;
  /**
   * Whose socket says that the daemon is ready. A daemon that only embeds has no other than `embed`. Default `infer`.
   */
  readonly surface?: SurfaceName | undefined;
  /** The path of the admin socket, see {@linkcode AdminOptions}. */
  readonly adminPath?: string | undefined;
  /** Start a daemon when none answers, see {@linkcode SpawnOptions}. Not together with TCP. Default `false`. */
  readonly spawn?: boolean | SpawnOptions | undefined;
  /**
   * How long to wait for a daemon that is not ready yet, in milliseconds; 0 tries once, `Infinity` waits for ever.
   * Default 30 000.
   */
  readonly timeoutMs?: number | undefined;
  /** Cancels waiting. Has no effect once connected. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How often a request is sent again that failed before its first event, with an error that is `retryable`. The waits
   * double from 250 ms, with jitter. Default 2.
   */
  readonly maxRetries?: number | undefined;
  /** Default timeout of a request, in milliseconds. Default: none. */
  readonly requestTimeoutMs?: number | undefined;
  /** Maximum requests of this client sent at the same time; the others wait in the client. Default 8. */
  readonly maxConcurrent?: number | undefined;
  /** Called with everything that happens: requests, retries, connections. It must not throw. */
  readonly debug?: ((event: DebugEvent) => void) | undefined;
  /** Opens connections instead of `node:net`; not those to the admin socket. */
  readonly transport?: OpenTransport | undefined;
}

/**
 * How a daemon is started that does not run yet. It is a process of its own, which outlives the client, and finds its
 * configuration as if it had been started by hand: in the environment and in its configuration file.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import { type Client, connect, type SpawnOptions } from "@inferd/client";
 *
 * const spawn: SpawnOptions = { command: "deno", args: ["run", "-A", "jsr:@inferd/daemon", "serve"] };
 *
 * export async function startOrJoin(): Promise<Client> {
 *   return await connect({ spawn });
 * }
 * ```
 */
export interface SpawnOptions {
  /** The program. Default: `INFERD_COMMAND`, else `inferd`; a name without a slash is looked for on the `PATH`. */
  readonly command?: string | undefined;
  /** Its arguments. Default: `serve`. */
  readonly args?: readonly string[] | undefined;
  /** Additional environment variables. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * The file that what it prints is appended to. Default: `inferd.spawn.log` in the default runtime directory, made
   * anew with each start.
   */
  readonly logPath?: string | undefined;
  /** How long it may take to give a sign of life on its admin socket or to be ready, in milliseconds. Default 5 000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * The location of a daemon's admin socket.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import { admin, type AdminOptions } from "@inferd/client";
 *
 * const options: AdminOptions = { path: "/run/inferd/admin.sock" };
 *
 * export async function waitForIt(): Promise<void> {
 *   await admin(options).ready();
 * }
 * ```
 */
export interface AdminOptions {
  /** The path of the admin socket. Default: `INFERD_ADMIN_ADDR`, else `admin.sock` in the default runtime directory. */
  readonly path?: string | undefined;
}

/**
 * Cancellation of a call.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 *
 * export async function inTenSeconds(client: Client, prompt: string): Promise<string> {
 *   return await client.generate(prompt, { signal: AbortSignal.timeout(10_000) }).text();
 * }
 * ```
 */
export interface CancelOptions {
  /** Cancels the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Options for following a daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import { admin, type FollowOptions } from "@inferd/client";
 *
 * export async function first(options: FollowOptions): Promise<string | undefined> {
 *   for await (const event of admin().watch(options)) {
 *     if (event.status === "request") return event.request.id;
 *   }
 *   return undefined;
 * }
 * ```
 */
export interface FollowOptions extends CancelOptions {
  /** Also report each request that arrives, runs or ends. Default `false`. */
  readonly requests?: boolean | undefined;
}

/**
 * Timeout and retries of a request.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 *
 * export async function quick(client: Client, prompt: string): Promise<string> {
 *   return await client.generate(prompt, { timeoutMs: 10_000, maxRetries: 0 }).text();
 * }
 * ```
 */
export interface RequestOptions extends CancelOptions {
  /** Timeout of the whole answer, in milliseconds; then a `TimeoutError` is thrown. Default: the client's. */
  readonly timeoutMs?: number | undefined;
  /** Maximum retries of a request that failed before its first event. Default: the client's. */
  readonly maxRetries?: number | undefined;
}

/**
 * A stream of bytes to a daemon, for {@linkcode ConnectOptions.transport}.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { ByteStream } from "@inferd/client";
 *
 * // What comes is printed, too.
 * export function spy(stream: ByteStream): ByteStream {
 *   return {
 *     async read() {
 *       const bytes = await stream.read();
 *       console.log(bytes?.length ?? "end");
 *       return bytes;
 *     },
 *     write: (bytes) => stream.write(bytes),
 *     close: () => stream.close(),
 *   };
 * }
 * ```
 */
export interface ByteStream {
  /**
   * Wait for bytes. Called once at a time.
   *
   * @returns At least one byte; `null` at the end.
   *
   * @example
   * ```ts
   * import type { ByteStream } from "@inferd/client";
   *
   * export const firstBytes = (stream: ByteStream): Promise<Uint8Array | null> => stream.read();
   * ```
   */
  read(): Promise<Uint8Array | null>;
  /**
   * Write all of it.
   *
   * @param bytes What to write.
   * @returns Resolves when more may be written.
   *
   * @example
   * ```ts
   * import type { ByteStream } from "@inferd/client";
   *
   * export const newline = (stream: ByteStream): Promise<void> => stream.write(new Uint8Array([10]));
   * ```
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Close both directions at once; what is pending settles.
   *
   * @example
   * ```ts
   * import type { ByteStream } from "@inferd/client";
   *
   * export const stop = (stream: ByteStream): void => stream.close();
   * ```
   */
  close(): void;
}

/**
 * The target of a custom transport.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { TransportTarget } from "@inferd/client";
 *
 * export const show = ({ path, hostname, port }: TransportTarget): string => path ?? `${hostname}:${port}`;
 * ```
 */
export interface TransportTarget {
  /** The path of a unix socket. */
  readonly path?: string;
  /** The host, for TCP. */
  readonly hostname?: string;
  /** The port, for TCP. */
  readonly port?: number;
}

/**
 * Opens a connection instead of `node:net`, for example through a tunnel or to a test.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import { type Client, connect, type OpenTransport } from "@inferd/client";
 *
 * export const through = (transport: OpenTransport): Promise<Client> => connect({ transport });
 * ```
 */
export type OpenTransport = (target: TransportTarget, signal: AbortSignal) => Promise<ByteStream>;

/**
 * Timeout and cancellation of a call.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import { admin, type WaitOptions } from "@inferd/client";
 *
 * export async function waitForIt(options: WaitOptions = { timeoutMs: Infinity }): Promise<void> {
 *   await admin().ready(options);
 * }
 * ```
 */
export interface WaitOptions extends CancelOptions {
  /** Timeout in milliseconds; `Infinity`: none. */
  readonly timeoutMs?: number | undefined;
}

/** Default timeout of `connect()` and `admin.ready()`, in milliseconds. */
export const DEFAULT_READY_TIMEOUT_MS = 30_000;
/** Default timeout of a snapshot, in milliseconds. */
export const DEFAULT_SNAPSHOT_TIMEOUT_MS = 5_000;
/** Default time for a started daemon to show a sign of life, in milliseconds. */
export const DEFAULT_SPAWN_TIMEOUT_MS = 5_000;
/** Delay after the first failed attempt, doubled after each further one, in milliseconds. */
export const FIRST_BACKOFF_MS = 100;
/** Maximum delay between two attempts, in milliseconds. */
export const MOST_BACKOFF_MS = 5_000;
/** Maximum idle connections kept for later requests. */
export const MOST_IDLE_CONNECTIONS = 8;

/** Default number of retries. */
export const DEFAULT_MAX_RETRIES = 2;
/** Default of concurrent requests of a client: fewer than a daemon admits. */
export const DEFAULT_MAX_CONCURRENT = 8;
/** Delay before the first retry, doubled for each further one, in milliseconds. */
export const FIRST_RETRY_MS = 250;

/** @throws {RangeError} If it is less, or not a whole number; `Infinity` is allowed. */
export function checkCount(name: string, value: number, least: number): void {
  if (value >= least && (Number.isInteger(value) || value === Infinity)) return;
  throw new RangeError(`Cannot use ${value} as "${name}": it must be a whole number, ${least} or more`);
}

/** @throws {RangeError} If it is negative or not a number. */
export function timeoutOr(timeoutMs: number | undefined, standard: number): number {
  if (timeoutMs === undefined) return standard;
  if (!(timeoutMs >= 0)) throw new RangeError(`Cannot wait ${timeoutMs} ms: "timeoutMs" must be 0 or more`);
  return timeoutMs;
}
