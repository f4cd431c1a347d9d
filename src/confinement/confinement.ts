/**
 * Restricts a process through libc: no debugger, no new privileges, it ends with its parent, and an engine may only
 * compute. Cannot be undone. Fully supported on Linux x86_64 and aarch64; elsewhere only the debugger's signal is
 * ignored, which Deno may undo for some hundred milliseconds after start.
 */
import { exit } from "./confined.ts";
import { type Confinement, type FilterArch, filterProgram } from "./filter.ts";
import { unshareWrittenFiles } from "./written_files.ts";

const SIGHUP = 1;
const SIGKILL = 9;
const SIGUSR1 = Deno.build.os === "darwin" ? 30 : 10;
const SIGCHLD = Deno.build.os === "darwin" ? 20 : 17;
const SIG_DFL = 0n;
const SIG_IGN = 1n;
const SIG_SETMASK = Deno.build.os === "darwin" ? 3 : 2;
/** As large as `sigset_t` is anywhere. */
const SIGNAL_SET_BYTES = 128;
const PR_SET_PDEATHSIG = 1;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP = { x86_64: 317n, aarch64: 277n } as const;
const SECCOMP_SET_MODE_FILTER = 1n;
/** Applies the filter to all threads. */
const SECCOMP_FILTER_FLAG_TSYNC = 1n;
/** Deno installs its SIGUSR1 listener within this time after start, in milliseconds. */
const LATE_LISTENER_MS = 3000;
const AGAIN_MS = 50;

const COMMON = { signal: { parameters: ["i32", "u64"], result: "u64" } } as const;
const MASK = { ...COMMON, sigprocmask: { parameters: ["i32", "buffer", "buffer"], result: "i32" } } as const;
const LINUX = {
  ...COMMON,
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  syscall: { parameters: ["i64", "u64", "u64", "buffer"], result: "i64" },
  // Returns the address of its first argument; Deno's own function requires full permissions.
  memcpy: { parameters: ["buffer", "buffer", "usize"], result: "u64" },
} as const;

/** Why confinement failed, if it did. */
export type Unconfined = string | undefined;

/** Confines this process. */
export class Confiner {
  readonly #path: string;

  /** @param libc Path of libc; needs `ffi` permission for it until the last call. */
  constructor(libc: string) {
    this.#path = libc;
  }

  /**
   * Disable SIGUSR1, with which any process of this user could open a debugger and run code. Child processes inherit
   * this. Deno installs its listener some time after start: if the kernel cannot block that, it is undone repeatedly
   * until then.
   *
   * @returns Why the debugger may be reachable for a moment.
   */
  refuseDebugger(): Unconfined {
    if (Deno.build.os === "windows") return undefined;
    const { signal } = Deno.dlopen(this.#path, COMMON).symbols;
    const ignore = (): void => void signal(SIGUSR1, SIG_IGN);
    ignore();
    const reason = this.#install({ left: "all" });
    if (reason !== undefined) {
      const again = setInterval(ignore, AGAIN_MS);
      Deno.unrefTimer(again);
      Deno.unrefTimer(setTimeout(() => clearInterval(again), LATE_LISTENER_MS));
    }
    return reason;
  }

  /**
   * Undo what may have been inherited: with SIGCHLD ignored, the kernel discards the exit status of child processes and
   * waiting for them fails; blocked signals never arrive.
   */
  resetSignals(): void {
    if (Deno.build.os === "windows") return;
    const { signal, sigprocmask } = Deno.dlopen(this.#path, MASK).symbols;
    signal(SIGCHLD, SIG_DFL);
    // Of this thread, which is enough: a signal to the process goes to any thread that does not block it.
    sigprocmask(SIG_SETMASK, new Uint8Array(SIGNAL_SET_BYTES), null);
  }

  /** Ignore SIGHUP until a listener is added. Child processes inherit this, and keep it until they add theirs. */
  ignoreHangUp(): void {
    if (Deno.build.os !== "windows") Deno.dlopen(this.#path, COMMON).symbols.signal(SIGHUP, SIG_IGN);
  }

  /** Terminate this process when its parent terminates, even while it computes. Returns why it failed. */
  dieWithParent(): Unconfined {
    if (Deno.build.os !== "linux") return `Not supported on ${Deno.build.os}`;
    const parent = Deno.ppid;
    const libc = Deno.dlopen(this.#path, LINUX).symbols;
    if (libc.prctl(PR_SET_PDEATHSIG, BigInt(SIGKILL), 0n, 0n, 0n) !== 0) return "prctl(PR_SET_PDEATHSIG) failed";
    // The parent may have terminated in the meantime.
    if (Deno.ppid !== parent) exit(1);
    return undefined;
  }

  /** Restrict a loaded engine to computing; accelerator drivers need more system calls. Returns why it failed. */
  leaveComputing(computes: "cpu" | "accelerator"): Unconfined {
    if (Deno.build.os !== "linux") return `Not supported on ${Deno.build.os}`;
    if (computes === "accelerator") return this.#install({ left: "accelerator" });
    try {
      return this.#install({ left: "compute", pid: Deno.pid, written: unshareWrittenFiles(this.#path) });
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #install(confinement: Confinement): Unconfined {
    if (Deno.build.os !== "linux") return `Not supported on ${Deno.build.os}`;
    const libc = Deno.dlopen(this.#path, LINUX).symbols;
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) !== 0) return "prctl(PR_SET_NO_NEW_PRIVS) failed";
    const arch: FilterArch = Deno.build.arch;
    const filter = filterProgram(confinement, arch);
    // `struct sock_fprog`: number of instructions and pointer.
    const program = new DataView(new ArrayBuffer(16));
    program.setUint16(0, filter.length / 8, true);
    program.setBigUint64(8, libc.memcpy(filter, filter, 0n), true);
    const bytes = new Uint8Array(program.buffer);
    const failed = libc.syscall(SECCOMP[arch], SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, bytes);
    return failed === 0n ? undefined : "The kernel does not support seccomp filters";
  }
}
