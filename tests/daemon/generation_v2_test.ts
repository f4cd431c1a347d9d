/** Generation v2 over real sockets, byte for byte. */
import { assertEquals } from "@std/assert";
import { DaemonUnderTest } from "../support/daemons.ts";
import type { WireClient } from "../support/wire_client.ts";

const WEATHER = { name: "weather", description: "Looks out", input_schema: { type: "object" } };
const PNG = { id: "a", kind: "image", mime: "image/png", bytes: "AAAA" };

const TIMINGS = /,"timings":\{"queue_ms":[\d.]+,"prompt_ms":[\d.]+,"generation_ms":[\d.]+\}/;

/** A request of one word. */
function ask(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { id: "r1", messages: [{ role: "user", content: [{ type: "text", text: "hello" }] }], ...fields };
}

/** All lines; the times of the last are a test's of their own. */
async function answered(client: WireClient, request: Record<string, unknown>): Promise<string[]> {
  await client.send(request);
  return (await client.answer()).map((line) => line.replace(TIMINGS, ""));
}

/** The blocks of an answer, then its last frame's `stop_reason`. */
async function blocks(client: WireClient, request: Record<string, unknown>): Promise<unknown[]> {
  return (await answered(client, request)).map((line) => {
    const { block, stop_reason } = JSON.parse(line);
    return block ?? stop_reason;
  });
}

Deno.test("a v2 request is answered with its frames in protocol order and key order", async () => {
  await using test = await DaemonUnderTest.withMock({
    thinking: ["Hm", "m."],
    tokens: ["Let me", " see."],
    calls: [{ name: "weather", input: { city: "Ulm", days: [1] } }],
  });
  using client = await test.surface("v2");
  assertEquals(await answered(client, ask({ thinking: true, tools: [WEATHER] })), [
    '{"id":"r1","type":"frame","block":{"type":"thinking","delta":"Hm"}}',
    '{"id":"r1","type":"frame","block":{"type":"thinking","delta":"m."}}',
    '{"id":"r1","type":"frame","block":{"type":"text","delta":"Let me"}}',
    '{"id":"r1","type":"frame","block":{"type":"text","delta":" see."}}',
    '{"id":"r1","type":"frame","block":{"type":"tool_use","tool_call_id":"tc-1","name":"weather","input":{"city":"Ulm","days":[1]}}}',
    '{"id":"r1","type":"done","usage":{"input_tokens":1,"output_tokens":5,"cached_tokens":0},"stop_reason":"tool_use","backend":"m1"}',
  ]);
});

Deno.test("a v2 answer has one frame for each kind of block when stream is false", async () => {
  await using test = await DaemonUnderTest.withMock({
    thinking: ["Hm", "m."],
    tokens: ["Let me", " see."],
    calls: [{ name: "weather", input: {} }, { name: "weather", input: { city: "Ulm" } }],
  });
  using client = await test.surface("v2");
  assertEquals(await answered(client, ask({ thinking: true, tools: [WEATHER], stream: false })), [
    '{"id":"r1","type":"frame","block":{"type":"thinking","delta":"Hmm."}}',
    '{"id":"r1","type":"frame","block":{"type":"text","delta":"Let me see."}}',
    '{"id":"r1","type":"frame","block":{"type":"tool_use","tool_call_id":"tc-1","name":"weather","input":{}}}',
    '{"id":"r1","type":"frame","block":{"type":"tool_use","tool_call_id":"tc-2","name":"weather","input":{"city":"Ulm"}}}',
    '{"id":"r1","type":"done","usage":{"input_tokens":1,"output_tokens":6,"cached_tokens":0},"stop_reason":"tool_use","backend":"m1"}',
  ]);
});

Deno.test("a v2 answer without a trace has no thinking frames when the request asks for none", async () => {
  await using test = await DaemonUnderTest.withMock({ thinking: ["Hm"], tokens: ["yes"] });
  using client = await test.surface("v2");
  const text = { type: "text", delta: "yes" };
  assertEquals(await blocks(client, ask()), [text, "end_turn"]);
  assertEquals(await blocks(client, ask({ thinking: false, stream: false })), [text, "end_turn"]);
  assertEquals(await blocks(client, ask({ thinking: true })), [{ type: "thinking", delta: "Hm" }, text, "end_turn"]);
});

