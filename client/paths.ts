/**
 * Where a daemon's sockets are: the one rule daemon and client share. Pure: what it needs to know of the process is
 * passed in, nothing is read, made or checked here.
 *
 * @example
 * ```ts
 * import { runtimeDirectory, socketPath } from "@inferd/client/paths";
 *
 * const environment: Record<string, string> = { XDG_RUNTIME_DIR: "/run/user/1000" };
 * const dir = runtimeDirectory({ env: (name) => environment[name], uid: 1000, platform: "linux" });
 * console.assert(socketPath(dir, "infer") === "/run/user/1000/inferd/infer.sock");
 * ```
 *
 * @module
 */

import { type SocketName, SURFACES } from "./protocol/surfaces.ts";

export type { SocketName };

/**
 * What {@linkcode runtimeDirectory} needs to know of the process.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { type RuntimeDirectoryOptions, runtimeDirectory } from "@inferd/client/paths";
 *
 * const process: RuntimeDirectoryOptions = { env: () => undefined, uid: 1000, platform: "linux" };
 * console.assert(runtimeDirectory(process) === "/tmp/inferd-1000");
 * ```
 */
export interface RuntimeDirectoryOptions {
  /** Looks up an environment variable. An empty value counts as unset. */
  readonly env: (name: string) => string | undefined;
  /** The user's numeric id, `null` where there is none. Only read when no variable decides. */
  readonly uid: number | null;
  /** The operating system as Deno (`Deno.build.os`) or Node (`process.platform`) names it. */
  readonly platform: string;
}

/**
 * A TCP endpoint.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { parseTcpAddress, type TcpAddress } from "@inferd/client/paths";
 *
 * const address: TcpAddress = parseTcpAddress("[::1]:4000");
 * console.assert(address.hostname === "::1" && address.port === 4000);
 * ```
 */
export interface TcpAddress {
  /** A host name or an address; IPv6 without brackets. */
  readonly hostname: string;
  /** 1 … 65535; 0 lets a listener choose. */
  readonly port: number;
}

/**
 * The TCP port of generation v1 when none is named.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { DEFAULT_INFER_PORT } from "@inferd/client/paths";
 *
 * console.assert(DEFAULT_INFER_PORT === 47321);
 * ```
 */
export const DEFAULT_INFER_PORT: number = SURFACES.infer.tcp.port;

/**
 * The TCP port of generation v2 when none is named.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { DEFAULT_V2_PORT } from "@inferd/client/paths";
 *
 * console.assert(DEFAULT_V2_PORT === 47322);
 * ```
 */
export const DEFAULT_V2_PORT: number = SURFACES.v2.tcp.port;

/**
 * The TCP port of embeddings when none is named.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { DEFAULT_EMBED_PORT } from "@inferd/client/paths";
 *
 * console.assert(DEFAULT_EMBED_PORT === 47323);
 * ```
 */
export const DEFAULT_EMBED_PORT: number = SURFACES.embed.tcp.port;

/**
 * The TCP port of rerank when none is named.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { DEFAULT_RERANK_PORT } from "@inferd/client/paths";
 *
 * console.assert(DEFAULT_RERANK_PORT === 47324);
 * ```
 */
export const DEFAULT_RERANK_PORT: number = SURFACES.rerank.tcp.port;

/**
 * The TCP port of `inferd http` when none is named.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { DEFAULT_HTTP_PORT } from "@inferd/client/paths";
 *
 * console.assert(DEFAULT_HTTP_PORT === 47325);
 * ```
 */
export const DEFAULT_HTTP_PORT: number = 47325;

/**
 * The TCP host when none is named.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { DEFAULT_TCP_HOSTNAME, parseTcpAddress } from "@inferd/client/paths";
 *
 * console.assert(parseTcpAddress(":4000").hostname === DEFAULT_TCP_HOSTNAME);
 * ```
 */
export const DEFAULT_TCP_HOSTNAME: string = "127.0.0.1";

