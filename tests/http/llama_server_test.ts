/** llama-server's own endpoints, token counting, log-probabilities and rerank: real inference where it matters. */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
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
  type Piece = { id: number; piece: string | number[] };
  const { json: { tokens: given } } = await bridge.post("/tokenize", { content: "Oslo 🦊 is", with_pieces: true });
  const pieces = given as Piece[];
  const bytes = pieces.flatMap(({ piece }) => typeof piece === "string" ? [...new TextEncoder().encode(piece)] : piece);
  assertEquals(new TextDecoder().decode(Uint8Array.from(bytes)), "Oslo 🦊 is");
  // No token of this small model is a fox.
  assert(pieces.some(({ piece }) => typeof piece !== "string"));
  assertEquals((await bridge.post("/detokenize", { tokens: pieces.map(({ id }) => id) })).json.content, "Oslo 🦊 is");
  const { json: { prompt } } = await bridge.post("/apply-template", { messages: QUESTION });
  assertStringIncludes(String(prompt), "What is the capital of France?");
  const render = async (more: Record<string, unknown>): Promise<unknown> =>
    (await bridge.post("/apply-template", { messages: QUESTION, add_generation_prompt: true, ...more })).json.prompt;
  assertEquals(await render({ chat_template_kwargs: { enable_thinking: false } }), prompt);
  const thinking = await render({ chat_template_kwargs: { enable_thinking: true } });
  assertNotEquals(thinking, prompt);
  assertEquals(await render({ chat_template_kwargs: { thinking: true } }), thinking);
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

Deno.test("rerank: texts are answered as TEI does, a plain list with scores from 0 to 1", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [RERANKER] } });
  const request = { query: "capital of Norway", texts: ["Bread is made of flour.", "Oslo is the capital of Norway."] };
  type Ranks = readonly { index: number; score: number; text?: string }[];
  const rank = async (more: Record<string, unknown>): Promise<Ranks> =>
    JSON.parse((await bridge.post("/rerank", { ...request, ...more })).text);
  const [first, second] = await rank({ return_text: true });
  assertEquals([first?.index, first?.text, second?.index], [1, request.texts[1], 0]);
  const [raw] = await rank({ raw_scores: true, truncate: false });
  assertAlmostEquals(first?.score ?? NaN, 1 / (1 + Math.exp(-(raw?.score ?? NaN))), 1e-3);
  assertEquals([raw?.text, (await rank({ top_n: 1 })).length], [undefined, 1]);
  for (
    const [more, param] of [
      [{ documents: ["a"] }, "texts"],
      [{ return_documents: true }, "return_documents"],
      [{ truncate: true }, "truncate"],
    ] as const
  ) {
    const { status, json } = await bridge.post("/rerank", { ...request, ...more });
    assertEquals([status, (json.error as { param: string }).param], [400, param]);
  }
  const { texts: documents, ...rest } = request;
  const { status, json } = await bridge.post("/rerank", { ...rest, documents, raw_scores: true });
  assertEquals([status, (json.error as { param: string }).param], [400, "raw_scores"]);
  assertEquals((await bridge.post("/rerank", rest)).status, 400);
});

