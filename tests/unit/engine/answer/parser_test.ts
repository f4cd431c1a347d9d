import { assertEquals } from "@std/assert";
import { controlText } from "../../../../src/engine/chat/dialect/control_text.ts";
import { asSeen, type TestModel } from "../../../support/chat_model.ts";
import type { Parser } from "../../../../src/engine/answer/parser.ts";
import {
  assertParsed,
  Events,
  GEMMA,
  HARMONY,
  LLAMA_31,
  LLAMA_32,
  MISTRAL,
  MISTRAL_ARGS,
  parse,
  parserOf,
  QWEN,
  QWEN_35,
  type Reading,
  readingOf,
  withKinds,
} from "../../../support/parsing.ts";
import { BARE, BARE_LIST, BARE_PYTHON } from "../../../support/families/mod.ts";

const encoder = new TextEncoder();

const ZURICH = { call: "get_weather", input: { city: "Zürich 🌦" } };
const TIME = { call: "get_time", input: {} };

Deno.test("Parser reads Qwen's and Hermes' thoughts and calls, however the text is cut", () => {
  assertParsed(
    '<think>\nThey ask about Zürich.\n\nI should look.\n</think>\n\n<tool_call>\n{"name": "get_weather", ' +
      '"arguments": {"city": "Zürich 🌦"}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>',
    QWEN,
    [{ thinking: "They ask about Zürich.\n\nI should look." }, ZURICH, TIME],
  );
  assertParsed("<think>\nEasy.\n</think>\n\nIt is 19 °C.\n\nAnything else?", QWEN, [
    { thinking: "Easy." },
    { text: "It is 19 °C.\n\nAnything else?" },
  ]);
  assertParsed("<think>\n\n</think>\n\nIt is so.", QWEN, [{ text: "It is so." }]);
  assertParsed("\n <think>Easy.</think>It is so.", QWEN, [{ thinking: "Easy." }, { text: "It is so." }]);
  // Without spaces, in another order, after text.
  assertParsed('Let me look.\n\n<tool_call>{"arguments":{"a":"} \\" {"},"name":"add"}</tool_call> ', QWEN, [
    { text: "Let me look." },
    { call: "add", input: { a: '} " {' } },
  ]);
});

Deno.test("Parser reads Qwen 3.5's calls and a thought that the prompt opened, however the text is cut", () => {
  assertParsed(
    "They ask.\n</think>\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\n" +
      "Zürich 🌦\n</parameter>\n</function>\n</tool_call>",
    { ...QWEN_35, start: "thought" },
    [{ thinking: "They ask." }, ZURICH],
  );
});

Deno.test("Parser reads Llama 3.1's calls, however the text is cut", () => {
  assertParsed('<function=get_weather>{"city": "Zürich 🌦"}</function><|eom_id|>', LLAMA_31, [ZURICH]);
  assertParsed('I look: <function=get_weather> {"city": "Zürich 🌦"} </function>', LLAMA_31, [
    { text: "I look:" },
    ZURICH,
  ]);
  assertParsed("<function=get_time></function><|eom_id|>", LLAMA_31, [TIME]);
  assertParsed("a < b, <function is nothing>", LLAMA_31, [{ text: "a < b, <function is nothing>" }]);
});

Deno.test("Parser reads Llama 3.2's calls, which are nothing but JSON, however the text is cut", () => {
  assertParsed('{"name": "get_weather", "parameters": {"city": "Zürich 🌦"}}<|eot_id|>', LLAMA_32, [ZURICH]);
  assertParsed('\n{ "name":"get_time","parameters":{}}', LLAMA_32, [TIME]);
  for (
    const text of [
      '{"name": "Ana", "age": 31}',
      '{"name": "Ana", "parameters": {}}',
      '{"age": 31}',
      '{"name": "An',
      "{",
      'So: {"name": "get_time", "parameters": {}}',
    ]
  ) assertParsed(text, LLAMA_32, [{ text }]);
});

