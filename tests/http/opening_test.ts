/**
 * What a chat's prompt is made of: `chat_template_kwargs`, `add_generation_prompt` and `continue_final_message`; and
 * embeddings of token ids.
 */
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import OpenAI from "npm:openai@7.57.0";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const QUESTION = { role: "user", content: "What is the capital of France?" } as const;
const BEGUN = { role: "assistant", content: "The capital of France" } as const;
const EMBEDDER = { kind: "llamacpp", name: "vectors", modelName: "inferd-tiny-embed" } as const;

Deno.test("add_generation_prompt and continue_final_message say where a prompt ends", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const render = async (messages: readonly unknown[], more: Record<string, unknown> = {}): Promise<string> => {
    const { status, text, json } = await bridge.post("/apply-template", { messages, ...more });
    assertEquals(status, 200, text);
    return String(json.prompt);
  };
  const asked = await render([QUESTION]);
  const closed = await render([QUESTION], { add_generation_prompt: false });
  assert(asked.startsWith(closed) && asked.length > closed.length);
  const opening = asked.slice(closed.length);
  assertStringIncludes(opening, "assistant");

  const continued = await render([QUESTION, BEGUN]);
  assert(continued.endsWith(BEGUN.content));
  for (
    const more of [{ continue_final_message: true }, { continue_final_message: "content" }, {
      add_generation_prompt: false,
    }]
  ) assertEquals(await render([QUESTION, BEGUN], more), continued);
  // The message is whole, and a turn of the assistant's begins after it, or none does.
  const answered = await render([QUESTION, BEGUN], { add_generation_prompt: false, continue_final_message: false });
  assert(answered.startsWith(continued) && answered.length > continued.length);
  for (const more of [{ add_generation_prompt: true }, { continue_final_message: false }]) {
    assertEquals(await render([QUESTION, BEGUN], more), answered + opening);
  }

  // A chat's prompt is the same.
  const ask = async (messages: readonly unknown[], more: Record<string, unknown>): Promise<[number, string]> => {
    const { status, text, json } = await bridge.post("/v1/chat/completions", {
      messages,
      max_tokens: 12,
      temperature: 0,
      ...more,
    });
    assertEquals(status, 200, text);
    const { choices, usage } = json as {
      choices: { message: { content: string } }[];
      usage: { prompt_tokens: number };
    };
    return [usage.prompt_tokens, choices[0]?.message.content ?? ""];
  };
  const [tokens, text] = await ask([QUESTION, BEGUN], { continue_final_message: true });
  assertStringIncludes(text, "Paris");
  assert(!text.includes("capital of France"));
  for (
    const more of [{ add_generation_prompt: true }, { add_generation_prompt: false, continue_final_message: false }]
  ) {
    const prompt = await render([QUESTION, BEGUN], more);
    const { tokens: counted } = (await bridge.post("/tokenize", { content: prompt, add_special: true })).json;
    const [used] = await ask([QUESTION, BEGUN], more);
    assertEquals(used, (counted as number[]).length, JSON.stringify(more));
    assertNotEquals(used, tokens);
    const count = { messages: [QUESTION, BEGUN], ...more };
    assertEquals((await bridge.post("/v1/chat/completions/input_tokens", count)).json.input_tokens, used);
  }
});

Deno.test("embeddings of token ids are those of the text that they are of", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [EMBEDDER] } });
  const client = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: "none", maxRetries: 0 });
  const ask = async (input: string | number[] | number[][]): Promise<OpenAI.CreateEmbeddingResponse> =>
    await client.embeddings.create({ model: "inferd-tiny-embed", input, encoding_format: "float" });
  const close = (one: readonly number[] = [], other: readonly number[] = []): void => {
    assertEquals(one.length, other.length);
    for (const [index, value] of one.entries()) assertAlmostEquals(value, other[index] ?? NaN, 1e-5);
  };
  const { data: [first, second], usage } = await ask([[5, 6, 7], [8, 9]]);
  assertEquals(usage.prompt_tokens, 5);
  assertAlmostEquals(Math.hypot(...first?.embedding ?? []), 1, 1e-5);
  assertNotEquals(first?.embedding, second?.embedding);
  close((await ask([5, 6, 7])).data[0]?.embedding, first?.embedding);
  for (const path of ["/embedding", "/embeddings"]) {
    const { text } = await bridge.post(path, { content: [[5, 6, 7], "a text"] });
    const [one, other] = JSON.parse(text) as { embedding: number[][] }[];
    close(one?.embedding[0], first?.embedding);
    close(other?.embedding[0], (await ask("a text")).data[0]?.embedding);
  }
  const refused = await bridge.post("/v1/embeddings", { input: [[1_000_000]] });
  assertEquals(refused.status, 400);
  assertStringIncludes(refused.text, "ids of tokens from 0 to");
  const long = await bridge.post("/v1/embeddings", { input: Array(5000).fill(5) });
  assertEquals(long.status, 400);
  assertStringIncludes(long.text, "5000 tokens");
});

Deno.test("chat_template_kwargs reach the template, in prompts, counts and answers", async () => {
  const templateText = "{% for message in messages %}{{ message.content }}\n{% endfor %}" +
    "{% if date_string is defined %}Today is {{ date_string }}. {% endif %}{% if style == 'long' %}{{ style * 9 }}{% endif %}";
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [{ ...BUILT_IN_BACKEND, templateText }] } });
  const ask = async (path: string, chat_template_kwargs: Record<string, unknown>): Promise<Record<string, unknown>> => {
    const { status, text, json } = await bridge.post(path, {
      messages: [QUESTION],
      max_tokens: 1,
      chat_template_kwargs,
    });
    assertEquals(status, 200, text);
    return json;
  };
  const prompt = async (kwargs: Record<string, unknown>): Promise<unknown> =>
    (await ask("/apply-template", kwargs)).prompt;
  assertEquals(await prompt({ style: null }), `${QUESTION.content}\n`);
  assertEquals(await prompt({ date_string: "1 May 2031" }), `${QUESTION.content}\nToday is 1 May 2031. `);
  const tokens = async (kwargs: Record<string, unknown>): Promise<number[]> => [
    Number((await ask("/chat/completions/input_tokens", kwargs)).input_tokens),
    ((await ask("/v1/chat/completions", kwargs)).usage as { prompt_tokens: number }).prompt_tokens,
  ];
  const [short, long] = [await tokens({}), await tokens({ style: "long", enable_thinking: false })];
  assertEquals([short[0], long[0]], [short[1], long[1]]);
  assert((long[0] ?? 0) > (short[0] ?? 0) + 8);
});
