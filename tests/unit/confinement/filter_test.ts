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
  const compute: Confinement = { left: "compute", pid: 1 };
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
  assertEquals(answer({ left: "compute", pid: 1 }, MKDIR), REFUSED);
});
