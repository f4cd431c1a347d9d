/** llama-server's own endpoints, token counting, log-probabilities and rerank: real inference where it matters. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import Anthropic from "npm:@anthropic-ai/sdk@1.14.0";
import OpenAI from "npm:openai@7.57.0";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const RERANKER = { kind: "llamacpp", name: "rerank", modelName: "inferd-tiny-rerank" } as const;
const QUESTION = [{ role: "user" as const, content: "What is the capital of France?" }];

Deno.test("llama-server: a text becomes tokens and a text again, and a conversation its prompt", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const { json: { tokens } } = await bridge.post("/tokenize", { content: "The capital of France" });
  assert(Array.isArray(tokens) && tokens.length > 1);
  assertEquals((await bridge.post("/detokenize", { tokens })).json.content, "The capital of France");
  const { json: { prompt } } = await bridge.post("/apply-template", { messages: QUESTION });
  assertStringIncludes(String(prompt), "What is the capital of France?");
  const { json: { default_generation_settings: settings, total_slots } } = await bridge.get("/props");
  assertEquals([(settings as { n_ctx: number }).n_ctx, total_slots], [1024, 4]);
});

Deno.test("anthropic: count_tokens says what the message then costs", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = new Anthropic({ baseURL: bridge.url, apiKey: "none", maxRetries: 0 });
  const request = { model: "inferd-tiny", messages: QUESTION, system: "Be brief." };
  const { input_tokens: counted } = await client.messages.countTokens(request);
  const { usage } = await client.messages.create({ ...request, max_tokens: 1 });
  assertEquals(usage.input_tokens + (usage.cache_read_input_tokens ?? 0), counted);
});

Deno.test("openai: logprobs come with each token in every endpoint that has them", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: "none", maxRetries: 0 });
  const model = "inferd-tiny";
  const chat = { model, messages: QUESTION, temperature: 0, logprobs: true, top_logprobs: 3 };
  const { choices } = await client.chat.completions.create(chat);
  const content = choices[0]?.logprobs?.content ?? [];
  assertEquals(content.map(({ token }) => token).join(""), choices[0]?.message.content);
  for (const { token, logprob, top_logprobs } of content) {
    assertEquals(top_logprobs.length, 3);
    // Greedy: each token was the likeliest.
    assertEquals([top_logprobs[0]?.token, top_logprobs[0]?.logprob], [token, logprob]);
    assert(logprob <= 0);
  }
  const streamed: string[] = [];
  for await (const chunk of await client.chat.completions.create({ ...chat, stream: true })) {
    for (const { token } of chunk.choices[0]?.logprobs?.content ?? []) streamed.push(token);
  }
  assertEquals(streamed, content.map(({ token }) => token));

  const older = await client.completions.create({
    model,
    prompt: "What is the capital of France?",
    temperature: 0,
    logprobs: 2,
  });
  const { tokens = [], text_offset: offsets = [] } = older.choices[0]?.logprobs ?? {};
  assertEquals(tokens.join(""), older.choices[0]?.text);
  assertEquals(offsets[1], tokens[0]?.length);

  const answer = await client.responses.create({
    model,
    input: "What is the capital of France?",
    temperature: 0,
    include: ["message.output_text.logprobs"],
    top_logprobs: 1,
  });
  const [message] = answer.output;
  assert(message?.type === "message");
  const [part] = message.content;
  assert(part?.type === "output_text");
  assertEquals((part.logprobs ?? []).map(({ token }) => token).join(""), answer.output_text);
});

Deno.test("openai: logit_bias, penalties and json_object change what is answered", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: "none", maxRetries: 0 });
  const ask = async (more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>): Promise<string> => {
    const { choices } = await client.chat.completions.create({
      model: "inferd-tiny",
      messages: QUESTION,
      temperature: 0,
      max_tokens: 60,
      ...more,
    });
    return choices[0]?.message.content ?? "";
  };
  const plain = await ask({});
  const { json: { tokens } } = await bridge.post("/tokenize", { content: plain });
  const banned = Object.fromEntries((tokens as number[]).map((token) => [token, -100]));
  assert(await ask({ logit_bias: banned }) !== plain);
  // Without a schema this small model does not find an end.
  assertMatch(await ask({ response_format: { type: "json_object" } }), /^\s*\{/);
});

Deno.test("openai: usage says how much of a prompt was cached", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: "none", maxRetries: 0 });
  const messages = [{ role: "system" as const, content: "A lamp rests on the hill. ".repeat(20) }, ...QUESTION];
  const cached: number[] = [];
  for (let count = 0; count < 2; count++) {
    const { usage } = await client.chat.completions.create({ model: "inferd-tiny", messages, max_tokens: 1 });
    cached.push(usage?.prompt_tokens_details?.cached_tokens ?? -1);
  }
  assertEquals(cached[0], 0);
  assert((cached[1] ?? 0) > 50);
});

Deno.test("rerank: documents come in Jina's and Cohere's form, the best first", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [RERANKER] } });
  const documents = ["Bread is made of flour.", "Oslo is the capital of Norway."];
  for (const path of ["/v1/rerank", "/rerank", "/v2/rerank"]) {
    const { status, json } = await bridge.post(path, {
      model: "inferd-tiny-rerank",
      query: "capital of Norway",
      documents: path === "/rerank" ? documents.map((text) => ({ text })) : documents,
      top_n: 1,
      return_documents: true,
    });
    assertEquals(status, 200);
    const [best, ...others] = json.results as { index: number; relevance_score: number; document: { text: string } }[];
    assertEquals([best?.index, best?.document.text, others], [1, documents[1], []]);
  }
});

Deno.test("llama-server: slots tell how many requests run", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { hangAt: 0 }, daemon: { parallel: 2 } });
  const busy = async (): Promise<boolean[]> => {
    const slots = JSON.parse((await bridge.get("/slots")).text) as { is_processing: boolean }[];
    return slots.map(({ is_processing }) => is_processing);
  };
  assertEquals(await busy(), [false, false]);
  const accepted = bridge.daemon.log.next("request_accepted");
  const leave = new AbortController();
  const running = fetch(`${bridge.url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({ prompt: "hi" }),
    signal: leave.signal,
  }).catch(() => {});
  await accepted;
  assertEquals(await busy(), [true, false]);
  leave.abort();
  await running;
});
