/** Requests for tokens, counts and prompts on v2's socket: what is read, what is refused, and the frame. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MAX_TOKENIZE_LENGTH } from "@inferd/client/protocol";
import { AttachmentUnsupportedError, InvalidRequestError } from "../../../src/inference/errors.ts";
import type { TokenizerAnswer, TokenizerRequest } from "../../../src/inference/request.ts";
import { v2Surface } from "../../../src/surfaces/v2.ts";
import { stepsOf } from "../../support/answer.ts";
import { ControlledBackend } from "../../support/controlled_backend.ts";

const MESSAGES = [{ role: "user", content: [{ type: "text", text: "hi" }] }];

class Answering extends ControlledBackend {
  readonly asked: TokenizerRequest[] = [];

  constructor(readonly value: TokenizerAnswer) {
    super("b");
  }

  tokenizer(request: TokenizerRequest): Promise<TokenizerAnswer> {
    this.asked.push(request);
    return Promise.resolve(this.value);
  }
}

/** What a backend is asked, and the frame of its answer. */
async function asked(fields: Record<string, unknown>, value: TokenizerAnswer): Promise<[TokenizerRequest[], unknown]> {
  const backend = new Answering(value);
  const [step] = await stepsOf(v2Surface.read({ id: "7", ...fields }), backend);
  if (typeof step !== "object") throw new Error("No terminal frame");
  const { id, model: _, backend: __, ...frame } = JSON.parse(step.frame);
  assertEquals(id, "7");
  return [backend.asked, frame];
}

Deno.test("Long lists of tokens and pieces are written in parts, between which others are served", async () => {
  for (const length of [16_384, 16_385, 100_000]) {
    const tokens = Array.from({ length }, (_, i) => i * 7 % 1000);
    const pieces = tokens.map((token) => [token % 256, 1]);
    for (
      const [request, value] of [
        [{ type: "tokenize", text: "a" }, { tokens }],
        [{ type: "detokenize", tokens: [1], pieces: true }, { pieces }],
      ] as const
    ) {
      const { answer } = v2Surface.read({ id: "7", ...request });
      const answering = answer(new Answering(value), new AbortController().signal);
      if (!("answer" in answering)) throw new Error("It is a stream");
      const whole = await answering.answer;
      let turns = 1;
      let end = answering.render(whole);
      for (; end === undefined; turns++) end = answering.render(whole);
      assertEquals(turns, Math.ceil(length / 16_384));
      const { frame } = end;
      const { id, type, model, backend, ...list } = typeof frame === "string" ? JSON.parse(frame) : frame;
      assertEquals([id, type, model, backend], ["7", request.type, "controlled", "b"]);
      assertEquals(list, value);
    }
  }
});

Deno.test("tokenize, detokenize, count and apply_template are asked of the backend, and answered in one frame", async () => {
  assertEquals(await asked({ type: "tokenize", text: "hi" }, { tokens: [1, 2] }), [
    [{ type: "tokenize", text: "hi", addSpecial: false, parseSpecial: false }],
    { type: "tokenize", tokens: [1, 2] },
  ]);
  assertEquals(
    (await asked({ type: "tokenize", text: "", add_special: true, parse_special: true }, { tokens: [] }))[0],
    [
      { type: "tokenize", text: "", addSpecial: true, parseSpecial: true },
    ],
  );
  assertEquals(await asked({ type: "detokenize", tokens: [3, 0] }, { text: "ab" }), [
    [{ type: "detokenize", tokens: [3, 0], pieces: false }],
    { type: "detokenize", text: "ab" },
  ]);
  assertEquals(await asked({ type: "detokenize", tokens: [3], pieces: true }, { pieces: [[97, 98]] }), [
    [{ type: "detokenize", tokens: [3], pieces: true }],
    { type: "detokenize", pieces: [[97, 98]] },
  ]);
  const conversation = {
    messages: [{ role: "user", content: "hi" }],
    tools: [{ name: "t", description: "d", inputSchema: {} }],
    toolChoice: "none",
    thinking: true,
  } as const;
  const fields = {
    messages: MESSAGES,
    tools: [{ name: "t", description: "d", input_schema: {} }],
    tool_choice: "none",
    thinking: true,
  };
  assertEquals(await asked({ type: "count", ...fields }, { count: 5 }), [
    [{ type: "count", conversation }],
    { type: "count", input_tokens: 5 },
  ]);
  assertEquals(await asked({ type: "apply_template", ...fields }, { text: "p" }), [
    [{ type: "apply_template", conversation }],
    { type: "apply_template", text: "p" },
  ]);
});

Deno.test("count takes texts of messages as strings, too", async () => {
  const [[request]] = await asked({ type: "count", messages: [{ role: "user", content: "hi" }] }, { count: 1 });
  assertEquals(request?.type === "count" && request.conversation.messages, [{ role: "user", content: "hi" }]);
});

Deno.test("a request of these needs no place, and any other type is a generation", () => {
  assertEquals(v2Surface.read({ type: "tokenize", text: "" }).isShort, true);
  for (const type of [undefined, "generate", "frame", 1]) {
    assertEquals(v2Surface.read({ type, messages: MESSAGES }).isShort, undefined);
  }
});

Deno.test("what breaks a rule is refused by name", () => {
  const refusals: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ type: "tokenize" }, '"text" must be a string, got nothing'],
    [{ type: "tokenize", text: "x".repeat(MAX_TOKENIZE_LENGTH + 1) }, '"text" must have at most 1048576 characters'],
    [{ type: "tokenize", text: "", add_special: 1 }, '"add_special" must be true or false, got 1'],
    [{ type: "detokenize", tokens: 1 }, '"tokens" must be an array of tokens, got 1'],
    [{ type: "detokenize", tokens: [1, -1] }, '"tokens[1]" must be an integer of at least 0, got -1'],
    [{ type: "count", messages: [] }, '"messages" must be a non-empty array'],
  ];
  for (const [fields, message] of refusals) {
    assertThrows(() => v2Surface.read(fields), InvalidRequestError, message);
  }
  const image = { id: "a", kind: "image", mime: "image/png", bytes: "AAAA" };
  const messages = [{ role: "user", content: [{ type: "image", attachment_id: "a" }] }];
  assertThrows(
    () => v2Surface.read({ type: "count", messages, attachments: [image] }),
    AttachmentUnsupportedError,
    'Tokens of attachments cannot be counted, got one of kind "image"',
  );
});

Deno.test("a backend that does not know its model's tokens refuses", async () => {
  const request = v2Surface.read({ type: "count", messages: MESSAGES });
  await assertRejects(
    () => stepsOf(request, new ControlledBackend("far")),
    InvalidRequestError,
    '"count" cannot be answered by backend "far"',
  );
});
