/** The backend for remote servers against a scripted one, over real sockets of this machine. */
import { assert, assertEquals, assertFalse, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  AttachmentUnsupportedError,
  BackendUnavailableError,
  InvalidRequestError,
  ToolCallMalformedError,
} from "../../../../src/inference/errors.ts";
import type { BackendEvent } from "../../../../src/inference/events.ts";
import { ANY_OBJECT, type ContentBlock, type GenerationRequest } from "../../../../src/inference/request.ts";
import { Notices } from "../../../support/notices.ts";
import { type Answering, type Asked, chunk, OpenAiServer, words } from "../../../support/openai_server.ts";
import {
  ask,
  CALLED,
  callPiece,
  last,
  NEVER,
  read,
  Remote,
  remote,
  textOf,
  TIME,
  TOOLS,
  WEATHER,
} from "../../../support/remote.ts";

const USAGE = { promptTokens: 3, completionTokens: 2, cachedTokens: 1 };

// Life

Deno.test("a remote backend is ready at once when its server is not there", async () => {
  const backend = remote({ baseUrl: "http://127.0.0.1:9/v1" });
  assertEquals([backend.state, backend.capabilities], ["loading", undefined]);
  const notices = new Notices();
  await backend.start(notices.notify, NEVER);
  assertEquals(backend.state, "ready");
  const capabilities = {
    v1: true,
    v2: true,
    vision: true,
    audio: true,
    tools: true,
    thinking: true,
    embed: false,
    rerank: false,
    accelerator: "remote",
    gpuLayers: 0,
    model: "big",
    contextTokens: 0,
    parallel: 3,
  };
  assertEquals(notices.all, [{ type: "ready", capabilities }]);
  assertEquals(backend.capabilities, capabilities);
  await backend[Symbol.asyncDispose]();
  assertEquals(backend.state, "stopped");
});

Deno.test("a remote backend does not start, and does not tell its key, when no header can hold that", async () => {
  const backend = remote({ apiKey: "sk-one\ntwo" });
  const error = await assertRejects(() => backend.start(() => {}, NEVER), BackendUnavailableError);
  assertFalse(error.message.includes("sk-"));
});

Deno.test("a remote backend cuts what runs and takes nothing new when it is disposed of", async () => {
  await using started = await Remote.start();
  const events = started.generate();
  const next = events.next();
  const asked = await started.server.next();
  await started.backend[Symbol.asyncDispose]();
  await assertRejects(() => next, BackendUnavailableError, "stopped");
  await asked.closed;
  await assertRejects(() => started.events(), BackendUnavailableError, "stopped");
});

// What is asked

Deno.test("a request is sent with its sampling, its limits and the bearer key", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("x")), { apiKey: "sk-123" });
  const body = await started.sent({ stop: ["END"], sampling: { temperature: 0.5, topP: 0.9, topK: 64, seed: 7 } });
  assertEquals(body, {
    model: "big",
    messages: [{ role: "user", content: "hello" }],
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0.5,
    top_p: 0.9,
    max_tokens: 100,
    seed: 7,
    stop: ["END"],
    top_k: 64,
    chat_template_kwargs: { enable_thinking: false },
  });
  const [asked] = started.server.asked;
  assertEquals(asked?.line, "POST /v1/chat/completions HTTP/1.1");
  assertEquals(asked?.headers.get("authorization"), "Bearer sk-123");
  assertEquals(asked?.headers.get("content-type"), "application/json");
});

Deno.test("a request of megabytes is sent whole, with its length, and again without what was refused", async () => {
  await using started = await Remote.start((asked) =>
    "top_k" in asked.body
      ? asked.json(400, { error: { message: "Unrecognized request argument supplied: top_k", param: "top_k" } })
      : asked.stream(...words("x"))
  );
  const content = 'grün "漢"\n😀'.repeat(200_000);
  const { messages, top_k } = await started.sent({ messages: [{ role: "user", content }] });
  assertEquals(JSON.stringify(messages) === JSON.stringify([{ role: "user", content }]), true);
  assertEquals([top_k, started.server.asked.length], [undefined, 2]);
  for (const { headers, body } of started.server.asked) {
    const { length } = new TextEncoder().encode(JSON.stringify(body));
    assertEquals([headers.get("content-length"), headers.get("content-type")], [String(length), "application/json"]);
  }
});

Deno.test("a key is used without the newline of the file it came from, and hidden so", async () => {
  const answering: Answering = (asked) => asked.json(400, { error: { message: "not sk-123" } });
  await using started = await Remote.start(answering, { apiKey: " sk-123\n" });
  const { message } = await assertRejects(() => started.events(), InvalidRequestError);
  assertEquals(started.server.asked.at(-1)?.headers.get("authorization"), "Bearer sk-123");
  assertEquals(message, 'Backend "far" refused the request: not [REDACTED]');
});

Deno.test("a request goes to the path below the base when that has a query", async () => {
  await using server = new OpenAiServer((asked) => asked.stream(...words("x")));
  for (const [added, query] of [["", ""], ["?api-version=2", "?api-version=2"], ["/?a=b/c", "?a=b/c"]] as const) {
    const backend = remote({ baseUrl: server.url + added });
    await backend.start(() => {}, NEVER);
    await Array.fromAsync(backend.generate(ask(), NEVER));
    assertEquals(server.asked.at(-1)?.line, `POST /v1/chat/completions${query} HTTP/1.1`);
    await backend[Symbol.asyncDispose]();
  }
});

