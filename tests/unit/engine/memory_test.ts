import { assertEquals, assertThrows } from "@std/assert";
import { checkWeights, contextBytes, fitContext, type MemoryBudget, MemoryError } from "../../../src/engine/memory.ts";

const MIB = 0x100000;
const budget = (available: number): MemoryBudget => ({ available, weightBytes: 40 * MIB, bytesPerToken: 1024 });

Deno.test("fitContext gives what is wanted when it fits beside the weights", () => {
  assertEquals(fitContext(8192, { budget: budget(60 * MIB), asked: false }), 8192);
  assertEquals(fitContext(8192, { budget: { ...budget(Infinity), bytesPerToken: 0 }, asked: true }), 8192);
  assertEquals(fitContext(2 ** 30, { budget: budget(Infinity), asked: true }), 2 ** 30);
});

Deno.test("fitContext gives the largest multiple of 256 that fits when less was not ruled out", () => {
  // 0.9 * 50 MiB - 40 MiB are 5 MiB, which are 5120 tokens.
  assertEquals(fitContext(8192, { budget: budget(50 * MIB), asked: false }), 5120);
  assertEquals(fitContext(8192, { budget: budget(50 * MIB - 2000), asked: false }), 4864);
});

Deno.test("fitContext refuses with numbers when it was asked for, or too little fits", () => {
  const message = (available: number, asked: boolean): string =>
    assertThrows(() => fitContext(8192, { budget: budget(available), asked }), MemoryError).message;
  assertEquals(
    message(50 * MIB, true),
    "There is not enough memory for a context of 8192 tokens: it takes 8 MiB beside weights of 40 MiB, " +
      "available are 50 MiB",
  );
  assertEquals(message(44.9 * MIB, false), message(44.9 * MIB, true));
  assertEquals(message(10 * MIB, false), message(10 * MIB, true));
});

Deno.test("checkWeights refuses weights larger than memory, with numbers", () => {
  checkWeights("m.gguf", 40 * MIB, 40 * MIB);
  assertThrows(
    () => checkWeights("m.gguf", 40 * MIB, 39 * MIB),
    MemoryError,
    'Cannot load "m.gguf": its weights take 40 MiB, available are 39 MiB',
  );
});

Deno.test("contextBytes leaves a tenth of the memory to others", () => {
  assertEquals(contextBytes(budget(100 * MIB)), 50 * MIB);
});
