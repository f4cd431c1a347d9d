/** Polls stdin for messages from the daemon; Deno can only read. */
import { LibraryError } from "../../../libraries/library_files.ts";
import { dataView } from "../library.ts";
import { LIBC } from "./c_library.ts";
import { errorText } from "../../../log/error_text.ts";

/**
 * Create a function that tells whether a read from stdin would return at once. Uses the system's poll, which Deno does
 * not expose.
 *
 * @throws {LibraryError} If the system cannot tell.
 */
export function stdinProbe(): (ms?: number) => boolean {
  try {
    return Deno.build.os === "windows" ? windowsProbe() : unixProbe();
  } catch (error) {
    throw new LibraryError(`Cannot watch stdin: ${errorText(error)}`);
  }
}

function unixProbe(): (ms?: number) => boolean {
  const POLLIN = 1;
  const { poll } = Deno.dlopen(
    LIBC,
    { poll: { parameters: ["buffer", "usize", "i32"], result: "i32" } } as const,
  ).symbols;
  const fds = new Uint8Array(8); // struct pollfd: int fd, short events, short revents
  dataView(fds).setInt16(4, POLLIN, true);
  return (ms = 0) => poll(fds, 1n, Math.ceil(ms)) > 0;
}

function windowsProbe(): (ms?: number) => boolean {
  const STD_INPUT_HANDLE = -10;
  const { GetStdHandle, PeekNamedPipe } = Deno.dlopen(
    "kernel32.dll",
    {
      GetStdHandle: { parameters: ["i32"], result: "pointer" },
      PeekNamedPipe: { parameters: ["pointer", "pointer", "u32", "pointer", "buffer", "pointer"], result: "i32" },
    } as const,
  ).symbols;
  const stdin = GetStdHandle(STD_INPUT_HANDLE);
  const available = new Uint32Array(1);
  // Fails once the other end is closed; then a read returns at once too.
  const readable = (): boolean =>
    PeekNamedPipe(stdin, null, 0, null, available, null) === 0 || (available[0] as number) > 0;
  const never = new Int32Array(new SharedArrayBuffer(4));
  return (ms = 0) => {
    const until = performance.now() + ms;
    // Windows pipes cannot be waited for, so poll.
    while (!readable()) if (performance.now() >= until || Atomics.wait(never, 0, 0, 1) !== "timed-out") return false;
    return true;
  };
}