Deno.test("Parser reads lists and several objects that nothing marks, however the text is cut", async () => {
  const list = await readingOf(BARE_LIST);
  assertParsed(
    '[{"name": "get_time", "arguments": {}}, {"arguments":{"city":"Zürich 🌦"},"name":"get_weather"}]',
    list,
    [
      TIME,
      ZURICH,
    ],
  );
  for (
    const text of [
      '[{"name": "Ana", "age": 31}]',
      '[{"name": "Ana"',
      "[1, 2]",
      'So: [{"name": "get_time", "arguments": {}}]',
    ]
  ) assertParsed(text, list, [{ text }]);
  const python = await readingOf(BARE_PYTHON);
  assertParsed('[get_time(), get_weather(city="Zürich 🌦")]', python, [TIME, ZURICH]);
  for (
    const text of ["[1] says so", "See [1].", "[get_weather] is a tool", "[get_weather(city", "[get_time(] or [2]"]
  ) assertParsed(text, python, [{ text }]);
  const bare = await readingOf(BARE);
  assertParsed(
    '{"name": "get_time", "arguments": {}},{"name": "get_weather", "arguments": {"city": "Zürich 🌦"}}',
    bare,
    [
      TIME,
      ZURICH,
    ],
  );
  assertParsed('{"name": "get_time", "arguments": {}} is what I call', bare, [TIME, { text: "is what I call" }]);
});

Deno.test("Parser reads Mistral's calls, which come in a list, however the text is cut", () => {
  assertParsed(
    '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Zürich 🌦"}}, {"name": "get_time", "arguments": {}}]',
    MISTRAL,
    [ZURICH, TIME],
  );
  assertParsed('[TOOL_CALLS] [{"name":"get_time","arguments":{}}]', MISTRAL, [TIME]);
  assertParsed("An array: [1, 2]", MISTRAL, [{ text: "An array: [1, 2]" }]);
});

Deno.test("Parser reads newer Mistral models' calls, whose names and arguments a token parts", () => {
  assertParsed(
    '[THINK]Two cities.[/THINK][TOOL_CALLS]get_weather[ARGS]{"city": "Zürich 🌦"}[TOOL_CALLS]get_time[ARGS]{}',
    MISTRAL_ARGS,
    [{ thinking: "Two cities." }, ZURICH, TIME],
  );
});

Deno.test("Parser reads Gemma's thoughts and calls, whose arguments are not JSON, however the text is cut", () => {
  assertParsed(
    "<|channel>thought\nThey ask about Zürich.\n<channel|>" +
      '<|tool_call>call:get_weather{city:<|"|>Zürich 🌦<|"|>}<tool_call|>',
    GEMMA,
    [{ thinking: "They ask about Zürich." }, ZURICH],
  );
  assertParsed(
    '<|tool_call>call:add{a:-1.5e1,b:{c:[<|"|>} " ,]<|"|>,true,null,[]],d:{}},e:word}<tool_call|>' +
      "<|tool_call>call:get_time{}<tool_call|>",
    GEMMA,
    [{ call: "add", input: { a: -15, b: { c: ['} " ,]', true, null, []], d: {} }, e: "word" } }, TIME],
  );
  assertParsed('<|tool_call>call:get_weather{{"city": "Zürich 🌦"}}<tool_call|>', GEMMA, [ZURICH]);
  assertParsed("<|channel>thought\n<channel|>It is so.", GEMMA, [{ text: "It is so." }]);
});

