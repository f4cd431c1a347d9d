/** Threat: one request of megabytes to a remote server keeps the daemon from everybody else. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { chunk } from "../../../support/openai_server.ts";
import { PaceUnderTest } from "../../../support/paces.ts";
import { Remote } from "../../../support/remote.ts";
import { nextTurn } from "../../../support/waiting.ts";

const LONG = 'a "river"\n'.repeat(200_000);

Deno.test("a large request pauses while others run, and not while it runs alone", async () => {
  const test = new PaceUnderTest();
  await using started = await Remote.start((asked) => asked.stream(chunk({ content: "a" }, "stop")), {}, test.pace);
  for (const [running, least] of [[2, 10], [1, 0]] as const) {
    test.running = running;
    test.pauses.length = 0;
    const { messages } = await started.sent({ messages: [{ role: "user", content: LONG }] });
    assert(JSON.stringify(messages) === JSON.stringify([{ role: "user", content: LONG }]));
    const headers = started.server.asked.at(-1)?.headers;
    assertEquals(headers?.get("transfer-encoding"), null);
    assert(Number(headers?.get("content-length")) > LONG.length);
    assert(running === 1 ? test.pauses.length === 0 : test.pauses.length >= least, `${test.pauses}`);
  }
});

Deno.test("arguments of megabytes are sent as JSON.stringify writes them", async () => {
  await using started = await Remote.start((asked) => asked.stream(chunk({ content: "a" }, "stop")));
  const input = { text: LONG, list: [1, null] };
  const { messages } = await started.sent({
    messages: [
      { role: "user", content: "hello" },
      { role: "assistant", content: [{ type: "tool_use", toolCallId: "a", name: "f", input }] },
    ],
  });
  const [, { tool_calls: [call] }] = messages as [unknown, { tool_calls: [{ function: { arguments: string } }] }];
  assertEquals(call.function.arguments === JSON.stringify(input), true);
});

Deno.test("a large request that is cancelled while it is sent ends", async () => {
  const test = new PaceUnderTest();
  test.running = 2;
  await using started = await Remote.start(undefined, {}, test.pace);
  const abort = new AbortController();
  const next = started.generate({ messages: [{ role: "user", content: LONG.repeat(5) }] }, abort.signal).next();
  while (test.pauses.length < 5) await nextTurn();
  abort.abort(new Error("gone"));
  await assertRejects(() => next, Error, "gone");
});
