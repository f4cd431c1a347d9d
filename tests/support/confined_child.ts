/** Confines itself as its argument says, then tries what an attacker would, by handles of libc opened before. */
import { Confiner } from "../../src/confinement/confinement.ts";
import { LIBC } from "../../src/engine/native/libc/c_library.ts";

const [left = "", dir = ""] = Deno.args;
const { open, creat, system, socket, fork, kill, getppid, getpid, rename } = Deno.dlopen(LIBC, {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  creat: { parameters: ["buffer", "u32"], result: "i32" },
  system: { parameters: ["buffer"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  fork: { parameters: [], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  getppid: { parameters: [], result: "i32" },
  getpid: { parameters: [], result: "i32" },
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
}).symbols;
const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${value}\0`);

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
};

if (left !== "nothing taken") {
  const reason = new Confiner(LIBC).leaveComputing(left === "compute" ? "cpu" : "accelerator");
  if (reason !== undefined) throw new Error(reason);
}
const possible = Object.entries(attempts).filter(([, attempt]) => Number(attempt()) >= 0).map(([name]) => name);
console.log(JSON.stringify(possible));
