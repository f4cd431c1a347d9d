/**
 * What callers may say, every default, every merge with the environment, and every conflict check, in one room. The
 * only room that reads the process's environment.
 */
import {
  DEFAULT_INFER_PORT,
  DEFAULT_TCP_HOSTNAME,
  parseTcpAddress,
  runtimeDirectory,
  type RuntimeDirectoryOptions,
  type SocketName,
  socketPath,
  type TcpAddress,
} from "./paths.ts";

/** A daemon's TCP endpoint, as a caller names it. */
export interface TcpOptions {
  /** Default `127.0.0.1`. */
  readonly hostname?: string | undefined;
  /** Default 47321. */
  readonly port?: number | undefined;
  /** What the daemon was given as its API key; absent: none is sent. The environment is not asked. */
  readonly apiKey?: string | undefined;
}

/**
 * Where a daemon is and how long to wait for it. With neither `path` nor `tcp` the environment decides: `INFERD_UDS`,
 * else `INFERD_TCP` with `INFERD_API_KEY`, else `infer.sock` in the default runtime directory.
 */
export interface ConnectOptions {
  /** The path of the generation socket. Not together with `tcp`. */
  readonly path?: string | undefined;
  /** The TCP endpoint. Not together with `path`. */
  readonly tcp?: TcpOptions | undefined;
  /** The path of the admin socket, see {@linkcode AdminOptions}. */
  readonly adminPath?: string | undefined;
  /**
   * How long to wait for a daemon that is not ready yet, in milliseconds; 0 tries once, `Infinity` waits for ever.
   * Default 30 000.
   */
  readonly timeoutMs?: number | undefined;
  /** Gives up waiting. Once connected it has no effect. */
  readonly signal?: AbortSignal | undefined;
}

/** Where a daemon's admin socket is. */
export interface AdminOptions {
  /** The path of the admin socket. Default: `INFERD_ADMIN_ADDR`, else `admin.sock` in the default runtime directory. */
  readonly path?: string | undefined;
}

