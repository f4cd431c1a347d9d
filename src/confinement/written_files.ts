/**
 * Files that this process holds open for writing: on Linux, the caches of compiled code that Deno opens at start. Every
 * Deno program of this user runs code from them, so native code that was taken over must not write them.
 */

const O_RDONLY = 0;
const O_ACCMODE = 3;
const F_GETFL = 3;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_FAILED = 2n ** 64n - 1n;
/** Above stdin, stdout and stderr. */
const FIRST_DESCRIPTOR = 3;
const LAST_DESCRIPTOR = 1023;
const MAX_PATH_BYTES = 4096;
const CHUNK_BYTES = 64 * 1024;

const FUNCTIONS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
  mmap: { parameters: ["u64", "usize", "i32", "i32", "i32", "i64"], result: "u64" },
} as const;

type Libc = Deno.DynamicLibrary<typeof FUNCTIONS>["symbols"];

/**
 * Gives this process private copies of what it shares with such files in memory, so that only its descriptors lead to
 * them.
 *
 * @param libcPath Path of libc; needs `ffi` permission for it.
 * @returns The descriptors.
 * @throws {Error} If memory stays shared.
 */
export function unshareWrittenFiles(libcPath: string): number[] {
  const libc = Deno.dlopen(libcPath, FUNCTIONS).symbols;
  const files = writtenFiles(libc);
  if (files.size === 0) return [];
  for (const line of readText(libc, "/proc/self/maps").split("\n")) {
    const mapped = /^([0-9a-f]+)-([0-9a-f]+) r([w-])-s ([0-9a-f]+) \S+ \d+ +(.+)$/.exec(line);
    if (mapped === null) continue;
    const [begin, end, offset] = [mapped[1], mapped[2], mapped[4]].map((hex) => BigInt(`0x${hex}`));
    const [fd] = files.get(mapped[5] ?? "") ?? [];
    if (begin === undefined || end === undefined || offset === undefined || fd === undefined) continue;
    const allowed = mapped[3] === "w" ? PROT_READ | PROT_WRITE : PROT_READ;
    const at = libc.mmap(begin, end - begin, allowed, MAP_PRIVATE | MAP_FIXED, fd, offset);
    if (at === MAP_FAILED) throw new Error(`Cannot copy what "${mapped[5]}" shares with memory`);
  }
  return [...files.values()].flat();
}

/** Descriptors by path. */
function writtenFiles(libc: Libc): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (let fd = FIRST_DESCRIPTOR; fd <= LAST_DESCRIPTOR; fd++) {
    const flags = libc.fcntl(fd, F_GETFL, 0);
    if (flags < 0 || (flags & O_ACCMODE) === O_RDONLY) continue;
    const path = linkOf(libc, fd);
    // Not devices, pipes, sockets and memory without a file.
    if (!path.startsWith("/") || /^\/(dev\/|memfd:)/.test(path)) continue;
    found.set(path, [...found.get(path) ?? [], fd]);
  }
  return found;
}

function linkOf(libc: Libc, fd: number): string {
  const path = new Uint8Array(MAX_PATH_BYTES);
  const length = Number(libc.readlink(cString(`/proc/self/fd/${fd}`), path, BigInt(path.length)));
  return new TextDecoder().decode(path.subarray(0, Math.max(length, 0)));
}

/** By libc, because Deno reads `/proc` only with every permission. */
function readText(libc: Libc, path: string): string {
  const fd = libc.open(cString(path), O_RDONLY);
  if (fd < 0) throw new Error(`Cannot open "${path}"`);
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(CHUNK_BYTES);
  let text = "";
  try {
    for (;;) {
      const length = Number(libc.read(fd, chunk, BigInt(chunk.length)));
      if (length < 0) throw new Error(`Cannot read "${path}"`);
      if (length === 0) return text;
      text += decoder.decode(chunk.subarray(0, length), { stream: true });
    }
  } finally {
    libc.close(fd);
  }
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
