import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  AttachmentUnsupportedError,
  CancelledError,
  ClientClosedError,
  connect,
  ConnectionClosedError,
  FrameTooLargeError,
  type GenerateV2Request,
  type GenerationEvent,
  InvalidRequestError,
  ProtocolError,
  type TokenLogprob,
  ToolCallMalformedError,
} from "@inferd/client";
import { MAX_FRAME_BYTES, type V2Logprob } from "@inferd/client/protocol";
import {
  answering,
  answeringV2,
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

const ASK: GenerateV2Request = { id: "mine", messages: [{ role: "user", content: "hi" }], thinking: true };

Deno.test("generate tells what was done ahead of the model, where anything was", async () => {
  const usage = { input_tokens: 3, output_tokens: 2, cached_tokens: 1 };
  const ahead = { forced_tokens: 4, prepared_tokens: 5, drafted_tokens: 6, accepted_tokens: 0 };
  const { script } = answeringV2((id) => [textPart(id, "a"), doneV2(id, { usage: { ...usage, ...ahead } })]);
  await withV2(script, async (client) => {
    assertEquals((await client.generate(ASK).result()).usage, {
      promptTokens: 3,
      completionTokens: 2,
      cachedTokens: 1,
      forcedTokens: 4,
      preparedTokens: 5,
      draftedTokens: 6,
      acceptedTokens: 0,
    });
  });
});

Deno.test("generate yields thinking, text, calls and then done, in camelCase", async () => {
  const { script } = answeringV2((id) => [
    part(id, { type: "thinking", delta: "Hm" }),
    part(id, { type: "thinking", delta: "m." }),
    textPart(id, "Let me "),
    textPart(id, "see."),
    callPart(id, ["tc-1", "weather", { place: "Bern" }]),
    doneV2(id, { stop_reason: "tool_use", tool_choice_unsatisfied: true }),
  ]);
  await withV2(script, async (client) => {
    const generation = client.generate(ASK);
    assertEquals(generation.id, "mine");
    const events: GenerationEvent[] = [];
    for await (const event of generation) events.push(event);
    const call = { type: "tool_use", toolCallId: "tc-1", name: "weather", input: { place: "Bern" } } as const;
    const result = {
      text: "Let me see.",
      thinking: "Hmm.",
      toolCalls: [call],
      usage: { promptTokens: 3, completionTokens: 2, cachedTokens: 1 },
      timings: { queueMs: 1, promptMs: 2, generationMs: 3 },
      stopReason: "tool_use",
      backend: "scripted",
      toolChoiceUnsatisfied: true,
    };
    assertEquals(events, [
      { type: "thinking", text: "Hm" },
      { type: "thinking", text: "m." },
      { type: "text", text: "Let me " },
      { type: "text", text: "see." },
      call,
      { type: "done", ...result },
    ]);
    assertEquals(await generation.result(), result);
    assertEquals(await generation.text(), "Let me see.");
  });
});

Deno.test("result of a v2 generation is empty where nothing came", async () => {
  const { script } = answeringV2((id) => [doneV2(id, { stop_reason: "from_the_future" as "end_turn" })]);
  await withV2(script, async (client) => {
    const { backend: _, usage: __, timings: ___, ...result } = await client.generate(ASK).result();
    assertEquals(result, {
      text: "",
      thinking: "",
      toolCalls: [],
      stopReason: "from_the_future",
      toolChoiceUnsatisfied: false,
    });
  });
});

Deno.test("generate puts every field of v2 on the wire in snake_case, and nothing that was left out", async () => {
  const { script, asked } = answeringV2((id) => [doneV2(id)], (id) => [doneV2(id)]);
  await withV2(script, async (client) => {
    await client.generate({ messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }] }).result();
    await client.generate({
      id: "mine",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: [{ type: "image", attachmentId: "a" }, { type: "text", text: "What is it?" }] },
        {
          role: "assistant",
          content: [
            { type: "thinking", text: "Hm" },
            { type: "tool_use", toolCallId: "tc-1", name: "look", input: { at: 1 } },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", toolCallId: "tc-1", content: "a fox" },
            { type: "tool_result", toolCallId: "tc-1", content: [{ type: "audio", attachmentId: "b" }] },
          ],
        },
      ],
      attachments: [
        { id: "a", kind: "image", mime: "image/png", bytes: Uint8Array.of(0, 255, 1, 254) },
        { id: "b", kind: "audio", bytes: "AAEC" },
      ],
      tools: [{ name: "look", description: "Looks", inputSchema: { type: "object", additionalProperties: false } }],
      toolChoice: { name: "look" },
      schema: { type: "string" },
      model: "tiny",
      thinking: false,
      temperature: 0,
      topP: 0.5,
      topK: 0,
      maxTokens: 7,
      stream: false,
      seed: 4,
      stop: ["\n"],
      minP: 0.1,
      presencePenalty: 1,
      frequencyPenalty: -1,
      repeatPenalty: 1.1,
      logitBias: { 7: -100 },
      logprobs: 3,
    }).result();
  });
  const [first, second] = asked;
  assertEquals(Object.keys(first ?? {}), ["id", "messages"]);
  assertEquals(second as unknown, {
    id: "mine",
    model: "tiny",
    messages: [
      { role: "system", content: [{ type: "text", text: "Be brief." }] },
      { role: "user", content: [{ type: "image", attachment_id: "a" }, { type: "text", text: "What is it?" }] },
      {
        role: "assistant",
        content: [
          { type: "thinking", text: "Hm" },
          { type: "tool_use", tool_call_id: "tc-1", name: "look", input: { at: 1 } },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_call_id: "tc-1", content: [{ type: "text", text: "a fox" }] },
          { type: "tool_result", tool_call_id: "tc-1", content: [{ type: "audio", attachment_id: "b" }] },
        ],
      },
    ],
    attachments: [
      { id: "a", kind: "image", mime: "image/png", bytes: "AP8B/g==" },
      { id: "b", kind: "audio", bytes: "AAEC" },
    ],
    tools: [{ name: "look", description: "Looks", input_schema: { type: "object", additionalProperties: false } }],
    tool_choice: { name: "look" },
    response_format: { type: "json_schema", schema: { type: "string" } },
    thinking: false,
    temperature: 0,
    top_p: 0.5,
    top_k: 0,
    max_tokens: 7,
    stream: false,
    seed: 4,
    stop: ["\n"],
    min_p: 0.1,
    presence_penalty: 1,
    frequency_penalty: -1,
    repeat_penalty: 1.1,
    logit_bias: { 7: -100 },
    logprobs: 3,
  });
});

