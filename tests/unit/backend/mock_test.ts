import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import type { BackendNotice } from "../../../src/inference/backend.ts";
import { BackendUnavailableError, InvalidRequestError } from "../../../src/inference/errors.ts";
import type { BackendEvent } from "../../../src/inference/events.ts";
import { type GenerationRequest, PLAIN } from "../../../src/inference/request.ts";
import { MockBackend } from "../../../src/backend/mock.ts";
import type { MockScript } from "../../../src/config/options.ts";

const NEVER = new AbortController().signal;

function mock(script: MockScript): MockBackend {
  return new MockBackend({ kind: "mock", name: "m", script });
}

function request(maxTokens = 1000): GenerationRequest {
  return {
    ...PLAIN,
    messages: [{ role: "system", content: "be brief" }, { role: "user", content: " one two\nthree " }],
    sampling: { temperature: 1, topP: 1, topK: 0 },
    maxTokens,
    stop: [],
  };
}

function texts(events: BackendEvent[]): string[] {
  return events.flatMap((event) => event.type === "text" ? [event.text] : []);
}

Deno.test("a mock is ready once it has started, says what it can, and is stopped when disposed of", async () => {
  const backend = mock({});
  assertEquals([backend.state, backend.capabilities], ["loading", undefined]);
  const notices: BackendNotice[] = [];
  await backend.start((notice) => notices.push(notice), NEVER);
  assertEquals(backend.state, "ready");
  assertEquals(notices.map(({ type }) => type), ["ready"]);
  assertEquals(backend.capabilities?.model, "m");
  await backend[Symbol.asyncDispose]();
  assertEquals(backend.state, "stopped");
});

Deno.test("a mock answers its tokens, then done with words counted", async () => {
  const events = await Array.fromAsync(mock({ tokens: ["a", "b"] }).generate(request(), NEVER));
  assertEquals(events, [
    { type: "text", text: "a" },
    { type: "text", text: "b" },
    { type: "done", reason: "end", usage: { promptTokens: 5, completionTokens: 2, cachedTokens: 0 } },
  ]);
});

Deno.test("a mock answers so many numbered tokens when a count is given", async () => {
  const events = await Array.fromAsync(mock({ count: 100 }).generate(request(), NEVER));
  assertEquals(texts(events).join(""), Array.from({ length: 100 }, (_, index) => `${index} `).join(""));
});

Deno.test("a mock ends with length when max_tokens is less than its script", async () => {
  const events = await Array.fromAsync(mock({ count: 100 }).generate(request(2), NEVER));
  assertEquals(texts(events), ["0 ", "1 "]);
  const last = events.at(-1);
  assertEquals(last?.type === "done" ? last.reason : last?.type, "length");
});

Deno.test("a mock fails where its script says", async () => {
  const cases: [MockScript, number][] = [[{ failBefore: true }, 0], [{ failAt: 0 }, 0], [{ failAt: 2 }, 2]];
  for (const [script, after] of cases) {
    const seen: BackendEvent[] = [];
    await assertRejects(async () => {
      for await (const event of mock({ ...script, count: 5 }).generate(request(), NEVER)) seen.push(event);
    }, BackendUnavailableError);
    assertEquals(seen.length, after);
  }
});

Deno.test("a mock fails also after its last token", async () => {
  await assertRejects(
    () => Array.fromAsync(mock({ count: 2, failAt: 2 }).generate(request(), NEVER)),
    BackendUnavailableError,
  );
});

Deno.test("a mock that hangs says nothing more until it is cancelled", async () => {
  const controller = new AbortController();
  const events = mock({ count: 5, hangAt: 1 }).generate(request(), controller.signal);
  assertEquals((await events.next()).value, { type: "text", text: "0 " });
  const next = events.next();
  controller.abort(new TypeError("gone"));
  await assertRejects(() => next, TypeError, "gone");
});

Deno.test("a mock that waits between tokens is cancelled at once", async () => {
  for (const script of [{ firstDelayMs: 3_600_000 }, { delayMs: 3_600_000 }]) {
    const controller = new AbortController();
    const events = mock({ ...script, count: 2 }).generate(request(), controller.signal);
    if ("delayMs" in script) await events.next();
    const next = events.next();
    controller.abort(new TypeError("gone"));
    await assertRejects(() => next, TypeError, "gone");
  }
});

Deno.test("a mock that is cancelled between tokens says nothing more", async () => {
  const controller = new AbortController();
  const events = mock({ count: 5 }).generate(request(), controller.signal);
  await events.next();
  controller.abort(new TypeError("gone"));
  await assertRejects(() => events.next(), TypeError, "gone");
});

Deno.test("a mock that is never ready starts until its signal fires", async () => {
  const controller = new AbortController();
  const backend = mock({ neverReady: true });
  const started = backend.start(() => {}, controller.signal);
  controller.abort(new TypeError("too late"));
  await assertRejects(() => started, TypeError, "too late");
  assertEquals(backend.state, "loading");
});