Deno.test("a prompt is sent as a user's message, and ignore_eos as servers call it", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("x")));
  const { messages, ignore_eos } = await started.sent({ messages: [], prompt: ["Once upon"], ignoreEos: true });
  assertEquals([messages, ignore_eos], [[{ role: "user", content: "Once upon" }], true]);
});

Deno.test("a request is sent without a key when there is none", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("x")));
  await started.events();
  assertEquals(started.server.asked[0]?.headers.has("authorization"), false);
});

Deno.test("tools, their choice and a schema are sent in OpenAI's form", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("{}")));
  const body = await started.sent({ ...TOOLS, toolChoice: "none", responseSchema: { type: "object" } });
  assertEquals(body.tools, [
    {
      type: "function",
      function: { name: WEATHER.name, description: WEATHER.description, parameters: WEATHER.inputSchema },
    },
    { type: "function", function: { name: "get_time", description: "", parameters: { type: "object" } } },
  ]);
  assertEquals(body.tool_choice, "none");
  assertEquals(body.response_format, {
    type: "json_schema",
    json_schema: { name: "answer", schema: { type: "object" }, strict: true },
  });
});

Deno.test("sampling fields, logprobs and any object are sent in OpenAI's form, and what was not asked for is not", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("{}")));
  const sampling = {
    temperature: 1,
    topP: 1,
    topK: 0,
    minP: 0.1,
    presencePenalty: 1,
    frequencyPenalty: -1,
    repeatPenalty: 1.1,
    logitBias: [[7, -100]],
  } as const;
  const {
    min_p,
    presence_penalty,
    frequency_penalty,
    repeat_penalty,
    repetition_penalty,
    logit_bias,
    response_format,
  } = await started.sent({ sampling, responseSchema: ANY_OBJECT });
  assertEquals({ min_p, presence_penalty, frequency_penalty, repeat_penalty, repetition_penalty, logit_bias }, {
    min_p: 0.1,
    presence_penalty: 1,
    frequency_penalty: -1,
    repeat_penalty: 1.1,
    repetition_penalty: 1.1,
    logit_bias: { 7: -100 },
  });
  assertEquals(response_format, { type: "json_object" });
  const plain = Object.keys(await started.sent());
  for (const field of ["min_p", "repeat_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format"]) {
    assertFalse(plain.includes(field), field);
  }
});

Deno.test("a server's log-probabilities come with the text they are of", async () => {
  const told = (token: string, top: readonly string[] = []): Record<string, unknown> => ({
    token,
    logprob: -1,
    ...(token === "b" ? {} : { id: 5, bytes: [97] }),
    top_logprobs: top.map((token) => ({ token, logprob: -2, bytes: null })),
  });
  const piece = (delta: Record<string, unknown>, ...content: unknown[]): unknown => ({
    choices: [{ index: 0, delta, logprobs: { content } }],
  });
  const chunks = [
    piece({ reasoning_content: "hm" }, told("hm")),
    piece({ content: "a" }, told("a", ["c"])),
    piece({ content: "b" }, told("b")),
    chunk({}, "stop"),
    "[DONE]",
  ];
  await using started = await Remote.start((asked) => asked.stream(...chunks));
  const events = await started.events({ logprobs: 1 });
  assertEquals(started.server.asked[0]?.body.logprobs, true);
  assertEquals(started.server.asked[0]?.body.top_logprobs, 1);
  assertEquals(events.slice(0, -1), [
    {
      type: "text",
      text: "a",
      logprobs: [{ token: "a", id: 5, bytes: [97], logprob: -1, top: [{ token: "c", bytes: [99], logprob: -2 }] }],
    },
    { type: "text", text: "b", logprobs: [{ token: "b", bytes: [98], logprob: -1, top: [] }] },
  ]);
  // Nobody asked.
  assertEquals((await started.events())[0], { type: "text", text: "a" });
});

Deno.test("a server that takes no notice of logprobs is told, not left out", async () => {
  await assertRejects(
    () => read(words("Hello"), { logprobs: 0 }),
    InvalidRequestError,
    '"logprobs" are not supported by the server of backend "far"',
  );
});

Deno.test("a choice that names a tool is sent in OpenAI's form, and what comes is a call of that tool or malformed", async () => {
  const named = { ...TOOLS, toolChoice: { name: "get_time" } } as const;
  const called = (name: string): unknown[] => [callPiece({ index: 0, id: "c", name, input: "{}" }), ...CALLED];
  await using started = await Remote.start((asked) => asked.stream(...called("get_time")));
  const body = await started.sent(named);
  assertEquals(body.tool_choice, { type: "function", function: { name: "get_time" } });
  assertEquals((body.tools as unknown[]).length, 2);
  assertEquals((await started.events(named))[0], { type: "tool_use", toolCallId: "c", name: "get_time", input: {} });
  await assertRejects(() => read(called("get_weather"), named), ToolCallMalformedError, "not offered");
  await assertRejects(() => read([chunk({ content: "no" }), chunk({}, "stop")], named), ToolCallMalformedError);
  const none = await read([chunk({ content: "" }), chunk({}, "length")], named);
  assertEquals([last(none).reason, last(none).toolChoiceUnsatisfied], ["length", true]);
});

