/**
 * Resolves the address of a daemon from options and environment, and rejects contradictory ones. The only file that
 * reads the environment of the process.
 */
import type { ConnectOptions, SurfaceName } from "./options.ts";
import {
  DEFAULT_TCP_HOSTNAME,
  maxSocketPathBytes,
  parseTcpAddress,
  runtimeDirectory,
  type RuntimeDirectoryOptions,
  type SocketName,
  socketPath,
  type TcpAddress,
} from "./paths.ts";
import { API_KEY_VARIABLE, type SurfaceRow, SURFACES, UNIX_SURFACES } from "./protocol/surfaces.ts";

/** The surfaces; tests pass a table with one more. */
type Surfaces = Readonly<Record<SurfaceName, SurfaceRow>>;

/** A unix socket. */
export interface UnixEndpoint {
  readonly path: string;
  /** Set if anybody could have created its folder: it must belong to this user. */
  readonly folder?: SharedPlace;
}

/** A folder that another user may have created. */
export interface SharedPlace {
  readonly path: string;
  /** The required owner. */
  readonly uid: number;
}

/** A TCP endpoint and its API key. */
export interface TcpEndpoint extends TcpAddress {
  readonly apiKey?: string;
}

/** An address to connect to. */
export type Endpoint = UnixEndpoint | TcpEndpoint;

/** Facts about this process. */
export type ProcessFacts = RuntimeDirectoryOptions;

/** The name of an endpoint in messages: `unix:<path>` or `tcp:<host>:<port>`, without the API key. */
export function endpointName(endpoint: Endpoint): string {
  if ("path" in endpoint) return `unix:${endpoint.path}`;
  const { hostname, port } = endpoint;
  return `tcp:${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/**
 * Resolve the endpoint of a surface.
 *
 * @param facts The process; read only where the caller has not decided.
 * @throws {TypeError} If options contradict each other or cannot be an endpoint.
 * @throws {RangeError} If a port or the length of a path is out of range.
 */
export function surfaceEndpoint(
  surface: SurfaceName,
  options: ConnectOptions,
  facts: ProcessFacts = thisProcess(),
  surfaces: Surfaces = SURFACES,
): Endpoint {
  const { path, paths, tcp } = options;
  if (tcp !== undefined) {
    if (path !== undefined) throw new TypeError('Cannot combine "path" with "tcp"');
    if (paths !== undefined) throw new TypeError('Cannot combine "paths" with "tcp"');
    return tcpEndpoint({
      hostname: tcp.hostname ?? DEFAULT_TCP_HOSTNAME,
      port: (surface === "infer" ? tcp.port : tcp.ports?.[surface]) ?? surfaces[surface].tcp.port,
    }, tcp.apiKey);
  }
  const own = surface === "infer" ? path : paths?.[surface];
  if (own !== undefined) {
    return unixEndpoint(own, facts, `pass a shorter ${surface === "infer" ? '"path"' : `"paths.${surface}"`}`);
  }
  if (path !== undefined) {
    return unixEndpoint(beside(path, surfaces[surface]), facts, `pass a shorter "path", or "paths.${surface}"`);
  }
  return environmentEndpoint(surface, facts, surfaces);
}

/**
 * Check the options of surfaces that may be used only later.
 *
 * @throws {TypeError | RangeError} If a path or a port cannot be one.
 */
export function checkSurfaces(options: ConnectOptions, facts: ProcessFacts = thisProcess()): void {
  for (const surface of Object.keys(SURFACES) as SurfaceName[]) {
    if (surface === "infer") continue;
    const said = options.paths?.[surface] ?? options.tcp?.ports?.[surface];
    if (said !== undefined) surfaceEndpoint(surface, options, facts);
  }
}

function environmentEndpoint(surface: SurfaceName, facts: ProcessFacts, surfaces: Surfaces): Endpoint {
  const row = surfaces[surface];
  const { tcp: { port } } = row;
  // Only the other surfaces are looked for where generation is.
  const others = surface !== "infer";
  const own = facts.env(row.variable);
  if (own) return unixEndpoint(own, facts, shorter(row.variable));
  const uds = others ? facts.env(surfaces.infer.variable) : undefined;
  if (uds) return unixEndpoint(beside(uds, row), facts, shorter(row.variable, surfaces.infer.variable));
  // Shells and service files express "not set" as an empty variable.
  const apiKey = (): string | undefined => facts.env(API_KEY_VARIABLE) || undefined;
  const address = facts.env(row.tcp.variable);
  if (address) return tcpEndpoint(parseTcpAddress(address, port), apiKey());
  const infer = others ? facts.env(surfaces.infer.tcp.variable) : undefined;
  if (infer) return tcpEndpoint({ hostname: parseTcpAddress(infer).hostname, port }, apiKey());
  return defaultEndpoint(row, facts);
}

/** Advice for a path from variables that is too long. */
function shorter(...variables: readonly string[]): string {
  return `set ${variables.join(" or ")} to a shorter path`;
}

/** Another surface's socket in the folder of the generation socket. */
function beside(path: string, { socket }: SurfaceRow): string {
  return socketPath(/^(.*)\/[^/]*$/s.exec(path)?.[1] ?? ".", socket as SocketName);
}

/**
 * Resolve the endpoint of a surface that has unix sockets only.
 *
 * @throws {TypeError | RangeError} If the path cannot be one of a socket.
 */
export function unixSurfaceEndpoint(
  surface: keyof typeof UNIX_SURFACES,
  path: string | undefined,
  facts: ProcessFacts = thisProcess(),
): UnixEndpoint {
  if (path !== undefined) return unixEndpoint(path, facts, "pass a shorter path");
  const row = UNIX_SURFACES[surface];
  const address = facts.env(row.variable);
  return address ? unixEndpoint(address, facts, shorter(row.variable)) : defaultEndpoint(row, facts);
}

function defaultEndpoint(
  { socket, variable }: { readonly socket: string; readonly variable: string },
  facts: ProcessFacts,
): UnixEndpoint {
  checkPlatform(facts);
  const dir = runtimeDirectory(facts);
  const endpoint = unixEndpoint(
    socketPath(dir, socket as SocketName),
    facts,
    `set XDG_RUNTIME_DIR to a shorter folder, or ${variable} to a shorter path`,
  );
  // Only where no variable names a folder; nobody asks for the user's id elsewhere.
  const uid = /^\/tmp\/inferd-(\d+)$/.exec(dir)?.[1];
  return uid === undefined ? endpoint : { ...endpoint, folder: { path: dir, uid: Number(uid) } };
}

/** Node's "unix sockets" differ there, and Deno has none. */
function checkPlatform({ platform }: ProcessFacts): void {
  if (platform !== "win32" && platform !== "windows") return;
  throw new TypeError(
    'Cannot use unix sockets on Windows: say where the daemon is with "tcp" or INFERD_TCP. It runs in WSL, with --tcp',
  );
}

function unixEndpoint(path: string, facts: ProcessFacts, advice?: string): UnixEndpoint {
  checkPlatform(facts);
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(path)} as a socket path: it must be a path without NUL characters`,
    );
  }
  // Node would cut a longer one and look elsewhere.
  const why = tooLong(path, facts, advice);
  if (why !== undefined) throw new RangeError(`Cannot use ${JSON.stringify(path)} as a socket path: ${why}`);
  return { path };
}

