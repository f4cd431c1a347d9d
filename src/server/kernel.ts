/**
 * What Linux and macOS know about a socket, queried through libc: one class per system, with its constants and structs.
 * Libc is injected, so that parsing its results can be tested anywhere.
 */

/** The process on the other side of a unix socket, as it was when it connected. */
export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** The address of one end of a socket: a path, or a port. */
export interface SocketAddress {
  readonly path?: string;
  readonly port?: number;
}

export type SocketEnd = "local" | "remote";

export interface Kernel {
  /**
   * A number that identifies the socket behind a descriptor, never used for another one; 0 where the kernel numbers
   * none of its kind; undefined if it is not a socket.
   */
  identity(fd: number): number | undefined;
  /** Undefined if it has none. */
  address(fd: number, end: SocketEnd): SocketAddress | undefined;
  /** The process at the other end of a unix socket. */
  credentials(fd: number): Credentials | undefined;
  /** Whether the peer is gone: a unix peer has closed its socket, a TCP peer has closed its sending side. */
  isGone(fd: number, transport: "unix" | "tcp"): boolean;
  /** Enable keep-alive probes on a TCP socket after `KEEP_ALIVE.idleSecs` of silence. */
  keepAlive(fd: number): void;
  close(): void;
}

/** A lost peer is detected after two minutes: the first probe is sent after one, then three more. */
export const KEEP_ALIVE = { idleSecs: 60, intervalSecs: 15, probes: 4 } as const;

/**
 * The paths of libc; none on unsupported systems. Absolute, because a permission for a bare name applies to a file in
 * the working directory.
 */
export const LIBC_PATHS: readonly string[] = Deno.build.os === "linux"
  ? [`/lib/${Deno.build.arch}-linux-gnu/libc.so.6`, "/lib64/libc.so.6", "/usr/lib/libc.so.6"]
  // Not a file on disk: the loader provides it.
  : Deno.build.os === "darwin"
  ? ["/usr/lib/libSystem.B.dylib"]
  : [];

/** Those that this process may open. Opening another one would prompt on a terminal. */
export function permittedLibcPaths(): readonly string[] {
  return LIBC_PATHS.filter((path) => Deno.permissions.querySync({ name: "ffi", path }).state === "granted");
}

/** Create the kernel interface of this system. */
export function openKernel(libc: string): Kernel {
  return Deno.build.os === "darwin"
    ? new DarwinKernel(Deno.dlopen(libc, DARWIN_SYMBOLS))
    : new LinuxKernel(Deno.dlopen(libc, LINUX_SYMBOLS));
}

const COMMON_SYMBOLS = {
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
} as const;

const LINUX_SYMBOLS = {
  ...COMMON_SYMBOLS,
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
} as const;

const DARWIN_SYMBOLS = {
  ...COMMON_SYMBOLS,
  // `nfds_t` is an `unsigned int` there.
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32" },
  getpeereid: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // On x86_64 the plain name is the one with 32-bit inodes.
  fstat: {
    name: Deno.build.arch === "x86_64" ? "fstat$INODE64" : "fstat",
    parameters: ["i32", "buffer"],
    result: "i32",
  },
} as const;

/** The functions of a libc; tests replace it. */
export interface Libc<S extends Deno.ForeignLibraryInterface> {
  readonly symbols: Deno.DynamicLibrary<S>["symbols"];
  close(): void;
}

const AF_UNIX = 1;
/** The larger of both systems' `sockaddr_storage`. */
const ADDRESS_BYTES = 128;
const PATH_AT = 2;
const POLLERR = 0x0008;
const POLLHUP = 0x0010;
const IPPROTO_TCP = 6;
const LINUX = {
  SOL_SOCKET: 1,
  SO_KEEPALIVE: 9,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  SO_PEERCRED: 17,
  SO_COOKIE: 57,
  POLLRDHUP: 0x2000,
} as const;
const DARWIN = {
  SOL_SOCKET: 0xffff,
  SO_KEEPALIVE: 8,
  /** Its name there is `TCP_KEEPALIVE`. */
  TCP_KEEPIDLE: 0x10,
  TCP_KEEPINTVL: 0x101,
  TCP_KEEPCNT: 0x102,
  SOL_LOCAL: 0,
  LOCAL_PEERPID: 2,
  POLLIN: 0x0001,
  POLLOUT: 0x0004,
} as const;
/** `struct stat` of macOS with 64-bit inodes: its size, and where it has `st_mode` and `st_ino`. */
const STAT = { bytes: 144, mode: 4, inode: 8 } as const;
const S_IFMT = 0o170000;
const S_IFSOCK = 0o140000;

type Common = Pick<Libc<typeof COMMON_SYMBOLS>["symbols"], "getsockname" | "getpeername" | "setsockopt">;

/** Enables keep-alive. Options unknown to an old kernel are skipped: `SO_KEEPALIVE` alone uses the system's times. */
function keepAlive(libc: Common, fd: number, system: Readonly<Record<KeepAliveOption, number>>): void {
  const options = [
    [system.SOL_SOCKET, system.SO_KEEPALIVE, 1],
    [IPPROTO_TCP, system.TCP_KEEPIDLE, KEEP_ALIVE.idleSecs],
    [IPPROTO_TCP, system.TCP_KEEPINTVL, KEEP_ALIVE.intervalSecs],
    [IPPROTO_TCP, system.TCP_KEEPCNT, KEEP_ALIVE.probes],
  ] as const;
  for (const [level, option, value] of options) {
    const int = new Int32Array([value]);
    libc.setsockopt(fd, level, option, int, int.byteLength);
  }
}

