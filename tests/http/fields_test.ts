/** Fields as the real APIs take them: honoured or refused by name, never ignored. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const HELLO = { role: "user", content: "Hello." };
const CALL = { id: "call_1", type: "function", function: { name: "look", arguments: "{}" } };
/** As a typed client serialises a schema: each keyword that there could be, and what is null by meaning. */
const NULL_TOOLS = [{
  type: "function",
  function: {
    name: "look",
    parameters: {
      type: "object",
      $defs: null,
      required: ["at"],
      properties: {
        at: { type: "string", items: null, enum: null, description: null },
        to: { anyOf: [{ type: "null", const: null, default: null }, { enum: ["a", null], items: null }] },
      },
    },
  },
}];
const TOOLS = ["look", "go"].map((name) => ({ type: "function", function: { name } }));

const REFUSED: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ["/v1/chat/completions", { messages: [HELLO], functions: [{ name: "look" }] }, "functions"],
  ["/v1/chat/completions", { messages: [HELLO], audio: { voice: "alloy", format: "wav" } }, "audio"],
  ["/v1/chat/completions", { messages: [HELLO], verbosity: "low" }, "verbosity"],
  ["/v1/chat/completions", { messages: [HELLO], seed: 1.5 }, "seed"],
  [
    "/v1/chat/completions",
    { messages: [HELLO, { role: "assistant", content: null, function_call: { name: "look", arguments: "{}" } }] },
    "messages[1].function_call",
  ],
  [
    "/v1/chat/completions",
    { messages: [HELLO, { role: "assistant", audio: { id: "audio_1" } }, HELLO] },
    "messages[1].audio",
  ],
  [
    "/v1/chat/completions",
    { messages: [HELLO], response_format: { type: "text", schema: {} } },
    "response_format.schema",
  ],
  ["/v1/completions", { prompt: "Hello.", echo: true, logprobs: 1 }, "echo"],
  ["/v1/completions", { prompt: [] }, "prompt"],
  ["/v1/chat/completions", { messages: [HELLO], samplers: ["top_k", "cool"] }, "samplers[1]"],
  ["/v1/chat/completions", { messages: [HELLO], repeat_last_n: 128, repeat_penalty: 1.1 }, "repeat_last_n"],
  ["/v1/chat/completions", { messages: [HELLO], typ_p: 0.9 }, "typ_p"],
  ["/v1/completions", { prompt: "Hello.", max_tokens: 0 }, "max_tokens"],
  ["/v1/chat/completions", { messages: [HELLO], mirostat: 2 }, "mirostat"],
  ["/v1/chat/completions", { messages: [HELLO], continue_final_message: true }, "continue_final_message"],
  [
    "/v1/chat/completions",
    { messages: [HELLO, { role: "assistant", content: "He" }], continue_final_message: "reasoning_content" },
    "continue_final_message",
  ],
  [
    "/v1/chat/completions",
    { messages: [HELLO, { role: "assistant", tool_calls: [CALL] }], continue_final_message: true },
    "continue_final_message",
  ],
  ["/v1/chat/completions", { messages: [HELLO], safe_prompt: true }, "safe_prompt"],
  ["/v1/rerank", { query: "a", documents: ["b"], max_tokens_per_doc: 10 }, "max_tokens_per_doc"],
  ["/infill", { input_prefix: "a", input_suffix: "b", input_extra: [{ filename: "f" }] }, "input_extra[0].text"],
  ["/v1/completions", { prompt: "def f(", suffix: "return 1" }, "suffix"],
  ["/v1/embeddings", { input: [1, "a"] }, "input[1]"],
  ["/v1/embeddings", { input: [[1, -1]] }, "input[0][1]"],
  [
    "/v1/chat/completions",
    { messages: [HELLO], add_generation_prompt: true, continue_final_message: true },
    "continue_final_message",
  ],
  [
    "/v1/chat/completions",
    { messages: [HELLO], chat_template_kwargs: { messages: [] } },
    "chat_template_kwargs.messages",
  ],
  ["/v1/completions", { prompt: "Hello.", stream_options: { include_usage: true } }, "stream_options"],
  ["/v1/chat/completions", { messages: [HELLO], stream_options: { include_usage: true } }, "stream_options"],
  ["/v1/embeddings", { input: Array.from({ length: 2049 }, () => "a") }, "input"],
  ["/v1/embeddings", { input: [] }, "input"],
  ["/v1/responses", { input: "Hello.", text: { tone: "kind" } }, "text.tone"],
  ["/v1/responses", { input: "Hello.", reasoning: { budget: 5 } }, "reasoning.budget"],
  [
    "/v1/responses",
    { input: [{ role: "user", content: [{ type: "input_file", file_id: "file_1" }] }] },
    "input[0].content[0].type",
  ],
];