Deno.test("llama-server: /completion answers a prompt, whole, in a stream, and several", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const request = {
    prompt: "Tell me a story about a fox.",
    n_predict: 4,
    temperature: 0,
    n_probs: 2,
    cache_prompt: true,
  };
  const { json: whole } = await bridge.post("/completion", request);
  assertEquals([whole.stop, whole.stop_type, whole.tokens_predicted, whole.prompt], [true, "limit", 4, request.prompt]);
  const probabilities = whole.completion_probabilities as { id: number; token: string; top_logprobs: unknown[] }[];
  assertEquals(probabilities.map(({ token }) => token).join(""), whole.content);
  assertEquals(
    probabilities.map(({ id, top_logprobs }) => [typeof id, top_logprobs.length]),
    Array(4).fill(["number", 2]),
  );
  const { predicted_n, predicted_ms = 0, predicted_per_second = 0 } = whole.timings as Record<string, number>;
  assertEquals([predicted_n, predicted_ms > 0], [4, true]);
  // The first token comes with the prompt.
  assertAlmostEquals(predicted_per_second, 3 / predicted_ms * 1000, 1e-6);

  const { text } = await bridge.post("/completion", { ...request, stream: true });
  const events = text.trim().split("\n\n").map((event) => JSON.parse(event.replace(/^data: /, "")));
  assertEquals(events.map(({ content }) => content).join(""), whole.content);
  assertEquals(events.map(({ stop }) => stop), [...Array(events.length - 1).fill(false), true]);

  const stopped = await bridge.post("/completion", {
    ...request,
    n_predict: -1,
    stop: ["a"],
    seed: -1,
    ignore_eos: false,
  });
  assertEquals([stopped.json.stop_type, stopped.json.stopping_word], ["word", "a"]);
  const first = probabilities[0];
  const never = await bridge.post("/completion", { ...request, n_predict: 1, logit_bias: [[first?.id, false]] });
  assertNotEquals((never.json.completion_probabilities as typeof probabilities)[0]?.id, first?.id);
  const prompt = ["Hello", { prompt_string: "Goodbye" }];
  const several = await bridge.post("/completion", { ...request, prompt });
  const answers = JSON.parse(several.text) as { index: number; prompt: string }[];
  assertEquals(answers.map(({ index, prompt }) => [index, prompt]), [[0, "Hello"], [1, "Goodbye"]]);
  const schema = { json_schema: { const: "42" }, n_predict: 20, n_probs: 0 };
  assertEquals((await bridge.post("/completion", { ...request, ...schema })).json.content, '"42"');
});

Deno.test("llama-server: a prompt is continued as it is, whether text, token ids or both", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const fixed = { temperature: 0, n_predict: 30 };
  const chat = await bridge.post("/v1/chat/completions", { ...fixed, messages: QUESTION });
  const [{ message: { content } }] = chat.json.choices as [{ message: { content: string } }];
  const { json: { prompt } } = await bridge.post("/apply-template", { messages: QUESTION });
  const { json } = await bridge.post("/tokenize", { content: prompt });
  const tokens = json.tokens as number[];
  const middle = (await bridge.post("/detokenize", { tokens: tokens.slice(3, 8) })).json.content;
  const mixed = [...tokens.slice(0, 3), middle, ...tokens.slice(8)];
  for (const one of [prompt, tokens, mixed]) {
    const { json } = await bridge.post("/completion", { ...fixed, prompt: one });
    assertEquals([json.content, json.prompt, json.tokens_evaluated], [content, prompt, tokens.length]);
    const older = await bridge.post("/v1/completions", { ...fixed, prompt: one, echo: true });
    assertEquals((older.json.choices as [{ text: string }])[0].text, `${prompt}${content}`);
  }
  const several = await bridge.post("/completion", { ...fixed, prompt: [tokens, prompt, mixed] });
  assertEquals((JSON.parse(several.text) as { content: string }[]).map((one) => one.content), Array(3).fill(content));
  // A chat template would have made a question of it.
  const { json: { tokens_evaluated } } = await bridge.post("/completion", { ...fixed, prompt: "Paris is" });
  assertEquals(tokens_evaluated, ((await bridge.post("/tokenize", { content: "Paris is" })).json.tokens as []).length);
  const raw = { model: "inferd-tiny", prompt, raw: true, stream: false, options: { temperature: 0 } };
  assertEquals((await bridge.post("/api/generate", raw)).json.response, content);
  assertEquals((await bridge.post("/v1/completions", { prompt: [1_000_000] })).status, 400);
  assertEquals((await bridge.post("/v1/completions", { prompt: Array(5000).fill(5) })).status, 400);
});

