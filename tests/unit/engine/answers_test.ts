import { assert, assertEquals, assertThrows } from "@std/assert";
import { type GenerationRequest, PLAIN, type Tool } from "../../../src/backend/backend.ts";
import { type AnswerModel, Answers } from "../../../src/engine/answers.ts";
import { Chat, type ChatModel, PromptError } from "../../../src/engine/chat.ts";
import { AttachmentError } from "../../../src/engine/chat_history.ts";
import { GrammarError } from "../../../src/engine/gbnf.ts";
import type { EngineEvent } from "../../../src/engine/messages.ts";
import type { Job } from "../../../src/engine/scheduler.ts";

/** A model with a token for each ASCII character, then its control tokens. */
const FIRST_TAG = 128;
const encoder = new TextEncoder();

interface Family {
  readonly name: string;
  readonly tags: readonly string[];
  /** Which of them end the answer. */
  readonly ends: readonly string[];
  /** Where the name does not say what the family is. */
  readonly template?: string;
}

const LLAMA_31: Family = {
  name: "Llama 3.1",
  tags: ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"],
  ends: ["<|eot_id|>", "<|eom_id|>"],
};
const LLAMA_32: Family = { ...LLAMA_31, name: "Llama 3.2" };
const MISTRAL: Family = {
  name: "Mistral",
  tags: [
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[TOOL_CALLS]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
  ],
  ends: ["</s>"],
};
const GEMMA: Family = {
  name: "Gemma 4",
  tags: ["<bos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|think|>"],
  ends: ["<turn|>"],
};
const GPT_OSS: Family = {
  name: "gpt-oss",
  tags: ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|call|>", "<|return|>"],
  ends: ["<|return|>", "<|call|>"],
};
/** As Qwen's for code: a tag within the marker's has the name. */
const QWEN_CODER: Family = {
  name: "Coder",
  tags: ["<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"],
  ends: ["<|im_end|>"],
  template:
    `{%- for tool in tools or [] %}{{- tool.function.name + ': ' + (tool.function | tojson) + '\\n' }}{%- endfor %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}
{{- '\\n<tool_call>\\n<function=' + call.function.name + '>\\n' }}
{%- for name, value in call.function.arguments | items %}
{{- '<parameter=' + name + '>\\n' }}{{- value if value is string else value | tojson }}{{- '\\n</parameter>\\n' }}
{%- endfor %}
{{- '</function>\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}`,
};
const UNKNOWN: Family = { name: "Nobody", tags: [], ends: [] };

function modelOf({ name, tags, ends, template }: Family): ChatModel & AnswerModel {
  const tag = (token: number): string | undefined => tags[token - FIRST_TAG];
  return {
    metadata: new Map([
      ["general.architecture", "test"],
      ["general.name", name],
      ["general.size_label", "3B"],
      ...(template === undefined ? [] : [["tokenizer.chat_template", template] as const]),
    ]),
    named: { BOS: -1, EOS: -1, NL: 10, EOT: -1, SEP: -1 },
    addsBos: false,
    spacePrefix: false,
    longestPiece: 24,
    vocabularySize: FIRST_TAG + tags.length,
    tokenize(text, special): Int32Array {
      const tokens: number[] = [];
      for (let at = 0; at < text.length;) {
        const index = special ? tags.findIndex((tag) => text.startsWith(tag, at)) : -1;
        tokens.push(index < 0 ? text.charCodeAt(at) % FIRST_TAG : FIRST_TAG + index);
        at += index < 0 ? 1 : (tags[index] as string).length;
      }
      return Int32Array.from(tokens);
    },
    piece: (token) => encoder.encode(tag(token) === undefined ? String.fromCharCode(token) : ""),
    pieceText: (token) => tag(token) === undefined ? String.fromCharCode(token) : "",
    describe: (token) => tag(token) ?? String.fromCharCode(token),
    isControl: (token) => tag(token) !== undefined,
    endsAnswer: (token) => ends.includes(tag(token) ?? ""),
  };
}

const WEATHER: Tool = {
  name: "get_weather",
  description: "Weather in a city",
  inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const TIME: Tool = { name: "get_time", description: "The time", inputSchema: { type: "object", properties: {} } };
const TOOLS = [WEATHER, TIME];
const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};

type Asked = Partial<GenerationRequest>;

