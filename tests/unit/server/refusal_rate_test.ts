import { assertEquals } from "@std/assert";
import { RefusalRate } from "../../../src/server/refusal_rate.ts";

Deno.test("a caller is refused 500 times at once and then 1000 times a second, and no other waits for it", () => {
  let now = 0;
  const rate = new RefusalRate(() => now);
  for (let count = 0; count < 500; count++) {
    assertEquals(rate.waitMs("flood"), 0);
    rate.charge("flood", 0);
  }
  let waited = 0;
  for (let count = 0; count < 1_000; count++) {
    rate.charge("flood", 0.25);
    const wait = rate.waitMs("flood");
    now += wait;
    waited += wait;
  }
  assertEquals(waited > 980 && waited <= 1_000, true, `${waited}`);
  assertEquals(rate.waitMs("another"), 0);
  now += 10_000;
  assertEquals(rate.waitMs("flood"), 0);
});

Deno.test("a caller whose refused requests take long to read gets a fourth of the time", () => {
  let now = 0;
  const rate = new RefusalRate(() => now);
  let took = 0;
  while (now < 10_000) {
    rate.charge("flood", 10);
    [now, took] = [now + 10, took + 10];
    now += rate.waitMs("flood");
  }
  // And what it may owe.
  assertEquals(took > 2_400 && took < 2_700, true, `${took}`);
});
