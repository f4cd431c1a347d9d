import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { BackendCapabilities } from "../../../src/inference/backend.ts";
import { InvalidRequestError } from "../../../src/inference/errors.ts";
import type { BackendEvent, TokenLogprob } from "../../../src/inference/events.ts";
import { ANY_OBJECT, type GenerationRequest } from "../../../src/inference/request.ts";
import { v2Surface } from "../../../src/surfaces/v2.ts";
import { type Step, stepsOf } from "../../support/answer.ts";
import { CONTROLLED_CAPABILITIES, ControlledBackend } from "../../support/controlled_backend.ts";

const NEVER = new AbortController().signal;
const MESSAGES = [{ role: "user", content: [{ type: "text", text: "hi" }] }];
const TOOL = { name: "t", description: "d", input_schema: { properties: { a: { type: "string" } } } };
const IMAGE = { id: "a", kind: "image", mime: "image/png", bytes: "AAAA" };

/** Asks for nothing, and yields what the test says. */
class Scripted extends ControlledBackend {
  readonly requests: GenerationRequest[] = [];
  readonly #events: readonly BackendEvent[];
  override readonly capabilities: BackendCapabilities;

  constructor(events: readonly BackendEvent[], capabilities: Partial<BackendCapabilities> = {}) {
    super("b");
    this.#events = events;
    this.capabilities = {
      ...CONTROLLED_CAPABILITIES,
      v2: true,
      tools: true,
      vision: true,
      audio: true,
      ...capabilities,
    };
  }

  override async *generate(request: GenerationRequest): AsyncGenerator<BackendEvent> {
    this.requests.push(request);
    await Promise.resolve();
    yield* this.#events;
  }
}

const USAGE = { promptTokens: 3, completionTokens: 2, cachedTokens: 1 };
const TIMINGS = { queueMs: 1, promptMs: 2.5, generationMs: 3 };
const DONE: BackendEvent = { type: "done", reason: "end", usage: USAGE, timings: TIMINGS };

async function steps(fields: Record<string, unknown>, backend: ControlledBackend): Promise<Step[]> {
  return await stepsOf(v2Surface.read({ messages: MESSAGES, ...fields }), backend);
}

/** Every line that goes out, the last included. */
function linesOf(steps: readonly Step[]): string[] {
  return steps.map((step) => typeof step === "string" ? step : step.frame).join("").trimEnd().split("\n");
}

/** What a backend is asked when a client sends these fields. */
async function resolved(fields: Record<string, unknown>): Promise<GenerationRequest | undefined> {
  const backend = new Scripted([DONE]);
  await steps(fields, backend);
  return backend.requests[0];
}

Deno.test("resolve fills in the protocol's defaults on v2", async () => {
  assertEquals(await resolved({}), {
    messages: [{ role: "user", content: "hi" }],
    tools: [],
    toolChoice: "auto",
    thinking: false,
    sampling: { temperature: 1, topP: 0.95, topK: 64 },
    maxTokens: 1000,
    defaulted: ["temperature", "top_p", "top_k", "max_tokens"],
    stop: [],
  });
});

Deno.test("resolve takes every field of v2 as it is given", async () => {
  const schema = { type: "array" };
  const request = await resolved({
    tools: [TOOL],
    tool_choice: "none",
    response_format: { type: "json_schema", schema, name: "x" },
    thinking: true,
    temperature: 0,
    top_p: 0.5,
    top_k: 0,
    max_tokens: 5,
    seed: -1,
    stop: ["END"],
    ignore_eos: false,
    min_p: 0.1,
    presence_penalty: -2,
    frequency_penalty: 2,
    repeat_penalty: 1.1,
    logit_bias: { 7: -100, 0: 100 },
    logprobs: 20,
  });
  assertEquals<unknown>(request, {
    messages: [{ role: "user", content: "hi" }],
    tools: [{ name: "t", description: "d", inputSchema: TOOL.input_schema }],
    toolChoice: "none",
    responseSchema: schema,
    thinking: true,
    sampling: {
      temperature: 0,
      topP: 0.5,
      topK: 0,
      seed: -1,
      minP: 0.1,
      presencePenalty: -2,
      frequencyPenalty: 2,
      repeatPenalty: 1.1,
      logitBias: [[0, 100], [7, -100]],
    },
    logprobs: 20,
    maxTokens: 5,
    stop: ["END"],
  });
});

