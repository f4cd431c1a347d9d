import { assertEquals, assertRejects } from "@std/assert";
import { startTransport, transportOf, type TransportRound, transportRows } from "../../../bench/transport.ts";
import { missedBy } from "../../../bench/report.ts";
import { WireClient } from "../../support/wire_client.ts";

/** A round of two turns, in each of which one answer of 100 tokens takes a second. */
function round({ firstMs, cpuMs }: { readonly firstMs: number; readonly cpuMs: number }): TransportRound {
  const answer = { tokens: 100, promptTokens: 10, pieces: 100, totalMs: 1000, firstMs };
  const turn = { wallMs: 1000, answers: [answer] };
  return { turns: [turn, turn], cpuMs };
}

Deno.test("a transport is told by its speed, its first token and the daemon's time for a frame", () => {
  const peer = [round({ firstMs: 2, cpuMs: 4 }), round({ firstMs: 4, cpuMs: 6 }), round({ firstMs: 9, cpuMs: 50 })];
  const ours = [round({ firstMs: 5, cpuMs: 6 })];
  const rows = transportRows({ section: "A", clients: 8 }, peer, ours);
  assertEquals(rows.map(({ figure, peer, ours }) => [figure, peer, ours]), [
    ["8 clients: speed", 100, 100],
    ["8 clients: first token, p50", 4, 5],
    ["8 clients: daemon's CPU time per token frame", 30, 30],
  ]);
  assertEquals(rows.map((row) => (missedBy(row) ?? 0) > 0), [false, true, false]);
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
