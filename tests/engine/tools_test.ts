import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type ChatMessage, type JsonObject, PLAIN, type Tool } from "../../src/inference/request.ts";
import { Chat } from "../../src/engine/chat/chat.ts";
import { openLibrary } from "../../src/engine/native/library.ts";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { Model } from "../../src/engine/native/model.ts";
import { type Ask, EngineChild, MODEL_PATH } from "./engine_child.ts";

const DRAWN = { temperature: 1, topP: 0.95, topK: 64 };

function tool(name: string, description: string, properties: JsonObject): Tool {
  return { name, description, inputSchema: { type: "object", properties, required: Object.keys(properties) } };
}

const WEATHER = tool("get_weather", "Get the weather in a city", { city: { type: "string" } });
const ADD = tool("add", "Add two numbers", { a: { type: "number" }, b: { type: "number" } });
const LIGHT = tool("set_light", "Turn a light on or off", { room: { type: "string" }, on: { type: "boolean" } });
const TOOLS = [WEATHER, ADD, LIGHT];

const ASKED: ChatMessage = { role: "user", content: "What is the weather in Oslo?" };
const CALLED: ChatMessage = {
  role: "assistant",
  content: [{ type: "tool_use", toolCallId: "tc-1", name: "get_weather", input: { city: "Oslo" } }],
};
const RESULT: ChatMessage = {
  role: "user",
  content: [{
    type: "tool_result",
    toolCallId: "tc-1",
    // As the model has seen JSON.
    content: [{ type: "text", text: '{"weather": "sunny", "temperature": 12}' }],
  }],
};

const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" }, city: { type: "string" } },
  required: ["name", "age", "city"],
  additionalProperties: false,
};

Deno.test("prompt of the built-in model is what it was trained on", async () => {
  const library = openLibrary({ folder: await packagedFolder(), own: false });
  const model = await Model.load(library, [MODEL_PATH], {});
  const chat = await Chat.of(model, 1024);
  assertEquals([chat.format, chat.fault, chat.tools, chat.thinking], ["template", undefined, true, true]);
  const render = (thinking: boolean): string => {
    const messages: ChatMessage[] = [{ role: "system", content: "Answer briefly." }, ASKED, CALLED, RESULT];
    const { tokens } = chat.render({ ...PLAIN, messages, tools: [WEATHER], thinking });
    return Array.from(tokens, (token) => model.describe(token)).join("");
  };
  const trained = `<|im_start|>system
Answer briefly.

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "get_weather", "description": "Get the weather in a city", "parameters": ` +
    `{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
<|im_start|>user
What is the weather in Oslo?<|im_end|>
<|im_start|>assistant
<tool_call>
{"name": "get_weather", "arguments": {"city": "Oslo"}}
</tool_call><|im_end|>
<|im_start|>user
<tool_response>
{"weather": "sunny", "temperature": 12}
</tool_response><|im_end|>
<|im_start|>assistant
`;
  assertEquals(render(true), trained);
  assertEquals(render(false), trained + "<think>\n\n</think>\n\n");
});

