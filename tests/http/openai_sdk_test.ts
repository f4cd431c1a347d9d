/** The official `openai` package, as a new user has it, against the bridge. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import OpenAI from "npm:openai@7.57.0";
import { zodResponseFormat } from "npm:openai@7.57.0/helpers/zod";
import { z } from "zod";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const MESSAGES = [{ role: "user" as const, content: "What is the weather in Oslo?" }];
const WEATHER = {
  type: "function" as const,
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string", maxLength: 20 } }, required: ["city"] },
  },
};
const CALLING = { tokens: ["It is sunny."], calls: [{ name: "get_weather", input: { city: "Oslo" } }] };

function sdk(bridge: BridgeUnderTest, apiKey = "none"): OpenAI {
  return new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey, maxRetries: 0 });
}

Deno.test("openai: a chat completion has text, usage and the model's name", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hello", " there"] } });
  const answer = await sdk(bridge).chat.completions.create({ model: "mock", messages: MESSAGES });
  assertEquals(answer.choices[0]?.message.content, "Hello there");
  assertEquals(answer.choices[0]?.finish_reason, "stop");
  assertEquals([answer.model, answer.object], ["mock", "chat.completion"]);
  assertEquals([answer.usage?.prompt_tokens, answer.usage?.completion_tokens, answer.usage?.total_tokens], [6, 2, 8]);
});

Deno.test("openai: a stream has the role, the pieces, the reason and, where asked for, usage", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hello", " there"] } });
  const stream = await sdk(bridge).chat.completions.create({
    model: "mock",
    messages: MESSAGES,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await Array.fromAsync(stream);
  assertEquals(chunks.map(({ choices }) => choices[0]?.delta), [
    { role: "assistant", content: null },
    { content: "Hello" },
    { content: " there" },
    {},
    undefined,
  ]);
  assertEquals(chunks.map(({ choices }) => choices[0]?.finish_reason), [null, null, null, "stop", undefined]);
  assertEquals(chunks.map(({ usage }) => usage?.completion_tokens), [undefined, undefined, undefined, undefined, 2]);
  assertEquals(new Set(chunks.map(({ id }) => id)).size, 1);
  assertEquals(chunks.every(({ system_fingerprint }) => /^b\d.*-inferd$/.test(system_fingerprint ?? "")), true);
});

Deno.test("openai: the stream helper collects text, calls and usage", async () => {
  await using bridge = await BridgeUnderTest.start({ script: CALLING });
  const runner = sdk(bridge).chat.completions.stream({ model: "mock", messages: MESSAGES, tools: [WEATHER] });
  const final = await runner.finalChatCompletion();
  const [choice] = final.choices;
  assertEquals(choice?.finish_reason, "tool_calls");
  assertEquals(choice?.message.content, "It is sunny.");
  const [call] = choice?.message.tool_calls ?? [];
  assert(call?.type === "function");
  assertMatch(call.id, /^call_[0-9a-f]{24}$/);
  assertEquals([call.function.name, call.function.arguments], ["get_weather", '{"city":"Oslo"}']);
});

Deno.test("openai: tool_choice is honoured in its four forms", async () => {
  await using bridge = await BridgeUnderTest.start({ script: CALLING });
  const other = { ...WEATHER, function: { ...WEATHER.function, name: "other" } };
  const called = async (tool_choice: OpenAI.ChatCompletionToolChoiceOption): Promise<string[]> => {
    const answer = await sdk(bridge).chat.completions.create({
      model: "mock",
      messages: MESSAGES,
      tools: [WEATHER, other],
      tool_choice,
    });
    const calls = answer.choices[0]?.message.tool_calls ?? [];
    return calls.map((call) => call.type === "function" ? call.function.name : call.type);
  };
  assertEquals(await called("auto"), ["get_weather"]);
  assertEquals(await called("required"), ["get_weather"]);
  assertEquals(await called("none"), []);
  assertEquals(await called({ type: "function", function: { name: "other" } }), ["other"]);
  await assertRejects(
    () => called({ type: "function", function: { name: "third" } }),
    OpenAI.BadRequestError,
    "third",
  );
});

Deno.test("openai: runTools runs the calls and hands their results back", async () => {
  await using bridge = await BridgeUnderTest.start({ script: CALLING });
  const asked: unknown[] = [];
  const runner = sdk(bridge).chat.completions.runTools({
    model: "mock",
    messages: MESSAGES,
    tools: [{
      type: "function",
      function: {
        ...WEATHER.function,
        parse: JSON.parse,
        function: (args: unknown) => {
          asked.push(args);
          return '{"temperature": 7}';
        },
      },
    }],
  });
  assertEquals(await runner.finalContent(), "It is sunny.");
  assertEquals(asked, [{ city: "Oslo" }]);
  assertEquals(runner.messages.map(({ role }) => role), ["user", "assistant", "tool", "assistant"]);
});

Deno.test("openai: parallel_tool_calls: false gives one call", async () => {
  const calls = [{ name: "get_weather", input: { city: "Oslo" } }, { name: "get_weather", input: { city: "Bern" } }];
  await using bridge = await BridgeUnderTest.start({ script: { calls } });
  const request = { model: "mock", messages: MESSAGES, tools: [WEATHER] };
  const count = async (more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>): Promise<number | undefined> =>
    (await sdk(bridge).chat.completions.create({ ...request, ...more })).choices[0]?.message.tool_calls?.length;
  assertEquals(await count({}), 2);
  assertEquals(await count({ parallel_tool_calls: false }), 1);
});

Deno.test("openai: reasoning_effort asks for a trace, which comes apart from the text", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { thinking: ["Hm", "."], tokens: ["Yes"] } });
  const thought = async (reasoning_effort: OpenAI.ReasoningEffort): Promise<unknown> => {
    const { choices } = await sdk(bridge).chat.completions.create({
      model: "mock",
      messages: MESSAGES,
      reasoning_effort,
    });
    assertEquals(choices[0]?.message.content, "Yes");
    return (choices[0]?.message as unknown as Record<string, unknown>).reasoning_content;
  };
  assertEquals(await thought("high"), "Hm.");
  assertEquals(await thought("none"), undefined);
});

Deno.test("openai: n asks for several answers, also in a stream", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["a", "b"] } });
  const request = { model: "mock", messages: MESSAGES, n: 3 };
  const answer = await sdk(bridge).chat.completions.create(request);
  assertEquals(answer.choices.map(({ index, message }) => [index, message.content]), [[0, "ab"], [1, "ab"], [2, "ab"]]);
  const texts = ["", "", ""];
  for await (const { choices } of await sdk(bridge).chat.completions.create({ ...request, stream: true })) {
    for (const { index, delta } of choices) texts[index] += delta.content ?? "";
  }
  assertEquals(texts, ["ab", "ab", "ab"]);
});

Deno.test("openai: images reach a model that takes them, and are refused clearly by one that does not", async () => {
  const content = [
    { type: "image_url" as const, image_url: { url: "data:image/png;base64,AAAA" } },
    { type: "text" as const, text: "What is this?" },
  ];
  const request = { model: "mock", messages: [{ role: "user" as const, content }] };
  {
    await using seeing = await BridgeUnderTest.start({ script: { vision: true } });
    const answer = await sdk(seeing).chat.completions.create(request);
    assertEquals(answer.choices[0]?.message.content, "This is a mock answer.");
  }
  await using blind = await BridgeUnderTest.start();
  const refused = await assertRejects(() => sdk(blind).chat.completions.create(request), OpenAI.BadRequestError);
  assertEquals(refused.code, "unsupported_content");
  const far = await assertRejects(
    () =>
      sdk(blind).chat.completions.create({
        model: "mock",
        messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "https://x.example/a.png" } }] }],
      }),
    OpenAI.BadRequestError,
  );
  assertEquals(far.param, "messages[0].content[0].image_url.url");
});

Deno.test("openai: errors are the SDK's own classes, with status, code and param", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { parallel: 1, queueDepth: 0 }, script: { hangAt: 1 } });
  const client = sdk(bridge);
  const missing = await assertRejects(
    () => client.chat.completions.create({ model: "gpt-nothing", messages: MESSAGES }),
    OpenAI.NotFoundError,
  );
  assertEquals(missing.code, "model_not_found");
  assertStringIncludes(missing.message, "mock");
  const wrong = await assertRejects(
    () => client.chat.completions.create({ model: "mock", messages: MESSAGES, temperature: 3 }),
    OpenAI.BadRequestError,
  );
  assertEquals(wrong.param, "temperature");
  const unknown = await assertRejects(
    () => client.chat.completions.create({ model: "mock", messages: MESSAGES, nonsense: 1 } as never),
    OpenAI.BadRequestError,
  );
  assertEquals([unknown.code, unknown.param], ["unknown_parameter", "nonsense"]);

  // One request runs and there is no queue.
  const running = await client.chat.completions.create({ model: "mock", messages: MESSAGES, stream: true });
  const full = await assertRejects(
    () => client.chat.completions.create({ model: "mock", messages: MESSAGES }),
    OpenAI.RateLimitError,
  );
  assertEquals([full.code, full.headers?.get("retry-after")], ["queue_full", "1"]);
  running.controller.abort();
});

Deno.test("openai: models are listed with their aliases, and one by one", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { aliases: { "gpt-4o-mini": "mock" } } });
  const client = sdk(bridge);
  assertEquals((await Array.fromAsync(client.models.list())).map(({ id }) => id), ["mock", "gpt-4o-mini"]);
  assertEquals((await client.models.retrieve("mock")).id, "mock");
  await assertRejects(() => client.models.retrieve("other"), OpenAI.NotFoundError);
  const answer = await client.chat.completions.create({ model: "gpt-4o-mini", messages: MESSAGES });
  assertEquals(answer.model, "gpt-4o-mini");
});

Deno.test("openai: a request reaches the backend that its model names", async () => {
  const backend = (name: string): { kind: "mock"; name: string; script: { tokens: string[] } } => ({
    kind: "mock",
    name,
    script: { tokens: [`I am ${name}`] },
  });
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [backend("one"), backend("two")] } });
  for (const model of ["one", "two"]) {
    const { choices } = await sdk(bridge).chat.completions.create({ model, messages: MESSAGES });
    assertEquals(choices[0]?.message.content, `I am ${model}`);
  }
});

Deno.test("openai: embeddings come as floats and as base64, cut to dimensions", async () => {
  await using bridge = await BridgeUnderTest.start();
  const client = sdk(bridge);
  const request = { model: "mock", input: ["a text", "another"] };
  // The SDK asks for base64 by itself where nothing is said.
  const packed = await client.embeddings.create(request);
  const plain = await client.embeddings.create({ ...request, encoding_format: "float" });
  assertEquals(plain.data.map(({ index, embedding }) => [index, embedding.length]), [[0, 8], [1, 8]]);
  assertEquals(
    packed.data.map(({ embedding }) => [...Float32Array.from(embedding)]),
    plain.data.map(({ embedding }) => [...Float32Array.from(embedding)]),
  );
  const short = await client.embeddings.create({ ...request, dimensions: 3, encoding_format: "float" });
  assertEquals(short.data.map(({ embedding }) => embedding.length), [3, 3]);
  await assertRejects(() => client.embeddings.create({ model: "mock", input: [] }), OpenAI.BadRequestError);
});

Deno.test("openai: leaving a stream cancels the request in the daemon", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { hangAt: 1 } });
  const stream = await sdk(bridge).chat.completions.create({ model: "mock", messages: MESSAGES, stream: true });
  const cancelled = bridge.daemon.log.next("request_cancelled");
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  assertEquals((await cancelled).fields.backend, "mock");
});

Deno.test("openai: real inference answers, parses into a zod schema and calls a required tool", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = sdk(bridge);
  const model = "inferd-tiny";
  const { choices } = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "What is the capital of France?" }],
    temperature: 0,
  });
  assertStringIncludes(choices[0]?.message.content ?? "", "Paris");
  const Person = z.object({ name: z.string().max(20), age: z.int().min(0).max(150) });
  const parsed = await client.chat.completions.parse({
    model,
    messages: [{ role: "user", content: "Who is it? Anna is 30 years old." }],
    temperature: 0,
    response_format: zodResponseFormat(Person, "person"),
  });
  assert(Person.safeParse(parsed.choices[0]?.message.parsed).success);
  const called = await client.chat.completions.create({
    model,
    messages: MESSAGES,
    tools: [WEATHER],
    tool_choice: "required",
    temperature: 0,
  });
  assertEquals(called.choices[0]?.finish_reason, "tool_calls");
});
