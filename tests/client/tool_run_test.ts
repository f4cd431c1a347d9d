import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  CancelledError,
  ClientClosedError,
  connect,
  ObjectError,
  QueueFullError,
  StepLimitError,
  tool,
  type ToolRunEvent,
  UnknownToolError,
} from "@inferd/client";
import {
  answeringV2,
  type AskedV2,
  callPart,
  doneV2,
  failed,
  once,
  part,
  Scratch,
  type Script,
  ScriptedServer,
  textPart,
  withV2,
} from "./support.ts";

const PLACE = {
  type: "object",
  properties: { place: { type: "string" } },
  required: ["place"],
} as const;
const WEATHER = { name: "weather", description: "The weather at a place", inputSchema: PLACE } as const;
const ASK = { messages: [{ role: "user", content: "And in Bern?" }], tools: [WEATHER] } as const;

const NUMBERS = {
  type: "object",
  properties: { a: { type: "number" }, b: { type: "number" } },
  required: ["a", "b"],
} as const;

type Answer = (id: string, request: AskedV2) => readonly unknown[];

function calling(...calls: readonly (readonly [string, string, object])[]): Answer {
  return (id) => [...calls.map((call) => callPart(id, call)), doneV2(id, { stop_reason: "tool_use" })];
}

function saying(text: string): Answer {
  return (id) => [textPart(id, text), doneV2(id)];
}

Deno.test("runTools runs what the model calls, tells it the results, and ends with an answer", async () => {
  const { script, asked } = answeringV2(
    (id) => [
      part(id, { type: "thinking", delta: "H" }),
      part(id, { type: "thinking", delta: "m" }),
      textPart(id, "Let me "),
      textPart(id, "see."),
      callPart(id, ["tc-1", "weather", { place: "Bern" }]),
      callPart(id, ["tc-2", "weather", { place: "Thun" }]),
      doneV2(id, { stop_reason: "tool_use" }),
    ],
    saying("Rain and sun."),
  );
  await withV2(script, async (client) => {
    const run = client.runTools(ASK, {
      weather: ({ place }, { toolCallId }) => ({ place, toolCallId, sky: place === "Bern" ? "rain" : "sun" }),
    });
    const events: ToolRunEvent[] = [];
    for await (const event of run) events.push(event);
    const calls = [
      { type: "tool_use", toolCallId: "tc-1", name: "weather", input: { place: "Bern" } },
      { type: "tool_use", toolCallId: "tc-2", name: "weather", input: { place: "Thun" } },
    ] as const;
    const texts = [
      '{"place":"Bern","toolCallId":"tc-1","sky":"rain"}',
      '{"place":"Thun","toolCallId":"tc-2","sky":"sun"}',
    ] as const;
    const result = {
      text: "Rain and sun.",
      messages: [
        { role: "user", content: "And in Bern?" },
        {
          role: "assistant",
          content: [{ type: "thinking", text: "Hm" }, { type: "text", text: "Let me see." }, ...calls],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", toolCallId: "tc-1", content: texts[0] },
            { type: "tool_result", toolCallId: "tc-2", content: texts[1] },
          ],
        },
        { role: "assistant", content: [{ type: "text", text: "Rain and sun." }] },
      ],
      steps: 2,
      usage: { promptTokens: 6, completionTokens: 4 },
      stopReason: "end_turn",
      backend: "scripted",
    } as const;
    assertEquals(events as unknown, [
      { type: "thinking", text: "H" },
      { type: "thinking", text: "m" },
      { type: "text", text: "Let me " },
      { type: "text", text: "see." },
      ...calls,
      { type: "tool_result", toolCallId: "tc-1", name: "weather", text: texts[0] },
      { type: "tool_result", toolCallId: "tc-2", name: "weather", text: texts[1] },
      { type: "text", text: "Rain and sun." },
      { type: "done", ...result },
    ]);
    assertEquals(await run.result() as unknown, result);
    const [first, second] = asked;
    assertEquals(first?.tools?.map(({ name }) => name), ["weather"]);
    assertEquals(second?.tools, first?.tools);
    assertEquals(second?.messages as unknown, [
      { role: "user", content: [{ type: "text", text: "And in Bern?" }] },
      {
        role: "assistant",
        content: [
          { type: "thinking", text: "Hm" },
          { type: "text", text: "Let me see." },
          { type: "tool_use", tool_call_id: "tc-1", name: "weather", input: { place: "Bern" } },
          { type: "tool_use", tool_call_id: "tc-2", name: "weather", input: { place: "Thun" } },
        ],
      },
      {
        role: "user",
        content: texts.map((text, index) => ({
          type: "tool_result",
          tool_call_id: `tc-${index + 1}`,
          content: [{ type: "text", text }],
        })),
      },
    ]);
  });
});

