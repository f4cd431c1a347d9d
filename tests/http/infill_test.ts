/** What editors send to llama-server to fill in code, with real inference: the requests of llama.vim and llama.vscode. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Answer, BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";
import { writeInfillModel } from "../support/infill_model.ts";

const EXTRA = [
  { text: "int add(int a, int b);\n", time: [1, 2], filename: "add.h" },
  { text: "int sub(int a, int b);\n", time: [1, 3], filename: "sub.h" },
];
const PARTS = { input_prefix: "#include <cstdio>\nint main() {\n", prompt: "  int n = ", input_suffix: "\n}\n" };
/** llama.vim's request for a completion. */
const VIM = {
  id_slot: 0,
  ...PARTS,
  input_extra: EXTRA,
  n_predict: 24,
  stop: [],
  n_indent: 2,
  top_k: 40,
  top_p: 0.9,
  samplers: ["top_k", "top_p", "infill"],
  stream: false,
  cache_prompt: true,
  t_max_prompt_ms: 500,
  t_max_predict_ms: 250,
  response_fields: ["content", "timings/prompt_n", "timings/predicted_ms", "truncated", "tokens_cached"],
};
/** llama.vscode's. */
const VSCODE = {
  id_slot: 0,
  ...PARTS,
  input_extra: EXTRA,
  n_predict: 24,
  n_cmpl: 3,
  top_k: 40,
  top_p: 0.99,
  stream: false,
  samplers: ["top_k", "top_p", "infill"],
  cache_prompt: true,
  t_max_prompt_ms: 500,
  t_max_predict_ms: 2500,
};

/** Ask a model that marks parts in this way. */
async function withModel(
  names: Parameters<typeof writeInfillModel>[1],
  ask: (bridge: BridgeUnderTest) => Promise<void>,
  more: { readonly contextTokens?: number } = {},
): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "inferd-", suffix: ".gguf" });
  try {
    await writeInfillModel(path, names);
    const backend = { ...BUILT_IN_BACKEND, modelPath: path, modelName: "filler", ...more };
    await using bridge = await BridgeUnderTest.start({ daemon: { backends: [backend] } });
    await ask(bridge);
  } finally {
    await Deno.remove(path);
  }
}

async function tokensOf(bridge: BridgeUnderTest, content: string): Promise<number[]> {
  const { json } = await bridge.post("/tokenize", { content, parse_special: false });
  return json.tokens as number[];
}

async function answered(bridge: BridgeUnderTest, path: string, body: unknown): Promise<Answer> {
  const answer = await bridge.post(path, body);
  assertEquals(answer.status, 200, answer.text);
  return answer;
}

Deno.test("infill: what llama.vim and llama.vscode send is answered as they read it", () =>
  withModel(["pre", "suf", "mid"], async (bridge) => {
    const { json } = await answered(bridge, "/infill", VIM);
    assertEquals(Object.keys(json), VIM.response_fields);
    assertEquals([typeof json.content, json.truncated], ["string", false]);
    // The context alone, to be in the cache.
    const warm = { ...VIM, input_prefix: "", prompt: "", input_suffix: "", n_predict: 0, samplers: [] };
    assertEquals((await answered(bridge, "/infill", { ...warm, response_fields: [""] })).json, {});
    const { text } = await answered(bridge, "/infill", VSCODE);
    const answers = JSON.parse(text) as { index: number; content: string; timings: unknown; prompt: string }[];
    assertEquals(
      answers.map(({ index, prompt }) => [index, prompt.endsWith("  int n = ")]),
      [0, 1, 2].map((at) => [at, true]),
    );
    assert(answers.every(({ timings }) => timings !== undefined));
    // llama.vim's edits by instruction: first the conversation alone, then with the instruction.
    const messages = [{ role: "user", content: "What is the capital of France?" }];
    const before = { id_slot: 1, messages, samplers: [], n_predict: 0, stream: false, response_fields: [""] };
    const { json: none } = await answered(bridge, "/v1/chat/completions", before);
    const [choice] = none.choices as { message: { content: string }; finish_reason: string }[];
    assertEquals([choice?.message.content, choice?.finish_reason], ["", "length"]);
    assertEquals((none.usage as { completion_tokens: number }).completion_tokens, 0);
    const edit = { messages, min_p: 0.1, temperature: 0.1, samplers: ["min_p", "temperature"], stream: true };
    assertStringIncludes((await answered(bridge, "/v1/chat/completions", edit)).text, '"content":');
  }));

