import { assertEquals } from "@std/assert";
import { DarwinKernel } from "../../../src/server/kernel.ts";

const UNIX_PATH = "/tmp/inferd/infer.sock";
const FAILED = -1;

/** What is given to a native function. */
type Memory = AllowSharedBufferSource | null;

/** What macOS would say of some descriptors; each function fills the structs of its headers. */
class FakeDarwin {
  /** By descriptor: mode and inode as `fstat` has them. */
  readonly files = new Map<number, { readonly mode: number; readonly inode: bigint }>();
  /** By descriptor: `sockaddr`s of both ends. */
  readonly addresses = new Map<number, { readonly local: Uint8Array; readonly remote?: Uint8Array }>();
  readonly owners = new Map<number, { readonly uid: number; readonly gid: number; readonly pid: number }>();
  /** What `poll` finds, by descriptor and the events that are asked for. */
  readonly polled = new Map<string, number>();
  /** What was set: descriptor, level, option, value. */
  readonly options: number[][] = [];
  closed = false;

  readonly kernel = new DarwinKernel({
    symbols: {
      fstat: (fd: number, into: Memory): number => {
        const file = this.files.get(fd);
        if (file === undefined) return FAILED;
        const view = viewOf(into);
        view.setUint16(4, file.mode, true);
        view.setBigUint64(8, file.inode, true);
        return 0;
      },
      getsockname: (fd: number, into: Memory, size: Memory): number => fill(into, size, this.addresses.get(fd)?.local),
      getpeername: (fd: number, into: Memory, size: Memory): number => fill(into, size, this.addresses.get(fd)?.remote),
      getpeereid: (fd: number, uid: Memory, gid: Memory): number => {
        const owner = this.owners.get(fd);
        if (owner === undefined) return FAILED;
        viewOf(uid).setUint32(0, owner.uid, true);
        viewOf(gid).setUint32(0, owner.gid, true);
        return 0;
      },
      getsockopt: (fd: number, level: number, option: number, into: Memory, size: Memory): number => {
        const owner = this.owners.get(fd);
        // SOL_LOCAL, LOCAL_PEERPID
        if (owner === undefined || level !== 0 || option !== 2) return FAILED;
        viewOf(into).setInt32(0, owner.pid, true);
        viewOf(size).setUint32(0, 4, true);
        return 0;
      },
      setsockopt: (fd: number, level: number, option: number, value: Memory, size: number): number => {
        assertEquals(size, 4);
        this.options.push([fd, level, option, viewOf(value).getInt32(0, true)]);
        return 0;
      },
      poll: (fds: Memory, count: number, timeout: number): number => {
        assertEquals([count, timeout], [1, 0]);
        const view = viewOf(fds);
        const found = this.polled.get(`${view.getInt32(0, true)} ${view.getInt16(4, true)}`) ?? 0;
        view.setInt16(6, found, true);
        return found === 0 ? 0 : 1;
      },
    },
    close: () => {
      this.closed = true;
    },
  });
}

function viewOf(memory: Memory): DataView {
  if (!ArrayBuffer.isView(memory)) throw new TypeError("The kernel gives typed arrays only");
  return new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
}

function fill(into: Memory, size: Memory, address: Uint8Array | undefined): number {
  if (address === undefined) return FAILED;
  const view = viewOf(into);
  address.forEach((byte, at) => view.setUint8(at, byte));
  viewOf(size).setUint32(0, address.length, true);
  return 0;
}

/** `sockaddr_un`: length, family, path; macOS writes no NUL where the length tells. */
function unixAddress(path: string): Uint8Array {
  const bytes = new TextEncoder().encode(path);
  return new Uint8Array([bytes.length + 2, 1, ...bytes]);
}

/** `sockaddr_in`: length, family, port in the network's order, address. */
function inetAddress(port: number): Uint8Array {
  return new Uint8Array([16, 2, port >> 8, port & 0xff, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
}

Deno.test("DarwinKernel tells unix sockets apart by their inodes, and files from sockets", () => {
  const system = new FakeDarwin();
  system.files.set(3, { mode: 0o140666, inode: 77n });
  system.files.set(4, { mode: 0o100644, inode: 78n });
  system.files.set(5, { mode: 0o140000, inode: 0n });
  assertEquals([3, 4, 5, 6].map((fd) => system.kernel.identity(fd)), [77, undefined, 0, undefined]);
});

Deno.test("DarwinKernel reads addresses whose first byte is their length", () => {
  const system = new FakeDarwin();
  system.addresses.set(3, { local: unixAddress(UNIX_PATH), remote: unixAddress("") });
  system.addresses.set(4, { local: inetAddress(47321), remote: inetAddress(50123) });
  system.addresses.set(5, { local: unixAddress(UNIX_PATH) });
  const { kernel } = system;
  assertEquals(kernel.address(3, "local"), { path: UNIX_PATH });
  assertEquals(kernel.address(3, "remote"), { path: "" });
  assertEquals([kernel.address(4, "local"), kernel.address(4, "remote")], [{ port: 47321 }, { port: 50123 }]);
  // A listener.
  assertEquals(kernel.address(5, "remote"), undefined);
});

Deno.test("DarwinKernel knows the process of a unix peer, or nothing", () => {
  const system = new FakeDarwin();
  system.owners.set(3, { uid: 501, gid: 20, pid: 4711 });
  assertEquals(system.kernel.credentials(3), { uid: 501, gid: 20, pid: 4711 });
  assertEquals(system.kernel.credentials(4), undefined);
});

Deno.test("DarwinKernel takes a unix peer for gone when it takes no more, and a TCP peer when it sends no more", () => {
  const POLLIN = 1;
  const POLLOUT = 4;
  const POLLHUP = 0x10;
  const system = new FakeDarwin();
  const { kernel, polled } = system;
  // Has only ended its side: nothing more will be read from it, but it can be written to.
  polled.set(`3 ${POLLIN}`, POLLIN | POLLHUP);
  polled.set(`3 ${POLLOUT}`, POLLOUT);
  assertEquals([kernel.isGone(3, "unix"), kernel.isGone(3, "tcp")], [false, true]);
  polled.set(`3 ${POLLOUT}`, POLLHUP);
  assertEquals(kernel.isGone(3, "unix"), true);
  assertEquals([kernel.isGone(4, "unix"), kernel.isGone(4, "tcp")], [false, false]);
});

Deno.test("DarwinKernel has silent TCP peers asked after a minute", () => {
  const { kernel, options } = new FakeDarwin();
  kernel.keepAlive(3);
  // SO_KEEPALIVE, TCP_KEEPALIVE, TCP_KEEPINTVL, TCP_KEEPCNT
  assertEquals(options, [[3, 0xffff, 8, 1], [3, 6, 0x10, 60], [3, 6, 0x101, 15], [3, 6, 0x102, 4]]);
});

Deno.test("DarwinKernel lets go of libc", () => {
  const system = new FakeDarwin();
  system.kernel.close();
  assertEquals(system.closed, true);
});
