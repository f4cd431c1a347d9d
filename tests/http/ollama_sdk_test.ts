/** The official `ollama` package, as a new user has it, against the bridge. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Ollama } from "npm:ollama@0.6.4";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const MESSAGES = [{ role: "user", content: "What is the weather in Oslo?" }];
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string", description: "Which" } }, required: ["city"] },
  },
};

function sdk(bridge: BridgeUnderTest): Ollama {
  return new Ollama({ host: bridge.url });
}

Deno.test("ollama: chat answers at once and in a stream", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hello", " there"] } });
  const answer = await sdk(bridge).chat({ model: "mock", messages: MESSAGES });
  assertEquals([answer.message.content, answer.done, answer.done_reason], ["Hello there", true, "stop"]);
  assertEquals([answer.prompt_eval_count, answer.eval_count], [6, 2]);
  const stream = await sdk(bridge).chat({ model: "mock:latest", messages: MESSAGES, stream: true });
  const parts = await Array.fromAsync(stream);
  assertEquals(parts.map(({ message, done }) => [message.content, done]), [
    ["Hello", false],
    [" there", false],
    ["", true],
  ]);
});

Deno.test("ollama: chat calls tools and takes their results back by name", async () => {
  await using bridge = await BridgeUnderTest.start({
    script: { tokens: ["Ok"], calls: [{ name: "get_weather", input: { city: "Oslo" } }] },
  });
  const first = await sdk(bridge).chat({ model: "mock", messages: MESSAGES, tools: [WEATHER] });
  const calls = first.message.tool_calls ?? [];
  assertEquals(calls.map((call) => call.function), [{ name: "get_weather", arguments: { city: "Oslo" } }]);
  const second = await sdk(bridge).chat({
    model: "mock",
    messages: [...MESSAGES, first.message, { role: "tool", tool_name: "get_weather", content: "7 degrees" }],
    tools: [WEATHER],
  });
  assertEquals([second.message.content, second.message.tool_calls], ["Ok", undefined]);
});

Deno.test("ollama: think asks for a trace", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { thinking: ["Hm."], tokens: ["Yes"] } });
  const answer = await sdk(bridge).chat({ model: "mock", messages: MESSAGES, think: true });
  assertEquals([answer.message.thinking, answer.message.content], ["Hm.", "Yes"]);
});

Deno.test("ollama: generate answers a prompt, and what cannot be honoured is refused", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Yes"] } });
  const answer = await sdk(bridge).generate({ model: "mock", prompt: "Is it?", system: "Be brief." });
  assertEquals([answer.response, answer.prompt_eval_count], ["Yes", 4]);
  await assertRejects(() => sdk(bridge).generate({ model: "mock", prompt: "x", raw: true }), Error, "raw");
  await assertRejects(() => sdk(bridge).generate({ model: "other", prompt: "x" }), Error, '"other" does not exist');
  const loaded = await sdk(bridge).generate({ model: "mock", prompt: "" });
  assertEquals([loaded.done, loaded.done_reason], [true, "load"]);
});

Deno.test("ollama: embed, list, ps, show and version tell what there is", async () => {
  await using bridge = await BridgeUnderTest.start();
  const client = sdk(bridge);
  const { embeddings } = await client.embed({ model: "mock", input: ["a text", "another"], dimensions: 4 });
  assertEquals(embeddings.map(({ length }) => length), [4, 4]);
  assertEquals((await client.embeddings({ model: "mock", prompt: "a text" })).embedding.length, 8);
  assertEquals((await client.list()).models.map(({ name }) => name), ["mock"]);
  assertEquals((await client.ps()).models.map(({ name }) => name), ["mock"]);
  const { capabilities } = await client.show({ model: "mock" });
  assertEquals(capabilities, ["completion", "tools", "thinking", "embedding"]);
  assertEquals((await client.version()).version, "0.1.0");
});

Deno.test("ollama: real inference follows a format and its options", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const answer = await sdk(bridge).chat({
    model: "inferd-tiny",
    messages: [{ role: "user", content: "What is the capital of France?" }],
    options: { temperature: 0, num_predict: 60 },
  });
  assertStringIncludes(answer.message.content, "Paris");
  const { response, eval_count } = await sdk(bridge).generate({
    model: "inferd-tiny",
    prompt: "Who is it? Anna is 30 years old.",
    format: { type: "object", properties: { age: { type: "integer", minimum: 0, maximum: 150 } }, required: ["age"] },
    options: { temperature: 0, num_predict: 60, seed: 1 },
  });
  assertEquals(typeof JSON.parse(response ?? "").age, "number");
  assertEquals(eval_count <= 60, true);
});
