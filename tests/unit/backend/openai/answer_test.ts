/** What servers that are not quite OpenAI's send, taken as it is meant. */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  BackendUnavailableError,
  InvalidRequestError,
  ToolCallMalformedError,
} from "../../../../src/inference/errors.ts";
import type { BackendEvent } from "../../../../src/inference/events.ts";
import { type Asked, chunk, words } from "../../../support/openai_server.ts";
import { callPiece, last, read, Remote, textOf, thoughtOf, TOOLS } from "../../../support/remote.ts";

const HELLO: BackendEvent[] = [
  { type: "text", text: "Hello" },
  { type: "done", reason: "end", usage: { promptTokens: 0, completionTokens: 1, cachedTokens: 0 } },
];

/** What comes of a body that is sent as it is. */
async function readBody(body: string, type = "text/event-stream"): Promise<BackendEvent[]> {
  await using started = await Remote.start(async (asked) => {
    await asked.head(200, type === "" ? {} : { "content-type": type });
    await asked.write(body);
    await asked.end();
  });
  return await started.events();
}

// Content

Deno.test("content is text, however it is wrapped", async () => {
  const forms: unknown[] = [
    "Hello",
    [{ type: "text", text: "Hello" }],
    [{ type: "text", text: "Hel" }, { type: "text", text: "lo" }],
    ["Hel", "lo"],
    [{ text: "Hello" }],
    [{ type: "output_text", text: "Hello", annotations: [] }],
    [{ type: "text", text: { value: "Hello" } }],
    { type: "text", text: "Hello" },
    // What has no place in an answer is passed over.
    [{ type: "reference", reference_ids: [1] }, { type: "text", text: "Hello" }, { type: "sparkle", text: "no" }],
    [null, { type: "text", text: "Hello" }, { type: "image_url", image_url: { url: "x" } }],
  ];
  for (const content of forms) {
    for (const thinking of [false, true]) {
      const streamed = await read([chunk({ content }), chunk({}, "stop"), "[DONE]"], { thinking });
      assertEquals(textOf(streamed), "Hello", JSON.stringify(content));
      await using started = await Remote.start((asked) =>
        asked.json(200, { choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }] })
      );
      assertEquals(textOf(await started.events({ thinking })), "Hello", JSON.stringify(content));
    }
  }
});

Deno.test("content that is empty in any form is no text", async () => {
  for (const content of [null, "", [], [{ type: "text", text: "" }], [{ type: "text" }], [{}], {}]) {
    assertEquals(await read([chunk({ content }), ...words("Hello")]), HELLO, JSON.stringify(content));
  }
});

Deno.test("content that nobody can read is an error, and so is what is no part of an answer", async () => {
  const chunks: unknown[] = [
    chunk({ content: 1 }),
    chunk({ content: true }),
    chunk({ content: [1] }),
    chunk({ tool_calls: [1] }),
    { choices: [1] },
    { choices: 1 },
    { choices: [{ delta: "text" }] },
    "text",
  ];
  for (const value of chunks) {
    await assertRejects(() => read([value, ...words("a")]), BackendUnavailableError, undefined, JSON.stringify(value));
  }
});

Deno.test("fields that are not needed are read only where they can be", async () => {
  const oddities: Record<string, unknown>[] = [
    { id: 7, created: "now", model: null, object: 1, system_fingerprint: [] },
    { usage: [] },
    { usage: "none" },
    { usage: { prompt_tokens: {}, completion_tokens: -1, prompt_tokens_details: 3 } },
    { error: null },
    { error: "" },
    { error: false },
    { error: {} },
    { error: { message: "", code: 0 } },
    { service_tier: "x", prompt_filter_results: [{}] },
  ];
  for (const oddity of oddities) {
    const odd = { ...chunk({ content: "Hello", role: 3, refusal: {}, reasoning: false, tool_calls: null }), ...oddity };
    assertEquals(await read([odd, chunk({}, "stop"), "[DONE]"]), HELLO, JSON.stringify(oddity));
  }
});