Deno.test("tools whose names no server has to take are sent under others, and called under their own", async () => {
  const long = `${"n".repeat(100)}.x`;
  const names = ["calendar.respond/to", "calendar_respond_to", "calendar:respond.to", long, `${long}y`];
  const remote = [
    "calendar_respond_to_2",
    "calendar_respond_to",
    "calendar_respond_to_3",
    "n".repeat(64),
    `${"n".repeat(62)}_2`,
  ];
  const tools = names.map((name) => ({ ...TIME, name }));
  const messages: GenerationRequest["messages"] = [
    { role: "user", content: "hello" },
    {
      role: "assistant",
      content: ["calendar.respond/to", "gone.tool"].map((name, index) => ({
        type: "tool_use",
        toolCallId: `c${index}`,
        name,
        input: {},
      })),
    },
    {
      role: "user",
      content: [0, 1].map((index) => ({ type: "tool_result", toolCallId: `c${index}`, content: [] })),
    },
  ];
  for (const [index, name] of names.entries()) {
    await using started = await Remote.start((asked) =>
      asked.stream(callPiece({ index: 0, id: "c", name: remote[index] ?? "", input: "{}" }), ...CALLED)
    );
    const request = { tools, messages, toolChoice: { name } };
    assertEquals((await started.events(request))[0], { type: "tool_use", toolCallId: "c", name, input: {} });
    const body = started.server.asked[0]?.body;
    assertEquals((body?.tools as { function: { name: string } }[]).map((tool) => tool.function.name), remote);
    assertEquals(body?.tool_choice, { type: "function", function: { name: remote[index] } });
    const [, said] = body?.messages as { tool_calls?: { function: { name: string } }[] }[];
    assertEquals(said?.tool_calls?.map((call) => call.function.name), ["calendar_respond_to_2", "gone_tool"]);
  }
});

Deno.test("an assistant's thoughts are sent as reasoning_content, and left out for a server that refuses them", async () => {
  const thought = (text: string): ContentBlock => ({ type: "thinking", text });
  const messages: GenerationRequest["messages"] = [
    { role: "user", content: "hello" },
    {
      role: "assistant",
      content: [
        thought("a"),
        { type: "text", text: "b" },
        thought("c"),
        { type: "tool_use", toolCallId: "c1", name: "look", input: {} },
      ],
    },
    { role: "user", content: [{ type: "tool_result", toolCallId: "c1", content: [{ type: "text", text: "3.10" }] }] },
    { role: "assistant", content: [thought("d")] },
  ];
  const call = { id: "c1", type: "function", function: { name: "look", arguments: "{}" } };
  const plain = [
    { role: "user", content: "hello" },
    { role: "assistant", content: "b", tool_calls: [call] },
    { role: "tool", tool_call_id: "c1", content: "3.10" },
    { role: "assistant", content: "" },
  ];
  const thoughtful = [
    plain[0],
    { role: "assistant", content: "b", reasoning_content: "a\nc", tool_calls: [call] },
    plain[2],
    { role: "assistant", content: "", reasoning_content: "d" },
  ];
  await using open = await Remote.start((asked) => asked.stream(...words("x")));
  assertEquals((await open.sent({ messages })).messages, thoughtful);
  const strict = (asked: Asked): Promise<void> =>
    JSON.stringify(asked.body.messages).includes("reasoning_content")
      ? asked.json(400, { error: { message: "Unknown field" } })
      : asked.stream(...words("x"));
  await using closed = await Remote.start(strict);
  assertEquals(textOf(await closed.events({ messages })), "x");
  assertEquals(closed.server.asked.map(({ body }) => body.messages), [thoughtful, plain]);
  assertEquals((await closed.sent({ messages })).messages, plain);
  assertEquals(closed.server.asked.length, 3);
});

Deno.test("a conversation with calls, results and media is sent in OpenAI's form", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("x")));
  const image: ContentBlock = { type: "media", attachment: { kind: "image", mime: "image/png", base64: "aW1n" } };
  const wav: ContentBlock = { type: "media", attachment: { kind: "audio", mime: "audio/wav", base64: "d2F2" } };
  const mp3: ContentBlock = { type: "media", attachment: { kind: "audio", mime: "audio/mpeg", base64: "bXAz" } };
  const text = (text: string): ContentBlock => ({ type: "text", text });
  const body = await started.sent({
    messages: [
      { role: "system", content: [text("be"), text("brief")] },
      { role: "user", content: [text("what is"), image, text("this"), wav, mp3] },
      { role: "assistant", content: [{ type: "tool_use", toolCallId: "c1", name: "look", input: { at: 1 } }] },
      {
        role: "user",
        content: [
          { type: "tool_result", toolCallId: "c1", content: [text("a cat"), image, text("on a mat")] },
          text("go on"),
        ],
      },
      {
        role: "assistant",
        content: [text("let me"), text("see"), { type: "tool_use", toolCallId: "c2", name: "look", input: {} }],
      },
      { role: "user", content: [{ type: "tool_result", toolCallId: "c2", content: [] }] },
      { role: "assistant", content: [text("done")] },
      { role: "user", content: [] },
    ],
  });
  const imagePart = { type: "image_url", image_url: { url: "data:image/png;base64,aW1n" } };
  assertEquals(body.messages, [
    { role: "system", content: "be\nbrief" },
    {
      role: "user",
      content: [
        { type: "text", text: "what is" },
        imagePart,
        { type: "text", text: "this" },
        { type: "input_audio", input_audio: { data: "d2F2", format: "wav" } },
        { type: "input_audio", input_audio: { data: "bXAz", format: "mp3" } },
      ],
    },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "c1", type: "function", function: { name: "look", arguments: '{"at":1}' } }],
    },
    { role: "tool", tool_call_id: "c1", content: "a cat\non a mat" },
    { role: "user", content: [imagePart, { type: "text", text: "go on" }] },
    {
      role: "assistant",
      content: "let me\nsee",
      tool_calls: [{ id: "c2", type: "function", function: { name: "look", arguments: "{}" } }],
    },
    { role: "tool", tool_call_id: "c2", content: "" },
    { role: "assistant", content: "done" },
    { role: "user", content: "" },
  ]);
});

