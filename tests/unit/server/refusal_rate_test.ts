import { assertEquals } from "@std/assert";
import { RefusalRate } from "../../../src/server/refusal_rate.ts";

Deno.test("a caller is refused 500 times at once and then 1000 times a second, and no other waits for it", () => {
  let now = 0;
  const rate = new RefusalRate(() => now);
  for (let count = 0; count < 500; count++) assertEquals(rate.take("flood"), 0);
  let waited = 0;
  for (let count = 0; count < 1_000; count++) {
    const wait = rate.take("flood");
    now += wait;
    waited += wait;
  }
  assertEquals(waited > 980 && waited <= 1_000, true, `${waited}`);
  assertEquals(rate.take("another"), 0);
  now += 10_000;
  assertEquals(rate.take("flood"), 0);
});