Deno.test("Parser reads gpt-oss' channels, however the text is cut", () => {
  assertParsed(
    "<|channel|>analysis<|message|>They ask about Zürich.<|end|><|start|>assistant<|channel|>commentary " +
      'to=functions.get_weather <|constrain|>json<|message|>{"city":"Zürich 🌦"}<|call|>',
    HARMONY,
    [{ thinking: "They ask about Zürich." }, ZURICH],
  );
  assertParsed(
    "<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>It is 19 °C.",
    HARMONY,
    [{ thinking: "Easy." }, { text: "It is 19 °C." }],
  );
  assertParsed(
    "<|channel|>commentary<|message|>I look. <|end|><|start|>assistant to=functions.get_time<|channel|>commentary " +
      "json<|message|>{}<|call|>",
    HARMONY,
    [{ text: "I look. " }, TIME],
  );
  // Where tools live is missing.
  assertParsed(
    '<|start|>assistant to=get_weather<|channel|>commentary<|message|>{"city":"Zürich 🌦"}<|call|>',
    HARMONY,
    [
      ZURICH,
    ],
  );
  assertParsed("<|channel|>commentary to=get_time code<|message|>{}<|call|>", HARMONY, [TIME]);
  assertParsed("It is so.", HARMONY, [{ text: "It is so." }]);
  assertParsed("to=functions. is a header", { ...HARMONY, start: "text" }, [{ text: "to=functions. is a header" }]);
});

Deno.test("Parser takes thoughts for text when they do not come first, and calls when none may come", () => {
  const mention = "It thinks in <think> and </think>.";
  const text = { ...QWEN, as: "text" } as const;
  for (const calls of ["read", "ignore"] as const) {
    assertEquals(parse([encoder.encode(mention)], { ...text, calls }), [{ text: mention }]);
    assertEquals(parse(Array.from(mention, (char) => encoder.encode(char)), { ...text, calls }), [{ text: mention }]);
  }
  const call = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>';
  for (const calls of ["ignore", "hold"] as const) {
    assertEquals(parse([encoder.encode(call)], { ...text, calls }), [{ text: call }]);
  }
  assertEquals(parse([encoder.encode(`So: ${call}`)], { ...text, calls: "first" }), [{ text: `So: ${call}` }]);
  assertEquals(parse([encoder.encode(call)], { ...text, calls: "first" }), [TIME]);
});

Deno.test("Parser says that a call is malformed when it cannot be read or nobody offered it", () => {
  for (
    const [reading, text] of [
      [QWEN, '<tool_call>\n{"name": "get_time", "arguments": {}\n</tool_call>'],
      [QWEN, "<tool_call>\nget_time()\n</tool_call>"],
      [QWEN, '<tool_call>{"name": "get_time", "arguments": []}</tool_call>'],
      [QWEN, '<tool_call>{"name": "other", "arguments": {}}</tool_call>'],
      [QWEN, '<tool_call>{"name": "get_time", "argum'],
      [LLAMA_31, "<function=get_time>now</function>"],
      [LLAMA_31, "<function=other>{}</function>"],
      [MISTRAL, "[TOOL_CALLS] get_time"],
      [GEMMA, "<|tool_call>call:get_weather{city:}<tool_call|>"],
      [GEMMA, "<|tool_call>get_time{}<tool_call|>"],
      [HARMONY, "<|channel|>commentary to=functions.get_time<|message|>now<|call|>"],
    ] as const
  ) assertParsed(text, reading, ["malformed"]);
});

Deno.test("Parser drops a call when the tokens ran out within it", () => {
  const cut = 'So.\n<tool_call>\n{"name": "get_time", "argum';
  assertParsed(cut, { ...QWEN, cut: true }, [{ text: "So." }]);
  assertParsed("<think>\nWell", { ...QWEN, cut: true }, [{ thinking: "Well" }]);
});

Deno.test("Parser keeps what a call was when its end does not come", () => {
  assertParsed('<tool_call>\n{"name": "get_time", "arguments": {}}', QWEN, [TIME]);
  assertParsed('<tool_call>{"name": "get_time", "arguments": {}} Done.', QWEN, [TIME, { text: "Done." }]);
});

