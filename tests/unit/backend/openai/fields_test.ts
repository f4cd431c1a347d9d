/** A server that refuses a field this daemon sends of its own accord, in all the ways servers do that. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BackendUnavailableError, InvalidRequestError } from "../../../../src/inference/errors.ts";
import type { ContentBlock, GenerationRequest } from "../../../../src/inference/request.ts";
import { type Answering, type Asked, chunk, words } from "../../../support/openai_server.ts";
import { Remote, textOf, TOOLS } from "../../../support/remote.ts";

type Body = Record<string, unknown>;

const SCHEMA = { responseSchema: { type: "object" } };

const THOUGHT: GenerationRequest["messages"] = [
  { role: "user", content: "a" },
  { role: "assistant", content: [{ type: "thinking", text: "b" }, { type: "text", text: "c" }] },
  { role: "user", content: "d" },
];

const CALL: GenerationRequest["messages"] = [
  { role: "user", content: "a" },
  { role: "assistant", content: [{ type: "tool_use", toolCallId: "c", name: "get_time", input: {} }] },
  { role: "user", content: [{ type: "tool_result", toolCallId: "c", content: [{ type: "text", text: "noon" }] }] },
];

/** Every field of ours, with a request that has it, how it is seen in a body, and FastAPI's path to it. */
const FIELDS: readonly [name: string, request: Partial<GenerationRequest>, isIn: (body: Body) => boolean, string[]][] =
  [
    ["stream_options", {}, has("stream_options"), ["stream_options", "include_usage"]],
    ["chat_template_kwargs", {}, has("chat_template_kwargs"), ["chat_template_kwargs"]],
    ["top_k", {}, has("top_k"), ["top_k"]],
    ["temperature", {}, has("temperature"), ["temperature"]],
    ["top_p", {}, has("top_p"), ["top_p"]],
    ["max_tokens", {}, has("max_tokens"), ["max_tokens"]],
    ["tool_choice", TOOLS, has("tool_choice"), ["tool_choice"]],
    ["strict", SCHEMA, (body) => JSON.stringify(body.response_format ?? {}).includes('"strict"'), [
      "response_format",
      "json_schema",
      "strict",
    ]],
    ["stream", {}, has("stream"), ["stream"]],
    [
      "reasoning_content",
      { messages: THOUGHT },
      (body) => JSON.stringify(body.messages).includes("reasoning_content"),
      [
        "messages",
        "1",
        "reasoning_content",
      ],
    ],
    [
      "content",
      { messages: CALL, ...TOOLS },
      (body) => JSON.stringify(body.messages).includes('"content":null'),
      ["messages", "1", "content"],
    ],
  ];

function has(name: string): (body: Body) => boolean {
  return (body) => name in body;
}

function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
}

/** Answers where `refuses` finds nothing, and else with a status and what goes with it. */
function refusing(refuses: (body: Body) => boolean, status: number, value: unknown): Answering {
  return (asked) => refuses(asked.body) ? asked.json(status, value) : answer(asked);
}

/** A server that was not asked to stream does not. */
function answer(asked: Asked): Promise<void> {
  if (asked.body.stream === true) return asked.stream(...words("{}"));
  return asked.json(200, { choices: [{ index: 0, message: { content: "{}" }, finish_reason: "stop" }] });
}

