/**
 * What callers may say, every default, every merge with the environment, and every conflict check, in one room. The
 * only room that reads the process's environment.
 */
import {
  DEFAULT_EMBED_PORT,
  DEFAULT_INFER_PORT,
  DEFAULT_RERANK_PORT,
  DEFAULT_TCP_HOSTNAME,
  DEFAULT_V2_PORT,
  maxSocketPathBytes,
  parseTcpAddress,
  runtimeDirectory,
  type RuntimeDirectoryOptions,
  type SocketName,
  socketPath,
  type TcpAddress,
} from "./paths.ts";

/**
 * What a daemon can be asked for: generation v1 (`infer`) and v2, embeddings, rerank. Each has its own socket.
 *
 * @example
 * ```ts
 * import { type Client, connect, type SurfaceName } from "@inferd/client";
 *
 * export async function forSearch(surface: SurfaceName = "embed"): Promise<Client> {
 *   return await connect({ surface });
 * }
 * ```
 */
export type SurfaceName = "infer" | "v2" | "embed" | "rerank";

/**
 * The paths of the sockets next to the generation socket; what is left out is in its folder.
 *
 * @example
 * ```ts
 * import type { SurfacePaths } from "@inferd/client";
 *
 * export const paths: SurfacePaths = { v2: "/run/inferd/v2.sock", embed: "/run/inferd/embed.sock" };
 * ```
 */
export interface SurfacePaths {
  /** Generation v2. Default: `infer.v2.sock`. */
  readonly v2?: string | undefined;
  /** Embeddings. Default: `infer.embed.sock`. */
  readonly embed?: string | undefined;
  /** Rerank. Default: `infer.rerank.sock`. */
  readonly rerank?: string | undefined;
}

/**
 * The TCP ports next to that of generation v1.
 *
 * @example
 * ```ts
 * import type { SurfacePorts } from "@inferd/client";
 *
 * export const ports: SurfacePorts = { v2: 5002, embed: 5003, rerank: 5004 };
 * ```
 */
export interface SurfacePorts {
  /** Generation v2. Default 47322. */
  readonly v2?: number | undefined;
  /** Embeddings. Default 47323. */
  readonly embed?: number | undefined;
  /** Rerank. Default 47324. */
  readonly rerank?: number | undefined;
}

/**
 * A daemon's TCP endpoint, as a caller names it.
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
  /** What the daemon was given as its API key; absent: none is sent. The environment is not asked. */
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
  /** Gives up waiting. Once connected it has no effect. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * How a daemon is started that does not run yet. It is a process of its own, which outlives the client, and finds its
 * configuration as if it had been started by hand: in the environment and in its configuration file.
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
  /** Variables on top of the environment. */
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
 * Where a daemon's admin socket is.
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
 * How one call can be given up.
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
  /** Gives up; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * How one call that takes its time can be given up.
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
  /** How long to wait, in milliseconds; `Infinity` waits for ever. */
  readonly timeoutMs?: number | undefined;
}

/** How long `connect()` and `admin.ready()` wait unless told otherwise, in milliseconds. */
export const DEFAULT_READY_TIMEOUT_MS = 30_000;
/** How long one look at the admin socket may take unless told otherwise, in milliseconds. */
export const DEFAULT_SNAPSHOT_TIMEOUT_MS = 5_000;
/** How long a daemon that is started may take to give a sign of life unless told otherwise, in milliseconds. */
export const DEFAULT_SPAWN_TIMEOUT_MS = 5_000;
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

/** How a surface is told apart from the others. */
interface SurfaceNames {
  readonly socket: SocketName;
  readonly port: number;
  /** The environment variables that hold the path of its socket and its TCP address. */
  readonly variables: { readonly path: string; readonly tcp: string };
}

const SURFACES: Readonly<Record<SurfaceName, SurfaceNames>> = {
  infer: {
    socket: "infer",
    port: DEFAULT_INFER_PORT,
    variables: { path: "INFERD_UDS", tcp: "INFERD_TCP" },
  },
  v2: {
    socket: "infer.v2",
    port: DEFAULT_V2_PORT,
    variables: { path: "INFERD_V2_ADDR", tcp: "INFERD_V2_TCP" },
  },
  embed: {
    socket: "infer.embed",
    port: DEFAULT_EMBED_PORT,
    variables: { path: "INFERD_EMBED_ADDR", tcp: "INFERD_EMBED_TCP" },
  },
  rerank: {
    socket: "infer.rerank",
    port: DEFAULT_RERANK_PORT,
    variables: { path: "INFERD_RERANK_ADDR", tcp: "INFERD_RERANK_TCP" },
  },
};