async function answersOf(family: Family): Promise<Answers> {
  const model = modelOf(family);
  return new Answers(model, await Chat.of(model, 20_000));
}

function ask(answers: Answers, asked: Asked): Job {
  return answers.job(1, {
    ...PLAIN,
    messages: [{ role: "user", content: "What is the weather in Oslo?" }],
    sampling: { temperature: 0, topP: 1, topK: 0 },
    maxTokens: 1000,
    stop: [],
    ...asked,
  });
}

/** What came, pieces of text and thought put together; and what was refused, if something was. */
interface Played {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly unknown[];
  readonly end: unknown;
  readonly refused?: string;
}

/** Let a model say something, token by token, as far as it may. */
async function play(family: Family, asked: Asked, said: string): Promise<Played> {
  const { answer } = ask(await answersOf(family), asked);
  const model = modelOf(family);
  const events: EngineEvent[] = [];
  let end: unknown;
  let refused: string | undefined;
  const tokens = Array.from(model.tokenize(said, true));
  for (const [index, token] of tokens.entries()) {
    if (answer.constraint?.allows(token) === false) {
      refused = tokens.slice(index).map((token) => model.describe(token)).join("");
      break;
    }
    if (!answer.ends(token) && !answer.accept(token, events)) continue;
    end = answer.finish(false, events)?.done;
    break;
  }
  if (end === undefined && refused === undefined) end = answer.finish(true, events);
  return {
    text: events.map((event) => "t" in event ? event.t : "").join(""),
    thinking: events.map((event) => "think" in event ? event.think : "").join(""),
    calls: events.flatMap((event) => "call" in event ? [{ name: event.call, input: event.input }] : []),
    end: events.find((event) => "error" in event) ?? end,
    ...(refused === undefined ? {} : { refused }),
  };
}

const OSLO = { name: "get_weather", input: { city: "Oslo" } };
const NOW = { name: "get_time", input: {} };
const NOTHING = { text: "", thinking: "", calls: [] };

/** How each family calls the first tool, and whether it can go on with the second. */
const CALLS: readonly (readonly [family: Family, call: string, end: string])[] = [
  [LLAMA_31, '<function=get_weather>{"city": "Oslo"}</function>', "<|eom_id|>"],
  [LLAMA_32, '{"name": "get_weather", "parameters": {"city": "Oslo"}}', "<|eot_id|>"],
  [MISTRAL, '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}}]', "</s>"],
  [GEMMA, '<|tool_call>call:get_weather{{"city": "Oslo"}}<tool_call|>', "<turn|>"],
  [GPT_OSS, '<|channel|>commentary to=functions.get_weather<|constrain|>json<|message|>{"city": "Oslo"}', "<|call|>"],
];

for (const [family, call, end] of CALLS) {
  Deno.test(`Answers bind a call to the tools' names and arguments when ${family.name} is asked for one`, async () => {
    for (const toolChoice of ["auto", "required"] as const) {
      const asked = { tools: TOOLS, toolChoice };
      assertEquals(await play(family, asked, call + end), { ...NOTHING, calls: [OSLO], end: "tool_use" });
      const wrong = call.replace("get_weather", "get_whether");
      assertEquals((await play(family, asked, wrong)).refused, wrong.slice(wrong.indexOf("hether")));
      const untyped = call.replace('"Oslo"', "12");
      assertEquals((await play(family, asked, untyped)).refused, untyped.slice(untyped.indexOf("12")));
    }
  });

  Deno.test(`Answers allow ${family.name} text beside calls when it may choose, and no text when it may not`, async () => {
    const text = family === GPT_OSS ? "<|channel|>final<|message|>Hello." : "Hello.";
    assertEquals(await play(family, { tools: TOOLS }, text + end), { ...NOTHING, text: "Hello.", end: "end" });
    const required = await play(family, { tools: TOOLS, toolChoice: "required" }, text + end);
    assertEquals(required.refused, text.slice(text.indexOf(family === GPT_OSS ? "final" : "Hello")) + end);
    const ended = await play(family, { tools: TOOLS, toolChoice: "required" }, end);
    assertEquals(ended.refused, end);
  });

  Deno.test(`Answers let ${family.name} begin no call when none may come`, async () => {
    const { refused, calls } = await play(family, { tools: TOOLS, toolChoice: "none" }, call + end);
    assertEquals(calls, []);
    // Without a marker of its own, a call is JSON like any other.
    assertEquals(refused === undefined, family === LLAMA_32);
  });

  Deno.test(`Answers hold ${family.name} to a schema, beside which calls may come`, async () => {
    const head = family === GPT_OSS ? "<|channel|>final<|message|>" : "";
    const person = '{"name": "Ana", "age": 31}';
    for (const tools of [[], TOOLS]) {
      const asked = { responseSchema: PERSON, tools };
      assertEquals(await play(family, asked, head + person), { ...NOTHING, text: person, end: "end" });
      assert((await play(family, asked, head + "Hello.")).refused?.endsWith("Hello."));
      assert((await play(family, asked, head + '{"name": "Ana"}')).refused?.startsWith("}"));
    }
    const called = await play(family, { responseSchema: PERSON, tools: TOOLS }, call + end);
    assertEquals(called, { ...NOTHING, calls: [OSLO], end: "tool_use" });
  });
}

