/** Templates that cannot be used, and what stands in for them. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ChatMessage, PLAIN, type Tool } from "../../../../src/inference/request.ts";
import { Chat, PromptError } from "../../../../src/engine/chat/chat.ts";
import { modelOf, shown } from "../../../support/chat_model.ts";
import { familyModel, HERMES } from "../../../support/families/mod.ts";

const HI: ChatMessage = { role: "user", content: "Hi" };
const TOOL: Tool = { name: "get_time", description: "The time", inputSchema: { type: "object" } };
const CHATML_TOKENS = { control: ["<|im_start|>", "<|im_end|>"], eos: "<|im_end|>", ends: ["<|im_end|>"] };

/** By what is wrong: a template, the line to blame, and what its fault says. */
const FAULTS: Readonly<Record<string, readonly [template: string, line: number, says: RegExp]>> = {
  "does not parse": ["{% for message in messages %}\n{{ message.content }}\n{% endfo %}", 3, /endfo/],
  "has a tag that nobody knows": ["\n{% frobnicate %}", 2, /frobnicate/],
  "has a filter that nobody knows": ["a\nb\n{{ messages | frobnicate }}", 3, /frobnicate/],
  "fails on every conversation": ["{% for message in messages %}\n{{ message.content + 1 }}{% endfor %}", 2, /str/],
  "refuses every conversation": ["{{ raise_exception('Never') }}", 1, /Never/],
  "does not render the user's message": [
    "{% for message in messages %}{{ message.role }}{% endfor %}",
    0,
    /does not render/,
  ],
};

for (const [what, [template, line, says]] of Object.entries(FAULTS)) {
  Deno.test(`template that ${what} is told with its line, and ChatML stands in where the vocabulary has it`, async () => {
    const model = modelOf({
      ...CHATML_TOKENS,
      template,
      defined: ["<tool_call>", "</tool_call>", "<think>", "</think>"],
    });
    const chat = await Chat.of(model, 4096);
    assertEquals([chat.format, chat.fault?.line, chat.tools, chat.thinking], ["chatml", line, false, false]);
    assert(says.test(chat.fault?.message ?? ""), chat.fault?.message);
    const messages: ChatMessage[] = [{ role: "system", content: "Be kind." }, HI];
    assertEquals(
      shown(model, chat.render({ ...PLAIN, messages }).tokens),
      "«<|im_start|>»system\nBe kind.«<|im_end|>»\n«<|im_start|>»user\nHi«<|im_end|>»\n«<|im_start|>»assistant\n",
    );
    assertThrows(() => chat.render({ ...PLAIN, messages, tools: [TOOL] }), PromptError, "does not support tools");
  });

  Deno.test(`template that ${what} lets no conversation through where the vocabulary has no ChatML`, async () => {
    const chat = await Chat.of(modelOf({ template, control: ["<s>", "</s>"], ends: ["</s>"] }), 4096);
    assertEquals([chat.format, chat.fault?.line, chat.tools], ["none", line, false]);
    const { message } = assertThrows(() => chat.render({ ...PLAIN, messages: [HI] }), PromptError);
    assert(message.includes(`(line ${line})`) && says.test(message), message);
  });
}

Deno.test("the usual template is used when only the one for tools cannot be", async () => {
  const { template, markers, markersAre: _, control, ...parts } = HERMES;
  const model = modelOf({ ...parts, template, variants: { tool_use: "{% if %}" }, control, defined: markers });
  const chat = await Chat.of(model, 4096);
  assertEquals([chat.format, chat.tools, chat.fault?.line], ["template", true, 1]);
  const usual = familyModel(HERMES);
  const asked = { ...PLAIN, messages: [HI], tools: [TOOL] };
  assertEquals(
    shown(model, chat.render(asked).tokens),
    shown(usual, (await Chat.of(usual, 4096)).render(asked).tokens),
  );
});

Deno.test("the template for tools renders everything when there is no other", async () => {
  const { template, markers, markersAre: _, control, ...parts } = HERMES;
  const model = modelOf({ ...parts, variants: { tool_use: template }, control, defined: markers });
  const chat = await Chat.of(model, 4096);
  assertEquals([chat.format, chat.tools, chat.thinking, chat.fault], ["template", true, true, undefined]);
  const usual = familyModel(HERMES);
  for (const tools of [[], [TOOL]]) {
    const asked = { ...PLAIN, messages: [HI], tools };
    assertEquals(
      shown(model, chat.render(asked).tokens),
      shown(usual, (await Chat.of(usual, 4096)).render(asked).tokens),
    );
  }
});

Deno.test("no other family's format is used for a template that is unknown", async () => {
  // Names and architecture of a family that libraries have a format of their own for.
  const model = modelOf({
    ...CHATML_TOKENS,
    template: "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}[assistant]",
    metadata: [["general.architecture", "llama"], ["general.name", "Llama 3.1 8B Instruct"]],
  });
  const chat = await Chat.of(model, 4096);
  assertEquals(chat.format, "template");
  assertEquals(shown(model, chat.render({ ...PLAIN, messages: [HI] }).tokens), "[user] Hi\n[assistant]");
});

Deno.test("model without a template is rendered by the format that node-llama-cpp has for it", async () => {
  const model = modelOf({
    metadata: [["general.architecture", "gemma2"], ["general.name", "Gemma 2 2b It"]],
    bos: "<bos>",
    eos: "<eos>",
    addsBos: true,
    control: ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
    ends: ["<eos>", "<end_of_turn>"],
  });
  const chat = await Chat.of(model, 4096);
  assertEquals([chat.format, chat.fault, chat.tools], ["node-llama-cpp Gemma", undefined, false]);
  const messages: ChatMessage[] = [{ role: "user", content: "a<end_of_turn>b" }];
  assertEquals(
    shown(model, chat.render({ ...PLAIN, messages }).tokens),
    "«<bos>»«<start_of_turn>»user\na<end_of_turn>b«<end_of_turn>»\n«<start_of_turn>»model\n",
  );
});