/**
 * Decide where a surface is.
 *
 * @param surface Which.
 * @param options What the caller said.
 * @param facts The process; read only where the caller has not decided.
 * @returns The endpoint.
 * @throws {TypeError} If options contradict each other or cannot be an endpoint.
 * @throws {RangeError} If a port or the length of a path is out of range.
 */
export function surfaceEndpoint(
  surface: SurfaceName,
  options: ConnectOptions,
  facts: ProcessFacts = thisProcess(),
): Endpoint {
  const { path, paths, tcp } = options;
  if (tcp !== undefined) {
    if (path !== undefined) throw new TypeError('Cannot combine "path" with "tcp"');
    if (paths !== undefined) throw new TypeError('Cannot combine "paths" with "tcp"');
    return tcpEndpoint({
      hostname: tcp.hostname ?? DEFAULT_TCP_HOSTNAME,
      port: (surface === "infer" ? tcp.port : tcp.ports?.[surface]) ?? SURFACES[surface].port,
    }, tcp.apiKey);
  }
  const own = surface === "infer" ? path : paths?.[surface];
  if (own !== undefined) return unixEndpoint(own, facts);
  if (path !== undefined) return unixEndpoint(beside(path, surface), facts);
  return environmentEndpoint(surface, facts);
}

/**
 * Check what the caller said of surfaces that may be used only later.
 *
 * @param options What the caller said.
 * @param facts The process.
 * @throws {TypeError} If a path cannot be one of a socket.
 * @throws {RangeError} If a port or the length of a path is out of range.
 */
export function checkSurfaces(options: ConnectOptions, facts: ProcessFacts = thisProcess()): void {
  for (const surface of ["v2", "embed", "rerank"] as const) {
    const said = options.paths?.[surface] ?? options.tcp?.ports?.[surface];
    if (said !== undefined) surfaceEndpoint(surface, options, facts);
  }
}

function environmentEndpoint(surface: SurfaceName, facts: ProcessFacts): Endpoint {
  const { port, socket, variables } = SURFACES[surface];
  const others = surface !== "infer";
  const own = facts.env(variables.path);
  if (own) return unixEndpoint(own, facts);
  const uds = others ? facts.env(SURFACES.infer.variables.path) : undefined;
  if (uds) return unixEndpoint(beside(uds, surface), facts);
  // An empty variable is how shells and service files say "not set".
  const apiKey = (): string | undefined => facts.env("INFERD_API_KEY") || undefined;
  const address = facts.env(variables.tcp);
  if (address) return tcpEndpoint(parseTcpAddress(address, port), apiKey());
  const infer = others ? facts.env(SURFACES.infer.variables.tcp) : undefined;
  if (infer) return tcpEndpoint({ hostname: parseTcpAddress(infer).hostname, port }, apiKey());
  return defaultEndpoint(socket, facts);
}