Deno.test("Parser ends at a stop string in text, and nowhere else", () => {
  const stop = ["oo", "STOP"];
  assertParsed("One, STOP, two", { ...QWEN, stop }, [{ text: "One, " }, "stop"]);
  assertParsed("<think>\nSTOP, oo\n</think>\n\nSo STO or o.", { ...QWEN, stop }, [
    { thinking: "STOP, oo" },
    { text: "So STO or o." },
  ]);
  assertParsed('<tool_call>\n{"name": "get_weather", "arguments": {"city": "STOP"}}\n</tool_call>STOP', {
    ...QWEN,
    stop,
  }, [
    { call: "get_weather", input: { city: "STOP" } },
    "stop",
  ]);
  assertParsed("a\n\nb", { ...QWEN, stop: ["\n\n"] }, [{ text: "a" }, "stop"]);
  assertParsed("\n\nb", { ...QWEN, stop: ["\n\n"] }, ["stop"]);
  assertParsed("abcd", { ...QWEN, stop: ["bcx", "bc", "cd"] }, [{ text: "a" }, "stop"]);
  // Held back as the beginning of a marker, which it was not.
  assertParsed("So <tool", { ...QWEN, stop }, [{ text: "So <t" }, "stop"]);
});

Deno.test("Parser ends where the template ends an answer, also within a thought", () => {
  const reading = { ...QWEN, ends: ["<END>"] };
  assertParsed("So.<END>\nMore", reading, [{ text: "So." }, "end"]);
  assertParsed("<think>\nSo.<END>\nMore", reading, [{ thinking: "So." }, "end"]);
});

Deno.test("Parser sends space as it came when nothing of the template's follows", () => {
  for (const text of ["  a  \n", "\n", "a\n\n b \n", " "]) {
    for (const calls of ["read", "ignore"] as const) assertParsed(text, { ...QWEN, calls }, [{ text }]);
  }
});

Deno.test("Parser takes a call for the end of a thought when its marker is a token, which nobody speaks of", () => {
  const call = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>';
  const tokens = withKinds(QWEN, ["control", "defined"]);
  const text = withKinds(QWEN, ["text"]);
  const forgotten = `<think>\nIt is late.\n\n${call}\n</think>\n\nSo.`;
  assertParsed(forgotten, tokens, [{ thinking: "It is late." }, TIME, { text: "So." }]);
  assertParsed(forgotten, text, [{ thinking: `It is late.\n\n${call}` }, { text: "So." }]);
  assertParsed(`<think>\n${call}`, tokens, [TIME]);
  const spoken = "I write <tool_call> and then JSON.";
  assertParsed(`<think>\n${spoken}\n</think>\n\nSo.`, text, [{ thinking: spoken }, { text: "So." }]);
  for (const calls of ["ignore", "hold"] as const) {
    assertParsed(`<think>\n${call}`, { ...withKinds(QWEN, ["defined", "text"]), calls }, [{ thinking: call }]);
  }
});

Deno.test("Parser takes control tokens of a thought for what they are when text came before", () => {
  assertParsed("So. <|channel>thought\nOr not?<channel|>Not.", GEMMA, [
    { text: "So. " },
    { thinking: "Or not?" },
    { text: "Not." },
  ]);
});

Deno.test("Parser drops the end of a thought that never began, at the beginning of an answer", () => {
  assertParsed("</think>\n\nSo.", QWEN, [{ text: "So." }]);
  const mention = "It ends with </think>.";
  assertParsed(mention, withKinds(QWEN, ["text"]), [{ text: mention }]);
});

Deno.test("Parser says that text was a thought when what ends one follows it", () => {
  const tokens = withKinds(QWEN, ["defined", "control"]);
  const told = [{ text: "Plan." }, "text was thought", { text: "So." }] as const;
  assertParsed("Plan.\n</think>\n\nSo.", QWEN, told);
  assertParsed("Plan.</think>So.", tokens, told);
  // In the middle of a line it is spoken of, where it is text.
  assertParsed("Plan.</think>So.", withKinds(QWEN, ["text"]), [{ text: "Plan.</think>So." }]);
  // Space is sent at once where nothing may follow that it belongs to.
  assertParsed("Plan.\n</think>\n\nSo.", { ...QWEN, calls: "ignore" }, [{ text: "Plan.\n" }, ...told.slice(1)]);
  assertParsed('Plan.\n</think>\n\n<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>', QWEN, [
    { text: "Plan." },
    "text was thought",
    TIME,
  ]);
});