Deno.test("resolve takes a prompt in place of messages, and a grammar", async () => {
  const request = await resolved({ messages: undefined, prompt: "hi", grammar: "root ::= x" });
  assertEquals([request?.messages, request?.prompt, request?.grammar], [[], ["hi"], "root ::= x"]);
  const endless = await resolved({ messages: [], prompt: [5, "hi", 0], ignore_eos: true });
  assertEquals([endless?.prompt, endless?.ignoreEos], [[5, "hi", 0], true]);
});

Deno.test("resolve refuses what a prompt, a grammar and ignore_eos exclude", async () => {
  const response_format = { type: "json_object" };
  const refused: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ prompt: "hi" }, '"prompt" goes without "messages"'],
    [{ messages: undefined, prompt: "" }, '"prompt" must not be empty'],
    [{ messages: undefined, prompt: [] }, '"prompt"'],
    [{ messages: undefined, prompt: ["a", 1.5] }, '"prompt[1]"'],
    [{ messages: undefined, prompt: [-1] }, '"prompt[0]"'],
    [{ messages: undefined, prompt: "a", tools: [TOOL] }, '"tools"'],
    [{ messages: undefined, prompt: "a", thinking: true }, '"thinking"'],
    [{ grammar: 5 }, '"grammar"'],
    [{ grammar: "root ::= x", tools: [TOOL] }, '"tools"'],
    [{ grammar: "root ::= x", response_format }, '"response_format"'],
    [{ grammar: "root ::= x", thinking: true }, '"thinking"'],
    [{ ignore_eos: true, grammar: "root ::= x" }, '"grammar"'],
    [{ ignore_eos: true, response_format }, '"response_format"'],
    [{ ignore_eos: 1 }, '"ignore_eos"'],
  ];
  for (const [fields, message] of refused) {
    await assertRejects(() => resolved(fields), InvalidRequestError, message);
  }
});

Deno.test("resolve makes a message of nothing but text a string, and leaves other blocks as they are", async () => {
  const text = (text: string): unknown => ({ type: "text", text, cache: true });
  const request = await resolved({
    messages: [
      { role: "system", content: [text("a"), text(""), text("b\n")] },
      { role: "user", content: [text("see"), { type: "image", attachment_id: "a" }], name: "bob" },
      { role: "assistant", content: [{ type: "tool_use", tool_call_id: "c", name: "t", input: { x: [1] } }] },
      { role: "user", content: [{ type: "tool_result", tool_call_id: "c", content: [text("r")], is_error: false }] },
    ],
    attachments: [IMAGE],
  });
  assertEquals(request?.messages, [
    { role: "system", content: "a\n\nb\n" },
    {
      role: "user",
      content: [
        { type: "text", text: "see" },
        { type: "media", attachment: { kind: "image", mime: "image/png", base64: "AAAA" } },
      ],
    },
    { role: "assistant", content: [{ type: "tool_use", toolCallId: "c", name: "t", input: { x: [1] } }] },
    { role: "user", content: [{ type: "tool_result", toolCallId: "c", content: [{ type: "text", text: "r" }] }] },
  ]);
});

