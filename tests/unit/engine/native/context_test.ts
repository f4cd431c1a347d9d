import { assert, assertEquals } from "@std/assert";
import { outputsOf } from "../../../../src/engine/native/context.ts";

Deno.test("Reserved outputs fill whole cache lines, so that llama.cpp's intermediate results begin at one", () => {
  for (let needed = 1; needed <= 100; needed++) {
    const outputs = outputsOf(needed);
    assertEquals(outputs * Int32Array.BYTES_PER_ELEMENT % 64, 0);
    assert(outputs >= needed && outputs - needed < 16, `${outputs} for ${needed}`);
  }
});
