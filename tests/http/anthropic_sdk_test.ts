/** The official `@anthropic-ai/sdk` package, as a new user has it, against the bridge. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import Anthropic from "npm:@anthropic-ai/sdk@1.14.0";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const MESSAGES: Anthropic.MessageParam[] = [{ role: "user", content: "What is the weather in Oslo?" }];
const WEATHER: Anthropic.Tool = {
  name: "get_weather",
  description: "The weather in a city",
  input_schema: { type: "object", properties: { city: { type: "string", maxLength: 20 } }, required: ["city"] },
};
const CALLING = { tokens: ["Let", " me see."], calls: [{ name: "get_weather", input: { city: "Oslo" } }] };
const BASE = { model: "mock", max_tokens: 100, messages: MESSAGES };

function sdk(bridge: BridgeUnderTest, apiKey = "none"): Anthropic {
  return new Anthropic({ baseURL: bridge.url, apiKey, maxRetries: 0 });
}

Deno.test("anthropic: a message has content, usage and a stop reason", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hello", " there"] } });
  const answer = await sdk(bridge).messages.create({ ...BASE, system: "Be brief." });
  assertEquals(answer.content.map((block) => block.type === "text" ? block.text : block.type), ["Hello there"]);
  assertEquals([answer.stop_reason, answer.role, answer.model], ["end_turn", "assistant", "mock"]);
  assertEquals([answer.usage.input_tokens, answer.usage.output_tokens], [8, 2]);
});

Deno.test("anthropic: a stream has the events of its blocks, in order", async () => {
  const thinking = ["Hm", "."];
  await using bridge = await BridgeUnderTest.start({ script: { ...CALLING, thinking } });
  const stream = await sdk(bridge).messages.create({
    ...BASE,
    stream: true,
    tools: [WEATHER],
    thinking: { type: "enabled", budget_tokens: 1024 },
  });
  const events = await Array.fromAsync(stream);
  const [first] = events;
  // As `count_tokens` says, before the first token.
  assert(first?.type === "message_start" && first.message.usage.input_tokens === 6);
  assertEquals(events.map((event) => event.type === "content_block_delta" ? event.delta.type : event.type), [
    "message_start",
    "content_block_start",
    "thinking_delta",
    "thinking_delta",
    "signature_delta",
    "content_block_stop",
    "content_block_start",
    "text_delta",
    "text_delta",
    "content_block_stop",
    "content_block_start",
    "input_json_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
});

Deno.test("anthropic: the stream helper collects thinking, text, calls and usage", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { ...CALLING, thinking: ["Hm", "."] } });
  const message = await sdk(bridge).messages.stream({
    ...BASE,
    tools: [WEATHER],
    thinking: { type: "enabled", budget_tokens: 1024 },
  }).finalMessage();
  const [thought, text, call] = message.content;
  assert(thought?.type === "thinking" && text?.type === "text" && call?.type === "tool_use");
  assertEquals([thought.thinking, text.text, call.name, call.input], ["Hm.", "Let me see.", "get_weather", {
    city: "Oslo",
  }]);
  assertEquals(message.stop_reason, "tool_use");
  assertEquals([message.usage.input_tokens, message.usage.output_tokens], [6, 5]);
});

Deno.test("anthropic: a call's result is handed back, with what was thought before it", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { ...CALLING, thinking: ["Hm."] } });
  const client = sdk(bridge);
  const request = { ...BASE, tools: [WEATHER], thinking: { type: "enabled" as const, budget_tokens: 1024 } };
  const first = await client.messages.create(request);
  const [call] = first.content.filter((block) => block.type === "tool_use");
  assert(call !== undefined);
  const second = await client.messages.create({
    ...request,
    messages: [...MESSAGES, { role: "assistant", content: first.content }, {
      role: "user",
      content: [{ type: "tool_result", tool_use_id: call.id, content: "7 degrees" }],
    }],
  });
  assertEquals(second.stop_reason, "end_turn");
  // The result has two words; the thought, the text and the call of the answer before count, too.
  assertEquals(second.usage.input_tokens, 6 + 1 + 3 + 1 + 2);
});

Deno.test("anthropic: a thought that is not to be shown comes back by its signature", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { ...CALLING, thinking: ["One", " two."] } });
  const client = sdk(bridge);
  const request = { ...BASE, tools: [WEATHER], thinking: { type: "adaptive" as const, display: "omitted" as const } };
  const whole = await client.messages.create(request);
  const streamed = await client.messages.stream(request).finalMessage();
  const count = async (content: Anthropic.ContentBlockParam[]): Promise<number> => {
    const messages: Anthropic.MessageParam[] = [...MESSAGES, { role: "assistant", content }, ...MESSAGES];
    return (await client.messages.countTokens({ ...BASE, max_tokens: undefined, messages } as never)).input_tokens;
  };
  const text = { type: "text" as const, text: "Yes" };
  const without = await count([text]);
  for (const { content: [thought] } of [whole, streamed]) {
    assert(thought?.type === "thinking");
    assertEquals(thought.thinking, "");
    assertEquals(await count([thought, text]), without + 2);
    // What another server wrote is not for this model.
    assertEquals(await count([{ ...thought, signature: btoa("One two.") }, text]), without);
  }
});

Deno.test("anthropic: documents that are text are read, others are refused", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Yes"] } });
  const ask = (document: Record<string, unknown>): ReturnType<typeof bridge.post> =>
    bridge.post("/v1/messages", {
      ...BASE,
      messages: [{ role: "user", content: [{ type: "document", cache_control: { type: "ephemeral" }, ...document }] }],
    });
  const data = "It is blue.";
  const tokens = async (document: Record<string, unknown>): Promise<unknown> => {
    const { usage } = (await ask(document)).json;
    return (usage as { input_tokens: number } | undefined)?.input_tokens;
  };
  assertEquals(await tokens({ source: { type: "text", media_type: "text/plain", data } }), 3);
  assertEquals(await tokens({ source: { type: "text", media_type: "text/plain", data }, title: "Sky" }), 4);
  assertEquals(await tokens({ source: { type: "content", content: [{ type: "text", text: data }] } }), 3);
  const source = { type: "text", media_type: "text/plain", data };
  for (
    const refused of [
      { source: { type: "base64", media_type: "application/pdf", data: "JVBERg==" } },
      { source: { type: "url", url: "https://example.com/a.pdf" } },
      { source, citations: { enabled: true } },
    ]
  ) assertEquals((await ask(refused)).status, 400);
});

Deno.test("anthropic: tool_choice is honoured in its four forms", async () => {
  await using bridge = await BridgeUnderTest.start({
    script: { calls: [...CALLING.calls, { name: "get_weather", input: { city: "Bern" } }] },
  });
  const called = async (tool_choice: Anthropic.ToolChoice): Promise<string[]> => {
    const { content } = await sdk(bridge).messages.create({
      ...BASE,
      tools: [WEATHER, { ...WEATHER, name: "other" }],
      tool_choice,
    });
    return content.flatMap((block) => block.type === "tool_use" ? [block.name] : []);
  };
  assertEquals(await called({ type: "auto" }), ["get_weather", "get_weather"]);
  assertEquals(await called({ type: "any", disable_parallel_tool_use: true }), ["get_weather"]);
  assertEquals(await called({ type: "none" }), []);
  assertEquals(await called({ type: "tool", name: "other" }), ["other"]);
});

Deno.test("anthropic: errors are the SDK's own classes, in the API's own shape", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { apiKey: "secret" } });
  const missing = await assertRejects(
    () => sdk(bridge, "secret").messages.create({ ...BASE, model: "claude-nothing" }),
    Anthropic.NotFoundError,
  );
  assertEquals((missing.error as { error: { type: string } }).error.type, "not_found_error");
  await assertRejects(() => sdk(bridge, "wrong").messages.create(BASE), Anthropic.AuthenticationError);
  await assertRejects(
    () => sdk(bridge, "secret").messages.create({ ...BASE, max_tokens: 0 }),
    Anthropic.BadRequestError,
    "max_tokens",
  );
});

Deno.test("anthropic: real inference stops where it is told to and says why", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const base = {
    model: "inferd-tiny",
    messages: [{ role: "user" as const, content: "What is the capital of France?" }],
    temperature: 0,
  };
  const whole = await sdk(bridge).messages.create({ ...base, max_tokens: 100 });
  const [text] = whole.content;
  assert(text?.type === "text");
  assertStringIncludes(text.text, "Paris");
  assertEquals(whole.stop_reason, "end_turn");
  const cut = await sdk(bridge).messages.create({ ...base, max_tokens: 1 });
  assertEquals(cut.stop_reason, "max_tokens");
  const stopped = await sdk(bridge).messages.create({ ...base, max_tokens: 100, stop_sequences: ["Par"] });
  assertEquals([stopped.stop_reason, stopped.stop_sequence], ["stop_sequence", "Par"]);
});