Deno.test("resolve finds an attachment's media type in its bytes when the request does not name it", async () => {
  const png = btoa("\x89PNG\r\n\x1a\n" + "x".repeat(1000));
  const ogg = btoa("OggS\0");
  const media = async (kind: string, bytes: string): Promise<unknown> => {
    const request = await resolved({
      messages: [{ role: "user", content: [{ type: kind, attachment_id: "a" }] }],
      attachments: [{ id: "a", kind, bytes }],
    });
    return request?.messages[0]?.content;
  };
  assertEquals(await media("image", png), [
    { type: "media", attachment: { kind: "image", mime: "image/png", base64: png } },
  ]);
  assertEquals(await media("audio", ogg), [
    { type: "media", attachment: { kind: "audio", mime: "audio/ogg", base64: ogg } },
  ]);
});

Deno.test("resolve keeps an assistant's thoughts where they stand, but none that say nothing", async () => {
  const text = (text: string): unknown => ({ type: "text", text });
  const thought = (text: string): unknown => ({ type: "thinking", text });
  const call = { type: "tool_use", tool_call_id: "c", name: "t", input: {} };
  const request = await resolved({
    messages: [
      { role: "assistant", content: [thought("a\n"), text("b"), thought(""), thought("c"), call, thought("d")] },
      { role: "user", content: [{ type: "tool_result", tool_call_id: "c", content: [text("3.10")] }] },
      { role: "assistant", content: [thought("e"), text("f"), text("g")] },
      { role: "assistant", content: [text("h"), thought(""), text("i")] },
      { role: "assistant", content: [thought("")] },
    ],
  });
  assertEquals(request?.messages, [
    {
      role: "assistant",
      content: [
        { type: "thinking", text: "a\n" },
        { type: "text", text: "b" },
        { type: "thinking", text: "c" },
        { type: "tool_use", toolCallId: "c", name: "t", input: {} },
        { type: "thinking", text: "d" },
      ],
    },
    { role: "user", content: [{ type: "tool_result", toolCallId: "c", content: [{ type: "text", text: "3.10" }] }] },
    {
      role: "assistant",
      content: [{ type: "thinking", text: "e" }, { type: "text", text: "f" }, { type: "text", text: "g" }],
    },
    { role: "assistant", content: "h\ni" },
    { role: "assistant", content: "" },
  ]);
});

Deno.test("resolve takes a tool by its name as the choice, and nothing else that stands there", async () => {
  const named = { ...TOOL, name: "calendar.respond/to-event:v1" };
  const tool_choice = { type: "tool", name: named.name };
  const request = await resolved({ tools: [TOOL, named], tool_choice });
  assertEquals(request?.tools.map(({ name }) => name), ["t", "calendar.respond/to-event:v1"]);
  assertEquals(request?.toolChoice, { name: "calendar.respond/to-event:v1" });
});

Deno.test("resolve reads nothing from a prototype on v2", () => {
  const text = '{"messages":[{"role":"user","content":[{"__proto__":{"type":"text","text":"x"}}]}]}';
  assertThrows(() => v2Surface.read(JSON.parse(text)), InvalidRequestError, '"messages[0].content[0].type" must be');
});

Deno.test("attachments are refused when they come to more than 128 MiB", () => {
  const bytes = "AAAA".repeat(2 ** 24);
  const ids = ["a", "b", "c"];
  const messages = [{ role: "user", content: ids.map((id) => ({ type: "image", attachment_id: id })) }];
  const attachments = ids.map((id) => ({ ...IMAGE, id, bytes }));
  assertThrows(
    () => v2Surface.read({ messages, attachments }),
    InvalidRequestError,
    '"attachments" must have at most 134217728 bytes together, got 150994944',
  );
});

