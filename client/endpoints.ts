/**
 * Where a daemon is: merges what the caller said with the environment, and refuses what contradicts itself. The only
 * room that reads the process's environment.
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
  /** The folder it is in lies where anybody may make one of that name: it has to be this user's. */
  readonly folder?: SharedPlace;
}

/** A folder that somebody else may have made. */
export interface SharedPlace {
  readonly path: string;
  /** Whose it has to be. */
  readonly uid: number;
}

/** A TCP endpoint with what it takes to be let in. */
export interface TcpEndpoint extends TcpAddress {
  readonly apiKey?: string;
}

/** Where to connect to. */
export type Endpoint = UnixEndpoint | TcpEndpoint;

/** What is known of the process this runs in. */
export type ProcessFacts = RuntimeDirectoryOptions;

/** An endpoint as messages name it, `unix:<path>` or `tcp:<host>:<port>`; the API key stays out of it. */
export function endpointName(endpoint: Endpoint): string {
  if ("path" in endpoint) return `unix:${endpoint.path}`;
  const { hostname, port } = endpoint;
  return `tcp:${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/**
 * Decide where a surface is.
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
 * Check what the caller said of surfaces that may be used only later.
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
  // An empty variable is how shells and service files say "not set".
  const apiKey = (): string | undefined => facts.env(API_KEY_VARIABLE) || undefined;
  const address = facts.env(row.tcp.variable);
  if (address) return tcpEndpoint(parseTcpAddress(address, port), apiKey());
  const infer = others ? facts.env(surfaces.infer.tcp.variable) : undefined;
  if (infer) return tcpEndpoint({ hostname: parseTcpAddress(infer).hostname, port }, apiKey());
  return defaultEndpoint(row, facts);
}

/** What to do about a path that is too long and came from variables. */
function shorter(...variables: readonly string[]): string {
  return `set ${variables.join(" or ")} to a shorter path`;
}

/** Another surface's socket in the folder of generation's. */
function beside(path: string, { socket }: SurfaceRow): string {
  return socketPath(/^(.*)\/[^/]*$/s.exec(path)?.[1] ?? ".", socket as SocketName);
}

/**
 * Decide where the admin socket is.
 *
 * @throws {TypeError | RangeError} If the path cannot be one of a socket.
 */
export function adminEndpoint(path: string | undefined, facts: ProcessFacts = thisProcess()): UnixEndpoint {
  return unixSurfaceEndpoint("admin", path, facts);
}

/**
 * Decide where dispatch is.
 *
 * @throws {TypeError | RangeError} If the path cannot be one of a socket.
 */
export function rpcEndpoint(path: string | undefined, facts: ProcessFacts = thisProcess()): UnixEndpoint {
  return unixSurfaceEndpoint("dispatch", path, facts);
}

function unixSurfaceEndpoint(
  surface: keyof typeof UNIX_SURFACES,
  path: string | undefined,
  facts: ProcessFacts,
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

/** Node's "unix sockets" are another thing there, and Deno has none. */
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

/** What to do about a path that is too long, where nothing says where it came from. */
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
/** The one with the longest name: where that fits, all do. */
const LONGEST_SOCKET = SOCKET_NAMES.reduce((one, other) => other.length > one.length ? other : one);

/**
 * Why no daemon can have put a socket where one is missing: a daemon with its sockets in this folder would refuse to
 * start, as not all of their paths fit.
 *
 * @returns The reason; nothing where a daemon may still come.
 */
export function whyNoDaemon(path: string, facts: Pick<ProcessFacts, "platform"> = thisProcess()): string | undefined {
  const [, folder = "", file = ""] = /^(.*)\/([^/]*)$/s.exec(path) ?? [];
  // A socket of another name was chosen by somebody, and says nothing about where the others are.
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

/** What is known of this process. */
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