Deno.test("a mock says that it can do everything, or what its script names", async () => {
  const said = async (script: MockScript): Promise<unknown> => {
    const backend = mock(script);
    await backend.start(() => {}, NEVER);
    const { v1, v2, embed, rerank, tools, thinking, vision, audio } = backend.capabilities ?? {};
    return { v1, v2, embed, rerank, tools, thinking, vision, audio };
  };
  const everything = { v1: true, v2: true, embed: true, rerank: true, tools: true, thinking: true };
  const nothing = { v1: false, v2: false, embed: false, rerank: false, tools: false, thinking: false };
  assertEquals(await said({}), { ...everything, vision: false, audio: false });
  assertEquals(await said({ vision: true, audio: true }), { ...everything, vision: true, audio: true });
  assertEquals(await said({ services: ["v1"] }), { ...nothing, v1: true, vision: false, audio: false });
  assertEquals(await said({ services: ["embed", "rerank"] }), {
    ...nothing,
    embed: true,
    rerank: true,
    vision: false,
    audio: false,
  });
});

const TOOL = { name: "t", description: "", inputSchema: {} };

Deno.test("a mock calls only tools that are offered", async () => {
  const script: MockScript = { tokens: [], calls: [{ name: "u", input: {} }, { name: "t", input: { x: 1 } }] };
  const called = async (fields: Partial<GenerationRequest>): Promise<unknown[]> =>
    (await Array.fromAsync(mock(script).generate({ ...request(), ...fields }, NEVER)))
      .map((event) => event.type === "done" ? event.reason : event);
  const call = { type: "tool_use", toolCallId: "tc-1", name: "t", input: { x: 1 } };
  assertEquals(await called({ tools: [TOOL] }), [call, "tool_use"]);
  assertEquals(await called({ tools: [TOOL], toolChoice: "none" }), ["end"]);
  assertEquals(await called({}), ["end"]);
});

Deno.test("a mock calls the first tool when a call is required and its script has none", async () => {
  const events = await Array.fromAsync(
    mock({}).generate({ ...request(), tools: [TOOL], toolChoice: "required" }, NEVER),
  );
  assertEquals(events[0], { type: "tool_use", toolCallId: "tc-1", name: "t", input: {} });
  assertEquals(events.length, 2);
});

Deno.test("a mock calls the tool that the choice names, whatever its script says of others", async () => {
  const script: MockScript = { tokens: ["x"], calls: [{ name: "t", input: { x: 1 } }, { name: "u", input: { y: 2 } }] };
  const called = async (tool: string, script: MockScript): Promise<BackendEvent[]> => {
    const tools = [TOOL, { ...TOOL, name: "u" }];
    return await Array.fromAsync(mock(script).generate({ ...request(), tools, toolChoice: { name: tool } }, NEVER));
  };
  assertEquals((await called("u", script))[0], { type: "tool_use", toolCallId: "tc-1", name: "u", input: { y: 2 } });
  assertEquals((await called("u", script)).length, 2);
  assertEquals((await called("u", {}))[0], { type: "tool_use", toolCallId: "tc-1", name: "u", input: {} });
});

Deno.test("a mock refuses schemas that no engine could follow, unless they bind nothing", async () => {
  const wrong = { type: "never" };
  const tools = [{ ...TOOL, inputSchema: { properties: { a: wrong } } }];
  for (const fields of [{ responseSchema: wrong }, { tools }]) {
    await assertRejects(
      () => Array.fromAsync(mock({}).generate({ ...request(), ...fields }, NEVER)),
      InvalidRequestError,
    );
  }
  await Array.fromAsync(mock({}).generate({ ...request(), tools, toolChoice: "none" }, NEVER));
  const named = { ...request(), tools: [TOOL, { ...TOOL, name: "u", inputSchema: { properties: { a: wrong } } }] };
  await Array.fromAsync(mock({}).generate({ ...named, toolChoice: { name: "t" } }, NEVER));
  await assertRejects(
    () => Array.fromAsync(mock({}).generate({ ...named, toolChoice: { name: "u" } }, NEVER)),
    InvalidRequestError,
    "tools[1].input_schema",
  );
});

Deno.test("a mock's vectors have unit length also when there is no word or they were cut", async () => {
  const { vectors, dimensions } = await mock({ dimensions: 5 }).embed(
    { input: [" ", "a", "a b"], dimensions: 2 },
    NEVER,
  );
  assertEquals([dimensions, vectors.map(({ length }) => length)], [2, [2, 2, 2]]);
  for (const vector of vectors) assertAlmostEquals(Math.hypot(...vector), 1, 1e-6);
});

Deno.test("a mock makes vectors and scores when its script says, or fails, or hangs", async () => {
  const embedding = { input: ["a"] };
  const reranking = { query: "a", documents: ["a"] };
  for (const script of [{ failBefore: true }, { failAt: 0 }]) {
    await assertRejects(() => mock(script).embed(embedding, NEVER), BackendUnavailableError);
    await assertRejects(() => mock(script).rerank(reranking, NEVER), BackendUnavailableError);
  }
  for (const script of [{ hangAt: 0 }, { firstDelayMs: 3_600_000 }]) {
    const controller = new AbortController();
    const waiting = [
      mock(script).embed(embedding, controller.signal),
      mock(script).rerank(reranking, controller.signal),
    ];
    controller.abort(new TypeError("gone"));
    for (const each of waiting) await assertRejects(() => each, TypeError, "gone");
  }
});

Deno.test("a mock counts the words of a long text, wherever it is cut, and of everything around it", async () => {
  const backend = mock({ tokens: [] });
  const text = "one two\n three ".repeat(100_000);
  const thought = { type: "thinking", text } as const;
  const messages = [{ role: "user", content: text }, { role: "assistant", content: [thought] }] as const;
  let last: BackendEvent | undefined;
  for await (const event of backend.generate({ ...request(), messages }, NEVER)) last = event;
  assertEquals(last?.type === "done" && last.usage.promptTokens, 600_000);
});