Deno.test("an answer renders each event, then one terminal frame", async () => {
  const events: BackendEvent[] = [
    { type: "thinking", text: "h\n" },
    { type: "text", text: 'a"' },
    { type: "tool_use", toolCallId: "tc-9", name: "t", input: { b: 1, a: null } },
    { type: "text", text: "b" },
    DONE,
  ];
  const frames = [
    '{"id":"i\\"","type":"frame","block":{"type":"thinking","delta":"h\\n"}}\n',
    '{"id":"i\\"","type":"frame","block":{"type":"text","delta":"a\\""}}\n',
    '{"id":"i\\"","type":"frame","block":{"type":"tool_use","tool_call_id":"tc-9","name":"t","input":{"b":1,"a":null}}}\n',
    '{"id":"i\\"","type":"frame","block":{"type":"text","delta":"b"}}\n',
  ];
  const terminal = {
    frame:
      '{"id":"i\\"","type":"done","usage":{"input_tokens":3,"output_tokens":2,"cached_tokens":1},"stop_reason":"end_turn","backend":"b","timings":{"queue_ms":1,"prompt_ms":2.5,"generation_ms":3}}\n',
    stopReason: "end_turn",
    usage: USAGE,
  };
  const asked = { id: 'i"', thinking: true };
  assertEquals(await steps(asked, new Scripted(events)), [...frames, terminal]);
  const whole = [
    frames[0],
    '{"id":"i\\"","type":"frame","block":{"type":"text","delta":"a\\"b"}}\n',
    frames[2],
    terminal.frame,
  ];
  assertEquals(await steps({ ...asked, stream: false }, new Scripted(events)), [
    { ...terminal, frame: whole.join("") },
  ]);
});

Deno.test("an answer's usage tells what was done ahead of the model, where anything was", async () => {
  const usage = { ...USAGE, forcedTokens: 4, preparedTokens: 5, draftedTokens: 6, acceptedTokens: 0 };
  const last = (await steps({}, new Scripted([{ ...DONE, usage }]))).at(-1);
  assertEquals(typeof last === "object" ? JSON.parse(last.frame).usage : undefined, {
    input_tokens: 3,
    output_tokens: 2,
    cached_tokens: 1,
    forced_tokens: 4,
    prepared_tokens: 5,
    drafted_tokens: 6,
    accepted_tokens: 0,
  });
});

Deno.test("an answer shows no thoughts when none were asked for", async () => {
  const events: BackendEvent[] = [{ type: "thinking", text: "h" }, { type: "text", text: "a" }, DONE];
  for (const stream of [true, false]) {
    const shown = linesOf(await steps({ stream }, new Scripted(events)));
    assertEquals(shown.length, 2);
    assertEquals(shown[0], '{"id":"","type":"frame","block":{"type":"text","delta":"a"}}');
  }
});

Deno.test("an answer in one piece moves to its thoughts what turned out to be one, and shows none when none were asked for", async () => {
  const events: BackendEvent[] = [
    { type: "text", text: "Pl" },
    { type: "text", text: "an." },
    { type: "text_was_thinking" },
    { type: "text", text: "So." },
    DONE,
  ];
  const blocks = async (fields: Record<string, unknown>): Promise<unknown[]> =>
    linesOf(await steps(fields, new Scripted(events))).slice(0, -1).map((line) => JSON.parse(line).block);
  const thought = { type: "thinking", delta: "Plan." };
  const said = { type: "text", delta: "So." };
  assertEquals(await blocks({ stream: false, thinking: true }), [thought, said]);
  assertEquals(await blocks({ stream: false }), [said]);
  // What was sent stays sent.
  assertEquals(await blocks({}), [{ type: "text", delta: "Pl" }, { type: "text", delta: "an." }, said]);
});

Deno.test("each finish has its stop_reason on v2", async () => {
  const reasons = [["end", "end_turn"], ["stop", "stop_sequence"], ["length", "max_tokens"], [
    "tool_use",
    "tool_use",
  ]] as const;
  for (const [reason, stopReason] of reasons) {
    for (const stream of [true, false]) {
      const [step] = await steps({ stream }, new Scripted([{ ...DONE, reason }]));
      assertEquals(typeof step === "object" ? step.stopReason : step, stopReason);
    }
  }
});

Deno.test("a done frame says that a required call did not come only when that is so", async () => {
  const done: BackendEvent = { type: "done", reason: "length", usage: USAGE, toolChoiceUnsatisfied: true };
  for (const [event, end] of [[done, ',"tool_choice_unsatisfied":true}\n'], [DONE, '"generation_ms":3}}\n']] as const) {
    const [step] = await steps({}, new Scripted([event]));
    assertEquals(typeof step === "object" && step.frame.endsWith(end), true);
  }
});

