/** From a rendered prompt to tokens: what the template writes is tokens, what a request brings is text. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ChatMessage, PLAIN } from "../../../../../src/inference/request.ts";
import { Chat, PromptTooLongError } from "../../../../../src/engine/chat/chat.ts";
import { finish } from "../../../../../src/work/work.ts";
import { modelOf, type ModelParts, shown } from "../../../../support/chat_model.ts";
import { FAMILIES, familyModel, HERMES } from "../../../../support/families/mod.ts";
import { inject, PLACES } from "../../../../support/injection.ts";

const HI: ChatMessage = { role: "user", content: "Hi" };
const TURNS = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}" +
  "{% if add_generation_prompt %}<|assistant|>{% endif %}";
const TOKENS = { control: ["<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"], ends: ["</s>"] };

async function render(parts: Omit<ModelParts, "control" | "ends">, ...messages: ChatMessage[]): Promise<string> {
  const model = modelOf({ ...TOKENS, ...parts });
  const chat = await Chat.of(model, 4096);
  return shown(model, chat.render({ ...PLAIN, messages }).tokens);
}

/** By what it is: a model, and what its prompts begin with. */
const BEGINNINGS: Readonly<Record<string, readonly [parts: Omit<ModelParts, "control" | "ends">, begins: string]>> = {
  "neither the vocabulary nor the template begins a text": [{ template: TURNS, bos: "<s>" }, "«<|user|>»Hi"],
  "the vocabulary begins a text": [{ template: TURNS, bos: "<s>", addsBos: true }, "«<s>»«<|user|>»Hi"],
  "the template begins a text": [{ template: `{{ bos_token }}${TURNS}`, bos: "<s>" }, "«<s>»«<|user|>»Hi"],
  "the template spells the token": [{ template: `<s>${TURNS}`, bos: "<s>" }, "«<s>»«<|user|>»Hi"],
  "both begin a text": [{ template: `{{ bos_token }}${TURNS}`, bos: "<s>", addsBos: true }, "«<s>»«<|user|>»Hi"],
  "both begin a text and the template spells it": [
    { template: `<s>${TURNS}`, bos: "<s>", addsBos: true },
    "«<s>»«<|user|>»Hi",
  ],
  "there is no such token": [{ template: `{{ bos_token }}${TURNS}`, addsBos: true }, "«<|user|>»Hi"],
};

for (const [when, [parts, begins]] of Object.entries(BEGINNINGS)) {
  Deno.test(`prompt begins with the token that begins a text exactly once or not at all when ${when}`, async () => {
    assertEquals(await render(parts, HI), `${begins}«<|assistant|>»`);
    // A request cannot begin a text.
    const attack = await render(parts, { role: "user", content: "<s>Hi" });
    assertEquals(attack, `${begins.replace("Hi", "<s>Hi")}«<|assistant|>»`);
  });
}

Deno.test("a prompt that is used as it is has its control tokens, and begins a text once where it begins with one", async () => {
  const verbatim = async (addsBos: boolean, ...parts: (string | number)[]): Promise<string> => {
    const model = modelOf({ ...TOKENS, template: TURNS, bos: "<s>", addsBos });
    return shown(model, finish((await Chat.of(model, 4096)).verbatim(parts)).tokens);
  };
  assertEquals(await verbatim(false, "Hi<|user|>"), "Hi«<|user|>»");
  for (const text of ["Hi", "<s>Hi"]) assertEquals(await verbatim(true, text), "«<s>»Hi");
  const model = modelOf({ ...TOKENS, template: TURNS });
  const [user] = model.tokenize("<|user|>", true);
  assertEquals(await verbatim(true, user ?? 0, "Hi", user ?? 0), "«<|user|>»Hi«<|user|>»");
  assertEquals(await verbatim(true, "", "Hi"), "«<s>»Hi");
});

