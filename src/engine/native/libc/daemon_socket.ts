/**
 * The private unix socket on which an engine meets its daemon, where the monitor started both. It is read and written
 * synchronously, as pipes are, which Deno has no way to do: so the system is asked. Linux and macOS.
 */
import { exit } from "../../../confinement/confined.ts";
import { LibraryError } from "../../../libraries/library_files.ts";
import type { Input, Output } from "../../ipc/channel.ts";
import { dataView } from "../library.ts";
import { LIBC } from "./c_library.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const POLLIN = 1;
const EINTR = 4;
/** Bytes of `sockaddr_un` before its path. */
const PATH_AT = 2;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // No count is more than 64 KiB, so the lower half of what is returned is all of it.
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
  errno: { name: Deno.build.os === "darwin" ? "__error" : "__errno_location", parameters: [], result: "pointer" },
} as const;

/** Writes are cut to this many bytes. */
const MOST_BYTES = 64 * 1024;

/**
 * Connect to the daemon.
 *
 * @returns Both directions. When the daemon is gone, reading says so, and writing ends this process: with the daemon all
 * requests are gone.
 * @throws {LibraryError} If there is no connection.
 */
export function connectToDaemon(path: string): Input & Output {
  const libc = Deno.dlopen(LIBC, SYMBOLS).symbols;
  const errno = (): number => {
    const at = libc.errno();
    return at === null ? 0 : new Deno.UnsafePointerView(at).getInt32();
  };
  const fd = libc.socket(AF_UNIX, SOCK_STREAM, 0);
  const address = unixAddress(path);
  if (fd < 0 || libc.connect(fd, address, address.length) !== 0) {
    throw new LibraryError(`Cannot connect to the daemon at "${path}": error ${errno()} of the system`);
  }
  const fds = new Uint8Array(8); // struct pollfd: int fd, short events, short revents
  dataView(fds).setInt32(0, fd, true);
  dataView(fds).setInt16(4, POLLIN, true);
  return {
    readable: (ms = 0) => libc.poll(fds, 1n, Math.ceil(ms)) > 0,
    readSync(buffer: Uint8Array<ArrayBuffer>): number | null {
      for (;;) {
        const count = libc.read(fd, buffer, BigInt(buffer.length));
        if (count > 0) return count;
        if (count === 0 || errno() !== EINTR) return null;
      }
    },
    writeSync(bytes: Uint8Array<ArrayBuffer>): number {
      for (;;) {
        const count = libc.write(fd, bytes, BigInt(Math.min(bytes.length, MOST_BYTES)));
        if (count >= 0) return count;
        if (errno() !== EINTR) exit(0);
      }
    },
  };
}

/** `struct sockaddr_un`: on macOS it begins with its own length, on Linux with the family in 16 bits. */
function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(path);
  const address = new Uint8Array(PATH_AT + bytes.length + 1);
  if (Deno.build.os === "darwin") address.set([address.length, AF_UNIX]);
  else dataView(address).setUint16(0, AF_UNIX, true);
  address.set(bytes, PATH_AT);
  return address;
}
