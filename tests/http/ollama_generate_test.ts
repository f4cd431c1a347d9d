/** Ollama's `context`, `suffix` and what it tells of models: with real inference. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Ollama } from "npm:ollama@0.6.4";
import OpenAI from "npm:openai@7.57.0";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";
import { writeInfillModel } from "../support/infill_model.ts";

const MODEL = "inferd-tiny";
const OPTIONS = { temperature: 0, num_predict: 16 };

Deno.test("ollama: context continues a conversation where it was", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = new Ollama({ host: bridge.url });
  const ask = (prompt: string, more: Record<string, unknown> = {}) =>
    client.generate({ model: MODEL, prompt, options: OPTIONS, ...more });
  const first = await ask("What is the capital of France?");
  assert(first.context.length > first.prompt_eval_count);
  assertEquals(first.context.length, first.prompt_eval_count + first.eval_count);
  const second = await ask("And of Italy?", { context: first.context });

  // The conversation that the chat sees.
  const { json: { prompt } } = await bridge.post("/apply-template", {
    messages: [
      { role: "user", content: "What is the capital of France?" },
      { role: "assistant", content: String(first.response) },
      { role: "user", content: "And of Italy?" },
    ],
  });
  const { json: { content } } = await bridge.post("/detokenize", { tokens: second.context });
  // The template leaves the empty thought out of earlier turns; a context has what the model read.
  const withoutThought = (text: unknown): string => String(text).replaceAll("<think>\n\n</think>\n\n", "");
  assertEquals(withoutThought(content), withoutThought(`${prompt}${second.response}`));
  assertEquals(second.context.slice(0, first.context.length), first.context);
  const chat = await client.chat({
    model: MODEL,
    messages: [
      { role: "user", content: "What is the capital of France?" },
      { role: "assistant", content: String(first.response) },
      { role: "user", content: "And of Italy?" },
    ],
    options: OPTIONS,
  });
  assertEquals(second.response, chat.message.content);

  // A stream has it in its last line, an earlier system prompt stays, and a new one is where it comes.
  const parts = await Array.fromAsync(
    await client.generate({
      model: MODEL,
      prompt: "And?",
      system: "Be brief.",
      context: second.context,
      stream: true,
      options: OPTIONS,
    }),
  );
  const last = parts.at(-1);
  assertEquals(parts.filter(({ context }) => context !== undefined).length, 1);
  const { json: { content: all } } = await bridge.post("/detokenize", { tokens: last?.context });
  assert(String(all).startsWith(String(content)));
  assertStringIncludes(String(all), "Be brief.");
  // Raw prompts have no conversation to continue.
  assertEquals(
    (await bridge.post("/api/generate", { model: MODEL, prompt: "a", raw: true, stream: false })).json.context,
    undefined,
  );
});

Deno.test("ollama: num_predict limits an answer only where it is positive", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const client = new Ollama({ host: bridge.url });
  const ask = async (num_predict?: number): Promise<[string, string]> => {
    const options = { temperature: 0, ...(num_predict === undefined ? {} : { num_predict }) };
    const prompt = "What is the capital of France?";
    const { response, done_reason } = await client.generate({ model: MODEL, prompt, options });
    return [response ?? "", done_reason ?? ""];
  };
  const whole = await ask();
  assertEquals(whole[1], "stop");
  for (const most of [0, -1, -2]) assertEquals(await ask(most), whole);
  assertEquals((await ask(1))[1], "length");
});

Deno.test("ollama: context has what was sent of an answer that a stop string ends", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const { json: { prompt } } = await bridge.post("/apply-template", { messages: [{ role: "user", content: "Hello" }] });
  for (const stream of [false, true]) {
    // The token that holds it begins with text of the answer.
    const request = { model: MODEL, prompt: "Hello", options: { temperature: 0, stop: ["an"] }, stream };
    const { text } = await bridge.post("/api/generate", request);
    const lines = text.trim().split("\n").map((line) => JSON.parse(line));
    const answer = lines.map(({ response }) => response).join("");
    assert(answer.endsWith(" c"), answer);
    const { json: { content } } = await bridge.post("/detokenize", { tokens: lines.at(-1).context });
    assertEquals(content, `${prompt}${answer}`);
  }
});

Deno.test("ollama: a context that cannot be continued is refused by its reason", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const ask = async (more: Record<string, unknown>): Promise<[number, unknown]> => {
    const { status, json } = await bridge.post("/api/generate", { model: MODEL, prompt: "x", stream: false, ...more });
    return [status, json.error];
  };
  assertEquals(await ask({ context: [1], raw: true }), [400, '"context" goes without "raw"']);
  assertEquals(await ask({ context: [1], think: true }), [400, '"think" goes without "context"']);
  assertEquals(await ask({ context: [1], images: ["iVBORw0KGgo="] }), [400, '"images" goes without "context"']);
  assertEquals((await ask({ context: [-1] }))[0], 400);
  assertStringIncludes(String((await ask({ context: [1_000_000] }))[1]), "ids of tokens from 0 to");
  assertEquals(await ask({ template: "{{ .Prompt }}" }), [
    400,
    '"template" is not supported: the model\'s own chat template is used',
  ]);
  assertEquals(await ask({ suffix: "y" }), [400, `"${MODEL}" does not support insert`]);
});

Deno.test("suffix: a model with tokens for it fills in text, for Ollama's clients and OpenAI's", async () => {
  const path = await Deno.makeTempFile({ prefix: "inferd-", suffix: ".gguf" });
  try {
    await writeInfillModel(path);
    const backend = { ...BUILT_IN_BACKEND, modelPath: path, modelName: "filler" };
    await using bridge = await BridgeUnderTest.start({ daemon: { backends: [backend] } });
    const prompt = "def add(a, b):\n  return ";
    const suffix = "\n\nadd(1, <|im_end|>2)";
    const tokens = async (content: string): Promise<number[]> =>
      (await bridge.post("/tokenize", { content, parse_special: false })).json.tokens as number[];
    const expected = [20, ...await tokens(prompt), 21, ...await tokens(suffix), 22];
    const client = new Ollama({ host: bridge.url });
    const answer = await client.generate({ model: "filler", prompt, suffix, options: OPTIONS });
    const used = answer.context.slice(0, answer.prompt_eval_count);
    // A vocabulary that begins prompts with a token does so here.
    assertEquals(used.slice(used.length - expected.length), expected);
    assert(used.length - expected.length <= 1);
    const both = await bridge.post("/api/generate", { model: "filler", prompt, suffix, context: [1], stream: false });
    assertEquals([both.status, both.json.error], [400, '"context" goes without "suffix"']);
    const { capabilities, template, parameters } = await client.show({ model: "filler" });
    // Continue looks for the name of the suffix, and for the size of the context.
    assert(capabilities.includes("insert") && template.includes("{{ .Suffix }}"), template);
    assertMatch(parameters, /^num_ctx +1024$/m);
    const openai = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: "none", maxRetries: 0 });
    const { choices, usage } = await openai.completions.create({
      model: "filler",
      prompt,
      suffix,
      temperature: 0,
      max_tokens: 16,
    });
    assertEquals([choices[0]?.text, usage?.prompt_tokens], [answer.response, used.length]);
    // The beginning of the line comes after what is before it.
    const native = { input_prefix: "def add(a, b):\n", prompt: "  return ", input_suffix: suffix, input_extra: [] };
    const { json } = await bridge.post("/infill", { ...native, temperature: 0, n_predict: 16 });
    assertEquals([json.content, json.tokens_evaluated], [answer.response, used.length]);
    // Only what follows is known.
    assertEquals(
      (await client.generate({ model: "filler", prompt: "", suffix, options: OPTIONS })).done_reason !== "load",
      true,
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("ollama: models are described by their files", async () => {
  const vectors = { kind: "llamacpp", name: "vectors", modelName: "inferd-tiny-embed", load: "on_demand" } as const;
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND, vectors] } });
  const client = new Ollama({ host: bridge.url });
  const { models } = await client.list();
  for (const { name, size, modified_at, details } of models) {
    const url = BUILT_INS[name as keyof typeof BUILT_INS].url;
    const { size: expected, mtime } = await Deno.stat(url);
    assertEquals([size, new Date(modified_at)], [expected, mtime], name);
    assertEquals([details.format, details.parent_model], ["gguf", ""]);
    assertEquals(details.families, [details.family]);
    assert(/^\d+(\.\d+)?[KMB]$/.test(details.parameter_size), details.parameter_size);
    assert(/^(F16|Q\d)/.test(details.quantization_level), details.quantization_level);
  }
  assertEquals(models.map(({ name }) => name), [MODEL, "inferd-tiny-embed"]);
  const { models: [loaded] } = await client.ps();
  assertEquals(loaded?.details, models[0]?.details);
  const shown = await client.show({ model: MODEL });
  assertEquals(shown.details, models[0]?.details);
  const info = new Map(Object.entries(shown.model_info));
  const family = info.get("general.architecture");
  assertEquals(family, shown.details.family);
  for (const key of ["context_length", "embedding_length", "block_count"]) {
    assert(Number(info.get(`${family}.${key}`)) > 0, key);
  }
  assert(Number(info.get("general.parameter_count")) > 1000);
  assertEquals(info.get("tokenizer.chat_template"), undefined);
  assert(shown.capabilities.includes("completion") && !shown.capabilities.includes("insert"));
  const { capabilities } = await client.show({ model: "inferd-tiny-embed" });
  assertEquals(capabilities, ["embedding"]);
});
