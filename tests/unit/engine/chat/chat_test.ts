import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ChatMessage, type Conversation, PLAIN } from "../../../../src/inference/request.ts";
import { Chat, type Prompt, PromptError } from "../../../../src/engine/chat/chat.ts";
import { modelOf, type ModelParts, shown, type TestModel } from "../../../support/chat_model.ts";
import { CHATML, CODER, familyModel, GEMMA, HERMES, LLAMA } from "../../../support/families/mod.ts";

/** The prompt, with tokens that are more than text set in «» so that they differ from text that spells them. */
async function render(model: TestModel, conversation: Partial<Conversation>): Promise<string> {
  const chat = await Chat.of(model, 4096);
  return shown(model, chat.render({ ...PLAIN, messages: [], ...conversation }).tokens);
}

const HI: ChatMessage = { role: "user", content: "Hi" };
const CONVERSATION: readonly ChatMessage[] = [
  { role: "system", content: "Be kind." },
  HI,
  { role: "assistant", content: "Hello." },
  { role: "user", content: "Bye" },
];

Deno.test("Chat renders a conversation as the model's template does", async () => {
  assertEquals(
    await render(familyModel(CHATML), { messages: CONVERSATION }),
    "«<|im_start|>»system\nBe kind.«<|im_end|>»\n«<|im_start|>»user\nHi«<|im_end|>»\n" +
      "«<|im_start|>»assistant\nHello.«<|im_end|>»\n«<|im_start|>»user\nBye«<|im_end|>»\n«<|im_start|>»assistant\n",
  );
});

Deno.test("Chat leaves an answer open when the assistant has begun it", async () => {
  const messages: ChatMessage[] = [...CONVERSATION, { role: "assistant", content: "Good" }];
  const prompt = await render(familyModel(CHATML), { messages });
  assert(prompt.endsWith("«<|im_start|>»assistant\nGood"), prompt);
});

Deno.test("Chat asks for an answer when the assistant's last message is empty", async () => {
  const model = familyModel(CHATML);
  const asked = await render(model, { messages: CONVERSATION });
  for (const content of ["", [], [{ type: "text", text: "" }]] as const) {
    assertEquals(await render(model, { messages: [...CONVERSATION, { role: "assistant", content }] }), asked);
  }
});

Deno.test("Chat names what ends an answer when the vocabulary does not say it", async () => {
  const template = CHATML.template;
  const endsOf = async (parts: Omit<ModelParts, "template">): Promise<[string, readonly string[]]> => {
    const model = modelOf({ template, ...parts });
    const { endTokens, endTexts } = (await Chat.of(model, 4096)).render({ ...PLAIN, messages: [HI] });
    return [shown(model, endTokens), endTexts];
  };
  const control = ["<|im_start|>", "<|im_end|>"];
  assertEquals(await endsOf({ control, ends: ["<|im_end|>"] }), ["", []]);
  assertEquals(await endsOf({ control, ends: [] }), ["«<|im_end|>»", []]);
  assertEquals(await endsOf({ control: [], ends: [] }), ["", ["<|im_end|>"]]);
});

Deno.test("Chat refuses a conversation when it leaves no room for an answer, and says how long it is", async () => {
  const chat = await Chat.of(familyModel(CHATML), 100);
  const ask = (content: ChatMessage["content"]): Prompt =>
    chat.render({ ...PLAIN, messages: [{ role: "user", content }] });
  const { length } = ask("x").tokens;
  ask("x".repeat(100 - length));
  const full = "has 100 tokens; that exceeds the available context size, prompt and answer together may have 100";
  assertThrows(() => ask("x".repeat(101 - length)), PromptError, full);
  assertThrows(() => ask([{ type: "text", text: "x".repeat(101 - length) }]), PromptError, full);
  assertThrows(() => ask("x".repeat(100_000)), PromptError, "more than");
});

Deno.test("Chat refuses ten thousand messages without rendering them", async () => {
  const chat = await Chat.of(familyModel(CHATML), 8192);
  const messages = Array.from({ length: 10_000 }, (): ChatMessage => ({ role: "user", content: "" }));
  assertThrows(() => chat.render({ ...PLAIN, messages }), PromptError, "more than 10000 tokens");
});

Deno.test("Chat renders thousands of messages when there is room for them", async () => {
  const chat = await Chat.of(familyModel(CHATML), 1_000_000);
  const messages = Array.from({ length: 10_000 }, (_, i): ChatMessage => ({
    role: i % 2 === 0 ? "user" : "assistant",
    content: "Hi",
  }));
  assert(chat.render({ ...PLAIN, messages }).tokens.length > 100_000);
});

Deno.test("Chat says whether the template knows thoughts and tools", async () => {
  for (
    const [family, thinking, tools] of [[CHATML, false, false], [HERMES, true, true], [LLAMA, false, true]] as const
  ) {
    const chat = await Chat.of(familyModel(family), 4096);
    assertEquals([chat.thinking, chat.tools], [thinking, tools]);
  }
});