Deno.test("a request is refused and the server is not asked when OpenAI has no words for it", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("x")));
  const media = (kind: "audio" | "video", mime: string): Partial<GenerationRequest> => ({
    messages: [{ role: "user", content: [{ type: "media", attachment: { kind, mime, base64: "" } }] }],
  });
  await assertRejects(() => started.events({ grammar: 'root ::= "x"' }), InvalidRequestError, "grammar");
  await assertRejects(() => started.events({ messages: [], prompt: ["a", 1] }), InvalidRequestError, '"prompt"');
  await assertRejects(() => started.events(media("video", "video/mp4")), AttachmentUnsupportedError, "no video");
  await assertRejects(() => started.events(media("audio", "audio/ogg")), AttachmentUnsupportedError, '"audio/ogg"');
  const { attachment } = { attachment: { kind: "image", mime: "image/png", base64: "" } } as const;
  const content = [{ type: "media", attachment }] as const;
  await assertRejects(() => started.events({ messages: [{ role: "assistant", content }] }), InvalidRequestError);
  assertEquals(started.server.asked.length, 0);
});

Deno.test("thinking is asked for when the caller asks for it", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("x")));
  const body = await started.sent({ thinking: true });
  assertEquals(body.chat_template_kwargs, { enable_thinking: true });
});

Deno.test("variables for the template are sent beside thinking", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("x")));
  const body = await started.sent({ templateVariables: { style: "brief" } });
  assertEquals(body.chat_template_kwargs, { enable_thinking: false, style: "brief" });
});

// What is answered

const STORY = [
  chunk({ role: "assistant", content: "" }),
  chunk({ content: "Hé " }),
  chunk({ content: "漢👩‍🚀" }),
  chunk({}, "stop"),
  {
    choices: [],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, prompt_tokens_details: { cached_tokens: 1 } },
  },
  "[DONE]",
];
const STORY_EVENTS: BackendEvent[] = [
  { type: "text", text: "Hé " },
  { type: "text", text: "漢👩‍🚀" },
  { type: "done", reason: "end", usage: USAGE },
];

Deno.test("an answer is told piece by piece, then done with the server's counts", async () => {
  assertEquals(await read(STORY), STORY_EVENTS);
});

Deno.test("an answer is the same wherever its bytes are cut", async () => {
  for (const newline of ["\n", "\r\n"]) {
    const lines = STORY.map((value) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}`);
    const bytes = new TextEncoder().encode(`: ping${newline}${newline}${lines.join(newline.repeat(2))}${newline}`);
    let at = 0;
    await using started = await Remote.start(async (asked) => {
      await asked.head();
      await asked.write(bytes.subarray(0, at));
      await asked.write(bytes.subarray(at));
      await asked.end();
    });
    for (at = 0; at <= bytes.length; at++) assertEquals(await started.events(), STORY_EVENTS, `cut at ${at}`);
  }
});

Deno.test("an answer is the same when every byte comes alone", async () => {
  const text = STORY.map((value) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`).join("");
  await using started = await Remote.start(async (asked) => {
    await asked.head();
    for (const byte of new TextEncoder().encode(text)) await asked.write(Uint8Array.of(byte));
    await asked.end();
  });
  assertEquals(await started.events(), STORY_EVENTS);
});

Deno.test("an answer is complete when its stream ends without [DONE]", async () => {
  assertEquals(await read(STORY.slice(0, -1)), STORY_EVENTS);
});

Deno.test("an answer is complete when its last event has no blank line behind it", async () => {
  await using started = await Remote.start(async (asked) => {
    await asked.head();
    await asked.say(chunk({ content: "a" }));
    await asked.write(`data: ${JSON.stringify(chunk({}, "length"))}`);
    await asked.end();
  });
  assertEquals(last(await started.events()).reason, "length");
});

Deno.test("an answer is read as a whole when the server does not stream", async () => {
  const call = { id: "c1", type: "function", function: { name: "get_time", arguments: "" } };
  const message = { role: "assistant", content: "Hi", tool_calls: [call, { ...call, id: "c2" }] };
  await using started = await Remote.start((asked) =>
    asked.json(200, {
      choices: [{ index: 0, message, finish_reason: "tool_calls" }],
      usage: { prompt_tokens: 3, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } },
    })
  );
  assertEquals(await started.events(TOOLS), [
    { type: "text", text: "Hi" },
    { type: "tool_use", toolCallId: "c1", name: "get_time", input: {} },
    { type: "tool_use", toolCallId: "c2", name: "get_time", input: {} },
    { type: "done", reason: "tool_use", usage: USAGE },
  ]);
});

Deno.test("an answer is read as what it is when its type is written in capitals", async () => {
  const choices = [{ index: 0, message: { content: "Hi" }, finish_reason: "stop" }];
  await using started = await Remote.start(async (asked) => {
    await asked.head(200, { "content-type": "Application/JSON; charset=utf-8" });
    await asked.write(JSON.stringify({ choices }));
    await asked.end();
  });
  assertEquals(textOf(await started.events()), "Hi");
});

