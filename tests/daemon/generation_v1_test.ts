/** Generation v1 over real sockets, byte for byte. */
import { assertEquals } from "@std/assert";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { ask, readyMock, Serving } from "../support/serving.ts";

Deno.test("a request is answered with its frames in protocol order and key order, over a unix socket", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ tokens: ["Hel", "lo"] }, "m1")] });
  using client = await serving.connect();
  await client.send({ id: "r1", messages: [{ role: "user", content: "two words" }] });
  assertEquals(await client.answer(), [
    '{"id":"r1","type":"token","content":"Hel"}',
    '{"id":"r1","type":"token","content":"lo"}',
    '{"id":"r1","type":"done","content":"Hello","usage":{"prompt_tokens":2,"completion_tokens":2},"stop_reason":"end","backend":"m1"}',
  ]);
});

Deno.test("a request is answered with the same frames over TCP", async () => {
  await using serving = await Serving.start({ tcp: {}, backends: [await readyMock({ tokens: ["Hel", "lo"] }, "m1")] });
  using client = await serving.connectTcp();
  await client.send({ id: "r1", messages: [{ role: "user", content: "two words" }] });
  assertEquals(await client.answer(), [
    '{"id":"r1","type":"token","content":"Hel"}',
    '{"id":"r1","type":"token","content":"lo"}',
    '{"id":"r1","type":"done","content":"Hello","usage":{"prompt_tokens":2,"completion_tokens":2},"stop_reason":"end","backend":"m1"}',
  ]);
});

Deno.test("an answer carries the empty id when the request has none", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ tokens: ["x"] }, "m1")] });
  using client = await serving.connect();
  await client.send(ask());
  assertEquals(await client.answer(), [
    '{"id":"","type":"token","content":"x"}',
    '{"id":"","type":"done","content":"x","usage":{"prompt_tokens":1,"completion_tokens":1},"stop_reason":"end","backend":"m1"}',
  ]);
});

Deno.test("an answer is one done frame with the whole text when stream is false", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ tokens: ["Hel", "lo"] }, "m1")] });
  using client = await serving.connect();
  await client.send(ask({ id: "r2", stream: false }));
  assertEquals(await client.answer(), [
    '{"id":"r2","type":"done","content":"Hello","usage":{"prompt_tokens":1,"completion_tokens":2},"stop_reason":"end","backend":"m1"}',
  ]);
});

Deno.test("an answer stops with length when max_tokens is used up", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ count: 10 }, "m1")] });
  using client = await serving.connect();
  await client.send(ask({ id: "r3", max_tokens: 2, stream: false }));
  assertEquals(await client.answer(), [
    '{"id":"r3","type":"done","content":"0 1 ","usage":{"prompt_tokens":1,"completion_tokens":2},"stop_reason":"length","backend":"m1"}',
  ]);
});

Deno.test("an answer stops with end when the backend met a stop string", async () => {
  const backend = new ControlledBackend("m1");
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  await client.send(ask({ id: "r4", stop: ["END"] }));
  const run = await backend.next();
  assertEquals(run.request.stop, ["END"]);
  run.finish("stop", { promptTokens: 3, completionTokens: 0, cachedTokens: 0 });
  assertEquals(await client.answer(), [
    '{"id":"r4","type":"done","content":"","usage":{"prompt_tokens":3,"completion_tokens":0},"stop_reason":"end","backend":"m1"}',
  ]);
});

Deno.test("text of any kind arrives whole: quotes, newlines, emoji, lone surrogates", async () => {
  const text = '"\\\n\r\u0000\u2028 ü 漢 👩‍🚀 \ud800';
  const backend = new ControlledBackend("m1");
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  await client.send(ask({ id: text }));
  const run = await backend.next();
  run.say(text);
  run.finish();
  assertEquals(await client.frame(), { id: text, type: "token", content: text });
  const done = await client.frame();
  assertEquals([done.id, done.content], [text, text]);
});

Deno.test("an answer ends with backend_unavailable when the backend fails before the first token", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ failBefore: true }, "m1")] });
  using client = await serving.connect();
  await client.send(ask({ id: "r5" }));
  assertEquals(await client.answer(), [
    '{"id":"r5","type":"error","code":"backend_unavailable","message":"Backend \\"m1\\" failed as its script says"}',
  ]);
});

Deno.test("an answer ends with backend_unavailable when the backend fails in the middle, and the connection goes on", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ tokens: ["a", "b"], failAt: 1 }, "m1")] });
  using client = await serving.connect();
  await client.send(ask({ id: "r6" }));
  await client.send(ask({ id: "r7" }));
  assertEquals([...await client.answer(), ...await client.answer()], [
    '{"id":"r6","type":"token","content":"a"}',
    '{"id":"r6","type":"error","code":"backend_unavailable","message":"Backend \\"m1\\" failed as its script says"}',
    '{"id":"r7","type":"token","content":"a"}',
    '{"id":"r7","type":"error","code":"backend_unavailable","message":"Backend \\"m1\\" failed as its script says"}',
  ]);
});