Deno.test("runTools takes tools with their functions, and goes on from a conversation", async () => {
  const { script, asked } = answeringV2(calling(["1", "add", { a: 1, b: 2 }]), saying("3"), saying("Still 3"));
  await withV2(script, async (client) => {
    const add = tool({
      description: "The sum of two numbers",
      inputSchema: NUMBERS,
      run: ({ a, b }) => a + b,
    });
    const { text, messages } = await client.runTools("1 + 2?", {
      add: {
        description: "The sum of two numbers",
        inputSchema: {
          type: "object",
          properties: { a: { type: "number" }, b: { type: "number" } },
          required: ["a", "b"],
        },
        run: ({ a, b }) => (a + b).toFixed(0),
      },
    }).result();
    assertEquals(text, "3");
    const more = [...messages, { role: "user" as const, content: "Sure?" }];
    assertEquals((await client.runTools({ messages: more }, { add }).result()).text, "Still 3");
  });
  assertEquals(asked[0]?.tools?.[0]?.description, "The sum of two numbers");
  assertEquals(asked[1]?.messages.at(-1)?.content as unknown, [
    { type: "tool_result", tool_call_id: "1", content: [{ type: "text", text: "3" }] },
  ]);
  assertEquals(asked[2]?.messages.map(({ role }) => role), ["user", "assistant", "user", "assistant", "user"]);
});

Deno.test("runTools runs the calls of one answer together and tells their results in order", async () => {
  const { script, asked } = answeringV2(
    calling(["1", "weather", { place: "slow" }], ["2", "weather", { place: "quick" }]),
    saying("Done"),
  );
  await withV2(script, async (client) => {
    const quick = Promise.withResolvers<string>();
    await client.runTools(ASK, {
      async weather({ place }): Promise<unknown> {
        if (place === "slow") return `after ${await quick.promise}`;
        quick.resolve(place);
        return undefined;
      },
    }).result();
  });
  assertEquals(asked[1]?.messages.at(-1)?.content as unknown, [
    { type: "tool_result", tool_call_id: "1", content: [{ type: "text", text: "after quick" }] },
    { type: "tool_result", tool_call_id: "2", content: [{ type: "text", text: "null" }] },
  ]);
});

Deno.test("runTools tells the model null when what a function returned has no JSON", async () => {
  const { script, asked } = answeringV2(
    calling(["1", "weather", {}], ["2", "weather", {}], ["3", "weather", {}], ["4", "weather", {}]),
    saying("So be it"),
  );
  const outputs: unknown[] = [undefined, () => 1, Symbol("rain"), { toJSON: (): undefined => undefined }];
  await withV2(script, async (client) => {
    const run = client.runTools(ASK, { weather: () => outputs.shift() });
    const texts: string[] = [];
    for await (const event of run) if (event.type === "tool_result") texts.push(event.text);
    assertEquals(texts, ["null", "null", "null", "null"]);
    assertEquals((await run.result()).text, "So be it");
  });
  assertEquals(asked[1]?.messages.at(-1)?.content.length, 4);
});

Deno.test("runTools tells the model what a function threw", async () => {
  const { script, asked } = answeringV2(calling(["1", "weather", {}], ["2", "weather", {}]), saying("Sorry"));
  await withV2(script, async (client) => {
    const thrown = new Error("no network");
    const errors: unknown[] = [];
    let calls = 0;
    const run = client.runTools(ASK, {
      weather(): unknown {
        if (++calls === 1) throw thrown;
        return 1n;
      },
    });
    for await (const event of run) if (event.type === "tool_result") errors.push(event.error);
    assertEquals(errors[0], thrown);
    assertEquals(errors[1] instanceof TypeError, true);
    assertEquals((await run.result()).text, "Sorry");
  });
  const content = JSON.stringify(asked[1]?.messages.at(-1)?.content);
  assertStringIncludes(content, '"text":"Error: no network"');
  assertStringIncludes(content, "BigInt");
});