Deno.test("an answer is complete at [DONE] when spaces stand behind it", async () => {
  assertEquals(await read([...STORY.slice(0, -1), "[DONE] "]), STORY_EVENTS);
});

Deno.test("pieces are counted when the server's counts are empty", async () => {
  for (const usage of [{}, { prompt_tokens: null, completion_tokens: null }]) {
    const { completionTokens } =
      last(await read([...words("a", "b").slice(0, -1), { choices: [], usage }, "[DONE]"])).usage;
    assertEquals(completionTokens, 2);
  }
});

Deno.test("pieces are counted when the server does not count tokens", async () => {
  assertEquals(last(await read(words("a", "b", "c"))).usage, {
    promptTokens: 0,
    completionTokens: 3,
    cachedTokens: 0,
  });
});

Deno.test("an answer ends as the server says", async () => {
  const reasons = [["stop", "end"], ["length", "length"], ["eos_token", "end"], ["max_tokens", "length"]] as const;
  for (const [theirs, ours] of reasons) assertEquals(last(await read([chunk({}, theirs)])).reason, ours);
});

Deno.test("an answer ends with stop when the server names the stop string", async () => {
  const end = { choices: [{ index: 0, delta: {}, finish_reason: "stop", stop_reason: "END" }] };
  assertEquals(last(await read([end], { stop: ["END"] })).reason, "stop");
  assertEquals(last(await read([end])).reason, "end");
});

Deno.test("other choices than the first are passed over", async () => {
  const other = { choices: [{ index: 1, delta: { content: "other" }, finish_reason: "length" }] };
  assertEquals(textOf(await read([other, ...words("x"), other])), "x");
});

Deno.test("thoughts are told apart from text, under both of their names, when they are asked for", async () => {
  const chunks = [chunk({ reasoning_content: "hm" }), chunk({ reasoning: "aha" }), ...words("x")];
  assertEquals((await read(chunks, { thinking: true })).slice(0, 3), [
    { type: "thinking", text: "hm" },
    { type: "thinking", text: "aha" },
    { type: "text", text: "x" },
  ]);
  assertEquals((await read(chunks)).map(({ type }) => type), ["text", "done"]);
});

// Tools

Deno.test("calls are put together from pieces, each told once and whole", async () => {
  const chunks = [
    chunk({ content: "wait" }),
    callPiece({ index: 0, id: "a", name: "get_weather", input: "" }),
    callPiece({ index: 0, input: '{"ci' }),
    callPiece({ index: 0, input: 'ty":"Oslo"}' }),
    callPiece({ index: 1, id: "b", name: "get_time" }),
    ...CALLED,
  ];
  assertEquals(await read(chunks, TOOLS), [
    { type: "text", text: "wait" },
    { type: "tool_use", toolCallId: "a", name: "get_weather", input: { city: "Oslo" } },
    { type: "tool_use", toolCallId: "b", name: "get_time", input: {} },
    { type: "done", reason: "tool_use", usage: { promptTokens: 0, completionTokens: 5, cachedTokens: 0 } },
  ]);
});

Deno.test("a call is told as soon as the next one begins", async () => {
  await using started = await Remote.start();
  const events = started.generate(TOOLS);
  const next = events.next();
  const asked = await started.server.next();
  await asked.head();
  await asked.say(callPiece({ index: 0, id: "a", name: "get_time", input: "{}" }));
  await asked.say(callPiece({ index: 1, id: "b", name: "get_time", input: "{}" }));
  assertEquals((await next).value, { type: "tool_use", toolCallId: "a", name: "get_time", input: {} });
  await events.return(undefined);
});

Deno.test("calls are told whole and in order when their pieces come by turns", async () => {
  const a = { index: 0, id: "a", name: "get_weather", input: "" };
  const b = { index: 1, id: "b", name: "get_weather", input: "" };
  const together = (...pieces: Parameters<typeof callPiece>[0][]): Record<string, unknown> =>
    chunk({ tool_calls: pieces.map(({ input, ...piece }) => ({ ...piece, function: { arguments: input } })) });
  const ways: [string, unknown[]][] = [
    ["in pieces of their own", [
      callPiece(a),
      callPiece(b),
      callPiece({ index: 0, input: '{"city":' }),
      callPiece({ index: 1, input: '{"city":"Rome"}' }),
      callPiece({ index: 0, input: '"Oslo"}' }),
    ]],
    ["in one chunk", [
      callPiece(a),
      callPiece(b),
      together({ index: 0, input: '{"city":"Oslo"}' }, { index: 1, input: '{"city":"Rome"}' }),
    ]],
    ["with nothing more to say", [
      callPiece({ ...a, input: '{"city":"Oslo"}' }),
      callPiece({ ...b, input: '{"city":"Rome"}' }),
      together({ index: 0, input: "" }, { index: 1, input: "" }),
    ]],
  ];
  for (const [way, chunks] of ways) {
    assertEquals((await read([...chunks, ...CALLED], TOOLS)).slice(0, 2), [
      { type: "tool_use", toolCallId: "a", name: "get_weather", input: { city: "Oslo" } },
      { type: "tool_use", toolCallId: "b", name: "get_weather", input: { city: "Rome" } },
    ], way);
  }
});

