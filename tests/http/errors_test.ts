/** What goes wrong, as each API tells it: its status, its code and its own shape of body. */
import { assertEquals, assertMatch } from "@std/assert";
import { type Answer, BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const MESSAGES = [{ role: "user", content: "hi" }];

/** One request to each API; `model` and `text` are filled in. */
const REQUESTS: readonly (readonly [string, (model: string, text: string) => Record<string, unknown>])[] = [
  ["/v1/chat/completions", (model, text) => ({ model, messages: [{ role: "user", content: text }] })],
  ["/v1/completions", (model, prompt) => ({ model, prompt })],
  ["/v1/responses", (model, input) => ({ model, input })],
  ["/v1/messages", (model, text) => ({ model, max_tokens: 10, messages: [{ role: "user", content: text }] })],
  ["/completion", (model, prompt) => ({ model, prompt })],
  ["/api/chat", (model, text) => ({ model, messages: [{ role: "user", content: text }], stream: false })],
  ["/api/generate", (model, prompt) => ({ model, prompt, stream: false })],
];

/** The error's code or type, wherever the API has it; Ollama has a text alone. */
function codeOf(path: string, { json }: Answer): unknown {
  if (path.startsWith("/api/")) return typeof json.error;
  const error = json.error as Record<string, unknown>;
  return path === "/v1/messages" || path === "/completion" ? error.type : error.code;
}

/** llama-server's types, by OpenAI's codes. */
const LLAMA_SERVER: Readonly<Record<string, string>> = {
  model_not_found: "not_found_error",
  queue_full: "rate_limit_error",
  backend_unavailable: "unavailable_error",
  context_length_exceeded: "exceed_context_size_error",
};

function expected(path: string, openai: string, anthropic: string): string | undefined {
  if (path === "/completion") return LLAMA_SERVER[openai];
  return path.startsWith("/api/") ? "string" : path === "/v1/messages" ? anthropic : openai;
}

for (const [path, body] of REQUESTS) {
  Deno.test(`errors: ${path} answers 404 when there is no such model`, async () => {
    await using bridge = await BridgeUnderTest.start();
    const answer = await bridge.post(path, body("gpt-nothing", "hi"));
    assertEquals(
      [answer.status, codeOf(path, answer)],
      [404, expected(path, "model_not_found", "not_found_error")],
    );
    assertMatch(answer.text, /gpt-nothing/);
  });

  Deno.test(`errors: ${path} answers 429 with Retry-After when the queue is full`, async () => {
    await using bridge = await BridgeUnderTest.start({
      script: { hangAt: 0 },
      daemon: { parallel: 1, queueDepth: 0 },
    });
    const accepted = bridge.daemon.log.next("request_accepted");
    const leave = new AbortController();
    const running = fetch(`${bridge.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ messages: MESSAGES }),
      signal: leave.signal,
    }).catch(() => {});
    await accepted;
    const answer = await bridge.post(path, body("mock", "hi"));
    assertEquals(
      [answer.status, codeOf(path, answer), answer.headers.get("retry-after")],
      [429, expected(path, "queue_full", "rate_limit_error"), "1"],
    );
    leave.abort();
    await running;
  });

  Deno.test(`errors: ${path} answers 503 when there is no daemon any more`, async () => {
    await using bridge = await BridgeUnderTest.start();
    await bridge.daemon.daemon.drain();
    const answer = await bridge.post(path, body("mock", "hi"));
    assertEquals(
      [answer.status, codeOf(path, answer)],
      [503, expected(path, "backend_unavailable", "overloaded_error")],
    );
  });
}

Deno.test("errors: a prompt over the context is 400 with the code that clients look for, in every API", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  for (const [path, body] of REQUESTS) {
    const answer = await bridge.post(path, body("inferd-tiny", "word ".repeat(3000)));
    assertEquals(
      [answer.status, codeOf(path, answer)],
      [400, expected(path, "context_length_exceeded", "invalid_request_error")],
      path,
    );
    // What agents look for.
    assertMatch(answer.text, path === "/v1/messages" ? /prompt is too long/ : /exceeds the available context size/);
  }
});

/** Of each API parameters that it has and that cannot be honoured here. */
const REFUSED: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ["/v1/chat/completions", { messages: MESSAGES, modalities: ["audio"] }, "modalities[0]"],
  ["/v1/chat/completions", { messages: MESSAGES, top_logprobs: 2 }, "top_logprobs"],
  ["/v1/chat/completions", { messages: MESSAGES, functions: [] }, "functions"],
  ["/v1/chat/completions", { messages: MESSAGES, web_search_options: {} }, "web_search_options"],
  ["/v1/chat/completions", { messages: MESSAGES, logit_bias: { a: 1 } }, "logit_bias.a"],
  ["/v1/completions", { prompt: "hi", suffix: "there" }, "suffix"],
  ["/v1/completions", { prompt: "hi", best_of: 3 }, "best_of"],
  ["/v1/completions", { prompt: [1, [2]] }, "prompt"],
  ["/v1/completions", { prompt: [-1] }, "prompt[0]"],
  ["/v1/embeddings", { input: "" }, "input"],
  ["/v1/rerank", { query: "q", documents: ["a"], max_chunks_per_doc: 1 }, "max_chunks_per_doc"],
];
for (const [path, body, param] of REFUSED) {
  Deno.test(`errors: ${path} refuses ${JSON.stringify(body).slice(0, 80)} and names ${param}`, async () => {
    await using bridge = await BridgeUnderTest.start();
    const { status, json } = await bridge.post(path, body);
    assertEquals([status, (json.error as { param: unknown }).param], [400, param]);
  });
}

const REFUSED_BY_TEXT: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ["/v1/messages", { max_tokens: 5, messages: MESSAGES, tools: [{ type: "web_search_20250305", name: "w" }] }, /tools/],
  ["/v1/messages", { max_tokens: 5, messages: MESSAGES, mcp_servers: [{ type: "url" }] }, /mcp_servers/],
  ["/v1/messages", { max_tokens: 5, messages: MESSAGES, container: "c" }, /container/],
  ["/api/chat", { messages: MESSAGES, options: { repeat_last_n: 8, repeat_penalty: 1.1 } }, /repeat_last_n/],
  ["/api/chat", { messages: MESSAGES, options: { typical_p: 0.5 } }, /typical_p/],
  ["/api/generate", { prompt: "hi", template: "{{ .Prompt }}" }, /template/],
  ["/api/pull", { insecure: true }, /insecure/],
];
for (const [path, body, pattern] of REFUSED_BY_TEXT) {
  Deno.test(`errors: ${path} refuses ${JSON.stringify(body).slice(0, 80)}`, async () => {
    await using bridge = await BridgeUnderTest.start();
    const { status, text } = await bridge.post(path, { model: "mock", ...body });
    assertEquals(status, 400);
    assertMatch(text, pattern);
  });
}

Deno.test("errors: an answer that fails after it began ends with an error in the API's own form", async () => {
  const script = { tokens: ["Hello", " there"], failAt: 1 };
  for (
    const [path, body, last] of [
      ["/v1/chat/completions", { messages: MESSAGES }, /data: \{"error":\{[^\n]*\}\}\n\n$/],
      ["/v1/responses", { input: "hi" }, /event: error\ndata: \{"type":"error",[^\n]*\}\n\n$/],
      [
        "/v1/messages",
        { model: "mock", max_tokens: 5, messages: MESSAGES },
        /event: error\n[^\n]*"type":"error"[^\n]*\n\n$/,
      ],
      ["/api/chat", { model: "mock", messages: MESSAGES }, /\{"error":"[^\n]*"\}\n$/],
    ] as const
  ) {
    // One each: after three failures the backend is not asked any more.
    await using bridge = await BridgeUnderTest.start({ script });
    const { status, text } = await bridge.post(path, { ...body, stream: true });
    assertEquals(status, 200);
    assertMatch(text, last);
  }
});