Deno.test("Parser puts no thought into the text when the prompt opened it and it ended twice", () => {
  const opened = { ...QWEN_35, start: "thought" } as const;
  assertParsed("</think>plan</think>answer", withKinds(opened, ["defined", "control"]), [{ thinking: "plan" }, {
    text: "answer",
  }]);
  assertParsed("</think>\n\nplan\n</think>\n\nanswer", opened, [{ thinking: "plan" }, { text: "answer" }]);
  assertParsed("</think>\n\nanswer", opened, [{ text: "answer" }]);
  assertParsed("plan\n</think>\n\nanswer", opened, [{ thinking: "plan" }, { text: "answer" }]);
  assertParsed("plan\n</think>\n</think>\n\nanswer", withKinds(opened, ["defined", "control"]), [
    { thinking: "plan" },
    { text: "answer" },
  ]);
});

Deno.test("Parser keeps a thought out of the text when its end never comes", () => {
  for (const reading of [{ ...QWEN_35, start: "thought" }, { ...QWEN_35, start: "thought", cut: true }] as const) {
    assertParsed("All of it is a plan.", reading, [{ thinking: "All of it is a plan." }]);
  }
  assertParsed("<think>\nAll of it is a plan.", QWEN, [{ thinking: "All of it is a plan." }]);
});

Deno.test("Parser holds text behind an empty thought back no longer than it may be the thought", () => {
  const parser = parserOf({ ...QWEN_35, start: "thought" });
  const events = new Events();
  parser.push(asSeen(QWEN_35.family.get("defined")?.model as TestModel, "</think>\n\n"), events);
  parser.push("So it is. ".repeat(300), events);
  assertEquals(events.all, []);
  parser.push("So it is. ".repeat(300), events);
  assertEquals(events.all, [{ text: "So it is. ".repeat(600).trimEnd() }]);
});

Deno.test("Parser takes what only looks like a call without its marker for text", () => {
  assertParsed("A <function=get_time> stands here.", QWEN_35, [{ text: "A <function=get_time> stands here." }]);
  const object = '{"type": "function", "name": "Ana", "parameters": {}}';
  assertParsed(object, LLAMA_32, [{ text: object }]);
  assertParsed("<|channel|>commentary to=Ana<|message|>Hi.", HARMONY, [{ text: "Hi." }]);
  const silent = { ...HARMONY, calls: "ignore" } as const;
  assertParsed("to=functions.get_time<|channel|>commentary<|message|>{}", silent, [{ text: "{}" }]);
  assertParsed("to=get_time<|channel|>commentary<|message|>{}", silent, [{ text: "{}" }]);
});

Deno.test("Parser drops control tokens that are part of nothing", () => {
  const text = `${controlText("<|channel>")}It is${controlText("<tool_call|>")} so.`;
  assertEquals(parse([encoder.encode(text)], { ...GEMMA, as: "control" }), [{ text: "It is so." }]);
});

Deno.test("Parser takes the name of a control token for text when it is spelled", () => {
  const text = "<|tool_call>call:get_time{}<tool_call|>";
  for (const as of ["control", "defined"] as const) {
    assertEquals(parse([encoder.encode(text)], { ...GEMMA, as }), [{ text }]);
  }
});

