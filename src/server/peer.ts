/**
 * Who is at the other end of an accepted socket, and whether they are still there: what the kernel knows and Deno does
 * not expose. Owns finding the descriptor of a socket and how long it may be used; asking the kernel belongs to
 * `kernel.ts`. Where no kernel can be asked, peers are unknown.
 */
import type { ActivityLog } from "../log/log.ts";
import { type Credentials, type Kernel, LIBC_PATHS, openKernel, permittedLibcPaths } from "./kernel.ts";

/** Descriptors are allocated lowest first, so a search ends after this many in a row that are not sockets. */
const MISSES_TO_GIVE_UP = 256;

/**
 * How long a client that has closed its sending side counts as present, in milliseconds, where no kernel can be asked
 * and no write fails: it may be gone, or may just have no more requests.
 */
export const HALF_CLOSED_MS = 30_000;

/** The peer of one accepted socket. Release it before the socket is closed. */
export interface Peer {
  /** Only for unix sockets. */
  readonly credentials: Credentials | undefined;
  /** Whether it is gone: a unix peer has closed its socket, a TCP peer has closed its sending side. */
  hungUp(): boolean;
  /** Have the kernel probe a silent TCP peer. */
  keepAlive(): void;
  /** The socket is about to be closed: its descriptor may be reused from now on. */
  release(): void;
}

/** Finds the peers of accepted sockets. One serves all sockets of a process. */
export class Peers implements Disposable {
  readonly #kernel: Kernel;
  /** The peer last found at each descriptor; it may be released before its socket is closed. */
  readonly #found: number[] = [];
  /** Descriptors of peers that are in use. */
  readonly #held = new Set<number>();

  /** @param kernel Closed on disposal. */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * Ready to find peers. Takes the permission `ffi`, which is given back after boot: open it before.
   *
   * @param log Informed if that fails.
   * @returns Undefined if it fails.
   */
  static open(log: ActivityLog): Peers | undefined {
    if (LIBC_PATHS.length === 0) {
      log.info("peers_unknown", { reason: `Not known how to ask on ${Deno.build.os}` });
      return undefined;
    }
    let reason = `No permission --allow-ffi=${LIBC_PATHS.join()}`;
    for (const path of permittedLibcPaths()) {
      try {
        return new Peers(openKernel(path));
      } catch (error) {
        reason = String(error);
      }
    }
    log.warn("peers_unknown", { reason });
    return undefined;
  }

  /**
   * Find the peer of a connection that was accepted just now, before another is accepted on the same address.
   *
   * @returns Undefined if it cannot be found.
   */
  identify(conn: Deno.UnixConn | Deno.TcpConn): Peer | undefined {
    const fd = this.#find(conn);
    if (fd === undefined) return undefined;
    this.#held.add(fd);
    const { transport } = conn.localAddr;
    let released = false;
    return {
      credentials: transport === "unix" ? this.#kernel.credentials(fd) : undefined,
      hungUp: () => !released && this.#kernel.isGone(fd, transport === "unix" ? "unix" : "tcp"),
      keepAlive: () => {
        if (!released) this.#kernel.keepAlive(fd);
      },
      release: () => {
        released = true;
        this.#held.delete(fd);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#kernel.close();
  }

  #find(conn: Deno.UnixConn | Deno.TcpConn): number | undefined {
    let misses = 0;
    for (let fd = 0; misses < MISSES_TO_GIVE_UP; fd++) {
      if (this.#held.has(fd)) {
        misses = 0;
        continue;
      }
      const identity = this.#kernel.identity(fd);
      if (identity === undefined) {
        misses++;
        continue;
      }
      misses = 0;
      if (identity !== 0 && this.#found[fd] === identity) continue;
      if (!this.#isOf(conn, fd)) continue;
      this.#found[fd] = identity;
      return fd;
    }
    return undefined;
  }

  /** Whether a descriptor has the addresses of a connection. A listener has the local one, but no peer. */
  #isOf({ localAddr, remoteAddr }: Deno.UnixConn | Deno.TcpConn, fd: number): boolean {
    const local = this.#kernel.address(fd, "local");
    const remote = this.#kernel.address(fd, "remote");
    if (local === undefined || remote === undefined) return false;
    if (localAddr.transport === "unix") return local.path === localAddr.path;
    return "port" in localAddr && "port" in remoteAddr && local.port === localAddr.port &&
      remote.port === remoteAddr.port;
  }
}