Deno.test("llama-server: errors of its own paths have its form, and say by how much a prompt is too long", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const prompt = "Paris is the capital of France. ".repeat(250);
  const { json: { tokens } } = await bridge.post("/tokenize", { content: prompt });
  const { length } = tokens as number[];
  const own = await bridge.post("/completion", { prompt });
  const { message, ...error } = own.json.error as Record<string, unknown>;
  assertMatch(String(message), /exceeds the available context size/);
  const sizes = { n_prompt_tokens: length, n_ctx: 1024 };
  assertEquals([own.status, error], [400, { code: 400, type: "exceed_context_size_error", ...sizes }]);
  const streamed = await bridge.post("/completion", { prompt, stream: true });
  assertEquals([streamed.status, streamed.json], [400, own.json]);
  const { json } = await bridge.post("/v1/chat/completions", { messages: [{ role: "user", content: prompt }] });
  const { code, n_ctx, n_prompt_tokens } = json.error as Record<string, unknown>;
  assertEquals([code, n_ctx], ["context_length_exceeded", 1024]);
  assert(Number(n_prompt_tokens) > 1024);
  // So much of a prompt is not counted to its end.
  const hopeless = await bridge.post("/completion", { prompt: prompt.repeat(1000) });
  assert(Number((hopeless.json.error as typeof sizes).n_prompt_tokens) > 1024);
  const { json: { error: unknown } } = await bridge.post("/completion", { prompt, model: "other" });
  assertEquals([(unknown as { code: number }).code, (unknown as { type: string }).type], [404, "not_found_error"]);
});

Deno.test("llama-server: grammar and ignore_eos are honoured in every endpoint that has them", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const { json: { prompt } } = await bridge.post("/apply-template", { messages: QUESTION });
  const ask = async (fields: Record<string, unknown>): Promise<(readonly [string, number])[]> => {
    const whole = await bridge.post("/completion", { prompt, ...fields });
    const older = await bridge.post("/v1/completions", { prompt, ...fields });
    const chat = await bridge.post("/v1/chat/completions", { messages: QUESTION, ...fields });
    const count = ({ json }: typeof older): number => (json.usage as { completion_tokens: number }).completion_tokens;
    return [
      [String(whole.json.content), Number(whole.json.tokens_predicted)],
      [(older.json.choices as [{ text: string }])[0].text, count(older)],
      [(chat.json.choices as [{ message: { content: string } }])[0].message.content, count(chat)],
    ];
  };
  const grammar = 'root ::= "a"{5,5}';
  assertEquals((await ask({ grammar, n_predict: 20 })).map(([text]) => text), Array(3).fill("aaaaa"));
  const counts = async (fields: Record<string, unknown>): Promise<number[]> =>
    (await ask({ temperature: 0, n_predict: 40, ...fields })).map(([, count]) => count);
  assertEquals(await counts({ ignore_eos: true }), [40, 40, 40]);
  assert((await counts({ ignore_eos: false, grammar: "" })).every((count) => count < 40));
  for (
    const [path, fields] of [
      ["/completion", { prompt, grammar: "root ::= (" }],
      ["/completion", { prompt, grammar, json_schema: {} }],
      ["/completion", { prompt, grammar, ignore_eos: true }],
      ["/v1/chat/completions", { messages: QUESTION, grammar, tools: [{ type: "function", function: { name: "f" } }] }],
    ] as const
  ) assertEquals((await bridge.post(path, fields)).status, 400, JSON.stringify(fields));
});

Deno.test("llama-server: /completion tells its settings and tokens, and only the fields that are asked for", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const request = { prompt: "Tell me a story about a fox.", n_predict: 5, temperature: 0, return_tokens: true };
  const { json } = await bridge.post("/completions", { ...request, response_fields: [] });
  const settings = json.generation_settings as Record<string, unknown>;
  assertEquals([settings.n_predict, settings.temperature, settings.mirostat, settings.logit_bias], [5, 0, 0, []]);
  assertEquals((json.tokens as number[]).length, 5);
  assertEquals((await bridge.post("/detokenize", { tokens: json.tokens })).json.content, json.content);
  assertEquals(json.completion_probabilities, undefined);
  const { text } = await bridge.post("/completion", { ...request, stream: true });
  const events = text.trim().split("\n\n").map((event) => JSON.parse(event.replace(/^data: /, "")));
  assertEquals(events.flatMap(({ tokens }) => tokens), json.tokens);

  const { json: banned } = await bridge.post("/tokenize", { content: String(json.content) });
  const response_fields = ["content", "generation_settings/logit_bias", "generation_settings/nothing"];
  for (const logit_bias of [[[json.content, false]], { [String(json.content)]: -100 }]) {
    const { json: fields } = await bridge.post("/completion", { ...request, logit_bias, response_fields });
    assertEquals(Object.keys(fields), response_fields.slice(0, 2));
    const biases = fields["generation_settings/logit_bias"] as { token: number; bias: number }[];
    const biased = (banned.tokens as number[]).toSorted((a, b) => a - b);
    assertEquals(biases, [...new Set(biased)].map((token) => ({ token, bias: -100 })));
    assertNotEquals(fields.content, json.content);
  }
  const { json: { default_generation_settings: defaults } } = await bridge.get("/props");
  assertEquals((defaults as { params: Record<string, unknown> }).params.n_predict, -1);
});