for (const [path, body, param] of REFUSED) {
  Deno.test(`fields: ${path} refuses ${param} by its name`, async () => {
    await using bridge = await BridgeUnderTest.start();
    const { status, json, text } = await bridge.post(path, body);
    assertEquals([status, (json.error as { param: unknown }).param], [400, param], text);
  });
}

const TAKEN: readonly (readonly [string, Record<string, unknown>])[] = [
  ["/v1/chat/completions", {
    messages: [HELLO],
    max_tokens: -1,
    add_generation_prompt: true,
    chat_template_kwargs: { enable_thinking: false },
    reasoning_format: "auto",
    timings_per_token: true,
    return_progress: true,
    post_sampling_probs: true,
    typical_p: 1,
    dry_multiplier: 0,
    dry_base: 1.75,
  }],
  ["/v1/chat/completions", {
    messages: [HELLO, { role: "assistant", content: "He" }],
    add_generation_prompt: false,
    continue_final_message: true,
  }],
  ["/v1/chat/completions", { messages: [HELLO], add_generation_prompt: false }],
  ["/v1/chat/completions", {
    messages: [HELLO],
    random_seed: 7,
    safe_prompt: false,
    repetition_penalty: 1.1,
    tools: TOOLS,
    tool_choice: "any",
  }],
  ["/openai/v1/chat/completions", { messages: [HELLO] }],
  ["/v2/rerank", { query: "a", documents: ["b"], max_tokens_per_doc: 8192 }],
  ["/v1/embeddings", { input: [1, 2, 3] }],
  ["/v1/embeddings", { input: [[1, 2, 3], "text"] }],
  ["/v1/completions", { prompt: "Hello.", n_predict: -1, id_slot: 3, n_cache_reuse: 256, mirostat: 0, top_k: -1 }],
  ["/v1/chat/completions", {
    messages: [HELLO],
    tools: [{ type: "function", function: { name: "look", parameters: { type: "object", required: null } } }],
  }],
  ["/v1/chat/completions", {
    messages: [HELLO],
    // What llama-server's own page may send.
    samplers: ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
    typ_p: 1,
    repeat_last_n: -1,
    reasoning_control: true,
    reasoning_budget_tokens: -1,
    sse_ping_interval: 5,
    t_max_prompt_ms: 500,
    lora: [],
  }],
  ["/v1/chat/completions", { messages: [HELLO], stop: "" }],
  ["/v1/completions", { prompt: "Hello.", stop: ["", "x"] }],
  ["/v1/chat/completions", { model: "mock:latest", messages: [HELLO] }],
  ["/v1/chat/completions", { messages: [HELLO], tools: NULL_TOOLS }],
  ["/v1/messages", {
    model: "mock",
    max_tokens: 5,
    mcp_servers: [],
    messages: [HELLO],
    tools: [{ name: "look", input_schema: NULL_TOOLS[0]?.function.parameters }],
  }],
  ["/api/chat", { model: "mock", stream: false, messages: [HELLO], tools: NULL_TOOLS }],
  ["/api/chat", { model: "mock", stream: false, messages: [HELLO], format: NULL_TOOLS[0]?.function.parameters }],
  ["/v1/chat/completions", {
    messages: [HELLO],
    functions: null,
    something_newer: null,
    function_call: null,
    audio: null,
    prediction: null,
    web_search_options: null,
  }],
  ["/v1/chat/completions", { messages: [HELLO], verbosity: "medium", top_p: 0, seed: 2 ** 63 - 1025 }],
  ["/v1/chat/completions", {
    messages: [
      HELLO,
      { role: "assistant", content: null, function_call: null, audio: null, tool_calls: [CALL] },
      { role: "tool", tool_call_id: "call_1", content: [] },
    ],
  }],
  ["/v1/chat/completions", {
    messages: [HELLO],
    store: true,
    service_tier: "flex",
    reasoning_effort: "max",
    prompt_cache_options: { mode: "implicit", ttl: "30m" },
  }],
  ["/v1/responses", {
    input: [HELLO],
    store: true,
    service_tier: "priority",
    max_tool_calls: 3,
    reasoning: { effort: "max", context: "auto", mode: "standard" },
    include: ["web_search_call.action.sources", "file_search_call.results"],
    client_metadata: { session_id: "1" },
  }],
  ["/v1/messages", {
    model: "mock",
    max_tokens: 5,
    speed: "standard",
    diagnostics: { previous_message_id: null },
    messages: [HELLO],
  }],
  ["/v1/messages", { model: "mock", max_tokens: 5, top_p: 0, messages: [HELLO] }],
  ["/v1/messages", {
    model: "mock",
    max_tokens: 5,
    container: null,
    context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    messages: [HELLO],
  }],
  ["/v1/responses", { input: [{ ...HELLO, type: null }, HELLO] }],
  ["/api/chat", {
    model: "mock",
    stream: false,
    messages: [HELLO],
    options: { top_p: 0, mirostat: 0, mirostat_tau: 5, mirostat_eta: 0.1, tfs_z: 1, f16_kv: true, seed: 2 ** 60 },
  }],
  ["/api/chat", {
    model: "mock",
    stream: false,
    messages: [{ ...HELLO, role: "User" }],
    think: "max",
    options: { top_k: -1, num_predict: 20.7, seed: -1, stop: ["", "x"], repeat_last_n: -1, num_ctx: 2 ** 20 },
  }],
  ["/api/chat", { model: "mock", messages: [HELLO], options: { repeat_last_n: 0, repeat_penalty: 1.5 } }],
  ["/api/embed", { model: "mock" }],
  ["/api/embeddings", { model: "mock", width: 5 }],
];

