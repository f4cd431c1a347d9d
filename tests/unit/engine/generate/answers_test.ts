import { assert, assertEquals, assertThrows } from "@std/assert";
import type { GenerationRequest, Tool } from "../../../../src/inference/request.ts";
import { Answers } from "../../../../src/engine/generate/answers.ts";
import { Chat, PromptError } from "../../../../src/engine/chat/chat.ts";
import { AttachmentError } from "../../../../src/engine/chat/render/messages.ts";
import type { EngineEvent } from "../../../../src/engine/ipc/messages.ts";
import { GrammarError } from "../../../../src/grammar/rules.ts";
import { finish, type Work } from "../../../../src/work/work.ts";
import {
  CHATML,
  CODER,
  type Family,
  familyModel,
  FUNCTION_TAG,
  GEMMA,
  HARMONY,
  HERMES,
  KIMI,
  LLAMA,
  MISTRAL,
  RECIPIENT,
} from "../../../support/families/mod.ts";
import { ask, NOTHING, type Played, playTokens } from "../../../support/playing.ts";

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

async function answersOf(family: Family): Promise<Answers> {
  const model = familyModel(family);
  return new Answers(model, await Chat.of(model, 20_000));
}

/** Let a model say something; names of control tokens are the tokens, or text. */
async function play(
  family: Family,
  asked: Partial<GenerationRequest>,
  said: string,
  spelled: "tokens" | "text" = "tokens",
): Promise<Played> {
  const model = familyModel(family);
  const tokens = Array.from(model.tokenize(said, spelled === "tokens"));
  return playTokens(model, ask(await answersOf(family), asked), tokens);
}

const OSLO = { name: "get_weather", input: { city: "Oslo" } };
const NOW = { name: "get_time", input: {} };

/** How a family calls the first tool. */
interface CallOf {
  readonly family: Family;
  readonly call: string;
  /** The same with 12 where that may not be. */
  readonly untyped: string;
  readonly end: string;
  /** The same without arguments. */
  readonly bare: string;
}

const TAGGED: CallOf = {
  family: FUNCTION_TAG,
  call: '<function=get_weather>{"city": "Oslo"}</function>',
  untyped: '<function=get_weather>{"city": 12}</function>',
  bare: "<function=get_time>{}</function>",
  end: "<|eom_id|>",
};
const BARE: CallOf = {
  family: LLAMA,
  call: '{"name": "get_weather", "parameters": {"city": "Oslo"}}',
  untyped: '{"name": "get_weather", "parameters": {"city": 12}}',
  bare: '{"name": "get_time", "parameters": {}}',
  end: "<|eot_id|>",
};
const LISTED: CallOf = {
  family: MISTRAL,
  call: '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}, "id": "abcdefgh1"}]',
  untyped: '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": 12}, "id": "abcdefgh1"}]',
  bare: '[TOOL_CALLS][{"name": "get_time", "arguments": {}, "id": "abcdefgh1"}]',
  end: "</s>",
};
const BRACED: CallOf = {
  family: GEMMA,
  call: '<|tool_call>call:get_weather{city:<|"|>Oslo<|"|>}<tool_call|>',
  untyped: "<|tool_call>call:get_weather{city:12}<tool_call|>",
  bare: "<|tool_call>call:get_time{}<tool_call|>",
  end: "<turn|>",
};
const ADDRESSED: CallOf = {
  family: HARMONY,
  call: '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Oslo"}',
  untyped: '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": 12}',
  bare: "<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{}",
  end: "<|call|>",
};
const ELEMENTS: CallOf = {
  family: CODER,
  call: "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
  untyped: "<tool_call>\n<function=get_weather>\n<parameter=12>\nOslo\n</parameter>\n</function>\n</tool_call>",
  bare: "<tool_call>\n<function=get_time>\n</function>\n</tool_call>",
  end: "<|im_end|>",
};
const CALLS = [TAGGED, BARE, LISTED, BRACED, ADDRESSED, ELEMENTS];