/** Another surface's socket in the folder of generation's. */
function beside(path: string, surface: SurfaceName): string {
  return socketPath(/^(.*)\/[^/]*$/s.exec(path)?.[1] ?? ".", SURFACES[surface].socket);
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
 * Decide where dispatch is.
 *
 * @param path What the caller said.
 * @param facts The process; read only where the caller has not decided.
 * @returns The endpoint.
 * @throws {TypeError} If the path cannot be one of a socket.
 * @throws {RangeError} If the path is too long.
 */
export function rpcEndpoint(path: string | undefined, facts: ProcessFacts = thisProcess()): UnixEndpoint {
  if (path !== undefined) return unixEndpoint(path, facts);
  const address = facts.env("INFERD_RPC_ADDR");
  return address ? unixEndpoint(address, facts) : defaultEndpoint("rpc", facts);
}

/** How a daemon is started, decided. */
export interface SpawnPlan {
  /** The program. */
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Variables on top of the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Where what it prints goes. */
  readonly logPath: string;
  /** Whether the log is ours, and made anew. */
  readonly ownLog: boolean;
  /** Held by whoever starts a daemon. */
  readonly lockPath: string;
  /** The folder of the lock, and whose it has to be; `null` where there are no user ids. */
  readonly runtimeDir: string;
  readonly uid: number | null;
  /** How long a sign of life may take, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Decide how a daemon is started.
 *
 * @param options What the caller said.
 * @param facts The process.
 * @returns The plan.
 * @throws {TypeError} If the command is empty.
 * @throws {RangeError} If the timeout is negative or not a number.
 */
export function spawnPlan(options: ConnectOptions, facts: ProcessFacts = thisProcess()): SpawnPlan {
  const spawn = typeof options.spawn === "object" ? options.spawn : {};
  const command = spawn.command ?? (facts.env("INFERD_COMMAND") || "inferd");
  if (typeof command !== "string" || command === "") throw new TypeError('Cannot spawn: "command" must not be empty');
  const runtimeDir = runtimeDirectory(facts);
  return {
    command,
    args: spawn.args ?? ["serve"],
    env: { ...socketVariables(options), ...spawn.env },
    logPath: spawn.logPath ?? `${runtimeDir}/inferd.spawn.log`,
    ownLog: spawn.logPath === undefined,
    lockPath: `${runtimeDir}/inferd.spawn.lock`,
    runtimeDir,
    uid: facts.uid,
    timeoutMs: timeoutOr(spawn.timeoutMs, DEFAULT_SPAWN_TIMEOUT_MS),
  };
}

/** Where a daemon has to put its sockets so that they are where the caller looks for them. */
function socketVariables({ path, paths, adminPath }: ConnectOptions): Record<string, string> {
  const said = {
    INFERD_UDS: path,
    INFERD_V2_ADDR: paths?.v2,
    INFERD_EMBED_ADDR: paths?.embed,
    INFERD_RERANK_ADDR: paths?.rerank,
    INFERD_ADMIN_ADDR: adminPath,
  };
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(said)) if (value !== undefined) variables[name] = value;
  return variables;
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
  checkPlatform(facts);
  return unixEndpoint(socketPath(runtimeDirectory(facts), name), facts);
}

/** Node's "unix sockets" are another thing there, and Deno has none. */
function checkPlatform({ platform }: ProcessFacts): void {
  if (platform !== "win32" && platform !== "windows") return;
  throw new TypeError(
    'Cannot use unix sockets on Windows: say where the daemon is with "tcp" or INFERD_TCP. It runs in WSL, with --tcp',
  );
}

function unixEndpoint(path: string, facts: ProcessFacts): UnixEndpoint {
  checkPlatform(facts);
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(path)} as a socket path: it must be a path without NUL characters`,
    );
  }
  // Node would cut a longer one and look elsewhere.
  const why = tooLong(path, facts);
  if (why !== undefined) throw new RangeError(`Cannot use ${JSON.stringify(path)} as a socket path: ${why}`);
  return { path };
}

function tooLong(path: string, { platform }: Pick<ProcessFacts, "platform">): string | undefined {
  const most = maxSocketPathBytes(platform);
  const bytes = new TextEncoder().encode(path).length;
  if (bytes <= most) return undefined;
  return `it has ${bytes} bytes, at most ${most} fit; set XDG_RUNTIME_DIR to a shorter folder`;
}

/** Every socket of a daemon. */
const SOCKET_NAMES: readonly SocketName[] = ["admin", "infer", "infer.v2", "infer.embed", "infer.rerank", "rpc"];
/** The one with the longest name: where that fits, all do. */
const LONGEST_SOCKET: SocketName = "infer.rerank";

/**
 * Why no daemon can have put a socket where one is missing: a daemon with its sockets in this folder would refuse to
 * start, as not all of their paths fit.
 *
 * @param path The socket that is not there.
 * @param facts The process.
 * @returns The reason; nothing where a daemon may still come.
 */
export function whyNoDaemon(path: string, facts: Pick<ProcessFacts, "platform"> = thisProcess()): string | undefined {
  const [, folder = "", file = ""] = /^(.*)\/([^/]*)$/s.exec(path) ?? [];
  // A socket of another name is where somebody chose; where the others are, nobody knows.
  if (!SOCKET_NAMES.some((name) => `${name}.sock` === file)) return undefined;
  const longest = socketPath(folder, LONGEST_SOCKET);
  const why = tooLong(longest, facts);
  return why === undefined ? undefined : `no daemon can start there, because of ${JSON.stringify(longest)}: ${why}`;
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
