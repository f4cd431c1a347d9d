/** Conversations as agents send them: calls over many turns, results with nothing in them. */
import { assertEquals, assertMatch } from "@std/assert";
import { BridgeUnderTest } from "../support/bridges.ts";

const CALLING = { tokens: ["Fine."], calls: [{ name: "look", input: {} }, { name: "look", input: { at: 2 } }] };
const QUESTION = { role: "user", content: "Look." };
const PARAMETERS = { type: "object", properties: { at: { type: "integer" } } };
const OPENAI_TOOL = { type: "function", function: { name: "look", parameters: PARAMETERS } };
const ANTHROPIC_TOOL = { name: "look", input_schema: PARAMETERS };

interface Asking {
  readonly path: string;
  readonly body: Record<string, unknown>;
  /** The ids of the answer's calls. */
  readonly idsOf: (json: Record<string, unknown>) => string[];
  readonly form: RegExp;
}

const ASKINGS: readonly Asking[] = [
  {
    path: "/v1/chat/completions",
    body: { messages: [QUESTION], tools: [OPENAI_TOOL] },
    idsOf: ({ choices }) =>
      (choices as [{ message: { tool_calls: { id: string }[] } }])[0].message.tool_calls.map(({ id }) => id),
    form: /^call_[0-9a-f]{24}$/,
  },
  {
    path: "/v1/responses",
    body: { input: "Look.", tools: [{ type: "function", name: "look", parameters: PARAMETERS }] },
    idsOf: ({ output }) =>
      (output as { type: string; call_id: string }[]).filter(({ type }) => type === "function_call")
        .map(({ call_id }) => call_id),
    form: /^call_[0-9a-f]{24}$/,
  },
  {
    path: "/v1/messages",
    body: { model: "mock", max_tokens: 50, messages: [QUESTION], tools: [ANTHROPIC_TOOL] },
    idsOf: ({ content }) =>
      (content as { type: string; id: string }[]).filter(({ type }) => type === "tool_use").map(({ id }) => id),
    form: /^toolu_[0-9a-f]{24}$/,
  },
  {
    path: "/api/chat",
    body: { model: "mock", stream: false, messages: [QUESTION], tools: [OPENAI_TOOL] },
    idsOf: ({ message }) => (message as { tool_calls: { id: string }[] }).tool_calls.map(({ id }) => id),
    form: /^call_[0-9a-f]{24}$/,
  },
];

for (const { path, body, idsOf, form } of ASKINGS) {
  Deno.test(`agents: two conversations of ${path} never have calls of one id`, async () => {
    await using bridge = await BridgeUnderTest.start({ script: CALLING });
    const ids = [
      ...idsOf((await bridge.post(path, body)).json),
      ...idsOf((await bridge.post(path, body)).json),
    ];
    assertEquals(new Set(ids).size, 4);
    for (const id of ids) assertMatch(id, form);
  });
}

for (const content of [undefined, null, "", []]) {
  Deno.test(`agents: a result of Anthropic's may be ${JSON.stringify(content) ?? "left out"}`, async () => {
    await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Fine."] } });
    const { status, text } = await bridge.post("/v1/messages", {
      model: "mock",
      max_tokens: 50,
      tools: [ANTHROPIC_TOOL],
      messages: [
        QUESTION,
        { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "look", input: {} }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content }] },
      ],
    });
    assertEquals(status, 200, text);
  });
}

Deno.test("agents: a result of the Responses API may be an empty list", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Fine."] } });
  const { status, text } = await bridge.post("/v1/responses", {
    input: [
      QUESTION,
      { type: "function_call", call_id: "call_1", name: "look", arguments: "{}" },
      { type: "function_call_output", call_id: "call_1", output: [] },
    ],
  });
  assertEquals(status, 200, text);
});

Deno.test("agents: a result of Ollama's may be empty", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Fine."] } });
  const { status, text } = await bridge.post("/api/chat", {
    model: "mock",
    stream: false,
    messages: [
      QUESTION,
      { role: "assistant", content: "", tool_calls: [{ function: { name: "look", arguments: {} } }] },
      { role: "tool", tool_name: "look", content: "" },
    ],
  });
  assertEquals(status, 200, text);
});

Deno.test("agents: an answer of Anthropic's that holds redacted thinking alone is taken", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Fine."] } });
  const { status, text } = await bridge.post("/v1/messages", {
    model: "mock",
    max_tokens: 50,
    messages: [QUESTION, { role: "assistant", content: [{ type: "redacted_thinking", data: "x" }] }, QUESTION],
  });
  assertEquals(status, 200, text);
});