/** One engine for all steps: it takes longer to start than to answer. */
Deno.test("engine uses tools, thinks and follows schemas", async (t) => {
  await using engine = await EngineChild.start();

  await t.step("ready says that it can", async () => {
    const ready = await engine.until((message) => message.type === "ready");
    assert(ready.type === "ready");
    assertEquals([ready.tools, ready.thinking], [true, true]);
  });

  const CALLS: readonly (readonly [question: string, name: string, input: JsonObject])[] = [
    ["What is the weather in Oslo?", "get_weather", { city: "Oslo" }],
    ["What is the weather in Paris?", "get_weather", { city: "Paris" }],
    ["What is 12 + 30?", "add", { a: 12, b: 30 }],
    ["Turn on the light in the kitchen.", "set_light", { room: "kitchen", on: true }],
  ];

  await t.step("tool is called with the right arguments when one fits the question", async () => {
    for (const toolChoice of ["auto", "required"] as const) {
      for (const [question, name, input] of CALLS) {
        // Three and a sum are too much for it.
        const tools = name === "add" ? [WEATHER, ADD] : TOOLS;
        const { calls, text, thinking, done } = await engine.answer(question, { tools, toolChoice });
        assertEquals([calls, text, thinking, done?.done], [[{ name, input }], "", "", "tool_use"], question);
      }
    }
  });

  await t.step("result becomes a sentence when it comes in the next request", async () => {
    for (const thinking of [false, true]) {
      const { text, calls, done } = await engine.answer([ASKED, CALLED, RESULT], { tools: TOOLS, thinking });
      assertEquals(text, "The weather in Oslo is sunny with 12 degrees.");
      assertEquals([calls, done?.done], [[], "end"]);
    }
  });

  await t.step("tool is called again when the next question asks for it", async () => {
    const messages: ChatMessage[] = [
      ...[ASKED, CALLED, RESULT],
      { role: "assistant", content: "The weather in Oslo is sunny with 12 degrees." },
      { role: "user", content: "What is 12 + 30?" },
    ];
    const { calls } = await engine.answer(messages, { tools: TOOLS, toolChoice: "required" });
    assertEquals(calls.map(({ name }) => name), ["add"]);
  });

  await t.step("text comes when tools are offered and none fits, or none may be called", async () => {
    const japan = "What is the capital of Japan?";
    assertEquals((await engine.answer(japan, { tools: TOOLS })).text, "The capital of Japan is Tokyo.");
    for (const [question] of CALLS) {
      const { calls, text } = await engine.answer(question, { tools: TOOLS, toolChoice: "none" });
      assertEquals(calls, []);
      assert(text !== "" && !text.includes("<tool_call>"), text);
    }
  });

  await t.step("no call begins when none may, although the conversation is full of them", async () => {
    const { calls, text } = await engine.answer([ASKED, CALLED, RESULT, ASKED], { toolChoice: "none" });
    assertEquals(calls, []);
    assert(!text.includes("<tool_call>"), text);
  });

  await t.step(
    "call comes with an offered name and valid arguments when it is required, whatever was asked",
    async () => {
      for (const [seed, question] of ["Hello", "Tell me a story.", "What is 3 + 4?", "Spell river."].entries()) {
        const ask: Ask = { tools: [ADD, LIGHT], toolChoice: "required", sampling: { ...DRAWN, seed }, maxTokens: 800 };
        const { calls, text, done } = await engine.answer(question, ask);
        assertEquals(text, "");
        if (done?.done === "length") continue;
        assertEquals(done?.done, "tool_use");
        assert(calls.length > 0);
        for (const { name, input } of calls) {
          const types = Object.entries(input).map(([key, value]) => `${key}: ${typeof value}`).join();
          assertEquals(types, name === "add" ? "a: number,b: number" : "room: string,on: boolean");
        }
      }
    },
  );

  await t.step("tool that the choice names is called and no other, whatever was asked", async () => {
    for (const [question] of CALLS) {
      for (const { name } of TOOLS) {
        const ask: Ask = { tools: TOOLS, toolChoice: { name }, maxTokens: 400 };
        const { calls, text, done } = await engine.answer(question, ask);
        assertEquals(text, "");
        if (done?.done === "length") continue;
        assert(calls.length > 0);
        assertEquals(new Set(calls.map((call) => call.name)), new Set([name]));
      }
    }
    const cut = await engine.answer("Hello", { tools: TOOLS, toolChoice: { name: "add" }, maxTokens: 4 });
    assertEquals([cut.calls, cut.done?.unsatisfied], [[], true]);
  });

  await t.step("answer says that no call came when one was required and tokens ran out", async () => {
    const ask: Ask = { tools: TOOLS, maxTokens: 8 };
    const required = await engine.answer("What is the weather in Oslo?", { ...ask, toolChoice: "required" });
    assertEquals([required.calls, required.text, required.done?.done], [[], "", "length"]);
    assertEquals(required.done?.unsatisfied, true);
    const auto = await engine.answer("What is the weather in Oslo?", ask);
    assertEquals([auto.calls, auto.text, auto.done?.done, auto.done?.unsatisfied], [[], "", "length", undefined]);
  });

  await t.step("thinking comes apart from text, and before it", async () => {
    const id = await engine.ask("What is the capital of Japan?", { thinking: true });
    const { text, thinking } = await engine.answerTo(id);
    assertEquals(text, "The capital of Japan is Tokyo.");
    assertEquals(thinking, "The user asks for the capital of Japan. It is Tokyo.");
    const kinds = engine.eventsOf(id).map((event) => "think" in event ? "think" : "t" in event ? "text" : "done");
    assertMatch(kinds.join(" "), /^(think ){3,}(text ){3,}done$/);
  });

  await t.step("nothing is thought when nothing was asked for it", async () => {
    for (const [question] of CALLS) assertEquals((await engine.answer(question)).thinking, "");
  });

  await t.step("thinking comes before a call and before JSON, also when these are bound", async () => {
    for (const toolChoice of ["auto", "required"] as const) {
      const { thinking, calls } = await engine.answer(CALLS[0]?.[0] ?? "", {
        tools: TOOLS,
        toolChoice,
        thinking: true,
      });
      assertStringIncludes(thinking, "I should call");
      assertEquals(calls, [{ name: "get_weather", input: { city: "Oslo" } }]);
    }
    const question = "Write JSON for Ana, age 31, from Oslo.";
    const { thinking, text } = await engine.answer(question, { responseSchema: PERSON, thinking: true });
    assertStringIncludes(thinking, "JSON");
    assertEquals(JSON.parse(text), { name: "Ana", age: 31, city: "Oslo" });
  });

  await t.step("stop string counts in text and not in a thought", async () => {
    const { thinking, text, done } = await engine.answer("What is the capital of Japan?", {
      thinking: true,
      stop: ["Tokyo"],
    });
    assertStringIncludes(thinking, "Tokyo");
    assertEquals([text, done?.done], ["The capital of Japan is ", "stop"]);
  });

  await t.step("JSON is right when the question and the schema agree", async () => {
    const question = "Write JSON for Ana, age 31, from Oslo.";
    for (const tools of [[], TOOLS]) {
      const { text, done } = await engine.answer(question, { responseSchema: PERSON, tools });
      assertEquals([JSON.parse(text), done?.done], [{ name: "Ana", age: 31, city: "Oslo" }, "end"]);
    }
  });

  await t.step("call may come instead of JSON when tools are offered beside a schema", async () => {
    const { text, calls } = await engine.answer(CALLS[0]?.[0] ?? "", { responseSchema: PERSON, tools: TOOLS });
    assertEquals([text, calls.map(({ name }) => name)], ["", ["get_weather"]]);
  });

  await t.step("JSON parses and is valid when it is drawn, whatever the schema and the question", async () => {
    const short = { type: "string", maxLength: 12 };
    const SCHEMAS: readonly (readonly [schema: JsonObject, valid: (value: unknown) => boolean])[] = [
      [{ type: "integer", minimum: 3, maximum: 40 }, (v) => Number.isInteger(v) && Number(v) >= 3 && Number(v) <= 40],
      [{ enum: ["red", "green", 3, null] }, (v) => ["red", "green", 3, null].includes(v as string)],
      [
        { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 4 },
        (v) => Array.isArray(v) && v.length >= 2 && v.length <= 4 && v.every((item) => typeof item === "boolean"),
      ],
      [
        {
          type: "object",
          properties: { name: short, kind: { const: "x" }, next: { $ref: "#/$defs/point" } },
          required: ["name", "next"],
          additionalProperties: false,
          $defs: {
            point: {
              type: "object",
              properties: { x: { type: "integer", minimum: 0, maximum: 9 } },
              required: ["x"],
              additionalProperties: false,
            },
          },
        },
        (v) => {
          const { name, kind, next, ...others } = v as Record<string, unknown>;
          const x = (next as Record<string, unknown>).x;
          return typeof name === "string" && [...name].length <= 12 && (kind === undefined || kind === "x") &&
            Number.isInteger(x) && Number(x) >= 0 && Number(x) <= 9 && Object.keys(others).length === 0;
        },
      ],
    ];
    for (const [schema, valid] of SCHEMAS) {
      const ids: number[] = [];
      for (let seed = 0; seed < 8; seed++) {
        const ask: Ask = {
          responseSchema: schema,
          sampling: { ...DRAWN, seed },
          thinking: seed % 2 === 1,
          maxTokens: 900,
        };
        ids.push(await engine.ask(seed < 4 ? "Hello" : "Tell me a story about a fox.", ask));
      }
      for (const id of ids) {
        const { text, done } = await engine.answerTo(id);
        assertEquals(done?.done, "end");
        assert(valid(JSON.parse(text)), text);
      }
    }
  });

  await t.step("request is refused with the path when a schema cannot be compiled", async () => {
    const bad = { type: "object", properties: { a: { type: "array", items: { type: "strin" } } } };
    for (
      const [ask, path] of [
        [{ tools: [WEATHER, { ...ADD, inputSchema: bad }] }, "tools[1].input_schema.properties.a.items.type"],
        [{ responseSchema: bad }, "response_format.schema.properties.a.items.type"],
      ] as const
    ) {
      const { error } = await engine.answer("Hello", ask);
      assertEquals(error?.error, "invalid_request");
      assertStringIncludes(error?.message ?? "", path);
    }
  });

  await t.step("attachment is refused as such", async () => {
    const attachment = { kind: "image", mime: "image/png", base64: "AAAA" } as const;
    const { error } = await engine.answer([{ role: "user", content: [{ type: "media", attachment }] }]);
    assertEquals(error?.error, "attachment_unsupported");
  });

  await t.step("marker is only text when a user writes it", async () => {
    const promptOf = async (marker: string): Promise<number> =>
      (await engine.answer(`Repeat: ${marker}`, { maxTokens: 1 })).done?.prompt ?? 0;
    const without = await promptOf("");
    for (const marker of ["<think>", "</tool_call>", "<tool_response>", "<|im_end|>"]) {
      assert(await promptOf(marker) > without + 2, marker);
    }
  });
});
