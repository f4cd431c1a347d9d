import { assertEquals, assertThrows } from "@std/assert";
import {
  checkWeights,
  contextBytes,
  fitContext,
  type MemoryBudget,
  MemoryError,
  memoryLayouts,
} from "../../../../src/engine/native/memory.ts";

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
    "There is not enough memory for a context of 8192 tokens: it takes 8 MiB besides weights of 40 MiB, " +
      "but only 50 MiB is available. At most 5120 tokens fit",
  );
  assertEquals(message(44.9 * MIB, false), message(44.9 * MIB, true));
  assertEquals(message(10 * MIB, false), message(10 * MIB, true));
});

Deno.test("checkWeights refuses weights larger than memory, with numbers", () => {
  checkWeights("m.gguf", 40 * MIB, 40 * MIB);
  assertThrows(
    () => checkWeights("m.gguf", 40 * MIB, 39 * MIB),
    MemoryError,
    'Cannot load "m.gguf": its weights take 40 MiB, but only 39 MiB is available',
  );
});

Deno.test("contextBytes leaves a tenth of the memory to others", () => {
  assertEquals(contextBytes(budget(100 * MIB)), 50 * MIB);
});

Deno.test("memoryLayouts gives every sequence cells of its own where there is memory for them", () => {
  const model = { wholeSequencesOnly: false, bytesPerToken: 10 };
  const options = { contextTokens: 1000, parallel: 4, kept: [100, 50] };
  const layouts = (memoryBytes: number): [number, boolean][] =>
    memoryLayouts(model, { ...options, memoryBytes }).map(({ cells, apart }) => [cells, apart]);
  assertEquals(layouts(60_000), [[6000, true], [4150, false], [2150, false], [1150, false]]);
  assertEquals(layouts(59_999), [[4150, false], [2150, false], [1150, false]]);
  assertEquals(layouts(30_000), [[2150, false], [1150, false]]);
  assertEquals(layouts(10), [[1150, false]]);
});

Deno.test("memoryLayouts does not divide the cells of a model that remembers each sequence as a whole", () => {
  const options = { contextTokens: 1000, parallel: 2, kept: [], memoryBytes: Infinity };
  assertEquals(memoryLayouts({ wholeSequencesOnly: true, bytesPerToken: 10 }, options), [
    { cells: 2000, apart: false },
    { cells: 1000, apart: false },
  ]);
});
