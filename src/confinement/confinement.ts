/**
 * What a process may still ask of the kernel, by libc: no debugger, no more privileges, no longer life than its parent's,
 * and for an engine only what computing needs. None of it can be taken back. Linux on x86_64 and aarch64 has all of it;
 * elsewhere the debugger's signal is ignored, which Deno may undo for some hundred milliseconds after its start.
 */
import { type Confinement, type FilterArch, filterProgram } from "./filter.ts";

const SIGUSR1 = Deno.build.os === "darwin" ? 30 : 10;
const SIGKILL = 9;
const SIG_IGN = 1n;
const PR_SET_PDEATHSIG = 1;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP = { x86_64: 317n, aarch64: 277n } as const;
const SECCOMP_SET_MODE_FILTER = 1n;
/** The filter is for every thread. */
const SECCOMP_FILTER_FLAG_TSYNC = 1n;
/** Deno listens to SIGUSR1 within this time after its start, in milliseconds. */
const LATE_LISTENER_MS = 3000;
const AGAIN_MS = 50;

const COMMON = { signal: { parameters: ["i32", "u64"], result: "u64" } } as const;
const LINUX = {
  ...COMMON,
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  syscall: { parameters: ["i64", "u64", "u64", "buffer"], result: "i64" },
  // Returns where its first argument is, which Deno itself tells only to who may call everything.
  memcpy: { parameters: ["buffer", "buffer", "usize"], result: "u64" },
} as const;

/** Why a process could not be confined. */
export type Unconfined = string | undefined;

/** Confines this process. */
export class Confiner {
  readonly #path: string;

  /** @param libc Where the system's libc is; needs the permission `ffi` for it until the last call. */
  constructor(libc: string) {
    this.#path = libc;
  }

  /**
   * SIGUSR1, with which any process of this user could open a debugger that runs whatever it is told, does nothing from
   * now on. Processes that are started from here inherit that. Deno begins to listen to it a while after it starts: where
   * the kernel cannot be told to refuse that, it is undone again and again until then.
   *
   * @returns Why it may be opened for a moment.
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
   * This process ends when the one that started it does, also while it computes.
   *
   * @returns Why that cannot be.
   */
  dieWithParent(): Unconfined {
    if (Deno.build.os !== "linux") return `Not known how on ${Deno.build.os}`;
    const parent = Deno.ppid;
    const libc = Deno.dlopen(this.#path, LINUX).symbols;
    if (libc.prctl(PR_SET_PDEATHSIG, BigInt(SIGKILL), 0n, 0n, 0n) !== 0) return "prctl(PR_SET_PDEATHSIG) failed";
    // It may have ended meanwhile.
    if (Deno.ppid !== parent) Deno.exit(1);
    return undefined;
  }

  /**
   * For an engine that has loaded: leave only what computing needs.
   *
   * @param computes What does: drivers of accelerators need more than the processor.
   * @returns Why that cannot be.
   */
  leaveComputing(computes: "cpu" | "accelerator"): Unconfined {
    return this.#install(computes === "cpu" ? { left: "compute", pid: Deno.pid } : { left: "accelerator" });
  }

  #install(confinement: Confinement): Unconfined {
    if (Deno.build.os !== "linux") return `Not known how on ${Deno.build.os}`;
    const libc = Deno.dlopen(this.#path, LINUX).symbols;
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) !== 0) return "prctl(PR_SET_NO_NEW_PRIVS) failed";
    const arch: FilterArch = Deno.build.arch;
    const filter = filterProgram(confinement, arch);
    // `struct sock_fprog`: how many instructions, and where.
    const program = new DataView(new ArrayBuffer(16));
    program.setUint16(0, filter.length / 8, true);
    program.setBigUint64(8, libc.memcpy(filter, filter, 0n), true);
    const bytes = new Uint8Array(program.buffer);
    const failed = libc.syscall(SECCOMP[arch], SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, bytes);
    return failed === 0n ? undefined : "The kernel takes no seccomp filter";
  }
}
