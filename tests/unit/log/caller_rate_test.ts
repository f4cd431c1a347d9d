import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BURST_RECORDS, CallerRate } from "../../../src/log/caller_rate.ts";
import { openActivityLog } from "../../../src/log/log.ts";
import { recordsIn } from "../../support/log_file.ts";

Deno.test("a caller's records are counted beyond its rate, those of others are not, and the count is told", () => {
  using time = new FakeTime();
  const told: [string, number][] = [];
  let now = 0;
  const rate = new CallerRate({ onDropped: (...drop) => told.push(drop), now: () => now });
  const taken = (caller: string, count: number): number =>
    Array.from({ length: count }, () => rate.take(caller)).filter((may) => may).length;
  assertEquals(taken("noisy", 5000), BURST_RECORDS);
  assertEquals(taken("quiet", 3), 3);
  now = 1000;
  assertEquals(taken("noisy", 5000), 10);
  assertEquals(told, []);
  time.tick(10_000);
  assertEquals(told, [["noisy", 10_000 - BURST_RECORDS - 10]]);
  // Nothing is told twice, and nothing is lost at the end.
  assertEquals(taken("noisy", 1), 0);
  rate[Symbol.dispose]();
  rate[Symbol.dispose]();
  assertEquals(told.slice(1), [["noisy", 1]]);
});

Deno.test("callers that come and go take no memory, and what was dropped of them is told", () => {
  let told = 0;
  using rate = new CallerRate({ onDropped: (_, records) => told += records, now: () => 0 });
  for (let record = 0; record < BURST_RECORDS + 7; record++) rate.take("first");
  for (let caller = 0; caller < 5000; caller++) rate.take(`connection ${caller}`);
  assertEquals(told, 7);
  // Forgotten: it has its burst again.
  assertEquals(rate.take("first"), true);
});

Deno.test("one noisy caller does not wash out the audit trail, and its errors are logged all the same", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-log-" });
  try {
    {
      await using log = openActivityLog({ dir, level: "info" });
      log.for("server").limited("quiet").info("connection_accepted", { peer: "quiet" });
      const noisy = log.for("pipeline").limited("noisy");
      for (let record = 0; record < 5000; record++) noisy.warn("request_error", { code: "queue_full", record });
      for (let record = 0; record < 5000; record++) noisy.debug("not_logged");
      noisy.error("request_error", { code: "internal" });
      log.info("stopped");
    }
    const records = recordsIn(`${dir}/inferd.ndjson`);
    const count = (msg: string): number => records.filter((record) => record.msg === msg).length;
    assertEquals(count("connection_accepted"), 1);
    assertEquals(records.filter(({ level }) => level === "error").length, 1);
    assertEquals(count("request_error") <= BURST_RECORDS + 10, true);
    const dropped = records.find(({ msg }) => msg === "records_dropped");
    assertEquals([dropped?.component, dropped?.caller], ["log", "noisy"]);
    assertEquals(Number(dropped?.records) + count("request_error"), 5001);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