Deno.test("generate asks for any JSON object, and not together with a schema", async () => {
  const { script, asked } = answeringV2((id) => [doneV2(id)]);
  await withV2(script, async (client) => {
    const messages = [{ role: "user" as const, content: "hi" }];
    await client.generate({ messages, json: true }).result();
    const both = { messages, json: true, schema: {} };
    assertThrows(() => client.generate(both), TypeError, '"json" goes without it');
  });
  assertEquals(asked[0]?.response_format, { type: "json_object" });
});

Deno.test("generate tells the tokens behind each text, and all in the result", async () => {
  const entry = (token: string): V2Logprob => ({
    token,
    token_id: 5,
    bytes: [97],
    logprob: -0.5,
    top: [{ token: "b", bytes: [98], logprob: -1 }],
  });
  const { script } = answeringV2((id) => [
    { ...textPart(id, "a"), logprobs: [entry("a")] },
    { ...textPart(id, "b"), logprobs: [entry("b")] },
    doneV2(id),
  ]);
  const read = (token: string): TokenLogprob => ({
    token,
    tokenId: 5,
    bytes: [97],
    logprob: -0.5,
    top: [{ token: "b", bytes: [98], logprob: -1 }],
  });
  await withV2(script, async (client) => {
    const generation = client.generate({ ...ASK, logprobs: 1 });
    const told: unknown[] = [];
    for await (const event of generation) if (event.type === "text") told.push(event.logprobs);
    assertEquals(told, [[read("a")], [read("b")]]);
    assertEquals((await generation.result()).logprobs, [read("a"), read("b")]);
  });
});

Deno.test("tokenize, detokenize, countTokens and applyTemplate ask on the v2 socket", async () => {
  const { script, asked } = answeringV2(
    (id) => [{ id, type: "tokenize", tokens: [1, 2], model: "m", backend: "b" }],
    (id) => [{ id, type: "detokenize", text: "ab", model: "m", backend: "b" }],
    (id) => [{ id, type: "count", input_tokens: 7, model: "m", backend: "b" }],
    (id) => [{ id, type: "apply_template", text: "p", model: "m", backend: "b" }],
    (id) => [{ id, type: "error", code: "invalid_request", message: "no" }],
  );
  const tool = { name: "t", description: "d", inputSchema: { type: "object" } } as const;
  await withV2(script, async (client) => {
    assertEquals(await client.tokenize("hi", { addSpecial: true, model: "m" }), [1, 2]);
    assertEquals(await client.detokenize([1, 2]), "ab");
    const messages = [{ role: "user", content: "hi" }] as const;
    assertEquals(await client.countTokens({ messages, tools: [tool], toolChoice: "none", thinking: true }), 7);
    assertEquals(await client.applyTemplate("hi"), "p");
    await assertRejects(() => client.tokenize("x"), InvalidRequestError, "no");
  });
  const messages = [{ role: "user", content: [{ type: "text", text: "hi" }] }];
  assertEquals(asked.map(({ id: _, ...request }) => request) as unknown, [
    { type: "tokenize", model: "m", text: "hi", add_special: true },
    { type: "detokenize", tokens: [1, 2] },
    {
      type: "count",
      messages,
      tools: [{ name: "t", description: "d", input_schema: { type: "object" } }],
      tool_choice: "none",
      thinking: true,
    },
    { type: "apply_template", messages },
    { type: "tokenize", text: "x" },
  ]);
});