/** Advice for a default path that is too long. */
const SHORTER_FOLDER = "set XDG_RUNTIME_DIR to a shorter folder";

function tooLong(
  path: string,
  { platform }: Pick<ProcessFacts, "platform">,
  advice: string = SHORTER_FOLDER,
): string | undefined {
  const most = maxSocketPathBytes(platform);
  const bytes = new TextEncoder().encode(path).length;
  if (bytes <= most) return undefined;
  return `it has ${bytes} bytes, at most ${most} fit; ${advice}`;
}

/** Every socket of a daemon. */
const SOCKET_NAMES: readonly SocketName[] = [...Object.values(SURFACES), ...Object.values(UNIX_SURFACES)]
  .map(({ socket }) => socket);
/** The longest name: if it fits, all do. */
const LONGEST_SOCKET = SOCKET_NAMES.reduce((one, other) => other.length > one.length ? other : one);

/**
 * Why no daemon can have put a socket where one is missing; nothing where one may still come. A daemon with its sockets
 * in this folder would refuse to start, as not all of their paths fit.
 */
export function whyNoDaemon(path: string, facts: Pick<ProcessFacts, "platform"> = thisProcess()): string | undefined {
  const [, folder = "", file = ""] = /^(.*)\/([^/]*)$/s.exec(path) ?? [];
  // A socket of another name was configured explicitly, and tells nothing about the others.
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

/** The `process` object of Node and Deno; typed here so that callers need neither's types. */
interface ProcessGlobal {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  getuid?(): number;
}

/** Facts about this process. */
export function thisProcess(): ProcessFacts {
  const { process } = globalThis as unknown as { readonly process: ProcessGlobal };
  return {
    env: (name) => process.env[name],
    platform: process.platform,
    get uid(): number | null {
      return process.getuid?.() ?? null;
    },
  };
}
