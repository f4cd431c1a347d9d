/**
 * Who is on the other side of an accepted socket, and whether they are still there: what the kernel knows and Deno does
 * not tell. Libc by FFI, on Linux only; anywhere else, and without the permission, peers are unknown and a hang-up is
 * found by a failed write.
 */
import type { ActivityLog } from "../log.ts";

/**
 * Where distributions have libc. Absolute, because a permission for a bare name is taken for a file in the working
 * directory.
 */
export const LIBC_PATHS: readonly string[] = [
  `/lib/${Deno.build.arch}-linux-gnu/libc.so.6`,
  "/lib64/libc.so.6",
  "/usr/lib/libc.so.6",
];

const AF_UNIX = 1;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_COOKIE = 57;
const POLLERR = 0x0008;
const POLLHUP = 0x0010;
const POLLRDHUP = 0x2000;

/** Descriptors are given lowest first, so a search that meets so many in a row that are no sockets is over. */
const MISSES_TO_GIVE_UP = 256;

const SYMBOLS = {
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
} as const;

/** The process on the other side of a unix socket, as it was when it connected. */
export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** The other side of one accepted socket. To be released before the socket is closed. */
export interface Peer {
  /** Known for unix sockets. */
  readonly credentials: Credentials | undefined;
  /** Whether it is gone altogether: a unix peer has closed its socket, a TCP peer has sent its end. */
  hungUp(): boolean;
  /** The socket is about to be closed: its descriptor may be another's from now on. */
  release(): void;
}

/** Finds the peers of accepted sockets. */
export class Peers implements Disposable {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>;
  /** The cookie last seen for a descriptor; a socket's cookie is unique for the life of the kernel. */
  readonly #cookies: number[] = [];
  /** Descriptors of peers that are not released. */
  readonly #held = new Set<number>();

  private constructor(libc: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#libc = libc;
  }

  /** Ready to find peers; undefined, and said so in the log, where that cannot be. */
  static open(log: ActivityLog): Peers | undefined {
    if (Deno.build.os !== "linux") {
      log.info("peers_unknown", { reason: `Not known how to ask on ${Deno.build.os}` });
      return undefined;
    }
    // Asked first, because opening without the permission would prompt on a terminal.
    const allowed = LIBC_PATHS.filter((path) => Deno.permissions.querySync({ name: "ffi", path }).state === "granted");
    let reason = `No permission --allow-ffi=${LIBC_PATHS.join()}`;
    for (const path of allowed) {
      try {
        return new Peers(Deno.dlopen(path, SYMBOLS));
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
   * @returns Undefined where it cannot be found.
   */
  identify(conn: Deno.UnixConn | Deno.TcpConn): Peer | undefined {
    const fd = this.#find(conn);
    if (fd === undefined) return undefined;
    this.#held.add(fd);
    const unix = conn.localAddr.transport === "unix";
    let released = false;
    return {
      credentials: unix ? this.#credentials(fd) : undefined,
      hungUp: () => !released && this.#poll(fd, unix ? POLLHUP | POLLERR : POLLHUP | POLLERR | POLLRDHUP),
      release: () => {
        released = true;
        this.#held.delete(fd);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#libc.close();
  }

  #find(conn: Deno.UnixConn | Deno.TcpConn): number | undefined {
    const cookie = new Uint32Array(2);
    const size = new Uint32Array(1);
    let misses = 0;
    for (let fd = 0; misses < MISSES_TO_GIVE_UP; fd++) {
      if (this.#held.has(fd)) {
        misses = 0;
        continue;
      }
      size[0] = cookie.byteLength;
      if (this.#libc.symbols.getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, size) !== 0) {
        misses++;
        continue;
      }
      misses = 0;
      const value = (cookie[1] ?? 0) * 2 ** 32 + (cookie[0] ?? 0);
      if (this.#cookies[fd] === value) continue;
      this.#cookies[fd] = value;
      if (this.#isOf(conn, fd)) return fd;
    }
    return undefined;
  }

  /** Whether a descriptor has the addresses of a connection. A listener has the local one, but no peer. */
  #isOf(conn: Deno.UnixConn | Deno.TcpConn, fd: number): boolean {
    const local = this.#address(fd, "getsockname");
    const remote = this.#address(fd, "getpeername");
    if (local === undefined || remote === undefined) return false;
    const { localAddr, remoteAddr } = conn;
    if (localAddr.transport === "unix") return pathOf(local) === localAddr.path;
    return "port" in localAddr && "port" in remoteAddr && portOf(local) === localAddr.port &&
      portOf(remote) === remoteAddr.port;
  }

  #address(fd: number, which: "getsockname" | "getpeername"): Uint8Array<ArrayBuffer> | undefined {
    const address = new Uint8Array(128);
    const size = new Uint32Array([address.length]);
    if (this.#libc.symbols[which](fd, address, size) !== 0) return undefined;
    return address.subarray(0, size[0]);
  }

  #credentials(fd: number): Credentials | undefined {
    const values = new Uint32Array(3);
    const size = new Uint32Array([values.byteLength]);
    if (this.#libc.symbols.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, values, size) !== 0) return undefined;
    const [pid = 0, uid = 0, gid = 0] = values;
    return { pid, uid, gid };
  }

  #poll(fd: number, events: number): boolean {
    const entry = new DataView(new ArrayBuffer(8));
    entry.setInt32(0, fd, true);
    entry.setInt16(4, events, true);
    return this.#libc.symbols.poll(entry.buffer, 1n, 0) > 0 && (entry.getInt16(6, true) & events) !== 0;
  }
}

/** The path in a unix address; undefined in any other. */
function pathOf(address: Uint8Array<ArrayBuffer>): string | undefined {
  if (new DataView(address.buffer).getUint16(0, true) !== AF_UNIX) return undefined;
  const end = address.indexOf(0, 2);
  return new TextDecoder().decode(address.subarray(2, end === -1 ? undefined : end));
}

/** The port in an IPv4 or IPv6 address, which stands at the same place in both. */
function portOf(address: Uint8Array<ArrayBuffer>): number {
  return new DataView(address.buffer).getUint16(2);
}