for (const [path, body] of TAKEN) {
  Deno.test(`fields: ${path} takes ${JSON.stringify(body).slice(0, 90)}`, async () => {
    await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hi."] } });
    const { status, text } = await bridge.post(path, body);
    assertEquals(status, 200, text);
  });
}

Deno.test("fields: allowed_tools of a chat leaves the tools that it names", async () => {
  await using bridge = await BridgeUnderTest.start({
    script: { calls: [{ name: "look", input: {} }, { name: "go", input: {} }] },
  });
  const ask = (name: string): ReturnType<typeof bridge.post> =>
    bridge.post("/v1/chat/completions", {
      messages: [HELLO],
      tools: TOOLS,
      tool_choice: {
        type: "allowed_tools",
        allowed_tools: { mode: "required", tools: [{ type: "function", function: { name } }] },
      },
    });
  const { json } = await ask("go");
  const { choices } = json as { choices: [{ message: { tool_calls: { function: { name: string } }[] } }] };
  assertEquals(choices[0].message.tool_calls.map((call) => call.function.name), ["go"]);
  const { status, text } = await ask("fly");
  assertEquals(status, 400);
  assertMatch(text, /"fly\\", which is not one of/);
});

Deno.test("fields: json_object with a schema, as llama-server has it, follows the schema", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const schema = { type: "object", properties: { fine: { type: "boolean" } }, required: ["fine"] };
  const { json } = await bridge.post("/v1/chat/completions", {
    messages: [HELLO],
    response_format: { type: "json_object", schema: { ...schema, additionalProperties: false } },
  });
  const { choices } = json as { choices: [{ message: { content: string } }] };
  assertEquals(Object.keys(JSON.parse(choices[0].message.content)), ["fine"]);
});

