/** What is read off a template beside calls: what switches thinking, where thoughts go, what stands around them. */
import { assert, assertEquals } from "@std/assert";
import { type ChatMessage, PLAIN } from "../../../../../src/inference/request.ts";
import { Chat } from "../../../../../src/engine/chat/chat.ts";
import { type Marker, textOf } from "../../../../../src/engine/chat/dialect/marker.ts";
import { modelOf, shown, type TestModel } from "../../../../support/chat_model.ts";
import * as families from "../../../../support/families/mod.ts";
import { template, when } from "../../../../support/families/parts.ts";

const HI: ChatMessage = { role: "user", content: "Hi" };
const THINK = ["<think>", "</think>"];
const NO_THOUGHT = "<think></think>";

/** A model whose template writes this before an answer. */
function modelThatBegins(prompt: string, begin = ""): TestModel {
  const turn = (role: string): string => `<|im_start|>${role}\n{{ message.content }}<|im_end|>\n`;
  return modelOf({
    template: template({
      begin,
      system: turn("system"),
      user: turn("user"),
      result: turn("tool"),
      assistant: turn("assistant"),
      prompt: `<|im_start|>assistant\n${prompt}`,
    }),
    control: ["<|im_start|>", "<|im_end|>"],
    defined: THINK,
    ends: ["<|im_end|>"],
  });
}

/** What the prompts end with, without thinking and with it, behind the beginning of the answer. */
async function answersOf(
  model: TestModel,
  messages: readonly ChatMessage[] = [HI],
): Promise<[off: string, on: string]> {
  const chat = await Chat.of(model, 4096);
  const render = (thinking: boolean): string => {
    const prompt = shown(model, chat.render({ ...PLAIN, messages, thinking }).tokens);
    return prompt.slice(prompt.lastIndexOf("assistant\n") + "assistant\n".length).replaceAll(/[«»]/g, "");
  };
  return [render(false), render(true)];
}

/** By what it is: a prompt with a switch, and what it ends with without thinking and with it. */
const SWITCHES: Readonly<Record<string, readonly [prompt: string, off: string, on: string]>> = {
  "a flag that is on unless it is set": [
    when("enable_thinking is defined and enable_thinking is false", NO_THOUGHT),
    NO_THOUGHT,
    "",
  ],
  "a flag that is off unless it is set": [
    when("enable_thinking is defined and enable_thinking", "<think>", "</think>"),
    "</think>",
    "<think>",
  ],
  "a flag of another name": [when("thinking", "<think>", NO_THOUGHT), NO_THOUGHT, "<think>"],
  "a flag that speaks of reasoning": [when("reasoning is defined and not reasoning", NO_THOUGHT), NO_THOUGHT, ""],
  "two flags": [
    when("enable_thinking or thinking", "<think>", NO_THOUGHT),
    NO_THOUGHT,
    "<think>",
  ],
  "a flag and an effort": [
    when("enable_thinking", "<think>{{ 'much' if reasoning_effort == 'high' }}", NO_THOUGHT),
    NO_THOUGHT,
    "<think>much",
  ],
  "an effort in words": [
    when("reasoning_effort == 'none'", NO_THOUGHT, "<think>{{ 'much' if reasoning_effort == 'high' }}"),
    NO_THOUGHT,
    "<think>much",
  ],
  "an effort that is printed": ["{{ reasoning_effort or 'medium' }}: <think>", "low: <think>", "medium: <think>"],
  "an effort of which one word is refused": [
    "{% if reasoning_effort and reasoning_effort not in ['no_think', 'high'] %}{{ raise_exception('No') }}{% endif %}" +
    when("reasoning_effort == 'no_think'", NO_THOUGHT),
    NO_THOUGHT,
    "",
  ],
  "a budget of no tokens": [
    when("thinking_budget is defined and thinking_budget == 0", NO_THOUGHT),
    NO_THOUGHT,
    "",
  ],
  // Without a word, the model thinks as it likes.
  "a mode that may be enabled": [
    when(
      "thinking_mode is defined and thinking_mode == 'enabled'",
      "<think>",
      when("thinking_mode == 'disabled'", NO_THOUGHT),
    ),
    NO_THOUGHT,
    "",
  ],
  "a mode that is disabled": [when("thinking_mode == 'disabled'", NO_THOUGHT), NO_THOUGHT, ""],
  "a mode that has to be enabled": [when("thinking_mode == 'enabled'", "<think>", NO_THOUGHT), NO_THOUGHT, "<think>"],
  "no switch, and a thought in the prompt": ["<think>\n", "<think>\n", "<think>\n"],
  "no switch at all": ["", "", ""],
  "a variable for thoughts of the history": [
    when("keep_thinking is defined and messages | length > 1 and keep_thinking", "<think>"),
    "",
    "",
  ],
};