Deno.test("runTools throws what a function threw when asked to", async () => {
  const { script, asked } = answeringV2(calling(["1", "weather", { place: "a" }], ["2", "weather", { place: "b" }]));
  await withV2(script, async (client) => {
    let told: AbortSignal | undefined;
    const run = client.runTools(ASK, {
      async weather({ place }, { signal }): Promise<never> {
        told = signal;
        if (place === "a") throw new Error("mine");
        // Does not end by itself, and nobody hears how it does.
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        throw new Error("too late");
      },
    }, { rethrow: true });
    await assertRejects(() => run.result(), Error, "mine");
    assertEquals(told?.aborted, true);
  });
  assertEquals(asked.length, 1);
});

Deno.test("runTools repeats thoughts where they came, before the call they led to", async () => {
  const thinking = (id: string, delta: string): unknown => part(id, { type: "thinking", delta });
  const { script, asked } = answeringV2(
    (id) => [
      thinking(id, "a"),
      callPart(id, ["1", "weather", { place: "Bern" }]),
      thinking(id, "b"),
      callPart(id, ["2", "weather", { place: "Thun" }]),
      doneV2(id, { stop_reason: "tool_use" }),
    ],
    (id) => [thinking(id, "c"), callPart(id, ["3", "weather", { place: "Ulm" }]), doneV2(id)],
    (id) => [thinking(id, "d"), textPart(id, "Rain."), doneV2(id)],
  );
  await withV2(script, async (client) => {
    const { messages } = await client.runTools({ ...ASK, thinking: true }, { weather: () => "rain" }).result();
    // A result is a conversation to go on from, with what was thought last.
    assertEquals(messages.at(-1)?.content, [{ type: "thinking", text: "d" }, { type: "text", text: "Rain." }]);
  });
  const said = asked.at(-1)?.messages.filter(({ role }) => role === "assistant").map(({ content }) => content);
  const call = (id: string, place: string): unknown => ({
    type: "tool_use",
    tool_call_id: id,
    name: "weather",
    input: { place },
  });
  assertEquals(said as unknown, [
    [{ type: "thinking", text: "a" }, call("1", "Bern"), { type: "thinking", text: "b" }, call("2", "Thun")],
    [{ type: "thinking", text: "c" }, call("3", "Ulm")],
  ]);
});

Deno.test("runTools tells the model text as it is, and all else as JSON once", async () => {
  const outputs: unknown[] = ["3.10", '{"a": 1}', '"quoted"', "", 3.10, { at: "3.10" }, ["x"], '"\n'];
  const calls = outputs.map((_, index) => [String(index), "weather", {}] as const);
  const { script, asked } = answeringV2(calling(...calls), saying("So be it"));
  await withV2(script, async (client) => {
    const run = client.runTools(ASK, { weather: (_input, { toolCallId }) => outputs[Number(toolCallId)] });
    assertEquals((await run.result()).text, "So be it");
  });
  const texts = asked[1]?.messages.at(-1)?.content.map((block) =>
    block.type === "tool_result" && block.content.map((part) => part.type === "text" && part.text).join("|")
  );
  assertEquals(texts as unknown, ["3.10", '{"a": 1}', '"quoted"', "", "3.1", '{"at":"3.10"}', '["x"]', '"\n']);
});

Deno.test("runTools requires a call only once, of any tool or of one", async () => {
  for (const toolChoice of ["required", { name: "weather" }] as const) {
    const { script, asked } = answeringV2(calling(["1", "weather", { place: "Bern" }]), saying("Rain"));
    await withV2(script, async (client) => {
      await client.runTools({ ...ASK, toolChoice }, { weather: () => "rain" }).result();
    });
    assertEquals(asked.map((request) => request.tool_choice), [toolChoice, "auto"]);
  }
});

Deno.test("runTools takes the name of a tool that is given with its function as the choice", async () => {
  const { script, asked } = answeringV2(calling(["1", "math.add", { a: 1, b: 2 }]), saying("3"));
  await withV2(script, async (client) => {
    const add = tool({ description: "The sum of two numbers", inputSchema: NUMBERS, run: ({ a, b }) => a + b });
    const messages = [{ role: "user", content: "1 + 2?" }] as const;
    await client.runTools({ messages, toolChoice: { name: "math.add" } }, { "math.add": add }).result();
  });
  assertEquals(asked.map((request) => request.tool_choice), [{ name: "math.add" }, "auto"]);
});