Deno.test("fields: top_p 0 leaves the likeliest token alone", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const ask = async (sampling: Record<string, unknown>): Promise<string> => {
    const { json } = await bridge.post("/v1/chat/completions", { messages: [HELLO], max_tokens: 12, ...sampling });
    return (json as { choices: [{ message: { content: string } }] }).choices[0].message.content;
  };
  const greedy = await ask({ temperature: 0 });
  assert(greedy.length > 0);
  for (const seed of [1, 2, 3]) assertEquals(await ask({ temperature: 2, top_k: 0, top_p: 0, seed }), greedy);
});

Deno.test("fields: what Ollama ignores is taken and named, and what it honours is refused", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hi."] } });
  const ask = (path: string, fields: Record<string, unknown>): ReturnType<typeof bridge.post> =>
    bridge.post(path, {
      model: "mock",
      ...(path === "/api/chat" ? { messages: [HELLO] } : { prompt: "Hello." }),
      stream: false,
      ...fields,
    });
  for (const path of ["/api/chat", "/api/generate"]) {
    const options = { vocab_only: false, logits_all: true, mirostat: 2, num_ctx: 2 ** 20, "a\nb": 1, num_gpu: 9 };
    const { status, headers } = await ask(path, { width: 512, options });
    assertEquals(status, 200);
    assertMatch(
      headers.get("warning") ?? "",
      /width, options\.vocab_only, options\.logits_all, options\.mirostat, options\.num_ctx"$/,
    );
    assertEquals((await ask(path, { options: { num_gpu: 9 } })).headers.get("warning"), null);
    assertMatch((await ask(path, { stream: true, width: 512 })).headers.get("warning") ?? "", /: width"$/);
    for (
      const fields of [
        { options: { typical_p: 0.5 } },
        { options: { repeat_last_n: -1, repeat_penalty: 1.1 } },
        { options: { temperature: "hot" } },
        { _debug_render_only: true },
      ]
    ) assertEquals((await ask(path, fields)).status, 400, JSON.stringify(fields));
    const nothing = path === "/api/chat" ? { messages: [] } : { prompt: "" };
    const unload = await ask(path, { ...nothing, keep_alive: "0s" });
    assertEquals([unload.status, unload.json.error], [
      501,
      'HTTP may not unload models: "idle_unload_secs" of a backend decides how long one stays',
    ]);
    assertEquals((await ask(path, { ...nothing, keep_alive: -1 })).json.done_reason, "load");
  }
});

Deno.test("fields: Ollama's think needs a model that thinks", async () => {
  const plain = { ...BUILT_IN_BACKEND, name: "x", templateText: "{{ messages[0].content }}" };
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [plain] } });
  const ask = (think: unknown): ReturnType<typeof bridge.post> =>
    bridge.post("/api/chat", { model: "x", messages: [HELLO], stream: false, think, options: { num_predict: 2 } });
  assertEquals((await ask(true)).json.error, '"x" does not support thinking');
  assertEquals((await ask(false)).status, 200);
});

Deno.test("fields: Ollama's embeddings of nothing are none", async () => {
  await using bridge = await BridgeUnderTest.start();
  for (const input of ["", []]) {
    const { json, text } = await bridge.post("/api/embed", { model: "mock", input });
    assertEquals(json.embeddings, [], text);
  }
  assertEquals((await bridge.post("/api/embeddings", { model: "mock", prompt: "" })).json, { embedding: [] });
});