Deno.test("an attachment arrives as it is, whatever its size and wherever it lies in its buffer", async () => {
  const bytes = Uint8Array.from({ length: 1_000_008 }, (_, index) => (index * 31) % 251).subarray(7);
  const { script, asked } = answeringV2((id) => [doneV2(id)]);
  await withV2(script, async (client) => {
    const messages = [{ role: "user" as const, content: "What is it?" }];
    await client.generate({ messages, attachments: [{ id: "a", kind: "image", mime: "image/png", bytes }] }).result();
  });
  const sent = atob(asked[0]?.attachments?.[0]?.bytes ?? "");
  assertEquals(sent.length, bytes.length);
  assertEquals(bytes.every((byte, index) => sent.charCodeAt(index) === byte), true);
});

Deno.test("generate goes to v2 when the request has something of it, and else to v1", async () => {
  await using scratch = new Scratch();
  await using v1 = new ScriptedServer(answering("one"), { path: scratch.path() });
  const answer = (id: string): readonly unknown[] => [textPart(id, "two"), doneV2(id)];
  const { script } = answeringV2(...Array(6).fill(answer));
  await using v2 = new ScriptedServer(script, { path: scratch.path("infer.v2.sock") });
  await using client = await connect({ path: scratch.path(), maxRetries: 0 });

  const messages = [{ role: "user" as const, content: "hi" }];
  const blocks = [{ role: "user" as const, content: [{ type: "text" as const, text: "hi" }] }];
  const undefinedFields = { attachments: undefined, tools: undefined, schema: undefined, thinking: undefined };
  for (const request of ["hi", { messages }, { messages, ...undefinedFields }, { messages, grammar: "root ::= x" }]) {
    assertEquals(await client.generate(request).text(), "one");
  }
  assertEquals(v2.accepted, 0);
  for (
    const request of [
      { messages: blocks },
      { messages, attachments: [] },
      { messages, tools: [] },
      { messages, toolChoice: "auto" as const },
      { messages, schema: {} },
      { messages, thinking: false },
    ]
  ) {
    assertEquals(await client.generate(request).text(), "two");
  }
  assertEquals([v1.accepted, v2.accepted], [1, 1]);
});

Deno.test("every way to ask throws TypeError that says so when there is no conversation", async () => {
  await withV2(answering(), async (client) => {
    for (const wrong of [undefined, null, 3, {}, { prompt: "hi" }, { messages: "hi" }]) {
      const request = wrong as never;
      assertThrows(() => client.generate(request), TypeError, '"messages"');
      assertThrows(() => client.runTools(request, {} as never), TypeError, '"messages"');
      await assertRejects(() => client.generateObject(request, { schema: {} }), TypeError, '"messages"');
    }
  });
});

Deno.test("generate sends a prompt in place of messages, and a grammar", async () => {
  const { script, asked } = answeringV2((id) => [doneV2(id)]);
  await withV2(script, async (client) => {
    const prompt = ["Once upon", 7];
    await client.generate({ messages: [], prompt, grammar: "root ::= x", ignoreEos: true }).result();
  });
  const { messages, prompt, grammar, ignore_eos } = asked[0] ?? { messages: undefined };
  assertEquals([messages, prompt, grammar, ignore_eos], [[], ["Once upon", 7], "root ::= x", true]);
});

for (
  const [code, type, retryable] of [
    ["attachment_unsupported", AttachmentUnsupportedError, false],
    ["tool_call_malformed", ToolCallMalformedError, true],
  ] as const
) {
  Deno.test(`generate throws ${type.name} when the daemon answers ${code}`, async () => {
    await withV2(once((id, peer) => peer.send(failed(id, code, "Why not"))), async (client) => {
      const error = await assertRejects(() => client.generate(ASK).result(), type, "Why not");
      assertEquals([error.code, error.retryable, error.name], [code, retryable, type.name]);
    });
  });
}