Deno.test("infill: texts of other places come first, with the marks that the model has", async () => {
  const ask = { ...PARTS, n_predict: 1, return_tokens: true };
  const count = async (bridge: BridgeUnderTest, more: Record<string, unknown>): Promise<number> =>
    Number((await answered(bridge, "/infill", { ...ask, ...more })).json.tokens_evaluated);
  await withModel(["pre", "suf", "mid"], async (bridge) => {
    const between = (await tokensOf(bridge, "\n\n--- snippet ---\n\n")).length;
    const texts = (await Promise.all(EXTRA.map(({ text }) => tokensOf(bridge, text)))).flat().length;
    assertEquals(await count(bridge, { input_extra: EXTRA }) - await count(bridge, {}), texts + 2 * between);
  });
  await withModel(["pre", "suf", "mid", "rep", "sep"], async (bridge) => {
    const { json } = await bridge.post("/infill", { ...ask, input_extra: EXTRA });
    const parts = await Promise.all(
      ["myproject\n", ...EXTRA.flatMap(({ filename, text }) => [`${filename}\n`, text]), "filename\n"].map((text) =>
        tokensOf(bridge, text)
      ),
    );
    assertEquals(Number(json.tokens_evaluated) - await count(bridge, {}), parts.flat().length + 4);
    // A name of a mark in a text is text.
    const named = { input_extra: [{ text: "<|im_end|>" }] };
    const length = (await tokensOf(bridge, "<|im_end|>")).length +
      (await tokensOf(bridge, "tmp\nmyproject\nfilename\n")).length;
    assert(await count(bridge, named) - await count(bridge, {}) >= length);
  });
});

Deno.test("infill: what does not fit the context is cut where it is far from the answer", () =>
  withModel(["pre", "suf", "mid"], async (bridge) => {
    const long = Array.from({ length: 40 }, (_, at) => ({ text: `int function_${at}(int a, int b);\n`.repeat(20) }));
    const { json } = await answered(bridge, "/infill", { ...PARTS, input_extra: long, n_predict: 16 });
    const evaluated = Number(json.tokens_evaluated);
    assert(evaluated > 400 && evaluated <= 512 - 16, String(evaluated));
    // Of what is filled in the nearest is kept.
    const near = {
      input_prefix: "a b c d ".repeat(4000),
      prompt: "int n",
      input_suffix: ";\n" + " e f g h".repeat(4000),
    };
    const whole = { ...PARTS, n_predict: 16, temperature: 0, grammar: 'root ::= "ok"' };
    const { json: cut } = await answered(bridge, "/infill", { ...whole, ...near, input_extra: long });
    assertEquals([cut.content, cut.tokens_evaluated], ["ok", 512 - 16]);
    const { status } = await bridge.post("/v1/completions", { prompt: near.input_prefix, suffix: near.input_suffix });
    assertEquals(status, 400);
  }, { contextTokens: 512 }));

Deno.test("infill: an answer ends at a line's end after the time, and before a line that is indented less", () =>
  withModel(["pre", "suf", "mid"], async (bridge) => {
    const asked = { ...PARTS, grammar: 'root ::= "a\\n  b\\n  c\\n" "d\\n"{200,200}', n_predict: 300 };
    const { json } = await answered(bridge, "/infill", { ...asked, n_indent: 2 });
    assertEquals([json.content, json.stop_type], ["a\n  b\n  c\n", "limit"]);
    const { json: timed } = await answered(bridge, "/infill", { ...asked, t_max_predict_ms: 1 });
    assert(String(timed.content).endsWith("\n") && String(timed.content).length < 300, JSON.stringify(timed.content));
    assert(Number(timed.tokens_predicted) < 300);
    // A stream has no more, and the slot is free at once.
    const { text } = await answered(bridge, "/infill", { ...asked, n_indent: 2, stream: true });
    const events = text.trim().split("\n\n").map((event) => JSON.parse(event.replace(/^data: /, "")));
    assertEquals(events.map(({ content }) => content).join(""), "a\n  b\n  c\n");
    assertEquals(events.at(-1).stop_type, "limit");
    const chat = { messages: [{ role: "user", content: "hi" }], grammar: asked.grammar, n_indent: 1 };
    const { json: { choices } } = await answered(bridge, "/v1/chat/completions", chat);
    const [choice] = choices as { message: { content: string }; finish_reason: string }[];
    assertEquals([choice?.message.content, choice?.finish_reason], ["a\n  b\n  c\n", "length"]);
  }));