Deno.test("a v2 answer without text is only done when stream is false", async () => {
  await using test = await DaemonUnderTest.withMock({ tokens: [] });
  using client = await test.surface("v2");
  assertEquals(await answered(client, ask({ stream: false })), [
    '{"id":"r1","type":"done","usage":{"input_tokens":1,"output_tokens":0,"cached_tokens":0},"stop_reason":"end_turn","backend":"m1"}',
  ]);
});

Deno.test("a v2 answer stops with max_tokens when they are used up, and says so when a required call did not come", async () => {
  await using test = await DaemonUnderTest.withMock({ thinking: ["Hm", "m"], tokens: ["a", "b"] });
  using client = await test.surface("v2");
  assertEquals(
    (await answered(client, ask({ max_tokens: 1 }))).at(-1),
    [
      '{"id":"r1","type":"done","usage":{"input_tokens":1,"output_tokens":1,"cached_tokens":0},"stop_reason":"max_tokens","backend":"m1"}',
    ][0],
  );
  const required = ask({ max_tokens: 2, thinking: true, tools: [WEATHER], tool_choice: "required" });
  assertEquals(
    (await answered(client, required)).at(-1),
    '{"id":"r1","type":"done","usage":{"input_tokens":1,"output_tokens":2,"cached_tokens":0},"stop_reason":"max_tokens","backend":"m1","tool_choice_unsatisfied":true}',
  );
  assertEquals(
    JSON.parse((await answered(client, { ...required, tool_choice: { name: "weather" } })).at(-1) ?? ""),
    JSON.parse((await answered(client, required)).at(-1) ?? ""),
  );
  assertEquals(
    (await answered(client, { ...required, max_tokens: 3 })).at(-1),
    '{"id":"r1","type":"done","usage":{"input_tokens":1,"output_tokens":3,"cached_tokens":0},"stop_reason":"tool_use","backend":"m1"}',
  );
});

Deno.test("tool_choice says whether a call comes, may come or does not", async () => {
  await using test = await DaemonUnderTest.withMock({
    tokens: ["text"],
    calls: [{ name: "weather", input: { x: 1 } }],
  });
  using client = await test.surface("v2");
  const text = { type: "text", delta: "text" };
  const call = { type: "tool_use", tool_call_id: "tc-1", name: "weather", input: { x: 1 } };
  const tools = [WEATHER];
  assertEquals(await blocks(client, ask({ tools })), [text, call, "tool_use"]);
  assertEquals(await blocks(client, ask({ tools, tool_choice: "auto" })), [text, call, "tool_use"]);
  assertEquals(await blocks(client, ask({ tools, tool_choice: "required" })), [call, "tool_use"]);
  assertEquals(await blocks(client, ask({ tools, tool_choice: "none" })), [text, "end_turn"]);
  assertEquals(await blocks(client, ask()), [text, "end_turn"]);
});

Deno.test("tool_choice with a name brings a call of that tool and of no other", async () => {
  const calls = [{ name: "weather", input: { x: 1 } }, { name: "calendar.get", input: { y: 2 } }];
  await using test = await DaemonUnderTest.withMock({ tokens: ["text"], calls });
  using client = await test.surface("v2");
  const tools = ["weather", "calendar.get", "user-profile/update:v2"].map((name) => ({ ...WEATHER, name }));
  const called = (name: string): Promise<unknown[]> => blocks(client, ask({ tools, tool_choice: { name } }));
  const call = (name: string, input: unknown): unknown => ({ type: "tool_use", tool_call_id: "tc-1", name, input });
  assertEquals(await called("weather"), [call("weather", { x: 1 }), "tool_use"]);
  assertEquals(await called("calendar.get"), [call("calendar.get", { y: 2 }), "tool_use"]);
  assertEquals(await called("user-profile/update:v2"), [call("user-profile/update:v2", {}), "tool_use"]);
});

Deno.test("an assistant's thoughts go into the next request and count as its text", async () => {
  await using test = await DaemonUnderTest.withMock({ tokens: ["so"] });
  using client = await test.surface("v2");
  const thinking = { type: "thinking", text: "let me think" };
  const messages = [
    { role: "assistant", content: [thinking, { type: "text", text: "well" }] },
    { role: "user", content: [{ type: "text", text: "and?" }] },
  ];
  assertEquals(
    (await answered(client, ask({ messages }))).at(-1),
    '{"id":"r1","type":"done","usage":{"input_tokens":5,"output_tokens":1,"cached_tokens":0},"stop_reason":"end_turn","backend":"m1"}',
  );
});

