import { assertEquals, assertThrows } from "@std/assert";
import type { ChatMessage, ContentBlock } from "../../../../../src/inference/request.ts";
import { Template } from "../../../../../src/engine/jinja/template.ts";
import {
  AttachmentError,
  type MessageForm,
  messagesFor,
  spacedJson,
  textsOf,
  toolsFor,
  turnsOf,
  USUAL_FORM,
} from "../../../../../src/engine/chat/render/messages.ts";

const ASKED: ChatMessage = { role: "user", content: "Weather in Oslo and Rome?" };

function text(text: string): ContentBlock {
  return { type: "text", text };
}

function thinking(text: string): ContentBlock {
  return { type: "thinking", text };
}

function use(toolCallId: string, city: string): ContentBlock {
  return { type: "tool_use", toolCallId, name: "get_weather", input: { city } };
}

function result(toolCallId: string, ...texts: readonly string[]): ContentBlock {
  return { type: "tool_result", toolCallId, content: texts.map(text) };
}

function call(id: string, city: string): { id: string; name: string; input: { city: string } } {
  return { id, name: "get_weather", input: { city } };
}

/** What a template sees of a value, as JSON. */
function seen(value: unknown): unknown {
  return JSON.parse(new Template("{{ value | tojson }}").render({ value }).text);
}

/** Messages in a form, as a template sees them. */
function messages(of: readonly ChatMessage[], form: Partial<MessageForm> = {}): unknown {
  return seen(messagesFor(turnsOf(of), { ...USUAL_FORM, ...form }));
}

const CALLED: readonly ChatMessage[] = [
  ASKED,
  { role: "assistant", content: [text("I look."), use("tc-1", "Oslo"), use("tc-2", "Rome")] },
  { role: "user", content: [result("tc-2", "rainy"), result("tc-1", "sunny")] },
];

Deno.test("turnsOf joins texts of a message, and thoughts of it apart from them", () => {
  assertEquals(
    turnsOf([
      { role: "user", content: [text("a"), text("b")] },
      {
        role: "assistant",
        content: [thinking("t"), text("c"), thinking("u"), text("d"), use("tc-1", "Oslo"), text("e")],
      },
    ]),
    [
      { role: "user", text: "a\nb" },
      { role: "assistant", text: "c\nd\ne", thinking: "t\nu", calls: [call("tc-1", "Oslo")] },
    ],
  );
});

Deno.test("turnsOf makes each result a turn that knows its call, in the order in which they came", () => {
  assertEquals(turnsOf(CALLED).slice(2), [
    { role: "tool", text: "rainy", call: call("tc-2", "Rome") },
    { role: "tool", text: "sunny", call: call("tc-1", "Oslo") },
  ]);
});

Deno.test("turnsOf puts what a user says beside results behind them", () => {
  assertEquals(
    turnsOf([
      ASKED,
      { role: "assistant", content: [use("tc-1", "Oslo")] },
      { role: "user", content: [text("Well?"), result("tc-1", "sunny"), text("And Rome?")] },
    ]).slice(2),
    [
      { role: "tool", text: "sunny", call: call("tc-1", "Oslo") },
      { role: "user", text: "Well?\nAnd Rome?" },
    ],
  );
});

Deno.test("turnsOf knows a result's call by its id when the same tool was called before", () => {
  const turns = turnsOf([
    ASKED,
    { role: "assistant", content: [use("tc-1", "Oslo")] },
    { role: "user", content: [result("tc-1", "sunny")] },
    { role: "assistant", content: [use("tc-2", "Rome")] },
    { role: "user", content: [result("tc-2", "rainy")] },
  ]);
  assertEquals(turns.flatMap(({ call }) => call === undefined ? [] : [call.id]), ["tc-1", "tc-2"]);
});