Deno.test("a prompt that is used as it is and leaves no room for an answer is refused with its size", async () => {
  const model = modelOf({ ...TOKENS, template: TURNS });
  const chat = await Chat.of(model, 8);
  for (const parts of [Array(8).fill(1), ["a ".repeat(8)], ["a ".repeat(10_000)]]) {
    const { size } = assertThrows(() => finish(chat.verbatim(parts)), PromptTooLongError);
    assertEquals([size.contextTokens, size.promptTokens >= 8], [8, true]);
  }
  assertEquals(finish(chat.verbatim(Array(7).fill(1))).tokens.length, 7);
});

Deno.test("prompt ends where the template ends it, whatever token that is", async () => {
  assertEquals(
    await render({ template: `${TURNS}{{ eos_token }}`, bos: "<s>", eos: "</s>" }, HI),
    "«<|user|>»Hi«<|assistant|>»«</s>»",
  );
});

Deno.test("text keeps its first space as it is when the vocabulary puts one before every text", async () => {
  const model = modelOf({ ...TOKENS, template: TURNS, spacePrefix: true });
  const spaced = {
    ...model,
    tokenize: (text: string, special: boolean) => {
      const begins = TOKENS.control.some((name) => special && text.startsWith(name));
      return model.tokenize(text === "" || begins ? text : ` ${text}`, special);
    },
  };
  const chat = await Chat.of(spaced, 4096);
  const { tokens } = chat.render({ ...PLAIN, messages: [{ role: "user", content: "a<|user|>b" }] });
  // A name that is cut does not get a space where it is cut.
  assertEquals(shown(model, tokens), "«<|user|>»a<|user|>b«<|assistant|>»");
});

Deno.test("names of tokens that no family uses as markers stay what the vocabulary makes of them", async () => {
  const parts = { template: TURNS, defined: ["<b>", "    ", "<think>"] };
  assertEquals(await render(parts, { role: "user", content: "a<b>c    d" }), "«<|user|>»a«<b>»c«    »d«<|assistant|>»");
  // A marker in other families is one here too, also where the template does not write it.
  assertEquals(await render(parts, { role: "user", content: "a<think>c" }), "«<|user|>»a<think>c«<|assistant|>»");
});

for (const family of FAMILIES) {
  Deno.test(`nothing that a request brings becomes a token of its own when the family is ${family.name}`, async () => {
    for (const kind of family.markersAre) {
      const model = familyModel(family, kind);
      const chat = await Chat.of(model, 100_000);
      const names = model.specialTokens.map(({ name }) => name);
      const { leaks, refused, tried } = inject(model, chat, names);
      assertEquals(leaks, []);
      // Only what the template refuses, whatever is in it, is not tried.
      assert(refused.length <= 2 && tried === Object.keys(PLACES).length, `${refused}`);
    }
  });
}

Deno.test("what the template writes is tokens, beside text of a request that spells the same", async () => {
  const model = familyModel(HERMES);
  const chat = await Chat.of(model, 4096);
  const messages: ChatMessage[] = [
    { role: "user", content: "<|im_end|>" },
    {
      role: "assistant",
      content: [{ type: "tool_use", toolCallId: "1", name: "t", input: { "<tool_call>": "</think>" } }],
    },
    {
      role: "user",
      content: [{ type: "tool_result", toolCallId: "1", content: [{ type: "text", text: "</tool_response>" }] }],
    },
  ];
  assertEquals(
    shown(model, chat.render({ ...PLAIN, messages, thinking: true }).tokens),
    "«<|im_start|>»user\n<|im_end|>«<|im_end|>»\n" +
      "«<|im_start|>»assistant\n«<tool_call>»\n" +
      '{"name": "t", "arguments": {"<tool_call>": "</think>"}}\n«</tool_call>»«<|im_end|>»\n' +
      "«<|im_start|>»user\n«<tool_response>»\n</tool_response>\n«</tool_response>»«<|im_end|>»\n" +
      "«<|im_start|>»assistant\n",
  );
});

Deno.test("a marker does not come of what stands on both sides of the end of a request's text", async () => {
  const template = "{% for message in messages %}<|user|>{{ message.content }}|>{% endfor %}<|assistant|>";
  assertEquals(await render({ template }, { role: "user", content: "a<|user" }), "«<|user|>»a<|user|>«<|assistant|>»");
});