Deno.test("a call and its result go into the next request, and the conversation goes on", async () => {
  await using test = await DaemonUnderTest.withMock({
    tokens: ["It rains"],
    calls: [{ name: "weather", input: { city: "Ulm" } }],
  });
  using client = await test.surface("v2");
  const question = { role: "user", content: [{ type: "text", text: "weather?" }] };
  const [, call] = await blocks(client, { messages: [question], tools: [WEATHER] });
  const result = { type: "tool_result", tool_call_id: "tc-1", content: [{ type: "text", text: "rain" }] };
  const history = [question, { role: "assistant", content: [call] }, { role: "user", content: [result] }];
  assertEquals(await blocks(client, { messages: history, tools: [WEATHER] }), [
    { type: "text", delta: "It rains" },
    "end_turn",
  ]);
  const again = await blocks(client, { messages: history, tools: [WEATHER], tool_choice: "required" });
  assertEquals(again, [
    { type: "tool_use", tool_call_id: "tc-2", name: "weather", input: { city: "Ulm" } },
    "tool_use",
  ]);
});

Deno.test("attachments reach a backend that takes them, and another answers attachment_unsupported", async () => {
  await using seeing = await DaemonUnderTest.withMock({ vision: true, tokens: ["a cat"] });
  await using blind = await DaemonUnderTest.withMock({ audio: true });
  const content = [{ type: "text", text: "what?" }, { type: "image", attachment_id: "a" }];
  const request = ask({ messages: [{ role: "user", content }], attachments: [PNG] });
  using client = await seeing.surface("v2");
  assertEquals(await answered(client, request), [
    '{"id":"r1","type":"frame","block":{"type":"text","delta":"a cat"}}',
    '{"id":"r1","type":"done","usage":{"input_tokens":2,"output_tokens":1,"cached_tokens":0},"stop_reason":"end_turn","backend":"m1"}',
  ]);
  using other = await blind.surface("v2");
  assertEquals(await answered(other, request), [
    '{"id":"r1","type":"error","code":"attachment_unsupported","message":"Backend \\"m1\\" takes no attachments of kind \\"image\\""}',
  ]);
  assertEquals((await blocks(other, ask())).at(-1), "end_turn");
});

Deno.test("a v2 answer ends with backend_unavailable when the backend fails in the middle, and the connection goes on", async () => {
  await using test = await DaemonUnderTest.withMock({ tokens: ["a", "b"], failAt: 1 });
  using client = await test.surface("v2");
  for (const id of ["r1", "r2"]) {
    assertEquals(await answered(client, ask({ id })), [
      `{"id":"${id}","type":"frame","block":{"type":"text","delta":"a"}}`,
      `{"id":"${id}","type":"error","code":"backend_unavailable","message":"Backend \\"m1\\" failed as its script says"}`,
    ]);
  }
});

Deno.test("text of any kind arrives whole on v2, too", async () => {
  const text = '"\\\n\r\u0000\u2028 ü 漢 👩‍🚀 \ud800';
  await using test = await DaemonUnderTest.withMock({ tokens: [text] });
  using client = await test.surface("v2");
  await client.send(ask({ id: text }));
  assertEquals(await client.frame(), { id: text, type: "frame", block: { type: "text", delta: text } });
  assertEquals((await client.frame()).id, text);
});

Deno.test("a v2 request is cancelled by closing the connection", async () => {
  await using test = await DaemonUnderTest.withMock({ hangAt: 0 });
  using client = await test.surface("v2");
  await client.send(ask());
  await test.log.next("request_accepted");
  client.close();
  assertEquals((await test.log.next("request_cancelled")).fields.id, "r1");
});

Deno.test("a v2 answer says how long it waited and was made", async () => {
  await using test = await DaemonUnderTest.withMock({ tokens: ["a", "b"], firstDelayMs: 5, delayMs: 5 });
  using client = await test.surface("v2");
  await client.send(ask());
  const { timings } = JSON.parse((await client.answer()).at(-1) ?? "");
  assertEquals(Object.keys(timings), ["queue_ms", "prompt_ms", "generation_ms"]);
  assertEquals([timings.queue_ms >= 0, timings.prompt_ms >= 4, timings.generation_ms >= 4], [true, true, true]);
});
