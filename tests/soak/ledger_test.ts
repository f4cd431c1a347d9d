/** The soak's books notice what they are kept for. */
import { assertEquals } from "@std/assert";
import { Ledger } from "./ledger.ts";

Deno.test("a ledger tells requests that never ended, ended twice, or were accepted and not answered", () => {
  const ledger = new Ledger();
  const [a, b, c, d] = [ledger.begin("v1"), ledger.begin("v1"), ledger.begin("v2"), ledger.begin("v2")];
  ledger.end(a, "done");
  assertEquals(ledger.counts, { "v1 done": 1 });
  ledger.end(a, "left");
  for (const id of [c, d]) {
    ledger.suspect(id);
    ledger.end(id, "unanswered");
  }
  ledger.judge(`{"msg":"request_accepted","id":"${c}"}`);
  assertEquals(ledger.faults, [
    `${a} ended twice, the second time with left`,
    `${c}: accepted, and the connection ended before its answer`,
    `v1 ${b} never ended`,
  ]);
});