Deno.test("Answers take markers in JSON for what they are, a part of a string", async () => {
  for (const name of ["<function=get_time>{}</function>", "<|end_of_text|>"]) {
    const person = JSON.stringify({ name, age: 31 });
    const played = await play(LLAMA_31, { responseSchema: PERSON, tools: TOOLS }, person);
    assertEquals(JSON.parse(played.text), { name, age: 31 });
    assertEquals([played.calls, played.end], [[], "end"]);
  }
});

Deno.test("Answers take several calls when the template has a way to write them", async () => {
  const calls =
    '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "get_time", "arguments": {}}]';
  for (const toolChoice of ["auto", "required"] as const) {
    const played = await play(MISTRAL, { tools: TOOLS, toolChoice }, calls + "</s>");
    assertEquals(played, { ...NOTHING, calls: [OSLO, NOW], end: "tool_use" });
    const marked =
      '<|tool_call>call:get_weather{{"city": "Oslo"}}<tool_call|><|tool_call>call:get_time{{}}<tool_call|>';
    const gemma = await play(GEMMA, { tools: TOOLS, toolChoice }, marked + "<turn|>");
    assertEquals(gemma, { ...NOTHING, calls: [OSLO, NOW], end: "tool_use" });
  }
  // The only call: nothing can follow, so nothing is waited for.
  const one = '<function=get_weather>{"city": "Oslo"}</function>';
  assertEquals((await play(LLAMA_31, { tools: TOOLS }, one + " and more")).end, "tool_use");
});

Deno.test("Answers let a thought come before what is bound when thinking was asked for", async () => {
  const gemma = "<|channel>thought\nOslo it is.<channel|>";
  const harmony = "<|channel|>analysis<|message|>Oslo it is.<|end|><|start|>assistant";
  for (const [family, thought, call] of [[GEMMA, gemma, CALLS[3]?.[1]], [GPT_OSS, harmony, CALLS[4]?.[1]]] as const) {
    const said = thought + call;
    for (const asked of [{ toolChoice: "required" }, { toolChoice: "auto" }, { responseSchema: PERSON }] as const) {
      const played = await play(family, { tools: TOOLS, thinking: true, ...asked }, said);
      assertEquals([played.thinking, played.calls, played.text], ["Oslo it is.", [OSLO], ""]);
    }
    const straight = await play(family, { tools: TOOLS, thinking: true, toolChoice: "required" }, call as string);
    assertEquals([straight.thinking, straight.calls], ["", [OSLO]]);
    // After the thought the grammar holds, before it space may come.
    const wrong = thought + (call as string).replace("Oslo", "Oslo\n");
    assert(
      (await play(family, { tools: TOOLS, thinking: true, toolChoice: "required" }, wrong)).refused?.startsWith("\n"),
    );
    if (family === GEMMA) {
      const spaced = await play(
        family,
        { tools: TOOLS, thinking: true, toolChoice: "required" },
        `${thought}\n\n${call}`,
      );
      assertEquals([spaced.calls, spaced.text], [[OSLO], ""]);
    }
    // Without: the grammar holds from the beginning.
    assert((await play(family, { tools: TOOLS, toolChoice: "required" }, said)).refused !== undefined);
    // The end may not come within the thought, where something is still owed.
    const cut = thought.slice(0, thought.indexOf("it is"));
    const end = family.ends[0] as string;
    assertEquals(
      (await play(family, { tools: TOOLS, thinking: true, toolChoice: "required" }, cut + end)).refused,
      end,
    );
  }
});