Deno.test("the first choice is read, however it is numbered", async () => {
  for (const index of [0, "0", null, undefined, -1, "-1", "first"]) {
    const said = { choices: [{ index, delta: { content: "Hello" }, finish_reason: "stop" }] };
    assertEquals(await read([said, "[DONE]"]), HELLO, String(index));
  }
  for (const index of [1, "1"]) {
    const other = { choices: [{ index, delta: { content: "other" }, finish_reason: "length" }] };
    assertEquals(await read([other, ...words("Hello")]), HELLO, String(index));
  }
  const one = { choices: { index: 0, delta: { content: "Hello" }, finish_reason: "stop" } };
  assertEquals(await read([one, "[DONE]"]), HELLO);
});

Deno.test("a message is read where the delta is empty, and once where it repeats the deltas", async () => {
  const whole = { index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" };
  for (const delta of [undefined, null, {}, { content: "" }, { role: "assistant" }]) {
    assertEquals(await read([{ choices: [{ ...whole, delta }] }, "[DONE]"]), HELLO, JSON.stringify(delta));
  }
  assertEquals(await read([chunk({ content: "Hello" }), { choices: [whole] }, "[DONE]"]), HELLO);
  assertEquals(await read([{ choices: [{ index: 0, text: "Hello", finish_reason: "stop" }] }]), HELLO);
});

// Thoughts

Deno.test("thoughts are told under every name they go by, and to nobody who did not ask for them", async () => {
  const parts: Record<string, unknown>[] = [
    { reasoning_content: "plan" },
    { reasoning: "plan" },
    { thinking: "plan" },
    { thought: "plan" },
    { thoughts: "plan" },
    { thinking_content: "plan" },
    { reasoning_summary: "plan" },
    { content: [{ text: "plan", thought: true }] },
    { reasoning_text: "plan" },
    { reasoning: { content: "plan" } },
    { reasoning: { text: "plan", effort: "high" } },
    { reasoning: { summary: [{ type: "summary_text", text: "plan" }] } },
    { reasoning_content: [{ type: "text", text: "plan" }] },
    { reasoning_details: [{ type: "reasoning.text", text: "pl" }, { type: "reasoning.summary", summary: "an" }] },
    { reasoning_details: [{ type: "reasoning.encrypted", data: "xxx" }, { type: "reasoning.text", text: "plan" }] },
    { thinking_blocks: [{ type: "thinking", thinking: "plan", signature: "s" }] },
    { content: [{ type: "thinking", thinking: [{ type: "text", text: "plan" }] }] },
    { content: [{ type: "thinking", thinking: "plan" }] },
    { content: [{ type: "reasoning", text: "plan" }] },
    { content: [{ type: "reasoning", summary: [{ type: "summary_text", text: "plan" }] }] },
    { content: [{ type: "reasoning", reasoning: "plan" }, { type: "redacted_thinking", data: "xxx" }] },
    { content: null, reasoning_content: "", reasoning: "plan" },
    // The same twice.
    { reasoning_content: "plan", reasoning: "plan", reasoning_details: [{ type: "reasoning.text", text: "plan" }] },
  ];
  for (const part of parts) {
    const chunks = [chunk(part), ...words("Hello")];
    const events = await read(chunks, { thinking: true });
    assertEquals([thoughtOf(events), textOf(events)], ["plan", "Hello"], JSON.stringify(part));
    assertEquals((await read(chunks)).map(({ type }) => type), ["text", "done"], JSON.stringify(part));
    await using started = await Remote.start((asked) =>
      asked.json(200, { choices: [{ message: { content: "Hello", ...part }, finish_reason: "stop" }] })
    );
    assertEquals(thoughtOf(await started.events({ thinking: true })), "plan", JSON.stringify(part));
  }
});

Deno.test("a thought and text in one list are told in their order", async () => {
  const content = [{ type: "thinking", thinking: [{ type: "text", text: "plan" }] }, { type: "text", text: "Hello" }];
  assertEquals((await read([chunk({ content }), chunk({}, "stop")], { thinking: true })).slice(0, 2), [
    { type: "thinking", text: "plan" },
    { type: "text", text: "Hello" },
  ]);
});

Deno.test("a thought in marks at the beginning of the text is a thought, wherever it is cut", async () => {
  for (const [open, close] of [["<think>", "</think>"], ["[THINK]", "[/THINK]"], ["\n<thought>", "</thought>\n\n"]]) {
    const text = `${open}private <b>${close}\n\nvisible`;
    for (let at = 0; at <= text.length; at++) {
      const chunks = words(text.slice(0, at), text.slice(at));
      const events = await read(chunks, { thinking: true });
      assertEquals([thoughtOf(events), textOf(events)], ["private <b>", "visible"], `${open} cut at ${at}`);
      assertEquals(textOf(await read(chunks)), "visible");
    }
    assertEquals(textOf(await read(words(...text))), "visible");
  }
});

Deno.test("marks are text where they do not begin the text, or thoughts come by themselves", async () => {
  const texts = ["a <think>b</think>", "<thinner>", "<", "<thi", " \n", "</think>x", "<b>"];
  for (const text of texts) {
    assertEquals(textOf(await read(words(text), { thinking: true })), text);
    assertEquals(textOf(await read(words(...text), { thinking: true })), text);
  }
  const chunks = [chunk({ reasoning: "plan" }), ...words("<think>x</think>")];
  assertEquals(textOf(await read(chunks, { thinking: true })), "<think>x</think>");
});

Deno.test("a thought that the tokens ran out in is a thought", async () => {
  const events = await read([chunk({ content: "<think>and so</th" }), chunk({}, "length")], { thinking: true });
  assertEquals([thoughtOf(events), textOf(events)], ["and so</th", ""]);
});

Deno.test("an answer that has to be JSON may have a thought in marks before it", async () => {
  const events = await read(words("<think>hm</think>", "\n{}"), { responseSchema: { type: "object" } });
  assertEquals(textOf(events), "{}");
});

// Ends

Deno.test("an answer is complete at [DONE] though no chunk says why it ends", async () => {
  const ends: unknown[][] = [
    ["[DONE]"],
    [chunk({}, ""), "[DONE]"],
    [{ choices: [{ index: 0, delta: {} }] }, "[DONE]"],
    [{ choices: [] }, "[DONE]"],
    ['"[DONE]"'],
    ["[done]"],
    ["DONE"],
  ];
  for (const end of ends) assertEquals(await read([chunk({ content: "Hello" }), ...end]), HELLO, JSON.stringify(end));
  const call = callPiece({ index: 0, id: "c", name: "get_time", input: "{}" });
  const [called, done] = await read([call, "[DONE]"], TOOLS);
  assertEquals(called, { type: "tool_use", toolCallId: "c", name: "get_time", input: {} });
  assertEquals(done?.type === "done" && done.reason, "tool_use");
});

Deno.test("an answer is broken off where neither a chunk nor [DONE] says that it ends", async () => {
  for (
    const end of [[], [chunk({}, "")], [chunk({}, "null")], [chunk({}, "None")], [{
      choices: [],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    }]]
  ) {
    const failed = read([chunk({ content: "Hello" }), ...end]);
    await assertRejects(() => failed, BackendUnavailableError, "broke off", JSON.stringify(end));
  }
});

Deno.test("an answer that has said why it ends is complete though its connection breaks or stalls", async () => {
  for (const stalls of [false, true]) {
    await using started = await Remote.start(async (asked) => {
      await asked.head();
      await asked.say(chunk({ content: "Hello" }), chunk({}, "stop"));
      if (!stalls) asked.cut();
    }, { timeoutSecs: 0.5 });
    assertEquals(await started.events(), HELLO, String(stalls));
  }
});

Deno.test("a stream that holds nothing but its end is no answer", async () => {
  for (const chunks of [["[DONE]"], [{ choices: [] }, "[DONE]"], [{ choices: [{}] }, "[DONE]"]]) {
    await assertRejects(() => read(chunks), BackendUnavailableError, "invalid chat completion");
  }
});

Deno.test("a whole answer is complete whatever it says of its end", async () => {
  for (const finish of [undefined, null, "", "stop", "eos"]) {
    await using started = await Remote.start((asked) =>
      asked.json(200, { choices: [{ message: { content: "Hello" }, finish_reason: finish }] })
    );
    assertEquals(await started.events(), HELLO, String(finish));
  }
});

Deno.test("an answer ends for the reason the server gives, in any server's words", async () => {
  const reasons: [unknown, string][] = [
    ["stop", "end"],
    ["STOP", "end"],
    ["eos", "end"],
    ["eos_token", "end"],
    ["end_turn", "end"],
    ["function_call", "end"],
    ["tool_calls", "end"],
    ["whatever", "end"],
    [{ type: "stop", matched: 2 }, "end"],
    ["length", "length"],
    ["max_tokens", "length"],
    ["MAX_TOKENS", "length"],
    ["max_new_tokens", "length"],
    ["model_length", "length"],
    [{ type: "length" }, "length"],
  ];
  for (const [theirs, ours] of reasons) {
    const end = { choices: [{ index: 0, delta: {}, finish_reason: theirs }] };
    assertEquals(last(await read([chunk({ content: "a" }), end])).reason, ours, JSON.stringify(theirs));
  }
  const other = { choices: [{ index: 0, delta: {}, stop_reason: "max_tokens" }] };
  assertEquals(last(await read([chunk({ content: "a" }), other])).reason, "length");
});

Deno.test("an answer that a server breaks off or withholds is an error", async () => {
  for (const reason of ["error", "abort", "cancelled", "insufficient_system_resource", "network_error"]) {
    await assertRejects(() => read([chunk({ content: "a" }, reason), "[DONE]"]), BackendUnavailableError, "broke off");
  }
  for (const reason of ["content_filter", "SAFETY", "sensitive"]) {
    await assertRejects(() => read([chunk({ content: "a" }, reason), "[DONE]"]), InvalidRequestError, "withheld");
  }
});

Deno.test("an answer ends with stop under every name of the stop string", async () => {
  for (const name of ["stop_reason", "matched_stop", "stop_sequence"]) {
    const end = { choices: [{ index: 0, delta: {}, finish_reason: "stop", [name]: "END" }] };
    assertEquals(last(await read([end], { stop: ["END"] })).reason, "stop", name);
    assertEquals(last(await read([end])).reason, "end", name);
    const token = { choices: [{ index: 0, delta: {}, finish_reason: "stop", [name]: 7 }] };
    assertEquals(last(await read([token], { stop: ["END"] })).reason, "end", name);
  }
  assertEquals(last(await read([chunk({}, "stop_sequence")], { stop: ["END"] })).reason, "stop");
});

// Errors

Deno.test("an error in a stream is one in every form, also behind the end of the answer", async () => {
  const forms: [unknown, "caller" | "backend"][] = [
    [{ error: { code: 400, message: "too long" } }, "caller"],
    [{ error: { object: "error", message: "too long", type: "BadRequestError", param: null, code: 400 } }, "caller"],
    [{ error: { message: "too long", code: "context_length_exceeded" } }, "caller"],
    [{ error: { message: "too long", type: "exceed_context_size_error", n_ctx: 9 } }, "caller"],
    [{ error: "too long", error_type: "validation" }, "caller"],
    [[{ error: { code: 400, message: "too long", status: "INVALID_ARGUMENT" } }], "caller"],
    [{ object: "error", message: "too long", type: "invalid_request_error" }, "caller"],
    [{ error: { code: "400", message: "too long" } }, "caller"],
    [{ error: { message: "oh", type: "server_error", code: null } }, "backend"],
    [{ error: { message: "oh", code: "rate_limit_exceeded" } }, "backend"],
    [
      { error: { code: 502, message: "oh" }, choices: [{ index: 0, delta: { content: "" }, finish_reason: "error" }] },
      "backend",
    ],
    [{ choices: [{ index: 0, delta: {}, error: { code: 502, message: "oh" } }] }, "backend"],
    [{ choices: [{ index: 0, delta: { error: { code: 502, message: "oh" } } }] }, "backend"],
    [{ error: "oh", error_type: "overloaded" }, "backend"],
    [{ error: true }, "backend"],
    [{ detail: "oh" }, "backend"],
    [{ type: "error", error: { type: "overloaded_error", message: "oh" } }, "backend"],
  ];
  const before: unknown[][] = [[chunk({ content: "a" })], [chunk({ content: "a" }, "stop")], []];
  for (const [value, fault] of forms) {
    for (const chunks of before) {
      const what = `${JSON.stringify(value)} behind ${JSON.stringify(chunks)}`;
      const error = await assertRejects(() => read([...chunks, value, "[DONE]"], { defaulted: [] }), Error);
      assertInstanceOf(error, fault === "caller" ? InvalidRequestError : BackendUnavailableError, what);
      if (fault === "caller") assertEquals(error.message, 'Backend "far" refused the request: too long', what);
    }
  }
});

Deno.test("an error without any mark of one is one where the answer has no other end", async () => {
  const status = { type: "status", message: "Loading" };
  assertEquals(await read([status, ...words("Hello")]), HELLO);
  for (const value of [{ code: 500, message: "oh" }, { errors: ["oh"] }, { error_code: 7, error_msg: "oh" }]) {
    for (const before of [[], [chunk({ content: "a" })]]) {
      const failed = read([...before, value, "[DONE]"]);
      await assertRejects(() => failed, BackendUnavailableError, "failed", JSON.stringify(value));
    }
  }
});

Deno.test("a line of JSON between events is an error like that of an event, and an event of another name is none", async () => {
  const begun = `data: ${JSON.stringify(chunk({ content: "Hello" }))}\n\n`;
  const ended = `data: ${JSON.stringify(chunk({}, "stop"))}\n\n`;
  for (const before of [begun, begun + ended]) {
    const failed = readBody(`${before}{"error":{"code":500,"message":"oh"}}\n\ndata: [DONE]\n\n`);
    await assertRejects(() => failed, BackendUnavailableError, "failed (HTTP 500)");
  }
  assertEquals(await readBody(`event: ping\ndata: ping\n\n${begun}event: end\ndata: bye\n\n${ended}`), HELLO);
});

Deno.test("an event that is called error is one, whatever it holds", async () => {
  const bodies: [string, new (message: string) => Error][] = [
    ['event: error\ndata: {"code":400,"details":"too long"}\n\n', InvalidRequestError],
    ['event: error\ndata: {"message":"oh"}\n\n', BackendUnavailableError],
    ["event: error\ndata: out of memory\n\n", BackendUnavailableError],
    ["event: error\ndata:\n\n", BackendUnavailableError],
    ['error: {"code":500,"message":"oh","type":"server_error"}\n\n', BackendUnavailableError],
    ['error: {"code":400,"message":"too long","type":"exceed_context_size_error"}\n\n', InvalidRequestError],
  ];
  const begun = `data: ${JSON.stringify(chunk({ content: "a" }))}\n\n`;
  for (const [body, expected] of bodies) {
    const error = await assertRejects(() => readBody(`${begun}${body}data: [DONE]\n\n`), Error);
    assertInstanceOf(error, expected, body);
  }
});

Deno.test("an error in a whole answer with status 200 is one", async () => {
  for (const value of [{ error: { message: "oh", code: 429 } }, { object: "error", message: "oh" }, { detail: "oh" }]) {
    await using started = await Remote.start((asked) => asked.json(200, value));
    const { message } = await assertRejects(() => started.events(), BackendUnavailableError);
    assertEquals(message.startsWith('Backend "far" failed'), true, message);
  }
});

// Counts

Deno.test("counts are read as numbers in every form, and each for itself", async () => {
  const counts: [unknown, [number, number, number]][] = [
    [{ prompt_tokens: 3.5, completion_tokens: 2.0 }, [4, 2, 0]],
    [{ prompt_tokens: "3", completion_tokens: "2" }, [3, 2, 0]],
    [{ prompt_tokens: 3, completion_tokens: null }, [3, 2, 0]],
    [{ prompt_tokens: null, completion_tokens: 7 }, [0, 7, 0]],
    [{ prompt_tokens: -1, completion_tokens: 7 }, [0, 7, 0]],
    [{ prompt_tokens: 3, completion_tokens: 0 }, [3, 2, 0]],
    [{ input_tokens: 3, output_tokens: 7 }, [3, 7, 0]],
    [{ prompt_tokens: 3, completion_tokens: 7, prompt_cache_hit_tokens: 2 }, [3, 7, 2]],
    [{ prompt_tokens: 3, completion_tokens: 7, prompt_tokens_details: { cached_tokens: "2" } }, [3, 7, 2]],
    [{ prompt_tokens: 3, completion_tokens: 7, cached_tokens: 1, prompt_tokens_details: null }, [3, 7, 1]],
    [null, [0, 2, 0]],
  ];
  for (const [usage, [promptTokens, completionTokens, cachedTokens]] of counts) {
    const expected = { promptTokens, completionTokens, cachedTokens };
    const said = words("a", "b").slice(0, -1);
    assertEquals(last(await read([...said, { choices: [], usage }, "[DONE]"])).usage, expected, JSON.stringify(usage));
    const inChoice = { choices: [{ index: 0, delta: {}, finish_reason: "stop", usage }] };
    assertEquals(last(await read([...said.slice(0, 2), inChoice, "[DONE]"])).usage, expected);
    assertEquals(last(await read([...said, { choices: [], x_groq: { usage } }, "[DONE]"])).usage, expected);
  }
});

Deno.test("the last counts hold when every chunk has some", async () => {
  const counted = (content: string, completion_tokens: number): unknown => ({
    ...chunk({ content }),
    usage: { prompt_tokens: 3, completion_tokens },
  });
  assertEquals(last(await read([counted("a", 1), counted("b", 2), chunk({}, "stop")])).usage.completionTokens, 2);
});

// Ways

Deno.test("a whole answer is read whatever its type says it is, and a stream as well", async () => {
  const whole = JSON.stringify({ choices: [{ message: { content: "Hello" }, finish_reason: "stop" }] }, null, 2);
  const stream = words("Hello").map((value) =>
    `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`
  );
  for (const type of ["application/json", "text/event-stream", "text/plain", "application/octet-stream", ""]) {
    assertEquals(await readBody(`\n ${whole}\n`, type), HELLO, type);
    assertEquals(await readBody(stream.join(""), type), HELLO, type);
    assertEquals(await readBody(`\n\n: ping\n\n${stream.join("")}`, type), HELLO, type);
  }
});

Deno.test("a stream is read when its events are lines without blank ones between them", async () => {
  const lines = words("Hel", "lo").map((value) => `data:${typeof value === "string" ? value : JSON.stringify(value)}`);
  assertEquals(textOf(await readBody(`${lines.slice(0, -1).join("\n")}\n\n${lines.at(-1)}\n\n`)), "Hello");
});

Deno.test("events that hold nothing are passed over", async () => {
  const body = `data:\n\ndata: \n\ndata: null\n\nevent: ping\ndata: {}\n\n`;
  const stream = words("Hello").map((value) =>
    `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`
  );
  assertEquals(await readBody(body + stream.join("")), HELLO);
});

Deno.test("an answer may hold calls in the older form", async () => {
  const chunks = [
    chunk({ function_call: { name: "get_weather", arguments: '{"city":' } }),
    chunk({ function_call: { arguments: '"Oslo"}' } }),
    chunk({}, "function_call"),
  ];
  const [call] = await read(chunks, TOOLS);
  assertEquals(call, { type: "tool_use", toolCallId: "tc-1", name: "get_weather", input: { city: "Oslo" } });
});

Deno.test("what a thoughtless server says of calls in a required answer is still checked", async () => {
  const required = { ...TOOLS, toolChoice: "required" } as const;
  const answering = (asked: Asked): Promise<void> => asked.stream(chunk({ content: "no" }), "[DONE]");
  await using started = await Remote.start(answering);
  await assertRejects(() => started.events(required), ToolCallMalformedError, "did not call a tool");
});