for (const { family, call, untyped, bare, end } of CALLS) {
  Deno.test(`Answers bind a call to the tools' names and arguments when ${family.name} is asked for one`, async () => {
    for (const toolChoice of ["auto", "required"] as const) {
      const asked = { tools: TOOLS, toolChoice };
      assertEquals(await play(family, asked, call + end), { ...NOTHING, calls: [OSLO], end: "tool_use" });
      const wrong = call.replace("get_weather", "get_whether");
      assertEquals((await play(family, asked, wrong)).refused, wrong.slice(wrong.indexOf("hether")));
      assertEquals((await play(family, asked, untyped)).refused, untyped.slice(untyped.indexOf("12")));
    }
  });

  Deno.test(`Answers allow ${family.name} text beside calls when it may choose, and no text when it may not`, async () => {
    const text = family === HARMONY ? "<|channel|>final<|message|>Hello." : "Hello.";
    assertEquals(await play(family, { tools: TOOLS }, text + end), { ...NOTHING, text: "Hello.", end: "end" });
    const required = await play(family, { tools: TOOLS, toolChoice: "required" }, text + end);
    assertEquals(required.refused, text.slice(text.indexOf(family === HARMONY ? "final" : "Hello")) + end);
    const ended = await play(family, { tools: TOOLS, toolChoice: "required" }, end);
    assertEquals(ended.refused, end);
  });

  Deno.test(`Answers let ${family.name} call the tool that the choice names and nothing else`, async () => {
    const asked = { tools: TOOLS, toolChoice: { name: "get_weather" } };
    assertEquals(await play(family, asked, call + end), { ...NOTHING, calls: [OSLO], end: "tool_use" });
    assertEquals((await play(family, asked, bare)).refused, bare.slice(bare.indexOf("time")));
    assertEquals((await play(family, { ...asked, toolChoice: { name: "get_time" } }, bare + end)).calls, [NOW]);
    assertEquals((await play(family, asked, end)).refused, end);
  });

  Deno.test(`Answers let ${family.name} begin no call when none may come`, async () => {
    const { refused, calls } = await play(family, { tools: TOOLS, toolChoice: "none" }, call + end);
    assertEquals(calls, []);
    // Without a marker of its own, a call is JSON like any other.
    assertEquals(refused === undefined, family === LLAMA);
  });

  Deno.test(`Answers hold ${family.name} to a schema, beside which calls may come`, async () => {
    const head = family === HARMONY ? "<|channel|>final<|message|>" : "";
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
    const played = await play(FUNCTION_TAG, { responseSchema: PERSON, tools: TOOLS }, person, "text");
    assertEquals(JSON.parse(played.text), { name, age: 31 });
    assertEquals([played.calls, played.end], [[], "end"]);
  }
});

Deno.test("Answers take several calls when the template has a way to write them", async () => {
  const calls = '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}, "id": "abcdefgh1"}, ' +
    '{"name": "get_time", "arguments": {}, "id": "abcdefgh2"}]';
  for (const toolChoice of ["auto", "required"] as const) {
    const played = await play(MISTRAL, { tools: TOOLS, toolChoice }, calls + "</s>");
    assertEquals(played, { ...NOTHING, calls: [OSLO, NOW], end: "tool_use" });
    const marked = await play(GEMMA, { tools: TOOLS, toolChoice }, `${BRACED.call}${BRACED.bare}<turn|>`);
    assertEquals(marked, { ...NOTHING, calls: [OSLO, NOW], end: "tool_use" });
  }
  // The only call: nothing can follow, so nothing is waited for.
  assertEquals((await play(LLAMA, { tools: TOOLS }, BARE.call + " and more")).end, "tool_use");
});

Deno.test("Answers let the answer end after the line break that some templates write behind the last call", async () => {
  for (const toolChoice of ["auto", "required"] as const) {
    for (const { family, call, end } of [ELEMENTS, BRACED]) {
      for (const space of ["", "\n", "\n\n"]) {
        const played = await play(family, { tools: TOOLS, toolChoice }, call + space + end);
        assertEquals(played, { ...NOTHING, calls: [OSLO], end: "tool_use" });
      }
    }
  }
});

