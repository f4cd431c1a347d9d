import { assertEquals, assertRejects } from "@std/assert";
import { startTransport, transportOf, transportRows, type TransportTurn } from "../../../bench/transport.ts";
import { missedBy } from "../../../bench/report.ts";
import { WireClient } from "../../support/wire_client.ts";

/** A turn in which one answer of 100 tokens takes so long. */
function turn({ wallMs, firstMs, cpuMs }: Record<"wallMs" | "firstMs" | "cpuMs", number>): TransportTurn {
  return { wallMs, answers: [{ tokens: 100, promptTokens: 10, pieces: 100, totalMs: wallMs, firstMs }], cpuMs };
}

Deno.test("a transport is told by its speed, its first token and the daemon's time for a frame", () => {
  const peer = [
    turn({ wallMs: 1000, firstMs: 2, cpuMs: 0 }),
    turn({ wallMs: 90_000, firstMs: 9, cpuMs: 10 }),
    turn({ wallMs: 1250, firstMs: 4, cpuMs: 0 }),
  ];
  const ours = [turn({ wallMs: 1000, firstMs: 5, cpuMs: 4 })];
  const rows = transportRows({ section: "A", clients: 8 }, peer, ours);
  assertEquals(rows.map(({ figure, peer, ours }) => [figure, peer?.toFixed(1), ours]), [
    ["8 clients: speed", "80.0", 100],
    ["8 clients: first token, p50", "4.0", 5],
    ["8 clients: daemon's CPU time per token frame", "33.3", 40],
  ]);
  assertEquals(rows.map((row) => (missedBy(row) ?? 0) > 0), [false, true, true]);
  const aimless = transportRows({ section: "A", clients: 1, isAimless: true }, peer, ours);
  assertEquals(aimless.map((row) => missedBy(row)), [undefined, undefined, undefined]);
});

for (const transport of ["socket", "pipes"] as const) {
  Deno.test({
    name: `the daemon of the benchmark answers through an engine that it meets on ${transport}`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      await using daemon = await startTransport(transport);
      assertEquals(await transportOf(daemon.process.pid), transport);
      using client = await WireClient.connect(daemon.target.path);
      await client.send({
        id: "one",
        messages: [{ role: "user", content: "Tell me a story about a small fox." }],
        max_tokens: 8,
      });
      const { type } = JSON.parse((await client.answer()).at(-1) ?? "{}");
      assertEquals(type, "done");
    },
  });
}

Deno.test({
  name: "a transport is not told when there is no engine",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await assertRejects(() => transportOf(Deno.pid), Error, "The daemon has no engine");
  },
});