Deno.test("Chat begins the answer as the template does with thinking and without", async () => {
  const prompt = "«<|im_start|>»user\nHi«<|im_end|>»\n«<|im_start|>»assistant\n";
  for (
    const [family, off, on] of [
      [HERMES, "«<think>»\n\n«</think>»\n\n", ""],
      [CODER, "«<think>»\n\n«</think>»\n\n", "«<think>»\n"],
      [CHATML, "", ""],
    ] as const
  ) {
    const model = familyModel(family);
    assertEquals(await render(model, { messages: [HI] }), prompt + off);
    assertEquals(await render(model, { messages: [HI], thinking: true }), prompt + on);
  }
});

Deno.test("Chat says that the answer begins in a thought when the prompt has opened one", async () => {
  for (
    const [family, off, on] of [
      [HERMES, "text", "text"],
      [CODER, "text", "thought"],
      [CHATML, "text", "text"],
    ] as const
  ) {
    const chat = await Chat.of(familyModel(family), 4096);
    const start = (thinking: boolean): string => chat.render({ ...PLAIN, messages: [HI], thinking }).start;
    assertEquals([start(false), start(true)], [off, on]);
    // What a user writes opens nothing.
    const spelled = chat.render({ ...PLAIN, messages: [HI, { role: "assistant", content: "<think>" }] });
    assertEquals(spelled.start, "text");
  }
});

Deno.test("Chat renders with the template for tools when there are some, and with the usual one when there are none", async () => {
  const { template: calling, markers, control, ...parts } = HERMES;
  for (const variants of [{ tool_use: calling }, { tool_use: calling, other: "{{ nothing" }]) {
    const model = modelOf({ ...parts, template: CHATML.template, variants, control, defined: markers });
    const chat = await Chat.of(model, 4096);
    assertEquals([chat.tools, chat.fault], [true, undefined]);
    const tools = [{ name: "get_time", description: "The time", inputSchema: { type: "object" } }];
    const whole = familyModel(HERMES);
    // Which of them a switch is looked for in is not what this is about.
    const asked = { messages: [HI], tools, thinking: true };
    assertEquals(await render(model, asked), await render(whole, asked));
    const messages: ChatMessage[] = [
      HI,
      { role: "assistant", content: [{ type: "tool_use", toolCallId: "1", name: "get_time", input: {} }] },
      {
        role: "user",
        content: [{ type: "tool_result", toolCallId: "1", content: [{ type: "text", text: 'So "so".' }] }],
      },
    ];
    const called = { messages, thinking: true };
    assertEquals(await render(model, called), await render(whole, called));
    assertEquals(await render(model, { messages: [HI] }), await render(familyModel(CHATML), { messages: [HI] }));
  }
});

/** Two calls with their results. */
const CALLED: readonly ChatMessage[] = [
  HI,
  {
    role: "assistant",
    content: [
      { type: "tool_use", toolCallId: "1", name: "get_time", input: {} },
      { type: "tool_use", toolCallId: "2", name: "get_weather", input: { city: "Bern" } },
    ],
  },
  {
    role: "user",
    content: [
      { type: "tool_result", toolCallId: "1", content: [{ type: "text", text: "12" }] },
      { type: "tool_result", toolCallId: "2", content: [{ type: "text", text: '{"sky":"blue"}' }] },
    ],
  },
];

Deno.test("Chat writes calls and results as the template has them", async () => {
  const hermes = await render(familyModel(HERMES), { messages: CALLED, thinking: true });
  assertEquals(
    hermes.slice(hermes.indexOf("«<tool_call>»")),
    '«<tool_call>»\n{"name": "get_time", "arguments": {}}\n«</tool_call>»\n' +
      '«<tool_call>»\n{"name": "get_weather", "arguments": {"city": "Bern"}}\n«</tool_call>»«<|im_end|>»\n' +
      "«<|im_start|>»user\n«<tool_response>»\n12\n«</tool_response>»«<|im_end|>»\n" +
      '«<|im_start|>»user\n«<tool_response>»\n{"sky":"blue"}\n«</tool_response>»«<|im_end|>»\n' +
      "«<|im_start|>»assistant\n",
  );
  const gemma = await render(familyModel(GEMMA), { messages: CALLED });
  assertEquals(
    gemma.slice(gemma.indexOf("«<|tool_call>»")),
    "«<|tool_call>»call:get_time{}«<tool_call|>»" +
      '«<|tool_call>»call:get_weather{city:«<|"|>»Bern«<|"|>»}«<tool_call|>»' +
      '«<|tool_response>»response:get_time{value:«<|"|>»12«<|"|>»}«<tool_response|>»' +
      '«<|tool_response>»response:get_weather{value:«<|"|>»{"sky":"blue"}«<|"|>»}«<tool_response|>»',
  );
});

Deno.test("Chat refuses a conversation when the template does, and says why", async () => {
  const chat = await Chat.of(familyModel(LLAMA), 4096);
  assertThrows(
    () => chat.render({ ...PLAIN, messages: CALLED }),
    PromptError,
    "The model's chat template refuses this conversation: One call at a time",
  );
});