Deno.test("a request is sent without the field that is refused, and the next is sent without it at once", async () => {
  for (const [name, request, isIn, path] of FIELDS) {
    const loc = ["body", ...path];
    const extra = [{ type: "extra_forbidden", loc, msg: "Extra inputs are not permitted", input: 1 }];
    const refusals: [string, number, unknown][] = [
      ["FastAPI's list", 422, { detail: extra }],
      ["Mistral's", 422, { object: "error", message: { detail: extra }, type: "invalid_request_error", param: null }],
      ["Mistral's as a text", 422, { object: "error", message: JSON.stringify({ detail: extra }), code: "1000" }],
      ["Mistral's as two lists", 422, { object: "Error", detail: extra, message: extra, code: 3001 }],
      ["OpenAI's", 400, { error: { message: "Unknown parameter", param: path.join("."), code: "unknown_parameter" } }],
      ["Groq's", 400, { error: { message: `property '${path.join(".")}' is unsupported` } }],
      ["vLLM's", 400, {
        object: "error",
        message: `[{'type': 'extra_forbidden', 'loc': ('body', '${path.join("', '")}'), 'msg': 'no'}]`,
        type: "BadRequestError",
        code: 400,
      }],
      ["Groq's, with a place", 400, {
        error: { message: `'${path[0]}.1' : must be satisfied[('${path[0]}.1' : '${path.at(-1)}' is unsupported)]` },
      }],
      ["OpenRouter's", 404, { error: { message: `No endpoints support the provided '${path.at(-1)}'`, code: 404 } }],
      ["in camel case", 400, { error: `The model does not support parameter '${camelCase(path.at(-1) ?? "")}'` }],
      ["Fireworks'", 400, { error: { message: `Extra inputs are not permitted, field: '${path.join(".")}'` } }],
      ["Gemini's", 400, [{ error: { code: 400, message: `Unknown name "${path.join(".")}": Cannot find field.` } }]],
      ["a router's", 400, {
        error: {
          message: "Provider returned error",
          code: 400,
          metadata: { raw: JSON.stringify({ error: { message: "no", param: path.join(".") } }) },
        },
      }],
      [
        "axum's",
        422,
        `Failed to deserialize: unknown field \`${path.at(-1)}\`, expected one of \`model\`, \`seed\``,
      ],
      ["not implemented", 501, { error: { message: `'${path.at(-1)}' is not implemented` } }],
      ["a failure that names it", 500, { error: { message: `Unsupported param: "${path.at(-1)}"`, code: 500 } }],
    ];
    for (const [form, status, value] of refusals) {
      const what = `${name}, ${form}`;
      await using started = await Remote.start(refusing(isIn, status, value));
      assertEquals(textOf(await started.events(request)), "{}", what);
      assertEquals(started.server.asked.map(({ body }) => isIn(body)), [true, false], what);
      const [first, second] = started.server.asked.map(({ body }) => Object.keys(body));
      const gone = ["strict", "reasoning_content", "content"].includes(name)
        ? []
        : name === "stream"
        ? ["stream", "stream_options"]
        : [name];
      assertEquals(second, first?.filter((key) => !gone.includes(key)), what);
      await started.events(request);
      assertEquals(started.server.asked.map(({ body }) => isIn(body)), [true, false, false], what);
    }
  }
});

Deno.test("a request is sent without the field that is refused when the server does not say which it is", async () => {
  for (const [name, request, isIn] of FIELDS) {
    // Without it nothing would stream: it is left out only when it is named.
    if (name === "stream") continue;
    for (const [status, value] of [[400, {}], [422, "no"], [400, { error: { message: "Unknown field" } }]] as const) {
      await using started = await Remote.start(refusing(isIn, status, value));
      assertEquals(textOf(await started.events(request)), "{}", name);
      const { length } = started.server.asked;
      assert(length <= 4, `${length} requests`);
      assertEquals((await started.sent(request)).model, "big");
      assertEquals(started.server.asked.length, length + 1, name);
    }
  }
});

Deno.test("a guess is remembered only where it made the difference", async () => {
  await using started = await Remote.start(refusing(has("stream_options"), 400, {}));
  await started.events();
  assertEquals(Object.keys(started.server.asked.at(-1)?.body ?? {}).includes("top_k"), false);
  const body = await started.sent();
  assertEquals(["top_k" in body, "chat_template_kwargs" in body, "stream_options" in body], [true, true, false]);
  assertEquals((await started.notices.logged("remote_refuses_fields")).fields.fields, "stream_options");
});

Deno.test("fields are left out one after the other when the server names one at a time", async () => {
  const unknown = ["chat_template_kwargs", "top_k", "stream_options"];
  await using started = await Remote.start((asked) => {
    const name = unknown.find((name) => name in asked.body);
    return name === undefined ? answer(asked) : asked.json(400, { error: { message: `Unknown parameter: ${name}` } });
  });
  await started.events();
  assertEquals(started.server.asked.length, 4);
  await started.events();
  assertEquals(started.server.asked.length, 5);
});

Deno.test("fields are left out together when the server names them together", async () => {
  const refuses = (body: Body): boolean => "top_k" in body || "chat_template_kwargs" in body;
  const texts = [
    "Unrecognized request arguments supplied: chat_template_kwargs, top_k",
    "`top_k` and `chat_template_kwargs` are unknown, known are: temperature, top_p, max_tokens",
  ];
  for (const message of texts) {
    await using started = await Remote.start(refusing(refuses, 400, { error: { message } }));
    const body = await started.sent();
    assertEquals(started.server.asked.length, 2, message);
    assertEquals(body.temperature, 0.5, message);
  }
});

