import { assertEquals } from "@std/assert";
import { codeRefusal } from "../../../src/libraries/cuda_code.ts";

Deno.test("codeRefusal lets ready-made code run with any driver, and other code only with one as new as its toolkit", () => {
  const refused = (runtime: 12 | 13, release: number, ...capabilities: number[]): boolean =>
    codeRefusal(runtime, { release, capabilities }) !== undefined;
  for (const ready of [86, 87, 89, 120, 121]) assertEquals(refused(13, 13_000, ready), false);
  for (const compiled of [75, 80, 90, 100]) {
    assertEquals(refused(13, 13_000, compiled), true);
    assertEquals(refused(13, 13_010, compiled), false);
    assertEquals(refused(12, 12_020, compiled), true);
    assertEquals(refused(12, 13_000, compiled), false);
  }
  assertEquals(refused(13, 13_000, 89, 90), true);
});

Deno.test("codeRefusal names the oldest card when there is no code for it", () => {
  assertEquals(
    codeRefusal(13, { release: 13_020, capabilities: [90, 61] }),
    "npm's code for CUDA 13 is for compute capability 7.5 and newer, found 6.1",
  );
  assertEquals(codeRefusal(12, { release: 13_020, capabilities: [90, 61] }), undefined);
});