Deno.test("runTools throws StepLimitError with the conversation when the model calls for ever", async () => {
  const again = calling(["1", "weather", { place: "Bern" }]);
  const { script, asked } = answeringV2(again, again, again);
  await withV2(script, async (client) => {
    let runs = 0;
    const run = client.runTools(ASK, { weather: () => String(++runs) }, { maxSteps: 3 });
    const error = await assertRejects(() => run.result(), StepLimitError, "after 3 answers");
    assertEquals([error.steps, error.retryable, runs], [3, false, 2]);
    assertEquals(error.messages.map(({ role }) => role), [
      "user",
      "assistant",
      "user",
      "assistant",
      "user",
      "assistant",
    ]);
    assertStringIncludes(error.stack ?? "", "tool_run_test.ts");
  });
  assertEquals(asked.length, 3);
});

Deno.test("runTools allows 8 answers unless told otherwise", async () => {
  const { script, asked } = answeringV2(...Array(8).fill(calling(["1", "weather", {}])));
  await withV2(script, async (client) => {
    const error = await assertRejects(() => client.runTools(ASK, { weather: () => "" }).result(), StepLimitError);
    assertEquals(error.steps, 8);
  });
  assertEquals(asked.length, 8);
});

Deno.test("runTools throws UnknownToolError, and runs nothing, when the model calls what there is no function for", async () => {
  const { script } = answeringV2(calling(["1", "weather", {}], ["2", "toString", {}]));
  await withV2(script, async (client) => {
    let runs = 0;
    const run = client.runTools(ASK, { weather: () => ++runs });
    const error = await assertRejects(() => run.result(), UnknownToolError, '"toString"');
    assertEquals([error.tool, error.messages.length, runs], ["toString", 2, 0]);
  });
});

Deno.test("runTools rejects a limit below one and functions without a tool at once", async () => {
  await withV2(answeringV2().script, (client) => {
    const weather = (): string => "rain";
    for (const maxSteps of [0, -1, NaN]) {
      assertThrows(() => client.runTools(ASK, { weather }, { maxSteps }), RangeError, `${maxSteps} steps`);
    }
    const functions = { weather, climate: weather };
    assertThrows(() => client.runTools(ASK, functions), TypeError, '"climate"');
    return Promise.resolve();
  });
});

Deno.test("runTools leaves no listener behind when its first request cannot be said in JSON", async () => {
  await withV2(answeringV2().script, async (client) => {
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = AbortSignal.prototype;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++;
      return addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--;
      return removeEventListener.apply(signal, args);
    };
    const request = { ...ASK, seed: 1n as unknown as number };
    assertThrows(() => client.runTools(request, { weather: () => "" }, { signal }), TypeError);
    assertEquals(listeners, 0);
    await client.drain();
  });
});

Deno.test("runTools throws the daemon's error of any step", async () => {
  const { script } = answeringV2(calling(["1", "weather", {}]), (id) => [failed(id, "queue_full", "Full")]);
  await withV2(script, async (client) => {
    await assertRejects(() => client.runTools(ASK, { weather: () => "" }).result(), QueueFullError, "Full");
  });
});

Deno.test("abort ends a run within an answer, and while functions run", async () => {
  const script: Script = async (peer) => {
    const { id, messages } = await peer.request();
    if (JSON.stringify(messages).includes("answer")) await peer.send(textPart(id, "a"));
    else await peer.send(callPart(id, ["1", "weather", {}]), doneV2(id));
    await peer.gone();
  };
  await withV2(script, async (client) => {
    for (const content of ["answer", "call"]) {
      const controller = new AbortController();
      const { signal } = controller;
      const request = { ...ASK, messages: [{ role: "user" as const, content }] };
      const called = Promise.withResolvers<AbortSignal>();
      const run = client.runTools(request, {
        weather(_input, { signal }): Promise<never> {
          called.resolve(signal);
          return new Promise(() => {});
        },
      }, { signal });
      const events = run[Symbol.asyncIterator]();
      await events.next();
      const waiting = assertRejects(() => events.next(), Error, "mine");
      if (content === "call") assertEquals((await called.promise).aborted, false);
      controller.abort(new Error("mine"));
      await waiting;
      if (content === "call") assertEquals((await called.promise).reason, signal.reason);
      await assertRejects(() => run.result(), Error, "mine");
    }
  });
});

