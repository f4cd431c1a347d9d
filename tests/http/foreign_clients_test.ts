/**
 * Requests as clients in other languages and agents serialise them, and answers as their types read them: fields that a
 * Rust, Go, C# or Java type requires are there and have its type.
 */
import { assertEquals } from "@std/assert";
import { z } from "zod";
import { BridgeUnderTest } from "../support/bridges.ts";

const model = "mock";
const schema = { type: "object", properties: { q: { type: "string" } }, required: ["q"] };
const goTool = {
  type: "function",
  function: { name: "look", description: "", parameters: { type: "object", properties: null, required: null } },
};

/** Who asks, the path, and the request. */
const REQUESTS: readonly (readonly [string, string, Record<string, unknown>])[] = [
  ["Go, go-openai", "/v1/chat/completions", {
    model,
    messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Hi", name: "ann" }],
    max_completion_tokens: 20,
    stream: false,
    seed: 7,
    logit_bias: { "5": -10 },
    store: true,
    metadata: { run: "1" },
    tools: [goTool],
    parallel_tool_calls: false,
    service_tier: "auto",
    safety_identifier: "u",
  }],
  ["Rust, Zed", "/v1/chat/completions", {
    model,
    messages: [{ role: "user", content: [{ type: "text", text: "Hi" }] }, { role: "assistant", content: null }, {
      role: "user",
      content: "Go on",
    }],
    stream: true,
    stream_options: { include_usage: true },
    temperature: 1,
    prompt_cache_key: "thread",
    reasoning_effort: "medium",
  }],
  ["C#, OpenAI's SDK", "/v1/chat/completions", {
    model,
    messages: [{ role: "user", content: [{ type: "text", text: "Hi" }] }],
    response_format: { type: "json_schema", json_schema: { name: "a", schema, strict: true } },
    user: "u",
    n: 1,
  }],
  ["Codex", "/v1/responses", {
    model,
    instructions: "You are an agent.",
    input: [
      { type: "message", role: "developer", content: [{ type: "input_text", text: "Rules" }] },
      { type: "message", role: "user", content: [{ type: "input_text", text: "Hi" }] },
      { type: "reasoning", summary: [], content: null, encrypted_content: "Z3B0" },
      { type: "function_call", name: "shell", arguments: "{}", call_id: "c1" },
      { type: "function_call_output", call_id: "c1", output: "ok" },
    ],
    tools: [
      { type: "function", name: "shell", description: "", strict: false, parameters: schema },
      { type: "web_search", external_web_access: false },
      {
        type: "namespace",
        name: "mcp__files__",
        description: "",
        tools: [{ type: "function", name: "read", description: "", strict: false, parameters: schema }],
      },
    ],
    tool_choice: "auto",
    parallel_tool_calls: false,
    reasoning: { effort: "medium", summary: "auto" },
    store: false,
    stream: true,
    include: ["reasoning.encrypted_content"],
    prompt_cache_key: "thread",
    client_metadata: { "x-codex-installation-id": "1" },
  }],
  ["Claude Code", "/v1/messages?beta=true", {
    model,
    max_tokens: 32000,
    temperature: 1,
    stream: true,
    system: [{ type: "text", text: "You are an agent.", cache_control: { type: "ephemeral", ttl: "1h" } }],
    messages: [{
      role: "user",
      content: [{ type: "text", text: "Hi", cache_control: { type: "ephemeral" } }],
    }],
    tools: [{ name: "Bash", description: "", input_schema: schema, eager_input_streaming: true, strict: true }],
    metadata: { user_id: "user_1" },
    thinking: { type: "adaptive", display: "summarized" },
    output_config: { effort: "high" },
    context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
  }],
  ["Go, Ollama's client", "/api/chat", {
    model,
    messages: [{ role: "user", content: "Hi" }],
    format: "json",
    options: { numa: false, vocab_only: false, low_vram: false, num_ctx: 131072, num_gpu: -1, seed: -1 },
    tools: [goTool],
    think: null,
  }],
  ["Rust, Zed with Ollama", "/api/chat", {
    model: "mock:latest",
    messages: [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "", tool_calls: [{ function: { name: "look", arguments: {} } }], thinking: null },
      { role: "tool", tool_name: "look", content: "ok" },
    ],
    stream: true,
    keep_alive: -1,
    options: { num_ctx: 16384, num_predict: null, stop: [], temperature: 1, top_p: null },
    tools: [],
    think: null,
  }],
  ["C#, OllamaSharp", "/api/generate", {
    model,
    prompt: "Hi",
    stream: false,
    options: {
      mirostat: 0,
      num_gqa: 8,
      logits_all: false,
      f16_kv: true,
      use_mlock: false,
      tfs_z: 1,
      repeat_last_n: 64,
    },
  }],
];