Deno.test("fields that are not OpenAI's are left out when the server refuses them, but never those asked for", async () => {
  const refuses = (body: Body): boolean => "top_k" in body || "chat_template_kwargs" in body;
  await using started = await Remote.start(refusing(refuses, 400, { error: { message: "Unknown field" } }));
  assertEquals(textOf(await started.events()), "{}");
  assertEquals(started.server.asked.length, 2);
  assertEquals(textOf(await started.events()), "{}");
  assertEquals(started.server.asked.length, 3);
  await assertRejects(() => started.events({ thinking: true }), InvalidRequestError, "Unknown field");
  await assertRejects(() => started.events({ defaulted: [] }), InvalidRequestError, "Unknown field");
  assertEquals(started.server.asked.length, 5);
});

Deno.test("what the caller asks for is sent once, and its refusal names the field", async () => {
  const asked: [string, Partial<GenerationRequest>][] = [
    ["seed", { sampling: { temperature: 1, topP: 1, topK: 64, seed: 7 } }],
    // The default, and yet asked for.
    ["top_k", { defaulted: ["temperature", "top_p", "max_tokens"] }],
    ["temperature", { defaulted: ["top_k", "top_p", "max_tokens"] }],
    ["top_p", { defaulted: ["temperature", "top_k", "max_tokens"] }],
    ["max_tokens", { defaulted: ["temperature", "top_p", "top_k"] }],
    ["chat_template_kwargs", { thinking: true }],
    ["chat_template_kwargs", { templateVariables: { style: "brief" } }],
    ["tool_choice", { ...TOOLS, toolChoice: "none" }],
    ["response_format", SCHEMA],
    ["stop", { stop: ["END"] }],
    ["tools", TOOLS],
    ["messages", {}],
  ];
  for (const [name, request] of asked) {
    const refusals: [number, unknown][] = [
      [422, { detail: [{ loc: ["body", name], msg: "Extra inputs are not permitted" }] }],
      [400, { error: { message: `Unsupported: '${name}'`, param: name } }],
      [400, { error: { message: `'${name}' is unknown, known are: stream_options, temperature` } }],
    ];
    for (const [status, value] of refusals) {
      await using started = await Remote.start((asked) => asked.json(status, value));
      await assertRejects(() => started.events(request), InvalidRequestError, name);
      assertEquals(started.server.asked.length, 1, `${name} ${JSON.stringify(value)}`);
    }
  }
});

Deno.test("a penalty is sent under the one of its names that is not refused", async () => {
  const request = { sampling: { temperature: 1, topP: 1, topK: 64, repeatPenalty: 1.1 } };
  const names = ["repeat_penalty", "repetition_penalty"];
  const sentTo = (...refused: string[]) =>
    Remote.start((asked) => {
      const param = refused.find((name) => name in asked.body);
      return param === undefined
        ? answer(asked)
        : asked.json(400, { error: { message: `Unknown parameter: '${param}'.`, param } });
    });
  for (const [refused = "", other = ""] of [names, names.toReversed()]) {
    await using started = await sentTo(refused);
    for (const count of [2, 3]) {
      const sent = await started.sent(request);
      assertEquals([sent[refused], sent[other]], [undefined, 1.1], refused);
      assertEquals(started.server.asked.length, count, refused);
    }
  }
  await using neither = await sentTo(...names);
  await assertRejects(() => neither.events(request), InvalidRequestError, "repetition_penalty");
});

Deno.test("a property of a tool that is called like a field of ours is the caller's", async () => {
  const loc = ["body", "tools", 0, "function", "parameters", "properties", "temperature"];
  await using started = await Remote.start((asked) => asked.json(422, { detail: [{ loc, msg: "no" }] }));
  await assertRejects(() => started.events(TOOLS), InvalidRequestError, "temperature");
  assertEquals(started.server.asked.length, 1);
});

Deno.test("a refusal is tried again also after requests that were taken with the same fields", async () => {
  let strict = false;
  const refuses = (body: Body): boolean => strict && "stream_options" in body;
  for (const value of [{}, { error: { message: "stream_options?" } }]) {
    strict = false;
    await using started = await Remote.start(refusing(refuses, 400, value));
    await started.events();
    assertEquals(started.server.asked.length, 1);
    strict = true;
    assertEquals(textOf(await started.events()), "{}");
    const { length } = started.server.asked;
    await started.events();
    assertEquals(started.server.asked.length, length + 1);
  }
});