Deno.test("the stop string that ended an answer is told, in each API that has a field for it", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const stop = ["Berlin", "Paris", "Oslo"];
  const client = new Anthropic({ baseURL: bridge.url, apiKey: "none", maxRetries: 0 });
  const asked = { model: "inferd-tiny", messages: QUESTION, stop_sequences: stop, max_tokens: 60, temperature: 0 };
  const { stop_reason, stop_sequence } = await client.messages.create(asked);
  assertEquals([stop_reason, stop_sequence], ["stop_sequence", "Paris"]);
  const events = await Array.fromAsync(await client.messages.create({ ...asked, stream: true }));
  const ends = events.flatMap((event) => event.type === "message_delta" ? [event.delta.stop_sequence] : []);
  assertEquals(ends, ["Paris"]);
  const { json: { prompt } } = await bridge.post("/apply-template", { messages: QUESTION });
  const body = { prompt, stop, temperature: 0, n_predict: 60 };
  const { json: { stop_type, stopping_word } } = await bridge.post("/completion", body);
  assertEquals([stop_type, stopping_word], ["word", "Paris"]);
});

Deno.test("llama-server: samplers that are not named are off", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const ask = async (more: Record<string, unknown>): Promise<unknown> => {
    const body = { prompt: "Sun. Sun. Sun. Sun. Sun.", n_predict: 16, temperature: 0, ignore_eos: true, ...more };
    const { status, text, json } = await bridge.post("/completion", body);
    assertEquals(status, 200, text);
    return json.content;
  };
  const plain = await ask({});
  const penalised = await ask({ repeat_penalty: 2 });
  assertNotEquals(penalised, plain);
  assertEquals(await ask({ repeat_penalty: 2, samplers: ["penalties", "temperature"] }), penalised);
  assertEquals(await ask({ repeat_penalty: 2, samplers: ["top_k", "temperature"] }), plain);
  assertEquals(await ask({ repeat_penalty: 2, repeat_last_n: 0 }), plain);
  // Without the temperature every token has its own chance, unless only the likeliest is kept.
  assertEquals(await ask({ samplers: ["top_k"], top_k: 1, seed: 1 }), plain);
  assertNotEquals(await ask({ samplers: ["min_p"], seed: 1 }), plain);
});

Deno.test("llama-server: what /completion cannot honour is refused by name, and paths that are turned off with 501", async () => {
  await using bridge = await BridgeUnderTest.start();
  const refused = async (more: Record<string, unknown>): Promise<unknown> => {
    const { status, json } = await bridge.post("/completion", { prompt: "a", ...more });
    return [status, (json.error as { param: string }).param];
  };
  for (
    const [more, param] of [
      [{ mirostat: 2 }, "mirostat"],
      [{ n_predict: -2 }, "n_predict"],
      [{ logit_bias: Array.from({ length: 257 }, (_, number) => [`text ${number}`, -1]) }, "logit_bias"],
      [{ prompt: "" }, "prompt"],
      [{ prompt: [1, [2]] }, "prompt"],
      [{ prompt: { prompt_string: "a", multimodal_data: [] } }, "prompt"],
    ] as const
  ) assertEquals(await refused(more), [400, param]);
  assertEquals(
    (await bridge.post("/completion", { prompt: "a", mirostat: 0, typical_p: 1, dry_base: 1.75 })).status,
    200,
  );
  for (const path of ["/slots/0?action=save", "/lora-adapters"]) {
    const { status, json } = await bridge.post(path, {});
    const { code, type } = json.error as { code: number; type: string };
    assertEquals([status, code, type], [501, 501, "not_supported_error"], path);
  }
  const fill = await bridge.post("/infill", { input_prefix: "a", input_suffix: "b" });
  const { type, param } = fill.json.error as { type: string; param?: string };
  assertEquals([fill.status, type, param], [501, "not_supported_error", undefined]);
  const { text } = await bridge.post("/embedding", { content: ["one", "two"] });
  assertEquals((await bridge.post("/embeddings", { input: ["one", "two"], encoding_format: "float" })).text, text);
  const vectors = JSON.parse(text) as { index: number; embedding: number[][] }[];
  assertEquals(vectors.map(({ index, embedding }) => [index, embedding.length]), [[0, 1], [1, 1]]);
});