Deno.test("Parser tells what would begin a call, and what of it would come after its beginning", () => {
  const at = (reading: Reading, text: string): [Parser, TestModel] => {
    const parser = parserOf(reading);
    const { model } = reading.family.get(reading.as ?? "control") as { model: TestModel };
    parser.push(asSeen(model, text), new Events());
    return [parser, model];
  };
  const text = { ...QWEN, as: "text" } as const;
  const token = { ...QWEN, as: "control" } as const;
  const coder = { ...QWEN_35, as: "control" } as const;
  const tags = { ...LLAMA_31, as: "text" } as const;
  const bare = { ...LLAMA_32, as: "text" } as const;
  for (
    const [reading, before, next, expected] of [
      [text, "So ", "<tool_call>", ""],
      [text, "So <tool", "_call>", ""],
      [text, "So ", "<tool", undefined],
      [text, "So ", "<tool_call>\n", "\n"],
      [text, "<think>", "<tool_call>", undefined],
      [token, "So ", "<tool_call>", ""],
      [token, "<think>", "<tool_call>", ""],
      [token, "<think>I write ", "<tool_call>", ""],
      [{ ...token, calls: "hold" }, "<think>", "<tool_call>", undefined],
      [{ ...text, calls: "hold" }, "So <tool", "_call>", ""],
      [coder, "So.\n\n<func", "tion=", ""],
      [coder, "So.\n\n<func", "tion=get", "get"],
      [coder, "So <func", "tion=", undefined],
      [tags, "<func", "tion=", ""],
      [tags, "<func", "tion=get", "get"],
      [bare, ' {"name"', ': "', ""],
      [bare, ' {"name"', ': "get', "get"],
      [bare, "So ", '{"name": "', undefined],
      [HARMONY, "<|channel|>commentary to=", "functions.", ""],
      [HARMONY, "<|channel|>commentary to=", "functions.get", "get"],
      [HARMONY, "<|channel|>final<|message|>to=", "functions.", undefined],
    ] as const
  ) {
    const [parser, model] = at(reading, before);
    assertEquals(parser.beginsCall(asSeen(model, next))?.rest, expected, `${before}|${next}`);
  }
});

const READINGS = [QWEN, QWEN_35, LLAMA_31, LLAMA_32, MISTRAL, MISTRAL_ARGS, GEMMA, HARMONY];

/** Numbers from 0 to 1, always the same. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed;;) {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    yield (state >>> 0) / 2 ** 32;
  }
}

Deno.test("Parser reads the same from any text, however it is cut, and lets no control token out", () => {
  const FRAGMENTS = [
    ...[
      "<think>",
      "</think>",
      "<tool_call>",
      "</tool_call>",
      "[TOOL_CALLS]",
      "[",
      "]",
      ", ",
      "<function=",
      "</function>",
    ],
    ...[
      "<|channel|>",
      "<|message|>",
      "<|end|>",
      "<|start|>",
      "assistant",
      "analysis",
      "final",
      " to=functions.",
      "<|call|>",
    ],
    ...[
      "<|channel>thought\n",
      "<channel|>",
      "<|tool_call>",
      "call:",
      "<tool_call|>",
      '<|"|>',
      "get_time",
      "{",
      "}",
      ">",
    ],
    ...[
      '{"name": "',
      '", "arguments": ',
      '"parameters": ',
      '{"a": "}"}',
      "{}",
      '{"name": "get_time", "arguments": {}}',
    ],
    ...["Hello", "\n\n", " ", '\\"', "<", "STOP", "ST", "<|im_end|>", "<|im"],
  ];
  const random = numbers(7);
  const next = (below: number): number => Math.floor(random.next().value * below);
  for (let round = 0; round < 3000; round++) {
    const family = READINGS[next(READINGS.length)] as Reading;
    const kinds = [...family.family];
    const [as, { model }] = kinds[next(kinds.length)] as (typeof kinds)[number];
    const recorded = Array.from({ length: 1 + next(12) }, () => FRAGMENTS[next(FRAGMENTS.length)]).join("");
    const text = asSeen(model, recorded);
    const reading: Reading = {
      ...family,
      as,
      calls: (["read", "first", "hold", "ignore"] as const)[next(4)] ?? "read",
      stop: next(2) === 1 ? ["STOP", "oo"] : [],
      ends: ["<|im_end|>"],
      cut: next(3) === 0,
    };
    const bytes = encoder.encode(text);
    const whole = parse([bytes], reading);
    const at = next(bytes.length);
    assertEquals(parse([bytes.slice(0, at), bytes.slice(at)], reading), whole, text);
    assertEquals(parse(Array.from(bytes, (byte) => Uint8Array.of(byte)), reading), whole, text);
    for (const event of whole) {
      if (typeof event === "object" && "text" in event) {
        assertEquals(event.text.match(/[\uFFFE\uFFFF\uFDD0\uFDD1]/), null, text);
      }
    }
  }
});