Deno.test("the limit is sent under its newer name when the server insists on that, also one that was asked for", async () => {
  const message =
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
  for (const request of [{}, { defaulted: [] }]) {
    await using started = await Remote.start(
      refusing(has("max_tokens"), 400, { error: { message, param: "max_tokens", code: "unsupported_parameter" } }),
    );
    const first = await started.sent(request);
    assertEquals([first.max_tokens, first.max_completion_tokens], [undefined, 100]);
    assertEquals(started.server.asked.length, 2);
    await started.events(request);
    assertEquals(started.server.asked.length, 3);
  }
});

Deno.test("the limit keeps its name when another field is refused and the newer name is only known", async () => {
  const message = "unknown field `top_k`, expected one of `messages`, `max_tokens`, `max_completion_tokens`";
  await using started = await Remote.start(refusing(has("top_k"), 422, { error: { message } }));
  assertEquals((await started.sent()).max_tokens, 100);
  assertEquals(started.server.asked.length, 2);
});

Deno.test("a prompt that leaves no room for the default limit is sent without it, and the next one with it", async () => {
  const texts = [
    "This model's maximum context length is 4096 tokens. However, you requested 4196 tokens (4096 in the messages).",
    "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 50 tokens.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096.",
  ];
  const isLong = (body: Body): boolean => JSON.stringify(body.messages).includes("long") && "max_tokens" in body;
  const long: Partial<GenerationRequest> = { messages: [{ role: "user", content: "long" }] };
  for (const message of texts) {
    await using started = await Remote.start(refusing(isLong, 400, { error: { message } }));
    assertEquals(textOf(await started.events(long)), "{}", message);
    assertEquals(started.server.asked.map(({ body }) => "max_tokens" in body), [true, false], message);
    assertEquals((await started.sent()).max_tokens, 100);
    const asked = started.server.asked.length;
    await assertRejects(() => started.events({ ...long, defaulted: [] }), InvalidRequestError);
    assertEquals(started.server.asked.length, asked + 1, message);
  }
});

Deno.test("a refusal in the first event of a stream is a refusal, one behind the first word is not", async () => {
  const error = {
    error: { object: "error", message: "stream_options is unknown", type: "BadRequestError", code: 400 },
  };
  const beginnings: [unknown[], boolean][] = [
    [[], true],
    [[chunk({ role: "assistant", content: "" })], true],
    [[chunk({ content: "a" })], false],
    // Nobody sees it, and yet it was computed.
    [[chunk({ reasoning_content: "hm" })], false],
  ];
  for (const [before, again] of beginnings) {
    await using started = await Remote.start((asked) =>
      "stream_options" in asked.body ? asked.stream(...before, error, "[DONE]") : asked.stream(...words("x"))
    );
    if (again) assertEquals(textOf(await started.events()), "x");
    else await assertRejects(() => started.events(), InvalidRequestError, "stream_options is unknown");
    assertEquals(started.server.asked.length, again ? 2 : 1);
  }
});

Deno.test("a failure that is no refusal is never asked for again", async () => {
  const failures: [number, unknown][] = [
    [500, { error: { message: "out of memory" } }],
    [503, { error: { message: "stream_options" } }],
    [429, { error: { message: "'top_k' requests" } }],
    [401, { error: { message: "'top_k'" } }],
    [413, {}],
  ];
  for (const [status, value] of failures) {
    await using started = await Remote.start((asked) => asked.json(status, value));
    const error = await assertRejects(() => started.events(), Error);
    assertEquals(error instanceof BackendUnavailableError, status !== 413);
    assertEquals(started.server.asked.length, 1, `${status}`);
  }
});

Deno.test("the caller sees what the server says last when nothing of ours was the reason", async () => {
  await using started = await Remote.start((asked) =>
    asked.json(400, { error: { message: "stream_options" in asked.body ? "stream_options?" : "No such picture" } })
  );
  const image: ContentBlock = { type: "media", attachment: { kind: "image", mime: "image/png", base64: "" } };
  const messages: GenerationRequest["messages"] = [{ role: "user", content: [image] }];
  const { message } = await assertRejects(() => started.events({ messages }), InvalidRequestError);
  assertEquals(message, 'Backend "far" refused the request: No such picture');
});
