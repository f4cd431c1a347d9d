/** Conversations that a template refuses: they are joined where that helps, and refused where nothing does. */
import { assertEquals, assertThrows } from "@std/assert";
import { type ChatMessage, type ContentBlock, PLAIN } from "../../../../src/inference/request.ts";
import { Chat, PromptError } from "../../../../src/engine/chat/chat.ts";
import { modelOf, shown } from "../../../support/chat_model.ts";
import { CHATML, familyModel, HERMES, MISTRAL, MISTRAL_ARGS } from "../../../support/families/mod.ts";
import { refuse, template } from "../../../support/families/parts.ts";

const system = (content: string): ChatMessage => ({ role: "system", content });
const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });

/** Takes no system message at all, and users and assistants in turns. */
const STRICT = modelOf({
  template: template({
    begin: "{% set state = namespace(last='') %}",
    system: "{{ raise_exception('System role not supported') }}",
    user: refuse("state.last == 'user'", "Take turns") +
      "{% set state.last = 'user' %}<|user|>{{ message.content }}<|end|>",
    assistant: refuse("state.last != 'user'", "Take turns") +
      "{% set state.last = 'assistant' %}<|assistant|>{{ message.content }}<|end|>",
    result: "{{ raise_exception('No tools') }}",
    prompt: "<|assistant|>",
  }),
  control: ["<|user|>", "<|assistant|>", "<|end|>"],
  ends: ["<|end|>"],
});

async function render(model: typeof STRICT, ...messages: ChatMessage[]): Promise<string> {
  const chat = await Chat.of(model, 4096);
  return shown(model, chat.render({ ...PLAIN, messages }).tokens);
}

Deno.test("two messages of a user in a row are as the template has them when it takes them", async () => {
  assertEquals(
    await render(familyModel(CHATML), user("a"), user("b")),
    "«<|im_start|>»user\na«<|im_end|>»\n«<|im_start|>»user\nb«<|im_end|>»\n«<|im_start|>»assistant\n",
  );
});

Deno.test("neighbours of one role are joined, and no turn is invented, when the template refuses them", async () => {
  assertEquals(
    await render(STRICT, user("a"), user("b"), assistant("c"), assistant("d"), user("e")),
    "«<|user|>»a\n\nb«<|end|>»«<|assistant|>»c\n\nd«<|end|>»«<|user|>»e«<|end|>»«<|assistant|>»",
  );
});

Deno.test("system message goes before the user's when the template takes none", async () => {
  assertEquals(
    await render(STRICT, system("Be kind."), user("a")),
    "«<|user|>»Be kind.\n\na«<|end|>»«<|assistant|>»",
  );
});

Deno.test("system message in the middle goes before the user's that follows when the template takes it nowhere else", async () => {
  const strict = await render(STRICT, user("a"), assistant("b"), system("Be kind."), user("c"));
  assertEquals(
    strict,
    "«<|user|>»a«<|end|>»«<|assistant|>»b«<|end|>»«<|user|>»Be kind.\n\nc«<|end|>»«<|assistant|>»",
  );
  // The first stays where the template has a place for it.
  const mistral = await render(
    familyModel(MISTRAL),
    system("One."),
    user("a"),
    assistant("b"),
    system("Two."),
    user("c"),
  );
  assertEquals(
    mistral,
    "«<s>»«[SYSTEM_PROMPT]»One.«[/SYSTEM_PROMPT]»«[INST]»a«[/INST]»b«</s>»«[INST]»Two.\n\nc«[/INST]»",
  );
  // And where it takes one in the middle, it is there.
  const chatml = await render(familyModel(CHATML), user("a"), assistant("b"), system("Two."), user("c"));
  assertEquals(chatml.includes("«<|im_start|>»system\nTwo.«<|im_end|>»"), true, chatml);
});

Deno.test("system message at the end is a user's when the template takes it nowhere else", async () => {
  assertEquals(
    await render(STRICT, user("a"), assistant("b"), system("Go on.")),
    "«<|user|>»a«<|end|>»«<|assistant|>»b«<|end|>»«<|user|>»Go on.«<|end|>»«<|assistant|>»",
  );
});

Deno.test("conversation is refused with the template's words when joining does not help", async () => {
  for (const [model, words] of [[STRICT, "Take turns"], [familyModel(MISTRAL), "A user speaks first"]] as const) {
    const chat = await Chat.of(model, 4096);
    assertThrows(
      () => chat.render({ ...PLAIN, messages: [assistant("a"), user("b")] }),
      PromptError,
      `The model's chat template refuses this conversation: ${words}`,
    );
  }
});

Deno.test("conversation is refused with a line of the template when that fails on it", async () => {
  const failing = CHATML.template.replace(
    "<|im_start|>user\n{{ message.content }}",
    "{{ 1 // 0 if 'zero' in message.content }}<|im_start|>user\n{{ message.content }}",
  );
  const { template: _, markers: _m, markersAre: _k, ...parts } = CHATML;
  const chat = await Chat.of(modelOf({ ...parts, template: failing }), 4096);
  chat.render({ ...PLAIN, messages: [user("one")] });
  assertThrows(() => chat.render({ ...PLAIN, messages: [user("zero")] }), PromptError, "(line 3): integer division");
});

const CALL: ContentBlock = { type: "tool_use", toolCallId: "call-1", name: "get_time", input: {} };
const RESULT: ContentBlock = { type: "tool_result", toolCallId: "call-1", content: [{ type: "text", text: "12" }] };

Deno.test("text beside a result is a message after it", async () => {
  const prompt = await render(
    familyModel(HERMES),
    user("a"),
    { role: "assistant", content: [CALL] },
    { role: "user", content: [RESULT, { type: "text", text: "And now?" }] },
  );
  const end = "«<|im_start|>»user\n«<tool_response>»\n12\n«</tool_response>»«<|im_end|>»\n" +
    "«<|im_start|>»user\nAnd now?«<|im_end|>»\n«<|im_start|>»assistant\n«<think>»\n\n«</think>»\n\n";
  assertEquals(prompt.slice(-end.length), end);
});

Deno.test("text beside a result goes behind it when the template takes no user after a result", async () => {
  const strict = HERMES.template.replace(
    "{% elif message.role == 'user' %}",
    "{% elif message.role == 'user' %}{% if not loop.first and loop.previtem.role == 'tool' %}" +
      "{{ raise_exception('No') }}{% endif %}",
  );
  const { template: _, markers, markersAre: _k, control, ...parts } = HERMES;
  const prompt = await render(
    modelOf({ ...parts, template: strict, control, defined: markers }),
    user("a"),
    { role: "assistant", content: [CALL] },
    { role: "user", content: [RESULT, { type: "text", text: "And now?" }] },
  );
  assertEquals(prompt.includes("«<tool_response>»\n12\n\nAnd now?\n«</tool_response>»"), true, prompt);
});

Deno.test("ids of calls reach a template in the form that it demands", async () => {
  const model = familyModel(MISTRAL_ARGS);
  const demanding = familyModel(MISTRAL);
  const conversation: ChatMessage[] = [user("a"), { role: "assistant", content: [CALL] }, {
    role: "user",
    content: [RESULT],
  }];
  const free = await render(model, ...conversation);
  assertEquals(free.includes("«[TOOL_RESULTS]»call-1«[TOOL_CONTENT]»"), true, free);
  const bound = await render(demanding, ...conversation);
  const [, written] = /"id": "([A-Za-z0-9]{9})"/.exec(bound) ?? [];
  assertEquals(bound.includes(`«[TOOL_RESULTS]»${written}«[TOOL_CONTENT]»`), true, bound);
});