for (const [what, [prompt, off, on]] of Object.entries(SWITCHES)) {
  Deno.test(`thinking is switched as the template has it when it knows ${what}`, async () => {
    assertEquals(await answersOf(modelThatBegins(prompt)), [off, on]);
  });
}

Deno.test("thinking is switched by words in the system message when the template looks for them there", async () => {
  const quiet = "{% set quiet = messages[0].role == 'system' and '/no_think' in messages[0].content %}";
  const model = modelThatBegins(when("quiet", NO_THOUGHT), quiet);
  assertEquals(await answersOf(model), [NO_THOUGHT, ""]);
  const system: ChatMessage = { role: "system", content: "Be kind." };
  assertEquals(await answersOf(model, [system, HI]), [NO_THOUGHT, ""]);
  const chat = await Chat.of(model, 4096);
  const prompt = (thinking: boolean): string =>
    shown(model, chat.render({ ...PLAIN, messages: [system, HI], thinking }).tokens);
  assert(prompt(false).includes("Be kind.\n/no_think"), prompt(false));
  assert(!prompt(true).includes("/no_think"), prompt(true));
});

Deno.test("thinking is asked for by words when the template does not think without them", async () => {
  const mood = "{% set mood = messages[0].content if messages[0].role == 'system' else '/no_think' %}";
  const model = modelThatBegins(
    when("'/think' in mood", "<think>", when("'/no_think' in mood", NO_THOUGHT, "<think>")),
    mood,
  );
  assertEquals(await answersOf(model), [NO_THOUGHT, "<think>"]);
});

/** A marker with its tokens in «». */
function plain(marker: Marker | undefined): string | undefined {
  return marker && textOf(marker).replaceAll(/[\uFFFE\uFDD0]/g, "«").replaceAll(/[\uFFFF\uFDD1]/g, "»");
}

const THOUGHTS: readonly (readonly [family: families.Family, open: string | undefined, close: string | undefined])[] = [
  [families.CHATML, undefined, undefined],
  [families.HERMES, "«<think>»", "«</think>»"],
  [families.CODER, "«<think>»", "«</think>»"],
  [families.MISTRAL, undefined, undefined],
  [families.MISTRAL_ARGS, "«[THINK]»", "«[/THINK]»"],
  [families.DSML, "«<think>»", "«</think>»"],
  [families.NESTED, "«<mm:think>»", "«</mm:think>»"],
  [families.SEED, "«<seed:think>»", "«</seed:think>»"],
  // Shown nowhere, but opened in the prompt.
  [families.DEEPSEEK_R1, "«<think>»", "«</think>»"],
  [families.KEYED, "«<|inner_prefix|>»", "«<|inner_suffix|>»"],
  [families.GEMMA, "«<|channel>»thought", "«<channel|>»"],
  [families.HARMONY, "«<|channel|>»analysis«<|message|>»", "«<|end|>»"],
  [families.KINDS, "«<|think|>»", "«<|end|>»"],
  [families.COMMAND, "«<|START_THINKING|>»", "«<|END_THINKING|>»"],
  [families.TYPED, "«<|open|>»think«<|sep|>»", "«<|close|>»think«<|sep|>»"],
];