Deno.test("results reach the template as the text they are, never parsed and never quoted", () => {
  const texts = [
    ...["3.10", "1e400", "12345678901234567890", '{"a":1,"a":2}', '{"b": 1,\n "a":[ ]}', '"quoted"', "true", "null"],
    ...["", " padded\n", "[1, 2]", "{{ 1 + 1 }}"],
  ];
  for (const text of texts) {
    const turns = turnsOf([
      ASKED,
      { role: "assistant", content: [use("tc-1", "Oslo")] },
      { role: "user", content: [result("tc-1", text)] },
    ]);
    for (const content of ["string", "parts"] as const) {
      const template = new Template("{{ m[2].content if m[2].content is string else m[2].content[0].text }}");
      assertEquals(template.render({ m: messagesFor(turns, { ...USUAL_FORM, content }) }).text, text);
    }
  }
  const joined = turnsOf([ASKED, CALLED[1] as ChatMessage, { role: "user", content: [result("tc-1", "a", "b")] }]);
  assertEquals(joined.at(-1)?.text, "a\nb");
});

Deno.test("messagesFor gives a template what it wants: strings or parts, arguments as mapping or as text", () => {
  const input = (form: Partial<MessageForm>): unknown => messages(CALLED.slice(0, 2), form);
  const written = (args: unknown, content: unknown): unknown => [
    { role: "user", content: typeof content === "string" ? ASKED.content : [text(ASKED.content as string)] },
    {
      role: "assistant",
      content,
      tool_calls: [
        { id: "tc-1", type: "function", function: { name: "get_weather", arguments: args } },
        {
          id: "tc-2",
          type: "function",
          function: {
            name: "get_weather",
            arguments: typeof args === "string" ? args.replace("Oslo", "Rome") : { city: "Rome" },
          },
        },
      ],
    },
  ];
  assertEquals(input({}), written({ city: "Oslo" }, "I look."));
  assertEquals(input({ content: "parts" }), written({ city: "Oslo" }, [text("I look.")]));
  assertEquals(input({ arguments: "text" }), written('{"city": "Oslo"}', "I look."));
});

Deno.test("messagesFor puts a thought where the template looks for it, and leaves it out when there is no place", () => {
  const thought: ChatMessage[] = [ASKED, { role: "assistant", content: [thinking("Hm."), text("So.")] }];
  const last = (form: Partial<MessageForm>): unknown => (messages(thought, form) as unknown[])[1];
  for (const field of ["reasoning_content", "reasoning", "thinking"] as const) {
    assertEquals(last({ thoughts: field }), { role: "assistant", content: "So.", [field]: "Hm." });
  }
  assertEquals(last({ thoughts: "parts" }), {
    role: "assistant",
    content: [{ type: "thinking", thinking: "Hm." }, { type: "text", text: "So." }],
  });
  assertEquals(last({ thoughts: undefined }), { role: "assistant", content: "So." });
});

Deno.test("messagesFor names each result's tool and call", () => {
  const [, , first, second] = messages(CALLED) as unknown[];
  assertEquals(first, { role: "tool", content: "rainy", name: "get_weather", tool_call_id: "tc-2" });
  assertEquals(second, { role: "tool", content: "sunny", name: "get_weather", tool_call_id: "tc-1" });
});

/** The ids that a template sees: of calls, then of results. */
function idsOf(of: readonly ChatMessage[], ids: MessageForm["ids"]): string[][] {
  const all = messages(of, { ids }) as { tool_calls?: { id: string }[]; tool_call_id?: string }[];
  return [
    all.flatMap(({ tool_calls = [] }) => tool_calls.map(({ id }) => id)),
    all.flatMap(({ tool_call_id }) => tool_call_id === undefined ? [] : [tool_call_id]),
  ];
}

const TWO_ROUNDS: readonly ChatMessage[] = [
  ASKED,
  { role: "assistant", content: [use("tc-1", "Oslo"), use("abcdefgh1", "Rome")] },
  { role: "user", content: [result("tc-1", "sunny"), result("abcdefgh1", "rainy")] },
  { role: "assistant", content: [use("a-much-longer-identifier", "Bern")] },
  { role: "user", content: [result("a-much-longer-identifier", "foggy")] },
];