Deno.test("frames and blocks of unknown types are passed over", async () => {
  const { script } = answeringV2((id) => [
    { id, type: "news" },
    { id, type: "frame", block: { type: "citation", url: "x" } },
    textPart(id, "a"),
    doneV2(id),
  ]);
  await withV2(script, async (client) => assertEquals(await client.generate(ASK).text(), "a"));
});

for (
  const [what, frame] of [
    ["belongs to another request", textPart("other", "a")],
    ["ends another request", doneV2("other")],
    ["has no block", { id: "mine", type: "frame" }],
    ["has a text without delta", { id: "mine", type: "frame", block: { type: "text", text: "a" } }],
    ["has a call without name", part("mine", { type: "tool_use", tool_call_id: "1", input: {} } as never)],
    [
      "has a call whose input is a list",
      part("mine", { type: "tool_use", tool_call_id: "1", name: "a", input: [] as never }),
    ],
    ["has v1's usage", { ...doneV2("mine"), usage: { prompt_tokens: 1, completion_tokens: 1 } }],
    ["has no stop reason", { ...doneV2("mine"), stop_reason: null }],
  ] as const
) {
  Deno.test(`generate throws ProtocolError when a v2 frame ${what}`, async () => {
    await withV2(once((_id, peer) => peer.send(frame)), async (client) => {
      await assertRejects(() => client.generate(ASK).text(), ProtocolError, "The daemon ");
    });
  });
}

Deno.test("break in a v2 answer closes the connection and leaves no result", async () => {
  const gone = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(textPart(id, "a"), textPart(id, "b"));
    await peer.gone();
    gone.resolve();
  });
  await withV2(script, async (client) => {
    const generation = client.generate(ASK);
    for await (const event of generation) {
      assertEquals(event, { type: "text", text: "a" });
      break;
    }
    await gone.promise;
    await assertRejects(() => generation.result(), CancelledError);
  });
});

Deno.test("abort of a v2 request rejects with the signal's reason and closes the connection", async () => {
  const gone = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(textPart(id, "a"));
    await peer.gone();
    gone.resolve();
  });
  await withV2(script, async (client) => {
    const controller = new AbortController();
    const events = client.generate(ASK, { signal: controller.signal })[Symbol.asyncIterator]();
    await events.next();
    const waiting = assertRejects(() => events.next(), Error, "mine");
    controller.abort(new Error("mine"));
    await waiting;
    await gone.promise;
  });
});

Deno.test("a v2 request whose idle connection is dead is sent once more, not after a byte", async () => {
  const script: Script = async (peer, index) => {
    const { id } = await peer.request();
    await peer.send(textPart(id, "x"), doneV2(id));
    await peer.request();
    if (index === 1) await peer.write("\n");
  };
  await withV2(script, async (client, server) => {
    assertEquals(await client.generate(ASK).text(), "x");
    assertEquals(await client.generate(ASK).text(), "x");
    assertEquals(server.accepted, 2);
    await assertRejects(() => client.generate(ASK).text(), ConnectionClosedError);
    assertEquals(server.accepted, 2);
  });
});

Deno.test("a v2 request over the frame limit is not sent", async () => {
  await withV2(answering(), async (client) => {
    const bytes = new Uint8Array(MAX_FRAME_BYTES * 0.75);
    const attachments = [{ id: "a", kind: "video", mime: "video/mp4", bytes }] as const;
    await assertRejects(() => client.generate({ messages: [], attachments }).text(), FrameTooLargeError);
  });
});

Deno.test("each surface has connections of its own, and close closes all", async () => {
  await using scratch = new Scratch();
  await using v1 = new ScriptedServer(answering("one"), { path: scratch.path() });
  const { script } = answeringV2((id) => [textPart(id, "two"), doneV2(id)], () => []);
  await using v2 = new ScriptedServer(script, { path: scratch.path("infer.v2.sock") });
  const client = await connect({ path: scratch.path(), maxRetries: 0 });
  assertEquals([await client.generate("hi").text(), await client.generate(ASK).text()], ["one", "two"]);
  const running = client.generate(ASK).text();
  await client.close();
  assertInstanceOf(await running.catch((error: unknown) => error), ClientClosedError);
  await Promise.all([v1.idle(), v2.idle()]);
  assertThrows(() => client.generate(ASK), ClientClosedError, "the client is closed");
});

Deno.test("a daemon without generation can be connected to through another surface", async () => {
  await withV2(answeringV2((id) => [doneV2(id)]).script, async (client, server) => {
    assertEquals(client.endpoint.endsWith("/infer.v2.sock"), true);
    await client.generate(ASK).result();
    assertEquals(server.accepted, 1);
  });
});