Deno.test("input_tokens: a request's prompt is counted as the answer then counts it", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: "none", maxRetries: 0 });
  const model = "inferd-tiny";
  const tools = [{
    type: "function" as const,
    name: "look",
    parameters: { type: "object", properties: { at: { type: "string" } } },
    strict: false,
  }];
  const response = { model, input: "What is this?", instructions: "Be brief.", tools };
  const { input_tokens } = await client.responses.inputTokens.count(response);
  const { usage } = await client.responses.create({ ...response, max_output_tokens: 1 });
  assertEquals(input_tokens, usage?.input_tokens);
  const { json } = await bridge.post("/v1/chat/completions/input_tokens", { model, messages: QUESTION });
  const answer = await client.chat.completions.create({ model, messages: QUESTION, max_tokens: 1 });
  assertEquals(json.input_tokens, answer.usage?.prompt_tokens);
});

Deno.test("openai: an answer has llama-server's timings and takes its json_schema", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const request = { messages: QUESTION, json_schema: { const: "42" } };
  const { json } = await bridge.post("/v1/chat/completions", request);
  const [choice] = json.choices as { message: { content: string } }[];
  assertEquals(choice?.message.content, '"42"');
  const { completion_tokens } = json.usage as { completion_tokens: number };
  assertEquals((json.timings as { predicted_n: number }).predicted_n, completion_tokens);
  const { text } = await bridge.post("/v1/chat/completions", { ...request, stream: true });
  const last = text.trim().split("\n\n").at(-2) ?? "";
  assertEquals(JSON.parse(last.slice("data: ".length)).timings.predicted_n, completion_tokens);
  const streamed = { stream: true, stream_options: { include_usage: true } };
  const older = { prompt: "Hello.", max_tokens: 3, seed: 1 };
  assertEquals(((await bridge.post("/v1/completions", older)).json.timings as { predicted_n: number }).predicted_n, 3);
  for (
    const [path, asked, places] of [
      ["/v1/chat/completions", { ...request, ...streamed }, 1],
      ["/v1/completions", { ...older, ...streamed }, 1],
      ["/v1/completions", { ...older, stream: true }, 1],
      ["/v1/chat/completions", { ...request, ...streamed, n: 2 }, 0],
    ] as const
  ) {
    const { text } = await bridge.post(path, asked);
    assertEquals(text.match(/"timings"/g)?.length ?? 0, places, text);
    assertEquals(text.trim().split("\n\n").at(-2)?.includes('"timings"'), places === 1, text);
  }
  const both = { ...request, response_format: { type: "json_object" } };
  assertEquals((await bridge.post("/v1/chat/completions", both)).status, 400);
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
  assertEquals((await bridge.get("/slots?fail_on_no_slot=1")).status, 200);
  const last = bridge.daemon.log.next("request_accepted");
  const other = fetch(`${bridge.url}/completion`, {
    method: "POST",
    body: JSON.stringify({ prompt: "hi" }),
    signal: leave.signal,
  }).catch(() => {});
  await last;
  assertEquals((await bridge.get("/slots?fail_on_no_slot=1")).status, 503);
  leave.abort();
  await other;
  await running;
});
