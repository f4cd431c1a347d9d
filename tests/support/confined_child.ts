/** Confines itself as its argument says, then tries what an attacker would, by handles of libc opened before. */
import { Confiner } from "../../src/confinement/confinement.ts";
import { LIBC } from "../../src/engine/native/libc/c_library.ts";

const [left = "", dir = ""] = Deno.args;
const libc = Deno.dlopen(LIBC, {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  creat: { parameters: ["buffer", "u32"], result: "i32" },
  system: { parameters: ["buffer"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  fork: { parameters: [], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  getppid: { parameters: [], result: "i32" },
  getpid: { parameters: [], result: "i32" },
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  mmap: { parameters: ["u64", "usize", "i32", "i32", "i32", "i64"], result: "u64" },
  mprotect: { parameters: ["u64", "usize", "i32"], result: "i32" },
  memcpy: { parameters: ["u64", "buffer", "usize"], result: "u64" },
}).symbols;
const { open, creat, system, socket, fork, kill, getppid, getpid, rename } = libc;
const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${value}\0`);

// Files that are open for writing when it is confined, one of them shared with memory, as Deno's caches are.
const O_RDWR = 2;
const [PROT_READ, PROT_BOTH, MAP_SHARED, F_DUPFD] = [1, 3, 1, 0];
const PAGE = 4096n;
const NOTHING = 2n ** 64n - 1n;
const NEW = text("new").subarray(0, 3);
const cache = (name: string): number => open(text(`${dir}/cache ${name}`), O_RDWR);
const shared = libc.mmap(0n, PAGE, PROT_READ, MAP_SHARED, cache("shared"), 0n);
const files = { write: cache("write"), pwrite: cache("pwrite"), map: cache("map"), other: cache("other") };

/** The address of a store that leads to the file, as far as the process knows. */
function store(address: bigint): bigint {
  return address === NOTHING || libc.mprotect(address, PAGE, PROT_BOTH) !== 0 ? -1n : libc.memcpy(address, NEW, 3n);
}

const attempts: Record<string, () => number | bigint> = {
  open: () => open(text("/etc/passwd"), 0),
  creat: () => creat(text(`${dir}/made`), 0o600),
  // With the shell's own message kept away.
  system: () => system(text("exit 0 2>/dev/null")) === 0 ? 0 : -1,
  socket: () => socket(2, 1, 0),
  fork: () => {
    const pid = fork();
    // The child of a fork has one thread, and must do nothing but end.
    if (pid === 0) kill(getpid(), 9);
    return pid;
  },
  kill: () => kill(getppid(), 0),
  rename: () => rename(text(`${dir}/there`), text(`${dir}/elsewhere`)),
  write: () => libc.write(files.write, NEW, 3n),
  pwrite: () => libc.pwrite(files.pwrite, NEW, 3n, 0n),
  map: () => store(libc.mmap(0n, PAGE, PROT_READ, MAP_SHARED, files.map, 0n)),
  // Under another number it could be written, and its own could become that of another file.
  dup: () => libc.dup(files.other),
  fcntl: () => libc.fcntl(files.other, F_DUPFD, 100),
  close: () => libc.close(files.other),
};

if (left !== "nothing taken") {
  const reason = new Confiner(LIBC).leaveComputing(left === "compute" ? "cpu" : "accelerator");
  if (reason !== undefined) throw new Error(reason);
}
const possible = Object.entries(attempts).filter(([, attempt]) => Number(attempt()) >= 0).map(([name]) => name);
// Possible with a copy, too: whether it leads to the file shows there.
store(shared);
console.log(JSON.stringify(possible));
