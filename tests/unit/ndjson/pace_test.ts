import { assertEquals } from "@std/assert";
import { PaceUnderTest } from "../../support/paces.ts";

Deno.test("work takes 8 % of a core while requests run, and rests at most 100 ms for each piece", async () => {
  const test = new PaceUnderTest();
  await test.pace.rest(4);
  test.ms = 1000;
  await test.pace.rest(50);
  assertEquals(test.pauses, [46, 100]);
});

Deno.test("work does not rest while nothing runs but what it is for", () => {
  const test = new PaceUnderTest();
  assertEquals(test.pace.rest(8, 1), undefined);
  test.running = 0;
  assertEquals([test.pace.rest(8), test.pauses], [undefined, []]);
});

Deno.test("works at the same time share, and none waits longer than a second", async () => {
  const test = new PaceUnderTest();
  for (let i = 0; i < 30; i++) await test.pace.rest(5);
  assertEquals(test.pauses.slice(0, 3), [58, 115, 173]);
  assertEquals(Math.max(...test.pauses), 1000);
});