/** How one call can be given up. */
export interface CancelOptions {
  /** Gives up; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How one call that takes its time can be given up. */
export interface WaitOptions extends CancelOptions {
  /** How long to wait, in milliseconds; `Infinity` waits for ever. */
  readonly timeoutMs?: number | undefined;
}

/** How long `connect()` and `admin.ready()` wait unless told otherwise, in milliseconds. */
export const DEFAULT_READY_TIMEOUT_MS = 30_000;
/** How long one look at the admin socket may take unless told otherwise, in milliseconds. */
export const DEFAULT_SNAPSHOT_TIMEOUT_MS = 5_000;
/** The wait after the first failed attempt, doubled after each further one, in milliseconds. */
export const FIRST_BACKOFF_MS = 100;
/** The longest wait between two attempts, in milliseconds. */
export const MOST_BACKOFF_MS = 5_000;
/** How many connections are kept for later requests; what is over is closed. */
export const MOST_IDLE_CONNECTIONS = 8;

/** A unix socket. */
export interface UnixEndpoint {
  readonly path: string;
}

/** A TCP endpoint with what it takes to be let in. */
export interface TcpEndpoint extends TcpAddress {
  readonly apiKey?: string;
}

/** Where to connect to. */
export type Endpoint = UnixEndpoint | TcpEndpoint;

/** What is known of the process this runs in. */
export type ProcessFacts = RuntimeDirectoryOptions;

/**
 * Name an endpoint for messages; the API key stays out of it.
 *
 * @param endpoint The endpoint.
 * @returns `unix:<path>` or `tcp:<host>:<port>`.
 */
export function endpointName(endpoint: Endpoint): string {
  if ("path" in endpoint) return `unix:${endpoint.path}`;
  const { hostname, port } = endpoint;
  return `tcp:${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/**
 * Decide where generation is.
 *
 * @param options What the caller said.
 * @param facts The process; read only where the caller has not decided.
 * @returns The endpoint.
 * @throws {TypeError} If options contradict each other or cannot be an endpoint.
 * @throws {RangeError} If a port or the length of a path is out of range.
 */
export function inferEndpoint(options: ConnectOptions, facts: ProcessFacts = thisProcess()): Endpoint {
  const { path, tcp } = options;
  if (path !== undefined && tcp !== undefined) throw new TypeError('Cannot combine "path" with "tcp"');
  if (path !== undefined) return unixEndpoint(path, facts);
  if (tcp !== undefined) {
    return tcpEndpoint({
      hostname: tcp.hostname ?? DEFAULT_TCP_HOSTNAME,
      port: tcp.port ?? DEFAULT_INFER_PORT,
    }, tcp.apiKey);
  }
  const uds = facts.env("INFERD_UDS");
  if (uds) return unixEndpoint(uds, facts);
  const address = facts.env("INFERD_TCP");
  // An empty variable is how shells and service files say "not set".
  if (address) return tcpEndpoint(parseTcpAddress(address), facts.env("INFERD_API_KEY") || undefined);
  return defaultEndpoint("infer", facts);
}

/**
 * Decide where the admin socket is.
 *
 * @param path What the caller said.
 * @param facts The process; read only where the caller has not decided.
 * @returns The endpoint.
 * @throws {TypeError} If the path cannot be one of a socket.
 * @throws {RangeError} If the path is too long.
 */
export function adminEndpoint(path: string | undefined, facts: ProcessFacts = thisProcess()): UnixEndpoint {
  if (path !== undefined) return unixEndpoint(path, facts);
  const address = facts.env("INFERD_ADMIN_ADDR");
  return address ? unixEndpoint(address, facts) : defaultEndpoint("admin", facts);
}

/**
 * Check a timeout.
 *
 * @param timeoutMs What the caller said.
 * @param standard What holds otherwise.
 * @returns The timeout, in milliseconds.
 * @throws {RangeError} If it is negative or not a number.
 */
export function timeoutOr(timeoutMs: number | undefined, standard: number): number {
  if (timeoutMs === undefined) return standard;
  if (!(timeoutMs >= 0)) throw new RangeError(`Cannot wait ${timeoutMs} ms: "timeoutMs" must be 0 or more`);
  return timeoutMs;
}

function defaultEndpoint(name: SocketName, facts: ProcessFacts): UnixEndpoint {
  return unixEndpoint(socketPath(runtimeDirectory(facts), name), facts);
}

function unixEndpoint(path: string, facts: ProcessFacts): UnixEndpoint {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(path)} as a socket path: it must be a path without NUL characters`,
    );
  }
  // What fits into the system's address structure. Node would cut a longer one and look elsewhere.
  const most = facts.platform === "linux" ? 107 : 103;
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > most) {
    throw new RangeError(`Cannot use ${JSON.stringify(path)} as a socket path: ${bytes} bytes, at most ${most} fit`);
  }
  return { path };
}

function tcpEndpoint(address: TcpAddress, apiKey: string | undefined): TcpEndpoint {
  const { hostname, port } = address;
  if (typeof hostname !== "string" || hostname === "") {
    throw new TypeError('Cannot connect: "hostname" must not be empty');
  }
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new RangeError(`Cannot connect to port ${port}: it must be a whole number from 1 to 65535`);
  }
  if (apiKey === undefined) return { hostname, port };
  if (typeof apiKey !== "string" || apiKey === "") throw new TypeError('Cannot connect: "apiKey" must not be empty');
  return { hostname, port, apiKey };
}

/** What Node, and Deno after it, tell of the process; typed here so that callers need neither's types. */
interface ProcessGlobal {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  getuid?(): number;
}

function thisProcess(): ProcessFacts {
  const { process } = globalThis as unknown as { readonly process: ProcessGlobal };
  return {
    env: (name) => process.env[name],
    platform: process.platform,
    get uid(): number | null {
      return process.getuid?.() ?? null;
    },
  };
}
