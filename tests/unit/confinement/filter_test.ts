import { assertEquals } from "@std/assert";
import { type Confinement, filterProgram } from "../../../src/confinement/filter.ts";

const X86_64 = 0xc000003e;
const ALLOWED = 0x7fff0000;
const REFUSED = 0x00050001;

/** What the kernel would answer to a system call: the filter, interpreted. */
function answer(confinement: Confinement, call: number, ...args: number[]): number {
  const bytes = filterProgram(confinement, "x86_64");
  const program = new DataView(bytes.buffer);
  const data = (offset: number): number => offset === 0 ? call : offset === 4 ? X86_64 : args[(offset - 16) / 8] ?? 0;
  let loaded = 0;
  for (let at = 0;; at++) {
    const operand = program.getUint32(at * 8 + 4, true);
    const jump = (isTrue: boolean): number => program.getUint8(at * 8 + (isTrue ? 2 : 3));
    switch (program.getUint16(at * 8, true)) {
      case 0x20:
        loaded = data(operand);
        break;
      case 0x15:
        at += jump(loaded === operand);
        break;
      case 0x35:
        at += jump(loaded >= operand);
        break;
      case 0x45:
        at += jump((loaded & operand) !== 0);
        break;
      default:
        return operand;
    }
  }
}

Deno.test("an engine that computes on the CPU may ask for AMX's registers, and for no other of the processor's settings", () => {
  const compute: Confinement = { left: "compute", pid: 1, written: [] };
  const ARCH_PRCTL = 158;
  const [XTILEDATA, SET_FS] = [18, 0x1002];
  assertEquals(answer(compute, ARCH_PRCTL, 0x1023, XTILEDATA), ALLOWED);
  assertEquals(answer(compute, ARCH_PRCTL, SET_FS, 0), REFUSED);
});

Deno.test("an accelerator's driver may make folders for the code it compiles, and an engine on the CPU may not", () => {
  const [MKDIR, RENAME, UNLINK] = [83, 82, 87];
  const accelerator: Confinement = { left: "accelerator" };
  assertEquals(answer(accelerator, MKDIR), ALLOWED);
  for (const call of [RENAME, UNLINK]) assertEquals(answer(accelerator, call), REFUSED);
  assertEquals(answer({ left: "compute", pid: 1, written: [] }, MKDIR), REFUSED);
});

Deno.test("of files that an engine has open for writing, only reading is left", () => {
  const compute: Confinement = { left: "compute", pid: 1, written: [9, 15] };
  const [READ, WRITE, CLOSE, MMAP, PWRITE64, WRITEV, DUP, SENDMSG, FCNTL] = [0, 1, 3, 9, 18, 20, 32, 46, 72];
  for (const call of [WRITE, CLOSE, PWRITE64, WRITEV, DUP]) {
    assertEquals([9, 15, 16].map((fd) => answer(compute, call, fd)), [REFUSED, REFUSED, ALLOWED]);
  }
  const map = (fd: number): number => answer(compute, MMAP, 0, 4096, 1, 1, fd, 0);
  assertEquals([9, 15, 16, 0xffffffff].map(map), [REFUSED, REFUSED, ALLOWED, ALLOWED]);
  assertEquals(answer(compute, READ, 9), ALLOWED);
  const [DUPFD, SETLK, DUPFD_CLOEXEC] = [0, 6, 1030];
  assertEquals([DUPFD, SETLK, DUPFD_CLOEXEC].map((command) => answer(compute, FCNTL, 9, command)), [
    REFUSED,
    ALLOWED,
    REFUSED,
  ]);
  // With it a descriptor gets another number.
  assertEquals(answer(compute, SENDMSG, 6), REFUSED);
});
