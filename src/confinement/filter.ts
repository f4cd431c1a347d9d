/**
 * Generates seccomp filters in classic BPF, which restrict a process's system calls. Pure; `confinement.ts` installs
 * them.
 */
import { BY_ARGUMENT, COMPUTE, NEVER, type Numbers } from "./syscalls.ts";

/** Supported architectures. */
export type FilterArch = "x86_64" | "aarch64";

/** SIGUSR1 opens V8's debugger. */
const SIGUSR1 = 10;
const EPERM = 1;
const ENOSYS = 38;

/** Offsets in `struct seccomp_data`: call number, architecture, and low halves of the arguments. */
const DATA = { number: 0, arch: 4, arguments: 16 } as const;
const AUDIT_ARCH = { x86_64: 0xc000003e, aarch64: 0xc00000b7 } as const;
/** x32 ABI calls on x86_64 start here. */
const X32_NUMBERS = 0x40000000;

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_BITS = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const fail = (error: number): number => 0x00050000 | error;

/** As far as a jump goes, with two instructions for each value. */
const MAX_VALUES = 125;

const CLONE_THREAD = 0x10000;
const AT_EMPTY_PATH = 0x1000;
/** Names threads and memory mappings. */
const PR_SET_NAME = 15;
const PR_SET_VMA = 0x53564d41;
/** ARCH_REQ_XCOMP_PERM: code for AMX asks for its registers, again and again. */
const USE_REGISTERS = 0x1023;
/** F_DUPFD and F_DUPFD_CLOEXEC. */
const DUPLICATE = [0, 1030];
/** FIONBIO, FIONCLEX, FIOCLEX, TCGETS and FIONREAD. */
const IOCTLS = [0x5421, 0x5450, 0x5451, 0x5401, 0x541b];

/** Opcode, jump offsets if true and if false, operand. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

/** System calls left to a process. */
export type Confinement =
  /** Everything except V8's debugger. */
  | { readonly left: "all" }
  /**
   * Everything except the debugger and what no engine needs: accelerator drivers open files and devices at any time, and
   * NVIDIA's keeps the code it compiles, in folders that it makes.
   */
  | { readonly left: "accelerator" }
  /** Only what computing on the CPU needs. Of `written`, descriptors of files, only reading is left. */
  | { readonly left: "compute"; readonly pid: number; readonly written: readonly number[] };

/** @returns `struct sock_filter[]`. Rejected calls fail with EPERM. */
export function filterProgram(confinement: Confinement, arch: FilterArch): Uint8Array<ArrayBuffer> {
  const program = new Program(arch);
  program.refuseOtherArchitectures();
  program.callWith("rt_sigaction", 0, { refuse: [SIGUSR1] });
  if (confinement.left === "accelerator") program.refuse(NEVER);
  if (confinement.left === "compute") {
    program.allow(COMPUTE);
    // Not closed either: another descriptor could get the number, and could not be written.
    for (const call of ["write", "writev", "pwrite64", "close", "dup"] as const) {
      program.callWith(call, 0, { refuse: confinement.written });
    }
    // Locks are left: SQLite, which has these files open, would ask for them for ever.
    program.callWith("fcntl", 1, { refuse: DUPLICATE });
    program.callWith("mmap", 4, { refuse: confinement.written });
    program.answer("clone3", fail(ENOSYS));
    program.callWithBits("clone", 0, CLONE_THREAD);
    program.callWithBits("newfstatat", 3, AT_EMPTY_PATH);
    program.callWithBits("statx", 2, AT_EMPTY_PATH);
    program.callWith("prctl", 0, { allow: [PR_SET_NAME, PR_SET_VMA] });
    program.callWith("ioctl", 1, { allow: IOCTLS });
    program.callWith("tgkill", 0, { allow: [confinement.pid] });
    program.callWith("arch_prctl", 0, { allow: [USE_REGISTERS] });
    // Reading its own limits is allowed; lowering them gains nothing.
    program.callWith("prlimit64", 0, { allow: [0, confinement.pid] });
  }
  return program.end(confinement.left === "compute" ? fail(EPERM) : ALLOW);
}