Deno.test("a backend that cannot do what a request needs is not asked", () => {
  const refusedBy = (
    capabilities: Partial<BackendCapabilities>,
    fields: Record<string, unknown>,
  ): string | undefined => {
    const backend = new Scripted([DONE], capabilities);
    const request = v2Surface.read({ messages: MESSAGES, ...fields });
    try {
      request.answer(backend, NEVER);
      return undefined;
    } catch (error) {
      assertEquals(backend.requests, []);
      return String(error);
    }
  };
  const attached = (kind: string): Record<string, unknown> => ({
    messages: [{ role: "user", content: [{ type: kind, attachment_id: "a" }] }],
    attachments: [{ ...IMAGE, kind, mime: `${kind}/x` }],
  });
  const unsupported = (kind: string): string =>
    `AttachmentUnsupportedError: Backend "b" takes no attachments of kind "${kind}"`;
  assertEquals(refusedBy({ vision: false }, attached("image")), unsupported("image"));
  assertEquals(refusedBy({ audio: false }, attached("audio")), unsupported("audio"));
  assertEquals(refusedBy({}, attached("video")), unsupported("video"));
  assertEquals(refusedBy({ audio: false }, attached("image")), undefined);
  assertEquals(refusedBy({ vision: false }, attached("audio")), undefined);
  for (const tool_choice of ["auto", "required", { name: "t" }]) {
    const said = JSON.stringify(tool_choice);
    assertEquals(
      refusedBy({ tools: false }, { tools: [TOOL], tool_choice }),
      `InvalidRequestError: "tool_choice": ${said} cannot be enforced by backend "b": its model calls no tools`,
    );
  }
  assertEquals(refusedBy({ tools: false }, { tools: [TOOL], tool_choice: "none" }), undefined);
  assertEquals(refusedBy({ tools: false }, {}), undefined);
});

Deno.test("resolve refuses sampling fields that break a rule, by name", () => {
  const refusals: readonly (readonly [string, unknown, string])[] = [
    ["min_p", 1.1, "a number from 0 to 1, got 1.1"],
    ["presence_penalty", 2.1, "a number from -2 to 2, got 2.1"],
    ["frequency_penalty", "1", 'a number from -2 to 2, got "1"'],
    ["repeat_penalty", 0, "a number above 0 and at most 2, got 0"],
    ["logit_bias", [[1, 2]], "an object, got an array"],
    ["logprobs", 21, "an integer from 0 to 20, got 21"],
    ["logprobs", true, "an integer from 0 to 20, got true"],
  ];
  for (const [field, value, message] of refusals) {
    assertThrows(
      () => v2Surface.read({ messages: MESSAGES, [field]: value }),
      InvalidRequestError,
      `"${field}" must be ${message}`,
    );
  }
  const biased = (logit_bias: unknown) => () => v2Surface.read({ messages: MESSAGES, logit_bias });
  assertThrows(biased({ x: 1 }), InvalidRequestError, '"logit_bias" must have ids of tokens as keys, got "x"');
  assertThrows(biased({ 1: 101 }), InvalidRequestError, '"logit_bias.1" must be a number from -100 to 100, got 101');
  const many = Object.fromEntries(Array.from({ length: 1025 }, (_, token) => [token, 1]));
  assertThrows(biased(many), InvalidRequestError, '"logit_bias" must have at most 1024 tokens, got 1025');
});

Deno.test("response_format json_object is any object, and known by identity", async () => {
  assertEquals((await resolved({ response_format: { type: "json_object" } }))?.responseSchema === ANY_OBJECT, true);
  const same = { type: "json_schema", schema: { type: "object" } };
  assertEquals((await resolved({ response_format: same }))?.responseSchema === ANY_OBJECT, false);
});

