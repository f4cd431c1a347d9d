/** The official `ollama` package, as a new user has it, against the bridge. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Ollama } from "npm:ollama@0.6.4";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";
import { eventually } from "../support/waiting.ts";

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
  const raw = { model: "mock", prompt: "x", raw: true };
  assertEquals((await sdk(bridge).generate(raw)).prompt_eval_count, 1);
  await assertRejects(() => sdk(bridge).generate({ ...raw, system: "Be brief." }), Error, '"raw"');
  await assertRejects(() => sdk(bridge).generate({ ...raw, images: ["iVBORw0KGgo="] }), Error, '"raw"');
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
  const { models: [loaded] } = await client.ps();
  assertEquals(loaded?.name, "mock");
  // Clients of strictly typed languages read a date, and texts.
  assertEquals(new Date(loaded?.expires_at ?? "").getFullYear(), 2318);
  const shown = (await bridge.post("/api/show", { model: "mock" })).json;
  assertEquals(shown.modelfile, "FROM mock\n");
  assertEquals([shown.license, String(shown.parameters).split(/ +/)], ["", ["num_ctx", "8192"]]);
  // LiteLLM looks for the name of the tools in it.
  assertEquals(shown.template, "{{ .Tools }}{{ .Prompt }}{{ .Response }}");
  const { capabilities } = await client.show({ model: "mock" });
  assertEquals(capabilities, ["completion", "tools", "thinking", "embedding"]);
  // Editors refuse versions of Ollama that are older than what they need.
  assertEquals((await bridge.get("/api/version")).json, { version: "0.12.11", inferd: "0.1.0" });
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

Deno.test("ollama: logprobs come with each piece and with the whole answer", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const request = { model: "inferd-tiny", prompt: "Tell me a story.", logprobs: true, top_logprobs: 2 };
  const options = { num_predict: 5, temperature: 0 };
  type Likely = readonly { token: string; logprob: number; top_logprobs: readonly { token: string }[] }[];
  const { json } = await bridge.post("/api/generate", { ...request, options, stream: false, truncate: true });
  const tokens = json.logprobs as Likely;
  assertEquals(tokens.map(({ token }) => token).join(""), json.response);
  assertEquals(
    tokens.map(({ token, top_logprobs: [first, ...others] }) => [first?.token, others.length, token]),
    tokens.map(({ token }) => [token, 1, token]),
  );
  const chat = { model: "inferd-tiny", messages: [{ role: "user", content: request.prompt }], options, logprobs: true };
  const { text } = await bridge.post("/api/chat", chat);
  const lines = text.trim().split("\n").map((line) => JSON.parse(line) as { logprobs?: Likely });
  assertEquals(
    lines.flatMap(({ logprobs = [] }) => logprobs.map(({ token }) => token)),
    tokens.map(({ token }) => token),
  );
  assertEquals((await bridge.post("/api/chat", { ...chat, logprobs: false, top_logprobs: 2 })).status, 400);
});

Deno.test("ollama: ps lists models that are loaded, and none that is asleep", async () => {
  const vectors = { kind: "llamacpp", name: "vectors", modelName: "inferd-tiny-embed", load: "on_demand" } as const;
  const mock = { kind: "mock", name: "mock", script: {} } as const;
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [mock, vectors] } });
  const client = new Ollama({ host: bridge.url });
  const loaded = async (): Promise<string[]> => (await client.ps()).models.map(({ name }) => name);
  assertEquals((await client.list()).models.map(({ name }) => name), ["mock", "inferd-tiny-embed"]);
  assertEquals(await loaded(), ["mock"]);
  await client.embed({ model: "inferd-tiny-embed", input: "hi" });
  // The bridge hears of it on the admin stream, which may come after the answer.
  const both = await eventually("a second model", async () => (await loaded()).length > 1 && await loaded());
  assertEquals(both, ["mock", "inferd-tiny-embed"]);
});

Deno.test("ollama: requests of Go's client, which have every field, are taken", async () => {
  await using bridge = await BridgeUnderTest.start();
  const model = "mock";
  const older = { name: "", username: "", password: "" };
  const empty = { system: "", template: "", suffix: "", format: "", options: null };
  for (
    const [path, body] of [
      ["/api/show", { model, system: "", template: "", options: null, name: "" }],
      ["/api/show", { model: "", name: model }],
      ["/api/pull", { model, ...older }],
      ["/api/pull", { ...older, model: "", name: model, stream: false }],
      ["/api/generate", { model, prompt: "hi", ...empty, keep_alive: "5m0s", context: null }],
      ["/api/chat", { model, messages: [{ role: "user", content: "hi" }], format: "", options: null, keep_alive: -1 }],
      ["/api/embed", { model, input: "hi", options: null, truncate: true }],
      ["/api/embeddings", { model, prompt: "hi", options: null }],
    ] as const
  ) assertEquals((await bridge.post(path, body)).status, 200, path);
  assertEquals((await fetch(bridge.url, { method: "HEAD" })).status, 200, "its heartbeat");
  assertEquals((await bridge.post("/api/pull", { model: "", name: "" })).status, 400);
  assertEquals((await bridge.post("/api/pull", { model, username: "me" })).status, 400);
});

Deno.test("ollama: what would change models is refused with what to do", async () => {
  await using bridge = await BridgeUnderTest.start();
  const client = new Ollama({ host: bridge.url });
  for (
    const ask of [
      () => client.delete({ model: "mock" }),
      () => client.copy({ source: "mock", destination: "other" }),
      () => client.create({ model: "other", from: "mock" }),
      () => client.push({ model: "mock" }),
    ]
  ) await assertRejects(ask, Error, "HTTP may not write models");
});