class Program {
  readonly #instructions: Instruction[] = [];
  readonly #arch: FilterArch;

  constructor(arch: FilterArch) {
    this.#arch = arch;
  }

  refuseOtherArchitectures(): void {
    this.#instructions.push(
      [LOAD, 0, 0, DATA.arch],
      [JUMP_EQUAL, 1, 0, AUDIT_ARCH[this.#arch]],
      [RETURN, 0, 0, fail(EPERM)],
      [LOAD, 0, 0, DATA.number],
      [JUMP_AT_LEAST, 0, 1, X32_NUMBERS],
      [RETURN, 0, 0, fail(EPERM)],
    );
  }

  allow(calls: Readonly<Record<string, Numbers>>): void {
    this.#all(calls, ALLOW);
  }

  refuse(calls: Readonly<Record<string, Numbers>>): void {
    this.#all(calls, fail(EPERM));
  }

  answer(call: keyof typeof BY_ARGUMENT, what: number): void {
    this.#all({ [call]: BY_ARGUMENT[call] }, what);
  }

  /** Decides a call by an argument: rejects the listed values, or allows only those. */
  callWith(
    call: keyof typeof BY_ARGUMENT,
    argument: number,
    values: { readonly refuse: readonly number[] } | { readonly allow: readonly number[] },
  ): void {
    const [listed, other] = "refuse" in values ? [fail(EPERM), ALLOW] : [ALLOW, fail(EPERM)];
    const list = "refuse" in values ? values.refuse : values.allow;
    if (list.length > MAX_VALUES) throw new RangeError(`A filter can tell ${MAX_VALUES} values apart at most`);
    this.#block(call, argument, [
      ...list.flatMap((value): Instruction[] => [[JUMP_EQUAL, 0, 1, value], [RETURN, 0, 0, listed]]),
      [RETURN, 0, 0, other],
    ]);
  }

  /** Allows a call only with a certain bit of its argument set. */
  callWithBits(call: keyof typeof BY_ARGUMENT, argument: number, bits: number): void {
    this.#block(call, argument, [[JUMP_BITS, 0, 1, bits], [RETURN, 0, 0, ALLOW], [RETURN, 0, 0, fail(EPERM)]]);
  }

  end(otherwise: number): Uint8Array<ArrayBuffer> {
    this.#instructions.push([RETURN, 0, 0, otherwise]);
    const bytes = new Uint8Array(this.#instructions.length * 8);
    const view = new DataView(bytes.buffer);
    for (const [at, [code, ifTrue, ifFalse, operand]] of this.#instructions.entries()) {
      view.setUint16(at * 8, code, true);
      view.setUint8(at * 8 + 2, ifTrue);
      view.setUint8(at * 8 + 3, ifFalse);
      view.setUint32(at * 8 + 4, operand, true);
    }
    return bytes;
  }

  #all(calls: Readonly<Record<string, Numbers>>, what: number): void {
    for (const numbers of Object.values(calls)) {
      const number = this.#numberOf(numbers);
      if (number >= 0) this.#instructions.push([JUMP_EQUAL, 0, 1, number], [RETURN, 0, 0, what]);
    }
  }

  /** Instructions for one call, with its argument loaded; every path returns. */
  #block(call: keyof typeof BY_ARGUMENT, argument: number, decide: readonly Instruction[]): void {
    const number = this.#numberOf(BY_ARGUMENT[call]);
    if (number < 0) return;
    this.#instructions.push(
      [JUMP_EQUAL, 0, decide.length + 1, number],
      [LOAD, 0, 0, DATA.arguments + 8 * argument],
      ...decide,
    );
  }

  #numberOf([x86_64, aarch64]: Numbers): number {
    return this.#arch === "x86_64" ? x86_64 : aarch64;
  }
}