Deno.test("Answers type each argument by the tool's schema when the family has an element for each", async () => {
  const properties = {
    text: { type: "string" },
    count: { type: "integer" },
    ratio: { type: "number" },
    exact: { type: "boolean" },
    tags: { type: "array", items: { type: "string" } },
    any: {},
  };
  const tools = [{ name: "search", description: "Search", inputSchema: { type: "object", properties } }];
  const call = (...entries: readonly (readonly [key: string, value: string])[]): string =>
    `<tool_call>\n<function=search>\n${
      entries.map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`).join("")
    }</function>\n</tool_call>`;
  const all = call(
    ["text", "5"],
    ["count", "-5"],
    ["ratio", "2.5"],
    ["exact", "true"],
    ["tags", '["a", "b, c"]'],
    ["any", "null"],
  );
  for (const toolChoice of ["auto", "required"] as const) {
    const played = await play(CODER, { tools, toolChoice }, `${all}<|im_end|>`);
    const input = { text: "5", count: -5, ratio: 2.5, exact: true, tags: ["a", "b, c"], any: null };
    assertEquals(played, { ...NOTHING, calls: [{ name: "search", input }], end: "tool_use" });
    for (const [key, value] of [["count", "five"], ["exact", "yes"], ["tags", "a"]] as const) {
      const wrong = call([key, value]);
      assertEquals(
        (await play(CODER, { tools, toolChoice }, wrong)).refused,
        wrong.slice(wrong.indexOf(`\n${value}\n`) + 1),
      );
    }
  }
});

Deno.test("Answers let a thought come before what is bound when thinking was asked for", async () => {
  const gemma = "<|channel>thought\nOslo it is.<channel|>";
  const harmony = "<|channel|>analysis<|message|>Oslo it is.<|end|><|start|>assistant";
  for (const [{ family, call }, thought] of [[BRACED, gemma], [ADDRESSED, harmony]] as const) {
    const said = thought + call;
    for (const asked of [{ toolChoice: "required" }, { toolChoice: "auto" }, { responseSchema: PERSON }] as const) {
      const played = await play(family, { tools: TOOLS, thinking: true, ...asked }, said);
      assertEquals([played.thinking, played.calls, played.text], ["Oslo it is.", [OSLO], ""]);
    }
    const straight = await play(family, { tools: TOOLS, thinking: true, toolChoice: "required" }, call);
    assertEquals([straight.thinking, straight.calls], ["", [OSLO]]);
    // After the thought the grammar holds, before it space may come.
    const wrong = thought + call.replace("get_weather", "get_\nweather");
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
  for (const asked of [{ toolChoice: "required" }, { toolChoice: "auto" }, { responseSchema: PERSON }] as const) {
    const options = { tools: TOOLS, thinking: true, ...asked };
    const said = `<|channel>thought\nOslo it is.${BRACED.call}`;
    const played = await play(GEMMA, options, said + "<turn|>");
    assertEquals(played, { ...NOTHING, thinking: "Oslo it is.", calls: [OSLO], end: "tool_use" });
    const wrong = await play(GEMMA, options, said.replace("get_weather", "get_whether"));
    assert(wrong.refused?.startsWith("hether"), wrong.refused);
  }
});

Deno.test("Answers bind a call from its name on when the model forgot the marker", async () => {
  const call = ELEMENTS.call.slice("<tool_call>\n".length);
  for (const marker of ["<tool_call>\n", ""]) {
    const played = await play(CODER, { tools: TOOLS }, `I look.\n\n${marker}${call}<|im_end|>`);
    assertEquals(played, { ...NOTHING, text: "I look.", calls: [OSLO], end: "tool_use" });
    const wrong = await play(CODER, { tools: TOOLS }, marker + call.replace("=city", "=town"));
    assert(wrong.refused?.startsWith("town"), wrong.refused);
  }
  const text = "A <function=get_weather> stands here.";
  assertEquals(await play(CODER, { tools: TOOLS }, text + "<|im_end|>"), { ...NOTHING, text, end: "end" });
});

Deno.test("Answers bind a call's arguments when its name came before all that usually says that a call comes", async () => {
  const json = '{"city": "Oslo"}';
  for (
    const [family, begin, end] of [
      // A line that names the tool.
      [RECIPIENT, "get_weather\n", ""],
      [RECIPIENT, "all\nI look.\n>>>get_weather\n", ""],
      // Without "functions.".
      [HARMONY, "<|channel|>commentary to=get_weather <|constrain|>json<|message|>", ""],
      // Without the section around all calls.
      [KIMI, "<|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>", "<|tool_call_end|>"],
    ] as const
  ) {
    const played = await play(family, { tools: TOOLS }, begin + json + end + family.ends[0]);
    assertEquals([played.calls, played.end], [[OSLO], "tool_use"], begin);
    const untyped = await play(family, { tools: TOOLS }, `${begin}{"city": 12}`);
    assertEquals(untyped.refused, "12}", begin);
  }
});

Deno.test("Answers say that no call came when one was required and the tokens ran out", async () => {
  const asked = { tools: TOOLS, toolChoice: "required" } as const;
  const cut = '<function=get_weather>{"ci';
  assertEquals(await play(FUNCTION_TAG, asked, cut), { ...NOTHING, end: { done: "length", unsatisfied: true } });
  assertEquals(await play(FUNCTION_TAG, { tools: TOOLS }, cut), { ...NOTHING, end: { done: "length" } });
  // What might still become a call is text only where text may come.
  for (const [family, cut] of [[FUNCTION_TAG, "<funct"], [LLAMA, '{"name": ']] as const) {
    assertEquals(await play(family, asked, cut), { ...NOTHING, end: { done: "length", unsatisfied: true } });
    assertEquals(await play(family, { tools: TOOLS }, cut), { ...NOTHING, text: cut, end: { done: "length" } });
  }
  const first = '[TOOL_CALLS][{"name": "get_time", "arguments": {}, "id": "abcdefgh1"}, {"na';
  assertEquals(await play(MISTRAL, asked, first), { ...NOTHING, calls: [NOW], end: { done: "length" } });
});

Deno.test("Answers end with a stop string's reason in text, and ignore it in calls", async () => {
  assertEquals((await play(FUNCTION_TAG, { stop: ["two"] }, "One, two, three")).end, "stop");
  const stop = ["Oslo"];
  assertEquals((await play(FUNCTION_TAG, { tools: TOOLS, stop }, TAGGED.call)).calls, [OSLO]);
});

Deno.test("Answers name the place in the request when a schema cannot be compiled", async () => {
  const answers = await answersOf(MISTRAL);
  const bad = { type: "object", properties: { a: { type: "strin" } } };
  const tools = [WEATHER, { ...TIME, inputSchema: bad }];
  assertThrows(() => ask(answers, { tools }), GrammarError, "tools[1].input_schema.properties.a");
  assertThrows(() => ask(answers, { responseSchema: bad }), GrammarError, "response_format.schema.properties.a");
  ask(answers, { tools, toolChoice: "none" });
});

Deno.test("Answers enforce what they can of a tool's schema, and mark its calls, when the rest cannot be", async () => {
  const city = { type: "string", pattern: "^(.)\\1" };
  const odd = { ...WEATHER, inputSchema: { type: "object", properties: { city }, required: ["city"] } };
  const asked = { tools: [odd, TIME], toolChoice: "required" } as const;
  const model = familyModel(FUNCTION_TAG);
  const told: unknown[] = [];
  const answers = new Answers(model, await Chat.of(model, 20_000), { onUnenforced: (what) => told.push(what) });
  const sayCall = (call: string): readonly EngineEvent[] => {
    const { answer } = ask(answers, asked);
    const events: EngineEvent[] = [];
    for (const token of model.tokenize(call, true)) answer.accept(token, events);
    answer.finish(false, events);
    return events;
  };
  assertEquals(sayCall(TAGGED.call), [{ id: 1, call: "get_weather", input: { city: "Oslo" }, unchecked: true }]);
  assertEquals(sayCall(TAGGED.bare), [{ id: 1, call: "get_time", input: {} }]);
  assertEquals((await play(FUNCTION_TAG, asked, TAGGED.untyped)).refused, "12}</function>");
  assertEquals(told, [{ place: 0, keywords: ["pattern"] }, { place: 0, keywords: ["pattern"] }]);
  // Of a schema for the answer it is refused.
  const responseSchema = { type: "object", properties: { city } };
  assertThrows(
    () => ask(answers, { responseSchema }),
    GrammarError,
    '"response_format.schema.properties.city.pattern"',
  );
});

Deno.test("Answers bind a call to empty arguments when its tool takes nothing", async () => {
  const tools = [{ ...TIME, inputSchema: { type: "object" } }];
  const call = TAGGED.bare + TAGGED.end;
  assertEquals((await play(FUNCTION_TAG, { tools }, call)).calls, [NOW]);
  assertEquals((await play(FUNCTION_TAG, { tools }, '<function=get_time>{"a"')).refused, '"a"');
});

Deno.test("Answers refuse tools when the template knows none, and attachments always", async () => {
  const answers = await answersOf(CHATML);
  assertThrows(() => ask(answers, { tools: TOOLS }), PromptError, "does not support tools");
  ask(answers, { tools: TOOLS, toolChoice: "none" });
  const attachment = { kind: "image", mime: "image/png", base64: "" } as const;
  const content = [{ type: "media", attachment }] as const;
  assertThrows(() => ask(answers, { messages: [{ role: "user", content }] }), AttachmentError, "no image");
});

Deno.test("Answers refuse a prompt that does not fit before they compile what came with it", async () => {
  const model = familyModel(MISTRAL);
  const answers = new Answers(model, await Chat.of(model, 200));
  const bad = { type: "object", properties: { a: { type: "strin" } } };
  const long = [{ role: "user", content: "x".repeat(1000) }] as const;
  for (
    const asked of [{ responseSchema: bad }, { tools: [{ ...TIME, inputSchema: bad }] }, { grammar: "root ::= [" }]
  ) {
    assertThrows(() => ask(answers, { ...asked, messages: long }), PromptError, "tokens");
    assertThrows(() => ask(answers, asked), GrammarError);
  }
});

Deno.test("Answers know what was found out for the same words, and nothing of it for others", async () => {
  const answers = await answersOf(MISTRAL);
  const isKnown = (asked: Partial<GenerationRequest>): boolean => {
    const { constraint } = ask(answers, asked).answer;
    const known = constraint?.allowed?.() !== undefined;
    finish(constraint?.find?.() ?? nothing());
    assert(constraint?.allowed?.() !== undefined);
    return known;
  };
  const required = { tools: TOOLS, toolChoice: "required" } as const;
  const messages = [{ role: "user", content: "What time is it?" }] as const;
  const asked: readonly Partial<GenerationRequest>[] = [
    required,
    { ...required, tools: [WEATHER] },
    { ...required, toolChoice: { name: "get_time" } },
    { ...required, tools: [WEATHER, { ...TIME, inputSchema: { type: "object", properties: { zone: {} } } }] },
    { responseSchema: PERSON },
    { responseSchema: { ...PERSON, required: ["name"] } },
    { grammar: 'root ::= "a"' },
    { grammar: 'root ::= "b"' },
  ];
  for (const one of asked) assertEquals(isKnown(one), false, JSON.stringify(one));
  for (const one of asked) assertEquals(isKnown({ ...one, messages, maxTokens: 3 }), true, JSON.stringify(one));
  // What is said of a tool, and one that may not be called, change nothing.
  const said = [{ ...WEATHER, description: "Else" }, TIME];
  assertEquals(isKnown({ ...required, tools: said }), true);
  assertEquals(isKnown({ tools: [WEATHER, TIME], toolChoice: { name: "get_time" } }), true);
});

function* nothing(): Work<void> {}

Deno.test("Answers find all that may come in pieces, also where a thought may come before what is bound", async () => {
  const answers = await answersOf(HERMES);
  const { answer } = ask(answers, { responseSchema: PERSON, thinking: true });
  const model = familyModel(HERMES);
  const { constraint } = answer;
  const tokens = Array.from({ length: model.vocabularySize }, (_, token) => token);
  const asked = tokens.filter((token) => constraint?.allows(token));
  assertEquals(constraint?.allowed?.(), undefined);
  finish(constraint?.find?.() ?? nothing());
  const bits = constraint?.allowed?.() as Uint32Array;
  assertEquals(tokens.filter((token) => ((bits[token >> 5] as number) >>> (token & 31) & 1) === 1), asked);
  assert(asked.length > 1);
});