for (const [who, path, body] of REQUESTS) {
  Deno.test(`foreign clients: a request of ${who} to ${path} is answered`, async () => {
    await using bridge = await BridgeUnderTest.start({ script: { thinking: ["Hm"], tokens: ["Yes"] } });
    const { status, text } = await bridge.post(path, body, { "anthropic-beta": "claude-code-20250219" });
    assertEquals([status, /"error":[{"]|event: error/.test(text)], [200, false], text);
  });
}

const count = z.int().min(0);
const usage = z.object({ prompt_tokens: count, completion_tokens: count, total_tokens: count });
const answer = { id: z.string(), created: count, model: z.string() };
const details = z.object({
  format: z.string(),
  family: z.string(),
  families: z.array(z.string()),
  parameter_size: z.string(),
  quantization_level: z.string(),
});
const listed = z.object({ name: z.string(), modified_at: z.iso.datetime(), size: count, digest: z.string(), details });

/** What a type of the client requires of the answer to a request with these fields; a path without is a GET. */
const ANSWERS: readonly (readonly [string, string, Record<string, unknown> | undefined, z.ZodType])[] = [
  [
    "async-openai",
    "/v1/chat/completions",
    { messages: [{ role: "user", content: "Hi" }] },
    z.object({
      ...answer,
      object: z.literal("chat.completion"),
      choices: z.array(z.object({
        index: count,
        message: z.object({ role: z.literal("assistant"), content: z.string() }),
        finish_reason: z.enum(["stop", "length", "tool_calls", "content_filter", "function_call"]),
      })),
      usage,
    }),
  ],
  [
    "go-openai",
    "/v1/completions",
    { prompt: "Hi" },
    z.object({
      ...answer,
      object: z.literal("text_completion"),
      choices: z.array(z.object({ text: z.string() })),
      usage,
    }),
  ],
  [
    "async-openai",
    "/v1/responses",
    { input: "Hi", service_tier: "flex", store: true },
    z.object({
      id: z.string(),
      object: z.literal("response"),
      created_at: count,
      model: z.string(),
      status: z.literal("completed"),
      service_tier: z.enum(["auto", "default", "flex", "scale", "priority"]),
      store: z.literal(false),
      usage: z.object({ input_tokens_details: z.object({ cached_tokens: count, cache_write_tokens: count }) }),
      output: z.array(z.object({
        id: z.string(),
        type: z.literal("message"),
        role: z.literal("assistant"),
        status: z.literal("completed"),
        content: z.array(
          z.object({ type: z.literal("output_text"), text: z.string(), annotations: z.array(z.unknown()) }),
        ),
      })),
    }),
  ],
  [
    "go-openai",
    "/v1/models",
    undefined,
    z.object({ data: z.array(z.object({ id: z.string(), object: z.string(), created: count, owned_by: z.string() })) }),
  ],
  ["ollama-rs", "/api/tags", undefined, z.object({ models: z.array(listed) })],
  [
    "OllamaSharp",
    "/api/ps",
    undefined,
    z.object({ models: z.array(listed.extend({ size_vram: count, expires_at: z.iso.datetime() })) }),
  ],
  [
    "ollama-rs",
    "/api/show",
    { name: model },
    z.object({
      license: z.string(),
      modelfile: z.string().startsWith("FROM "),
      parameters: z.string(),
      template: z.string(),
      details,
      model_info: z.record(z.string(), z.unknown()),
      capabilities: z.array(z.string()),
    }),
  ],
];

/** What Anthropic's types require, null where this server has nothing. */
const anthropicUsage = z.object({
  input_tokens: count,
  output_tokens: count,
  cache_creation: z.null(),
  cache_creation_input_tokens: count.nullable(),
  cache_read_input_tokens: count.nullable(),
  inference_geo: z.null(),
  output_tokens_details: z.null(),
  server_tool_use: z.null(),
  service_tier: z.literal("standard"),
  speed: z.null(),
});
const anthropicMessage = z.object({
  id: z.string(),
  container: z.null(),
  diagnostics: z.null(),
  stop_details: z.null(),
  stop_sequence: z.null(),
  usage: anthropicUsage,
});
const toolUse = z.object({ type: z.literal("tool_use"), caller: z.object({ type: z.literal("direct") }) });

Deno.test("foreign clients: Anthropic's typed clients find each field that they require", async () => {
  const script = { tokens: ["Yes"], calls: [{ name: "look", input: {} }] };
  await using bridge = await BridgeUnderTest.start({ script });
  const body = {
    model,
    max_tokens: 9,
    messages: [{ role: "user", content: "Hi" }],
    tools: [{ name: "look", input_schema: schema }],
  };
  const valid = (type: z.ZodType, value: unknown): void => assertEquals(type.safeParse(value).error?.issues, undefined);
  const text = z.object({ type: z.literal("text"), citations: z.null() });
  const { json } = await bridge.post("/v1/messages", body);
  valid(anthropicMessage.extend({ content: z.tuple([text, toolUse]) }), json);
  const { text: events } = await bridge.post("/v1/messages", { ...body, stream: true });
  const ofType = (type: string): Record<string, unknown>[] =>
    events.split("\n").filter((line) => line.startsWith("data: ")).map((line) => JSON.parse(line.slice(6)))
      .filter((event) => event.type === type);
  valid(anthropicMessage, ofType("message_start")[0]?.message);
  valid(z.tuple([text, toolUse]), ofType("content_block_start").map((event) => event.content_block));
  const { usage, delta } = ofType("message_delta")[0] ?? {};
  valid(z.object({ output_tokens_details: z.null(), server_tool_use: z.null(), output_tokens: count }), usage);
  valid(z.object({ container: z.null(), stop_details: z.null() }), delta);
  const { json: { data } } = await bridge.get("/v1/models", { "anthropic-version": "2023-06-01" });
  const entry = z.object({
    capabilities: z.null(),
    lifecycle: z.literal("active"),
    max_tokens: count.nullable(),
    max_input_tokens: count.nullable(),
    created_at: z.iso.datetime(),
  });
  valid(z.tuple([entry]), data);
});

for (const [who, path, body, type] of ANSWERS) {
  Deno.test(`foreign clients: ${who} can read what ${path} answers`, async () => {
    await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Yes"] } });
    const { status, json } = await (body === undefined ? bridge.get(path) : bridge.post(path, body));
    assertEquals([status, type.safeParse(json).error?.issues], [200, undefined]);
  });
}