Deno.test("an answer tells the tokens behind each text, and all of them with its one text", async () => {
  const logprob = (token: string, id?: number): TokenLogprob => ({
    token,
    ...(id === undefined ? {} : { id }),
    bytes: [1],
    logprob: -0.5,
    top: [{ token: "z", bytes: [2], logprob: -Infinity }],
  });
  const wire = (token: string, id?: number): unknown => ({
    token,
    ...(id === undefined ? {} : { token_id: id }),
    bytes: [1],
    logprob: -0.5,
    top: [{ token: "z", bytes: [2], logprob: -Number.MAX_VALUE }],
  });
  const events: BackendEvent[] = [
    { type: "text", text: "a", logprobs: [logprob("a", 4)] },
    { type: "text", text: "b", logprobs: [logprob("b")] },
    DONE,
  ];
  const told = async (fields: Record<string, unknown>): Promise<unknown[]> =>
    linesOf(await steps({ logprobs: 1, ...fields }, new Scripted(events))).slice(0, -1).map((line) => JSON.parse(line));
  const frame = (delta: string, ...logprobs: unknown[]): unknown => ({
    id: "",
    type: "frame",
    block: { type: "text", delta },
    logprobs,
  });
  assertEquals(await told({}), [frame("a", wire("a", 4)), frame("b", wire("b"))]);
  assertEquals(await told({ stream: false }), [frame("ab", wire("a", 4), wire("b"))]);
});

Deno.test("an answer's timings are those of the surface when the backend tells none, and its wait for a place is added", async () => {
  const timings = async (event: BackendEvent): Promise<Record<string, number>> => {
    const backend = new Scripted([{ type: "text", text: "a" }, event]);
    const last = (await stepsOf(v2Surface.read({ messages: MESSAGES }), backend, { queuedMs: 40 })).at(-1);
    return typeof last === "object" ? JSON.parse(last.frame).timings : {};
  };
  assertEquals(await timings(DONE), { queue_ms: 41, prompt_ms: 2.5, generation_ms: 3 });
  const { queue_ms, prompt_ms = -1, generation_ms = -1 } = await timings({ type: "done", reason: "end", usage: USAGE });
  assertEquals([queue_ms, prompt_ms >= 0, generation_ms >= 0], [40, true, true]);
});

Deno.test("attachments that were checked beforehand, while others were served, are read as all others", async () => {
  const line = (bytes: string): Record<string, unknown> => ({
    messages: [{ role: "user", content: [{ type: "image", attachment_id: "a" }] }],
    attachments: [{ id: "a", kind: "image", mime: "image/png", bytes }],
  });
  const outcome = (value: unknown): unknown => {
    try {
      return typeof v2Surface.read(value);
    } catch (error) {
      return (error as Error).message;
    }
  };
  const long = "iVBORw0KGgoA".repeat(300_000);
  for (const bytes of [long, `${long}é===`, `${long}a`, `${long}aa==`, "", 7, null]) {
    let rests = 0;
    const value = line(bytes as string);
    await v2Surface.prepare?.(value, () => Promise.resolve(void rests++));
    assertEquals(outcome(value), outcome(line(bytes as string)));
    assertEquals(rests > 2, typeof bytes === "string" && bytes !== "", `${rests} rests`);
  }
  for (const value of [null, 1, [], { attachments: 1 }, { attachments: [null] }]) {
    await v2Surface.prepare?.(value, () => Promise.resolve());
  }
});

Deno.test("resolve refuses more messages and blocks than any context has room for", () => {
  const conversation = (blocks: number): unknown[] => [{
    role: "user",
    content: Array.from({ length: blocks }, () => ({ type: "text", text: "a" })),
  }];
  v2Surface.read({ messages: conversation(16383) });
  assertThrows(
    () => v2Surface.read({ messages: conversation(16384) }),
    InvalidRequestError,
    '"messages" must have at most 16384 messages and blocks',
  );
});