Deno.test("leaving the loop of a run cancels its request", async () => {
  const gone = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(textPart(id, "a"));
    await peer.gone();
    gone.resolve();
  });
  await withV2(script, async (client) => {
    const run = client.runTools(ASK, { weather: () => "" });
    for await (const event of run) {
      assertEquals(event, { type: "text", text: "a" });
      break;
    }
    await gone.promise;
    await assertRejects(() => run.result(), CancelledError);
    await client.drain();
  });
});

Deno.test("drain lets a run go through all its steps, close ends it", async () => {
  const { script } = answeringV2(
    calling(["1", "weather", {}]),
    saying("Rain"),
    calling(["1", "weather", {}]),
  );
  await using scratch = new Scratch();
  await using _server = new ScriptedServer(script, { path: scratch.path("infer.v2.sock") });
  const where = { path: scratch.path(), surface: "v2" } as const;
  const draining = await connect(where);
  const run = draining.runTools(ASK, { weather: () => "rain" });
  const drained = draining.drain();
  assertThrows(() => draining.runTools(ASK, { weather: () => "rain" }), ClientClosedError, "draining");
  assertEquals((await run.result()).text, "Rain");
  await drained;

  const closing = await connect(where);
  const called = Promise.withResolvers<void>();
  const cut = closing.runTools(ASK, {
    weather(): Promise<never> {
      called.resolve();
      return new Promise(() => {});
    },
  }).result();
  await Promise.race([called.promise, cut]);
  await closing.close();
  await assertRejects(() => cut, ClientClosedError);
});

const PERSON = { type: "object", properties: { name: { type: "string" } }, required: ["name"] } as const;

Deno.test("generateObject asks for a schema's value and returns it parsed", async () => {
  const { script, asked } = answeringV2(saying('{"name":'.concat('"Ada"}')), saying("[1,2]"));
  await withV2(script, async (client) => {
    assertEquals(await client.generateObject("Who?", { schema: PERSON }), { name: "Ada" });
    const request = { messages: [{ role: "user", content: "Who?" }], temperature: 0, seed: 1 } as const;
    assertEquals(
      await client.generateObject(request, { schema: { type: "array", items: { type: "integer" } } }),
      [1, 2],
    );
  });
  const [first, second] = asked;
  assertEquals(Object.keys(first ?? {}), ["id", "messages", "response_format", "stream"]);
  assertEquals(first?.response_format as unknown, { type: "json_schema", schema: PERSON });
  assertEquals([second?.temperature, second?.seed, second?.stream], [0, 1, false]);
});

for (
  const [what, text, stopReason, retryable] of [
    ["was cut off", '{"name":"A', "max_tokens", false],
    ["was cut off though it parses", "12", "max_tokens", false],
    ["is a number that a stop string cut off", "12", "stop_sequence", true],
    ["is not JSON", "Ada", "end_turn", true],
    ["is empty", "", "stop_sequence", true],
  ] as const
) {
  Deno.test(`generateObject throws ObjectError when the answer ${what}`, async () => {
    const { script } = answeringV2((id) => [
      ...(text === "" ? [] : [textPart(id, text)]),
      doneV2(id, { stop_reason: stopReason }),
    ]);
    await withV2(script, async (client) => {
      const error = await assertRejects(() => client.generateObject("Who?", { schema: PERSON }), ObjectError);
      assertEquals([error.text, error.stopReason, error.retryable, error.name], [
        text,
        stopReason,
        retryable,
        "ObjectError",
      ]);
      assertEquals(error.cause instanceof SyntaxError, text !== "12" && stopReason !== "max_tokens");
      assertStringIncludes(error.stack ?? "", "tool_run_test.ts");
    });
  });
}

Deno.test("generateObject heeds its signal", async () => {
  const asked = Promise.withResolvers<void>();
  const script = once((id, peer) => {
    asked.resolve();
    return peer.send(textPart(id, "1"));
  });
  await withV2(script, async (client) => {
    const controller = new AbortController();
    const value = client.generateObject("Who?", { schema: PERSON, signal: controller.signal });
    await asked.promise;
    controller.abort(new Error("mine"));
    await assertRejects(() => value, Error, "mine");
  });
});