/**
 * The directory that holds a daemon's sockets, lock and pid file.
 *
 * The first that is set wins: `$XDG_RUNTIME_DIR/inferd`, `$HOME/.inferd/run`, on macOS `$TMPDIR/inferd`, else
 * `/tmp/inferd-<uid>`.
 *
 * @param options What to know of the process.
 * @returns The path, without a slash at its end. Nothing says that it exists.
 * @throws {Error} If no variable is set and there is no user id, so that every user would share one directory.
 * @throws {TypeError} If a variable is a relative path, which would name another directory wherever one stands.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { runtimeDirectory } from "@inferd/client/paths";
 *
 * const dir = runtimeDirectory({ env: () => undefined, uid: 501, platform: "linux" });
 * console.assert(dir === "/tmp/inferd-501");
 * ```
 */
export function runtimeDirectory(options: RuntimeDirectoryOptions): string {
  const { env } = options;
  const folder = (name: string): string | undefined => {
    const path = env(name);
    if (!path || options.platform === "windows" || path.startsWith("/")) return path;
    throw new TypeError(
      `Cannot name a runtime directory: ${name} must be an absolute path, got ${JSON.stringify(path)}`,
    );
  };
  const xdg = folder("XDG_RUNTIME_DIR");
  if (xdg) return join(xdg, "inferd");
  const home = folder("HOME");
  if (home) return join(home, ".inferd/run");
  const tmp = options.platform === "darwin" ? env("TMPDIR") : undefined;
  if (tmp) return join(tmp, "inferd");
  // Read last: in Deno the id costs a permission that most callers do not have to give. (`options` may be a getter.)
  const { uid } = options;
  if (uid === null) {
    throw new Error("Cannot name a runtime directory: neither XDG_RUNTIME_DIR nor HOME is set and there is no user id");
  }
  return `/tmp/inferd-${uid}`;
}

/**
 * The path of one of a daemon's sockets.
 *
 * @param dir The directory, see {@linkcode runtimeDirectory}.
 * @param name Which socket.
 * @returns The path.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { socketPath } from "@inferd/client/paths";
 *
 * console.assert(socketPath("/run/inferd", "admin") === "/run/inferd/admin.sock");
 * ```
 */
export function socketPath(dir: string, name: SocketName): string {
  return join(dir, `${name}.sock`);
}

/**
 * How long the path of a unix socket may be: what the system's address structure holds, less the NUL at its end.
 *
 * @param platform The operating system as Deno (`Deno.build.os`) or Node (`process.platform`) names it.
 * @returns Bytes, not characters.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { maxSocketPathBytes } from "@inferd/client/paths";
 *
 * console.assert(maxSocketPathBytes("linux") === 107);
 * ```
 */
export function maxSocketPathBytes(platform: string): number {
  return platform === "linux" ? 107 : 103;
}

/**
 * A TCP endpoint from its text: `host:port`, `[ipv6]:port`, `host`, `:port` or `port`.
 *
 * @param text The text, as in `INFERD_TCP` or `--tcp`.
 * @param defaultPort The port where the text names none.
 * @returns The endpoint; what the text leaves out is {@linkcode DEFAULT_TCP_HOSTNAME} and `defaultPort`.
 * @throws {TypeError} If the text is none of these.
 * @throws {RangeError} If the port is over 65535.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { parseTcpAddress } from "@inferd/client/paths";
 *
 * console.assert(parseTcpAddress("[::1]:4000").hostname === "::1");
 * console.assert(parseTcpAddress("localhost").port === 47321);
 * ```
 */
export function parseTcpAddress(text: string, defaultPort: number = DEFAULT_INFER_PORT): TcpAddress {
  const parts = /^(?:\[(?<v6>[^\s[\]/]*:[^\s[\]/]*)\]|(?<name>[^\s:[\]/]*?))(?:(?:^|:)(?<port>\d+))?$/.exec(text)
    ?.groups;
  if (text === "" || parts === undefined) {
    throw new TypeError(`Cannot read ${JSON.stringify(text)} as a TCP address: it must be "host:port"`);
  }
  const port = parts.port === undefined ? defaultPort : Number(parts.port);
  if (port > 65535) {
    throw new RangeError(`Cannot read ${JSON.stringify(text)} as a TCP address: the port must be at most 65535`);
  }
  return { hostname: parts.v6 ?? (parts.name || DEFAULT_TCP_HOSTNAME), port };
}

function join(dir: string, name: string): string {
  return dir.replace(/\/+$/, "") + "/" + name;
}
