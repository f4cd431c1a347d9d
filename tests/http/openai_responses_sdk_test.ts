/** The Responses API with the official `openai` package, as a new user has it. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import OpenAI from "npm:openai@7.57.0";
import { zodTextFormat } from "npm:openai@7.57.0/helpers/zod";
import { z } from "zod";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const WEATHER: OpenAI.Responses.FunctionTool = {
  type: "function",
  name: "get_weather",
  description: "The weather in a city",
  parameters: {
    type: "object",
    properties: { city: { type: "string", maxLength: 20 } },
    required: ["city"],
    additionalProperties: false,
  },
  strict: true,
};
const CALLING = { tokens: ["Let", " me see."], calls: [{ name: "get_weather", input: { city: "Oslo" } }] };
const ASK = { model: "mock", input: "What is the weather in Oslo?" };

function sdk(bridge: BridgeUnderTest): OpenAI {
  return new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: "none", maxRetries: 0 });
}

Deno.test("openai responses: an answer has its text, its items and usage", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hello", " there"] } });
  const answer = await sdk(bridge).responses.create({ ...ASK, instructions: "Be brief.", metadata: { a: "b" } });
  assertEquals([answer.output_text, answer.status, answer.model], ["Hello there", "completed", "mock"]);
  assertEquals(answer.output.map(({ type }) => type), ["message"]);
  assertEquals([answer.usage?.input_tokens, answer.usage?.output_tokens, answer.usage?.total_tokens], [8, 2, 10]);
  assertEquals([answer.instructions, answer.metadata], ["Be brief.", { a: "b" }]);
});

Deno.test("openai responses: a stream has the events of its items, in order and numbered", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { ...CALLING, thinking: ["Hm", "."] } });
  const stream = await sdk(bridge).responses.create({
    ...ASK,
    tools: [WEATHER],
    reasoning: { effort: "high" },
    stream: true,
  });
  const events = await Array.fromAsync(stream);
  assertEquals(events.map(({ type }) => type.replace("response.", "")), [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "reasoning_text.delta",
    "reasoning_text.delta",
    "reasoning_text.done",
    "content_part.done",
    "output_item.done",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
    "completed",
  ]);
  assertEquals(events.map((event) => event.sequence_number), events.map((_, index) => index));
  const added = events.flatMap((event) => event.type === "response.output_item.added" ? [event.output_index] : []);
  assertEquals(added, [0, 1, 2]);
});

Deno.test("openai responses: the stream helper collects the same as an answer at once", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { ...CALLING, thinking: ["Hm."] } });
  const request = { ...ASK, tools: [WEATHER], reasoning: { effort: "high" as const } };
  const whole = await sdk(bridge).responses.create(request);
  const final = await sdk(bridge).responses.stream(request).finalResponse();
  const told = (output: readonly unknown[]): unknown[] =>
    output.map((item) =>
      JSON.parse(
        JSON.stringify(
          item,
          (key, value) => key === "id" || key === "call_id" || key.startsWith("parsed") ? undefined : value,
        ),
      )
    );
  assertEquals(told(final.output), told(whole.output));
  assertEquals(final.output.map(({ type }) => type), ["reasoning", "message", "function_call"]);
  assertEquals(final.output_text, "Let me see.");
});

Deno.test("openai responses: a call's result is handed back with the items before it", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { ...CALLING, thinking: ["Hm."] } });
  const client = sdk(bridge);
  const request = {
    ...ASK,
    tools: [WEATHER],
    reasoning: { effort: "high" as const },
    include: ["reasoning.encrypted_content" as const],
  };
  const first = await client.responses.create(request);
  const call = first.output.find((item) => item.type === "function_call");
  assert(call !== undefined);
  assertEquals(JSON.parse(call.arguments), { city: "Oslo" });
  const second = await client.responses.create({
    ...request,
    input: [
      { role: "user", content: ASK.input },
      ...first.output as OpenAI.Responses.ResponseInput,
      { type: "function_call_output", call_id: call.call_id, output: "7 degrees" },
    ],
  });
  assertEquals(second.output.map(({ type }) => type), ["reasoning", "message"]);
  // Question, thought, text, call and result of the first turn.
  assertEquals(second.usage?.input_tokens, 6 + 1 + 3 + 1 + 2);
});

Deno.test("openai responses: a summary is the trace, in its own events", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { thinking: ["Hm", "."], tokens: ["Yes"] } });
  const request = { ...ASK, reasoning: { summary: "auto" as const } };
  const [reasoning] = (await sdk(bridge).responses.create(request)).output;
  assert(reasoning?.type === "reasoning");
  assertEquals(reasoning.summary, [{ type: "summary_text", text: "Hm." }]);
  const stream = sdk(bridge).responses.stream(request);
  const deltas: string[] = [];
  stream.on("event", (event) => {
    if (event.type === "response.reasoning_summary_text.delta") deltas.push(event.delta);
  });
  await stream.finalResponse();
  assertEquals(deltas, ["Hm", "."]);
});

Deno.test("openai responses: tool_choice is honoured in its forms", async () => {
  await using bridge = await BridgeUnderTest.start({ script: CALLING });
  const other = { ...WEATHER, name: "other" };
  const called = async (tool_choice: OpenAI.Responses.ResponseCreateParams["tool_choice"]): Promise<string[]> => {
    const { output } = await sdk(bridge).responses.create({
      ...ASK,
      tools: [WEATHER, other],
      ...(tool_choice === undefined ? {} : { tool_choice }),
    });
    return output.flatMap((item) => item.type === "function_call" ? [item.name] : []);
  };
  assertEquals(await called("auto"), ["get_weather"]);
  assertEquals(await called("none"), []);
  assertEquals(await called("required"), ["get_weather"]);
  assertEquals(await called({ type: "function", name: "other" }), ["other"]);
  const allowed = { type: "allowed_tools" as const, tools: [{ type: "function", name: "get_weather" }] };
  assertEquals(await called({ ...allowed, mode: "required" }), ["get_weather"]);
});

Deno.test("openai responses: functions of a namespace are called by both names, and a server's tools are left out", async () => {
  const search = { name: "mcp__files__search", input: { city: "x" } };
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Ok"], calls: [search] } });
  const own = { type: "function", name: "search", description: "", parameters: { type: "object" }, strict: false };
  for (const [namespace, stream] of [["mcp__files__", false], ["mcp__files", true]] as const) {
    const tools = [{ type: "web_search" }, { type: "namespace", name: namespace, description: "", tools: [own] }];
    const request = { model: "mock", input: "Find it.", tools, stream };
    const { status, text, headers } = await bridge.post("/v1/responses", request);
    assertEquals([status, headers.get("warning")], [200, '299 inferd "not offered to the model: web_search"'], text);
    const json = stream
      ? JSON.parse(text.trim().split("\n\n").at(-1)?.split("\ndata: ")[1] ?? "").response
      : JSON.parse(text);
    const call = (json.output as { type: string }[]).find(({ type }) => type === "function_call");
    assertEquals(call, { ...call, name: "search", namespace } as typeof call);
    assertEquals(json.tools, [{ ...tools[1] }]);
    const { call_id } = call as unknown as { call_id: string };
    const input = [{ role: "user", content: "Find it." }, call, {
      type: "function_call_output",
      call_id,
      output: "found",
    }];
    assertEquals((await bridge.post("/v1/responses", { ...request, input })).status, 200);
    const choice = { type: "function", namespace, name: "search" };
    assertEquals((await bridge.post("/v1/responses", { ...request, tool_choice: choice })).status, 200);
  }
});

Deno.test("openai responses: what cannot be honoured is refused with its name", async () => {
  await using bridge = await BridgeUnderTest.start();
  const refused: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ previous_response_id: "resp_1" }, "previous_response_id"],
    [{ conversation: "conv_1" }, "conversation"],
    [{ background: true }, "background"],
    [{ truncation: "auto" }, "truncation"],
    [{ tools: [{ type: "web_search" }] }, "tools[0].type"],
    [{ include: ["everything"] }, "include[0]"],
    [{ input: [{ type: "item_reference", id: "msg_1" }] }, "input[0].type"],
    [{ nonsense: 1 }, "nonsense"],
  ];
  for (const [fields, param] of refused) {
    const error = await assertRejects(
      () => sdk(bridge).responses.create({ ...ASK, ...fields } as OpenAI.Responses.ResponseCreateParamsNonStreaming),
      OpenAI.BadRequestError,
    );
    assertEquals(error.param, param);
  }
  await assertRejects(() => sdk(bridge).responses.create({ ...ASK, model: "gpt-nothing" }), OpenAI.NotFoundError);
});

Deno.test("openai responses: an answer that was cut is incomplete, also in a stream", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["a", "b", "c"] } });
  const request = { ...ASK, max_output_tokens: 2 };
  const whole = await sdk(bridge).responses.create(request);
  assertEquals([whole.status, whole.incomplete_details?.reason], ["incomplete", "max_output_tokens"]);
  const events = await Array.fromAsync(await sdk(bridge).responses.create({ ...request, stream: true }));
  assertEquals(events.at(-1)?.type, "response.incomplete");
});

Deno.test("openai responses: real inference answers and parses into a zod schema", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = sdk(bridge);
  const model = "inferd-tiny";
  const answer = await client.responses.create({ model, input: "What is the capital of France?", temperature: 0 });
  assertStringIncludes(answer.output_text, "Paris");
  const Person = z.object({ name: z.string().max(20), age: z.int().min(0).max(150) });
  const parsed = await client.responses.parse({
    model,
    input: [{ role: "user", content: "Who is it? Anna is 30 years old." }],
    temperature: 0,
    text: { format: zodTextFormat(Person, "person") },
  });
  assert(Person.safeParse(parsed.output_parsed).success);
});