type KeepAliveOption = "SOL_SOCKET" | "SO_KEEPALIVE" | "TCP_KEEPIDLE" | "TCP_KEEPINTVL" | "TCP_KEEPCNT";

/** @param family Offset of the family in a `sockaddr`. */
function addressOf(
  libc: Common,
  fd: number,
  end: SocketEnd,
  family: (address: DataView) => number,
): SocketAddress | undefined {
  const address = new Uint8Array(ADDRESS_BYTES);
  const size = new Uint32Array([ADDRESS_BYTES]);
  const failed = end === "local" ? libc.getsockname(fd, address, size) : libc.getpeername(fd, address, size);
  if (failed !== 0) return undefined;
  const view = new DataView(address.buffer);
  // The port is at the same offset in IPv4 and IPv6 addresses.
  if (family(view) !== AF_UNIX) return { port: view.getUint16(2) };
  const used = address.subarray(PATH_AT, Math.max(size[0] ?? 0, PATH_AT));
  const nul = used.indexOf(0);
  return { path: new TextDecoder().decode(nul === -1 ? used : used.subarray(0, nul)) };
}

/** Poll a descriptor: the requested events that occurred, and those that are always reported. */
function pollOne(poll: (fds: Uint8Array<ArrayBuffer>) => number, fd: number, events: number): number {
  const entry = new Uint8Array(8);
  const view = new DataView(entry.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, events, true);
  return poll(entry) > 0 ? view.getInt16(6, true) : 0;
}

export class LinuxKernel implements Kernel {
  readonly #libc: Libc<typeof LINUX_SYMBOLS>;

  constructor(libc: Libc<typeof LINUX_SYMBOLS>) {
    this.#libc = libc;
  }

  /** A socket's cookie is unique for the life of the kernel. */
  identity(fd: number): number | undefined {
    const cookie = new Uint32Array(2);
    const size = new Uint32Array([cookie.byteLength]);
    const { getsockopt } = this.#libc.symbols;
    if (getsockopt(fd, LINUX.SOL_SOCKET, LINUX.SO_COOKIE, cookie, size) !== 0) return undefined;
    return (cookie[1] ?? 0) * 2 ** 32 + (cookie[0] ?? 0);
  }

  address(fd: number, end: SocketEnd): SocketAddress | undefined {
    return addressOf(this.#libc.symbols, fd, end, (address) => address.getUint16(0, true));
  }

  credentials(fd: number): Credentials | undefined {
    const values = new Uint32Array(3);
    const size = new Uint32Array([values.byteLength]);
    const { getsockopt } = this.#libc.symbols;
    if (getsockopt(fd, LINUX.SOL_SOCKET, LINUX.SO_PEERCRED, values, size) !== 0) return undefined;
    const [pid = 0, uid = 0, gid = 0] = values;
    return { pid, uid, gid };
  }

  isGone(fd: number, transport: "unix" | "tcp"): boolean {
    // A unix peer that has only closed its sending side also shows as POLLRDHUP; one that has closed shows as POLLHUP.
    const events = POLLHUP | POLLERR | (transport === "tcp" ? LINUX.POLLRDHUP : 0);
    return (pollOne((fds) => this.#libc.symbols.poll(fds, 1n, 0), fd, events) & events) !== 0;
  }

  keepAlive(fd: number): void {
    keepAlive(this.#libc.symbols, fd, LINUX);
  }

  close(): void {
    this.#libc.close();
  }
}

export class DarwinKernel implements Kernel {
  readonly #libc: Libc<typeof DARWIN_SYMBOLS>;

  constructor(libc: Libc<typeof DARWIN_SYMBOLS>) {
    this.#libc = libc;
  }

  /** The kernel numbers unix sockets as inodes. TCP sockets are distinguished by their ports. */
  identity(fd: number): number | undefined {
    const { bytes, mode, inode } = STAT;
    const stat = new Uint8Array(bytes);
    if (this.#libc.symbols.fstat(fd, stat) !== 0) return undefined;
    const view = new DataView(stat.buffer);
    if ((view.getUint16(mode, true) & S_IFMT) !== S_IFSOCK) return undefined;
    return Number(view.getBigUint64(inode, true));
  }

  address(fd: number, end: SocketEnd): SocketAddress | undefined {
    // The first byte is the address's length.
    return addressOf(this.#libc.symbols, fd, end, (address) => address.getUint8(1));
  }

  credentials(fd: number): Credentials | undefined {
    const uid = new Uint32Array(1);
    const gid = new Uint32Array(1);
    const pid = new Int32Array(1);
    const size = new Uint32Array([pid.byteLength]);
    const { getpeereid, getsockopt } = this.#libc.symbols;
    if (getpeereid(fd, uid, gid) !== 0) return undefined;
    if (getsockopt(fd, DARWIN.SOL_LOCAL, DARWIN.LOCAL_PEERPID, pid, size) !== 0) return undefined;
    return { pid: pid[0] ?? 0, uid: uid[0] ?? 0, gid: gid[0] ?? 0 };
  }

  /**
   * POLLHUP depends on the direction that is polled: for reading, that the peer sends no more; for writing, that it
   * reads no more, which a unix peer that has only closed its sending side still does.
   */
  isGone(fd: number, transport: "unix" | "tcp"): boolean {
    const direction = transport === "unix" ? DARWIN.POLLOUT : DARWIN.POLLIN;
    const found = pollOne((fds) => this.#libc.symbols.poll(fds, 1, 0), fd, direction);
    return (found & (POLLHUP | POLLERR)) !== 0;
  }

  keepAlive(fd: number): void {
    keepAlive(this.#libc.symbols, fd, DARWIN);
  }

  close(): void {
    this.#libc.close();
  }
}