Deno.test("calls that are not whole are dropped when the tokens ran out while their pieces came by turns", async () => {
  const chunks = [
    callPiece({ index: 0, id: "a", name: "get_weather", input: '{"city":"Oslo"' }),
    callPiece({ index: 1, id: "b", name: "get_weather", input: '{"city"' }),
    callPiece({ index: 0, input: "}" }),
  ];
  const events = await read([...chunks, chunk({}, "length")], TOOLS);
  assertEquals(events.map((event) => "toolCallId" in event ? event.toolCallId : event.type), ["a", "done"]);
});

Deno.test("calls are told apart when the server does not number them as it should", async () => {
  const a = { id: "a", name: "get_weather", input: '{"city":"Oslo"}' };
  const b = { id: "b", name: "get_time", input: {} };
  const expected: BackendEvent[] = [
    { type: "tool_use", toolCallId: "a", name: "get_weather", input: { city: "Oslo" } },
    { type: "tool_use", toolCallId: "b", name: "get_time", input: {} },
  ];
  const ways: [string, unknown[]][] = [
    ["all have one index", [callPiece({ index: 0, ...a }), callPiece({ index: 0, ...b })]],
    ["none has an index", [callPiece(a), callPiece(b)]],
    ["every piece has its own id", [
      callPiece({ index: 0, id: "a", name: "get_weather", input: '{"city":' }),
      callPiece({ index: 0, id: "zzz", input: '"Oslo"}' }),
      callPiece({ index: 1, ...b }),
    ]],
    ["every piece has the name", [
      callPiece({ index: 0, id: "a", name: "get_weather", input: '{"city":' }),
      callPiece({ index: 0, id: "a", name: "get_weather", input: '"Oslo"}' }),
      callPiece({ index: 1, ...b }),
    ]],
  ];
  for (const [way, chunks] of ways) {
    assertEquals((await read([...chunks, ...CALLED], TOOLS)).slice(0, 2), expected, way);
  }
});

Deno.test("a call gets an id of its own when the server gives none, or one that is taken", async () => {
  const messages: GenerationRequest["messages"] = [
    { role: "assistant", content: [{ type: "tool_use", toolCallId: "call_0", name: "get_time", input: {} }] },
    { role: "user", content: [{ type: "tool_result", toolCallId: "call_0", content: [] }] },
  ];
  const chunks = [
    callPiece({ index: 0, name: "get_time" }),
    callPiece({ index: 1, id: "call_0", name: "get_time" }),
    callPiece({ index: 2, id: "call_1", name: "get_time" }),
    ...CALLED,
  ];
  const events = await read(chunks, { ...TOOLS, messages });
  assertEquals(events.map((event) => "toolCallId" in event && event.toolCallId), ["tc-2", "tc-3", "call_1", false]);
});

Deno.test("a call that cannot be read, or was not offered, is tool_call_malformed", async () => {
  const offered = { name: "get_time" };
  const deep = `{"a":${"[".repeat(100)}${"]".repeat(100)}}`;
  const cases: [string, unknown[], Partial<GenerationRequest>][] = [
    ["no JSON", [callPiece({ ...offered, input: '{"a":' })], TOOLS],
    ["an array", [callPiece({ ...offered, input: "[]" })], TOOLS],
    ["a text", [callPiece({ ...offered, input: '"x"' })], TOOLS],
    ["too deep", [callPiece({ ...offered, input: deep })], TOOLS],
    ["another name", [callPiece({ name: "rm", input: "{}" })], TOOLS],
    ["no name", [callPiece({ id: "x", input: "{}" })], TOOLS],
    ["no tools", [callPiece(offered)], {}],
    ["no call allowed", [callPiece(offered)], { ...TOOLS, toolChoice: "none" }],
    ["a call required", [chunk({ content: "no" })], { ...TOOLS, toolChoice: "required" }],
    ["more after its end", [
      callPiece({ index: 0, ...offered, input: "{}" }),
      callPiece({ index: 1, ...offered, input: "{}" }),
      callPiece({ index: 0, input: "x" }),
    ], TOOLS],
    [
      "calls without end",
      Array.from({ length: 300 }, (_, index) => callPiece({ index, ...offered, input: "{" })),
      TOOLS,
    ],
    ["no end", [callPiece(offered), ...Array(5).fill(callPiece({ input: " ".repeat(250_000) }))], TOOLS],
  ];
  for (const [name, chunks, fields] of cases) {
    const error = await assertRejects(() => read([...chunks, chunk({}, "stop")], fields), Error);
    assertInstanceOf(error, ToolCallMalformedError, name);
  }
});

Deno.test("a required call that did not come before the tokens ran out is told in done", async () => {
  const required = { ...TOOLS, toolChoice: "required" } as const;
  const none = await read([chunk({ content: "well" }, "length")], required);
  assertEquals([last(none).reason, last(none).toolChoiceUnsatisfied], ["length", true]);
  const half = await read([callPiece({ name: "get_time", input: '{"a' }), chunk({}, "length")], required);
  assertEquals([half.length, last(half).toolChoiceUnsatisfied], [1, true]);
  const whole = await read([callPiece({ name: "get_time", input: "{}" }), chunk({}, "length")], required);
  assertEquals([whole.length, last(whole).reason, last(whole).toolChoiceUnsatisfied], [2, "length", undefined]);
});

// Structured output

