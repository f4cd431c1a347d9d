/** The soak's books notice what they are kept for. */
import { assertEquals } from "@std/assert";
import { Ledger } from "./ledger.ts";

Deno.test("a ledger tells requests that never ended, ended twice, or went wrong otherwise", () => {
  const ledger = new Ledger();
  const [a, b] = [ledger.begin("v1"), ledger.begin("v1")];
  ledger.end(a, "done");
  assertEquals([ledger.counts, ledger.total], [{ "v1 done": 1 }, 2]);
  ledger.end(a, "left");
  ledger.fault("something else");
  assertEquals(ledger.faults, [
    `${a} ended twice, the second time with left`,
    "something else",
    `v1 ${b} never ended`,
  ]);
});