for (const [family, open, close] of THOUGHTS) {
  Deno.test(`markers of a thought are read off the template when the family is ${family.name}`, async () => {
    const { dialect, thinking } = await Chat.of(families.familyModel(family), 4096);
    assertEquals([plain(dialect.thought?.open), plain(dialect.thought?.close)], [open, close]);
    assertEquals(thinking, open !== undefined);
  });
}

Deno.test("frames around an answer's text are read off the template", async () => {
  const framesOf = async (family: families.Family): Promise<unknown> => {
    const { dialect } = await Chat.of(families.familyModel(family), 4096);
    return [[...new Set(dialect.text?.opens.map(plain))], dialect.text?.closes.map(plain)];
  };
  assertEquals(await framesOf(families.HERMES), [[], []]);
  assertEquals(await framesOf(families.COMMAND), [["«<|START_RESPONSE|>»"], ["«<|END_RESPONSE|>»"]]);
  assertEquals(await framesOf(families.TYPED), [
    ["«<|open|>»response«<|sep|>»"],
    ["«<|close|>»response«<|sep|>»", "«<|close|>»message«<|sep|>»"],
  ]);
  assertEquals(await framesOf(families.RECIPIENT), [["all"], []]);
});

/** A replayed answer with a thought, after which nobody asked anything. */
const THOUGHTFUL: readonly ChatMessage[] = [
  HI,
  {
    role: "assistant",
    content: [
      { type: "thinking", text: "THOUGHT" },
      { type: "tool_use", toolCallId: "call00001", name: "get_time", input: {} },
    ],
  },
  {
    role: "user",
    content: [{ type: "tool_result", toolCallId: "call00001", content: [{ type: "text", text: "RESULT" }] }],
  },
];

Deno.test("thoughts of the history are shown where the template has a place for them, and dropped where it has none", async () => {
  for (const family of families.CALLING) {
    const model = families.familyModel(family);
    const chat = await Chat.of(model, 4096);
    const prompt = shown(model, chat.render({ ...PLAIN, messages: THOUGHTFUL, thinking: true }).tokens);
    const shows = ![
      ...[
        families.LINES,
        families.PYTHON_LINES,
        families.LLAMA,
        families.BARE,
        families.BARE_LIST,
        families.BARE_PYTHON,
        families.FUNCTION_TAG,
        families.RECIPIENT,
        families.MISTRAL,
      ],
      ...[families.MISTRAL_IDS, families.DEEPSEEK_R1, families.ONE_CALL, families.HEADED_CALL, families.WORD],
    ].includes(family);
    assertEquals(prompt.includes("THOUGHT"), shows, prompt);
    if (shows) assert(prompt.indexOf("THOUGHT") < prompt.indexOf("get_time"), prompt);
    assert(prompt.includes("RESULT"), prompt);
  }
});

Deno.test("thoughts are put into the field that the template reads", async () => {
  for (const field of ["reasoning_content", "reasoning", "thinking"]) {
    const { template, control, markers, ...others } = families.HERMES;
    const model = modelOf({
      ...others,
      template: template.replaceAll("message.reasoning_content", `message.${field}`),
      control,
      defined: markers,
    });
    const chat = await Chat.of(model, 4096);
    const prompt = shown(model, chat.render({ ...PLAIN, messages: THOUGHTFUL, thinking: true }).tokens);
    assert(prompt.includes("«<think>»\nTHOUGHT\n«</think>»"), prompt);
  }
});

Deno.test("content is given as a list of parts when the template takes no string", async () => {
  const turn =
    "<|im_start|>{{ message.role }}\n{% for part in message.content %}{{ part.text }}{% endfor %}<|im_end|>\n";
  const model = modelOf({
    template:
      `{% for message in messages %}${turn}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}`,
    control: ["<|im_start|>", "<|im_end|>"],
    ends: ["<|im_end|>"],
  });
  const chat = await Chat.of(model, 4096);
  assertEquals(
    shown(model, chat.render({ ...PLAIN, messages: [HI] }).tokens),
    "«<|im_start|>»user\nHi«<|im_end|>»\n«<|im_start|>»assistant\n",
  );
});