Deno.test("an answer that was to be JSON and is not is backend_unavailable", async () => {
  const responseSchema = { type: "object" };
  assertEquals(textOf(await read(words('{"a"', ":1}"), { responseSchema })), '{"a":1}');
  await assertRejects(() => read(words("Sure! {}"), { responseSchema }), BackendUnavailableError, "response_format");
  assertEquals(last(await read([chunk({ content: '{"a' }, "length")], { responseSchema })).reason, "length");
  await assertRejects(() => read([chunk({ refusal: "No" }, "stop")], { responseSchema }), InvalidRequestError);
  assertEquals(textOf(await read([chunk({ refusal: "No" }, "stop")])), "No");
});

// Failures

Deno.test("a refusal is the caller's fault or the backend's, as its status and code say", async () => {
  const cases: [number, unknown, "caller" | "backend"][] = [
    [400, { error: { message: "too long", type: "invalid_request_error", code: "context_length_exceeded" } }, "caller"],
    [413, "too large", "caller"],
    [422, { detail: "what?" }, "caller"],
    [422, { detail: [{ loc: ["body", "stop", 0], msg: "not a text" }] }, "caller"],
    [400, { error: { message: "no such model", code: "model_not_found" } }, "backend"],
    [401, { error: { message: "bad key", type: "invalid_request_error", code: "invalid_api_key" } }, "backend"],
    [403, {}, "backend"],
    [404, { error: { message: "no such model" } }, "backend"],
    [408, {}, "backend"],
    [409, {}, "backend"],
    [429, { error: "slow down" }, "backend"],
    [500, "<html>", "backend"],
    [503, { error: { code: 503, message: "Loading model" } }, "backend"],
    [302, {}, "backend"],
    [304, {}, "backend"],
  ];
  for (const [status, body, fault] of cases) {
    await using started = await Remote.start(async (asked) => {
      if (status === 304) await asked.head(304);
      else await asked.json(status, body);
    });
    const error = await assertRejects(() => started.events(), Error);
    assertInstanceOf(error, fault === "caller" ? InvalidRequestError : BackendUnavailableError, `${status}`);
  }
});

Deno.test("a refusal repeats the server's words only when they are for the caller, cut short and without the key", async () => {
  const message = `Bad\u001b[31m\n\nkey sk-123! ${"x".repeat(1000)}`;
  let status = 400;
  const answering: Answering = (asked) => asked.json(status, { error: { message, code: "sk-123" } });
  await using started = await Remote.start(answering, { apiKey: "sk-123" });
  const told = await assertRejects(() => started.events(), InvalidRequestError);
  assertEquals(
    told.message.slice(0, 77),
    'Backend "far" refused the request: Bad [31m key [REDACTED]! xxxxxxxxxxxxxxxxx',
  );
  assert(told.message.length < 400);
  status = 500;
  const untold = await assertRejects(() => started.events(), BackendUnavailableError);
  assertEquals(untold.message, 'Backend "far" failed (HTTP 500, [REDACTED])');
});

Deno.test("a refusal names the fields that are wrong when the server lists them", async () => {
  const detail = [{ type: "x", loc: ["body", "stop", 0], msg: "not a text", input: 5 }, { msg: "and more" }];
  await using started = await Remote.start((asked) => asked.json(422, { detail }));
  const { message } = await assertRejects(() => started.events(), InvalidRequestError);
  assertEquals(message, 'Backend "far" refused the request: body.stop.0: not a text; and more');
});

Deno.test("an error in the middle of an answer is mapped like its code", async () => {
  const cases: [unknown, new (message: string) => Error][] = [
    [{ error: { code: 400, message: "too long" } }, InvalidRequestError],
    [{ error: { message: "too long", type: "invalid_request_error", code: null } }, InvalidRequestError],
    [{ error: { code: 500, message: "oh" } }, BackendUnavailableError],
    [{ error: { message: "oh", type: "server_error" } }, BackendUnavailableError],
    [{ error: "oh" }, BackendUnavailableError],
    [chunk({}, "error"), BackendUnavailableError],
    [chunk({}, "content_filter"), InvalidRequestError],
  ];
  for (const [value, expected] of cases) {
    const error = await assertRejects(() => read([chunk({ content: "a" }), value]), Error);
    assertInstanceOf(error, expected, JSON.stringify(value));
  }
});

Deno.test("what is no chat completion is backend_unavailable", async () => {
  const streams: unknown[][] = [
    [],
    ["[DONE]"],
    ["not JSON"],
    ["null"],
    [[]],
    [{ choices: {} }],
    [chunk({ content: 1 })],
    [chunk({ tool_calls: [1] })],
    [{ ...chunk({}), usage: { prompt_tokens: "many" } }],
  ];
  for (const chunks of streams) {
    await assertRejects(() => read(chunks), BackendUnavailableError, undefined, JSON.stringify(chunks));
  }
  for (const body of ["{", "[]", "{}", '{"choices":[]}']) {
    await using started = await Remote.start((asked) => asked.json(200, body));
    await assertRejects(() => started.events(), BackendUnavailableError, undefined, body);
  }
});

Deno.test("a redirect is not followed, so that the key goes nowhere else", async () => {
  await using elsewhere = new OpenAiServer((asked) => asked.stream(...words("x")));
  const location = `${elsewhere.url}/chat/completions`;
  await using started = await Remote.start(async (asked) => {
    await asked.head(307, { location });
    await asked.end();
  }, { apiKey: "sk-123" });
  await assertRejects(() => started.events(), BackendUnavailableError, "HTTP 307");
  assertEquals(elsewhere.connections, 0);
});