Deno.test("messagesFor writes ids in the form that the template demands, the same for a call and its result", () => {
  assertEquals(idsOf(TWO_ROUNDS, "any")[0], ["tc-1", "abcdefgh1", "a-much-longer-identifier"]);
  const [short = [], answered] = idsOf(TWO_ROUNDS, "short");
  assertEquals(answered, short);
  assertEquals(short.map((id) => /^[A-Za-z0-9]{9}$/.test(id)), [true, true, true]);
  assertEquals([new Set(short).size, short[1]], [3, "abcdefgh1"]);
  assertEquals(idsOf(TWO_ROUNDS, "short")[0], short);
  const numbered = ["functions.get_weather:0", "functions.get_weather:1", "functions.get_weather:2"];
  assertEquals(idsOf(TWO_ROUNDS, "numbered"), [numbered, numbered]);
  const renumbered = ["functions.get_weather:0", "functions.get_weather:1", "functions.get_weather:0"];
  assertEquals(idsOf(TWO_ROUNDS, "renumbered"), [renumbered, renumbered]);
});

Deno.test("messagesFor marks everything that a request brought, and nothing else", () => {
  const form: MessageForm = { ...USUAL_FORM, thoughts: "reasoning_content" };
  const of: ChatMessage[] = [
    { role: "system", content: "Kindly." },
    ASKED,
    { role: "assistant", content: [thinking("hm"), text("said"), use("tc-1", "Oslo")] },
    { role: "user", content: [result("tc-1", "sunny")] },
  ];
  const { text: written, input } = new Template("{{ messages | tojson }}").render({
    messages: messagesFor(turnsOf(of), form),
  });
  let unmarked = "";
  let at = 0;
  for (let i = 0; i < input.length; i += 2) {
    unmarked += written.slice(at, input[i]);
    at = input[i + 1] as number;
  }
  unmarked += written.slice(at);
  for (const word of ["Kindly", "Weather", "hm", "said", "get_weather", "city", "Oslo", "sunny", "tc-1"]) {
    assertEquals(unmarked.includes(word), false, `${word} in ${unmarked}`);
  }
  for (const word of ["role", "content", "tool_calls", "tool_call_id", "reasoning_content", "arguments"]) {
    assertEquals(unmarked.includes(word), true, `${word} not in ${unmarked}`);
  }
});

Deno.test("toolsFor wraps a tool as the template wants it, its schema in the order in which it came", () => {
  const inputSchema = { type: "object", properties: { b: { enum: ["x", 1] }, a: {} }, required: ["b"] };
  const tool = { name: "get", description: "Gets", inputSchema };
  const flat = { name: "get", description: "Gets", parameters: inputSchema };
  const order = (value: unknown): string => new Template("{{ value | tojson }}").render({ value }).text;
  assertEquals(
    order(toolsFor([tool], USUAL_FORM)),
    '[{"type": "function", "function": {"name": "get", "description": "Gets", "parameters": {"type": "object", ' +
      '"properties": {"b": {"enum": ["x", 1]}, "a": {}}, "required": ["b"]}}}]',
  );
  assertEquals(seen(toolsFor([tool], { ...USUAL_FORM, tools: "flat" })), [flat]);
  assertEquals(toolsFor([], USUAL_FORM), null);
  assertEquals(toolsFor([], { ...USUAL_FORM, noTools: [] }), []);
});

Deno.test("spacedJson writes JSON as Python does", () => {
  assertEquals(
    spacedJson({ a: [1, 2.5, "x, y: z"], b: {}, c: [], d: null, "é": true }),
    '{"a": [1, 2.5, "x, y: z"], "b": {}, "c": [], "d": null, "é": true}',
  );
});

Deno.test("textsOf finds all that takes tokens, and refuses attachments at any depth", () => {
  const blocks = [text("a"), use("tc-1", "Oslo"), result("tc-1", "b", "c")];
  assertEquals(textsOf({ role: "user", content: blocks }, false), ["a", "get_weather", '{"city":"Oslo"}', "b", "c"]);
  const attachment = { kind: "audio", mime: "audio/wav", base64: "" } as const;
  const nested: ContentBlock = { type: "tool_result", toolCallId: "tc-1", content: [{ type: "media", attachment }] };
  for (const content of [[{ type: "media", attachment } as const], [nested]]) {
    assertThrows(() => textsOf({ role: "user", content }, false), AttachmentError, "no audio");
    assertThrows(() => turnsOf([{ role: "user", content }]), AttachmentError, "no audio");
  }
});

Deno.test("textsOf counts thoughts only where they are shown", () => {
  const message: ChatMessage = { role: "assistant", content: [thinking("t"), text("a")] };
  assertEquals([textsOf(message, true), textsOf(message, false)], [["t", "a"], ["a"]]);
});
