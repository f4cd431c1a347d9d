/** Requests for several answers take turns: they never fill the daemon's queue by themselves. */
import { assertEquals } from "@std/assert";
import { BridgeUnderTest } from "../support/bridges.ts";

const NARROW = { daemon: { parallel: 2, queueDepth: 0 }, script: { tokens: ["Hi", " there"] } };
const MESSAGES = [{ role: "user", content: "Hello." }];

for (const stream of [false, true]) {
  const how = stream ? "as a stream" : "as a whole";
  Deno.test(`several answers: n may be more than the daemon has slots, ${how}`, async () => {
    await using bridge = await BridgeUnderTest.start(NARROW);
    const answer = await bridge.post("/v1/chat/completions", { messages: MESSAGES, n: 7, stream });
    assertEquals(answer.status, 200, answer.text);
    assertEquals(answer.text.match(/"finish_reason":"stop"/g)?.length, 7, answer.text);
  });

  Deno.test(`several answers: completions of more prompts than there are slots are all told, ${how}`, async () => {
    await using bridge = await BridgeUnderTest.start(NARROW);
    const prompt = Array.from({ length: 9 }, (_, index) => `Prompt ${index}`);
    const answer = await bridge.post("/v1/completions", { prompt, n: 2, stream });
    assertEquals(answer.status, 200, answer.text);
    assertEquals(answer.text.match(/"finish_reason":"stop"/g)?.length, 18, answer.text);
  });
}

for (const stream of [false, true]) {
  const how = stream ? "as a stream" : "as a whole";
  Deno.test(`several answers: when one is refused the request ends, and those that run are cancelled, ${how}`, async () => {
    await using bridge = await BridgeUnderTest.start({
      daemon: { parallel: 2, queueDepth: 0 },
      script: { hangAt: 0 },
    });
    const accepted = bridge.daemon.log.next("request_accepted");
    const leave = new AbortController();
    const running = fetch(`${bridge.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ messages: MESSAGES }),
      signal: leave.signal,
    }).catch(() => {});
    await accepted;
    // One of two slots is free: the first answer hangs in it, the second finds the queue full.
    const answer = await bridge.post("/v1/chat/completions", { messages: MESSAGES, n: 2, stream });
    assertEquals([answer.status, answer.headers.get("retry-after")], [429, "1"], answer.text);
    leave.abort();
    await running;
  });
}