Deno.test("a server that is not there is backend_unavailable, and the log says why", async () => {
  await using started = await Remote.start();
  started.server.close();
  await assertRejects(() => started.events(), BackendUnavailableError, 'Backend "far" cannot be reached');
  const { backend, reason } = (await started.notices.logged("remote_broken")).fields;
  assertEquals(backend, "far");
  assertMatch(String(reason), /connect/i);
  assertFalse(String(reason).includes("127.0.0.1"), "a URL may hold a key");
});

Deno.test("an answer that breaks off is backend_unavailable, after what came of it", async () => {
  await using started = await Remote.start(async (asked) => {
    await asked.head();
    await asked.say(chunk({ content: "a" }));
    asked.cut();
  });
  const events = started.generate();
  assertEquals((await events.next()).value, { type: "text", text: "a" });
  await assertRejects(() => events.next(), BackendUnavailableError, "broke off");
});

Deno.test("a server that sends no head, or stalls, is given up after the timeout, and its connection is closed", async () => {
  for (const stalls of [false, true]) {
    await using started = await Remote.start(undefined, { timeoutSecs: 0.5 });
    const failed = assertRejects(() => started.events(), BackendUnavailableError, "sent nothing for 0.5 s");
    const asked = await started.server.next();
    if (stalls) {
      await asked.head();
      await asked.say(chunk({ content: "a" }));
    }
    await failed;
    await asked.closed;
  }
});

Deno.test("a refusal that never ends is given up after the timeout", async () => {
  await using started = await Remote.start(async (asked) => {
    await asked.head(503, { "content-type": "application/json" });
    await asked.write("{");
  }, { timeoutSecs: 0.5 });
  await assertRejects(() => started.events(), BackendUnavailableError, "made no progress for 0.5 s");
});

Deno.test("the timeout does not run while the consumer takes its time", async () => {
  await using started = await Remote.start((asked) => asked.stream(...words("a", "b")), { timeoutSecs: 0.5 });
  using time = new FakeTime();
  const events = started.generate();
  await events.next();
  time.tick(700);
  assertEquals((await Array.fromAsync(events)).length, 2);
});

Deno.test("an event without end is given up before it fills the memory", async () => {
  await using started = await Remote.start(async (asked) => {
    await asked.head();
    await asked.write("data: ");
    const much = new Uint8Array(1024 * 1024).fill(0x78);
    for (;;) await asked.write(much);
  });
  await assertRejects(() => started.events(), BackendUnavailableError, "too large");
});

Deno.test("an answer without end is given up", async () => {
  await using started = await Remote.start(async (asked) => {
    await asked.head();
    for (;;) await asked.say(chunk({ content: "x".repeat(1024 * 1024) }));
  });
  await assertRejects(
    async () => {
      for await (const _ of started.generate()) { /* taken */ }
    },
    BackendUnavailableError,
    "does not end its answer",
  );
});

// Cancellation and pace

Deno.test("a cancelled request closes its connection, wherever it is", async () => {
  for (const where of ["head", "body", "held"]) {
    await using started = await Remote.start();
    const controller = new AbortController();
    const events = started.generate({}, controller.signal);
    let next = events.next();
    const asked = await started.server.next();
    if (where !== "head") {
      await asked.head();
      await asked.say(chunk({ content: "a" }));
      assertEquals((await next).value, { type: "text", text: "a" });
      if (where === "body") next = events.next();
    }
    const failed = where === "held" ? undefined : assertRejects(() => next, TypeError, "gone");
    controller.abort(new TypeError("gone"));
    await asked.closed;
    await (failed ?? assertRejects(() => events.next(), TypeError, "gone"));
  }
});

Deno.test("a request is not sent when it was cancelled before", async () => {
  await using started = await Remote.start();
  await assertRejects(() => started.generate({}, AbortSignal.abort(new TypeError("gone"))).next(), TypeError, "gone");
  assertEquals(started.server.connections, 0);
});

Deno.test("a consumer that leaves closes the connection", async () => {
  await using started = await Remote.start();
  const events = started.generate();
  const next = events.next();
  const asked = await started.server.next();
  await asked.head();
  await asked.say(chunk({ content: "a" }));
  await next;
  await events.return(undefined);
  await asked.closed;
  assertEquals((await events.next()).done, true);
});

Deno.test("a server is not read faster than the answer is taken", async () => {
  const mib = 1024 * 1024;
  const piece = "x".repeat(mib / 16);
  const written: number[] = [];
  await using started = await Remote.start(async (asked) => {
    const index = written.push(0) - 1;
    await asked.head();
    for (let size = 0;; written[index] = size += piece.length) await asked.say(chunk({ content: piece }));
  });
  const events = started.generate();
  await events.next();
  // Neighbours whose answers are taken: time enough for this one to run as far ahead, if it could.
  for (let round = 0; round < 4; round++) {
    const neighbour = started.generate();
    for (let taken = 0; taken < 8 * mib; taken += piece.length) await neighbour.next();
    await neighbour.return(undefined);
  }
  assert((written[0] ?? 0) < 16 * mib, `${written[0]} bytes were taken`);
  await events.return(undefined);
});

Deno.test("an answer is complete at [DONE] though the server keeps the connection open", async () => {
  await using started = await Remote.start();
  const events = started.events();
  const asked = await started.server.next();
  await asked.head();
  await asked.say(...words("a"));
  assertEquals(textOf(await events), "a");
  await asked.closed;
});