Deno.test("Answers take a call for the end of a thought when the model forgot to end it", async () => {
  const call = CALLS[3]?.[1] as string;
  for (const asked of [{ toolChoice: "required" }, { toolChoice: "auto" }, { responseSchema: PERSON }] as const) {
    const options = { tools: TOOLS, thinking: true, ...asked };
    const said = `<|channel>thought\nOslo it is.${call}`;
    const played = await play(GEMMA, options, said + "<turn|>");
    assertEquals(played, { ...NOTHING, thinking: "Oslo it is.", calls: [OSLO], end: "tool_use" });
    const wrong = await play(GEMMA, options, said.replace("get_weather", "get_whether"));
    assert(wrong.refused?.startsWith("hether"), wrong.refused);
  }
});

Deno.test("Answers bind a call from its name on when the model forgot the marker", async () => {
  const call = '<function=get_weather>\n<parameter=params>\n{"city": "Oslo"}\n</parameter>\n</function>\n</tool_call>';
  for (const marker of ["<tool_call>\n", ""]) {
    const played = await play(QWEN_CODER, { tools: TOOLS }, `I look.\n\n${marker}${call}<|im_end|>`);
    assertEquals(played, { ...NOTHING, text: "I look.", calls: [OSLO], end: "tool_use" });
    const wrong = await play(QWEN_CODER, { tools: TOOLS }, marker + call.replace("params", "city"));
    assert(wrong.refused?.startsWith("city"), wrong.refused);
  }
  const text = "A <function=get_weather> stands here.";
  assertEquals(await play(QWEN_CODER, { tools: TOOLS }, text + "<|im_end|>"), { ...NOTHING, text, end: "end" });
});

Deno.test("Answers say that no call came when one was required and the tokens ran out", async () => {
  const asked = { tools: TOOLS, toolChoice: "required" } as const;
  const cut = '<function=get_weather>{"ci';
  assertEquals(await play(LLAMA_31, asked, cut), { ...NOTHING, end: { done: "length", unsatisfied: true } });
  assertEquals(await play(LLAMA_31, { tools: TOOLS }, cut), { ...NOTHING, end: { done: "length" } });
  // What might still become a call is text only where text may come.
  for (const [family, cut] of [[LLAMA_31, "<funct"], [LLAMA_32, '{"name": ']] as const) {
    assertEquals(await play(family, asked, cut), { ...NOTHING, end: { done: "length", unsatisfied: true } });
    assertEquals(await play(family, { tools: TOOLS }, cut), { ...NOTHING, text: cut, end: { done: "length" } });
  }
  const first = '[TOOL_CALLS][{"name": "get_time", "arguments": {}}, {"na';
  assertEquals(await play(MISTRAL, asked, first), { ...NOTHING, calls: [NOW], end: { done: "length" } });
});

Deno.test("Answers end with a stop string's reason in text, and ignore it in calls", async () => {
  assertEquals((await play(LLAMA_31, { stop: ["two"] }, "One, two, three")).end, "stop");
  const stop = ["Oslo"];
  assertEquals((await play(LLAMA_31, { tools: TOOLS, stop }, CALLS[0]?.[1] as string)).calls, [OSLO]);
});

Deno.test("Answers name the place in the request when a schema cannot be compiled", async () => {
  const answers = await answersOf(MISTRAL);
  const bad = { type: "object", properties: { a: { type: "strin" } } };
  const tools = [WEATHER, { ...TIME, inputSchema: bad }];
  assertThrows(() => ask(answers, { tools }), GrammarError, "tools[1].input_schema.properties.a");
  assertThrows(() => ask(answers, { responseSchema: bad }), GrammarError, "response_format.schema.properties.a");
  ask(answers, { tools, toolChoice: "none" });
});

Deno.test("Answers refuse tools when the template knows none, and attachments always", async () => {
  const answers = await answersOf(UNKNOWN);
  assertThrows(() => ask(answers, { tools: TOOLS }), PromptError, "knows no tools");
  ask(answers, { tools: TOOLS, toolChoice: "none" });
  const attachment = { kind: "image", mime: "image/png", base64: "" } as const;
  const content = [{ type: "media", attachment }] as const;
  assertThrows(() => ask(answers, { messages: [{ role: "user", content }] }), AttachmentError, "no image");
});
