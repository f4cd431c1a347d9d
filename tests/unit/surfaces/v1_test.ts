import { assertEquals, assertThrows } from "@std/assert";
import { InvalidRequestError } from "../../../src/inference/errors.ts";
import { type GenerationRequest, PLAIN } from "../../../src/inference/request.ts";
import { v1Surface } from "../../../src/surfaces/v1.ts";
import { type Step, stepsOf } from "../../support/answer.ts";
import { ControlledBackend } from "../../support/controlled_backend.ts";

const MESSAGES = [{ role: "user", content: "hi" }];

/** What a backend is asked when a client sends these fields. */
async function resolved(fields: Record<string, unknown>): Promise<GenerationRequest> {
  const backend = new ControlledBackend();
  const answered = stepsOf(v1Surface.read({ messages: MESSAGES, ...fields }), backend);
  const run = await backend.next();
  run.finish();
  await answered;
  return run.request;
}

function assertAccepted(fields: Record<string, unknown>): void {
  v1Surface.read({ messages: MESSAGES, ...fields });
}

Deno.test("resolve fills in the protocol's defaults", async () => {
  assertEquals(await resolved({}), {
    ...PLAIN,
    messages: [{ role: "user", content: "hi" }],
    sampling: { temperature: 1, topP: 0.95, topK: 64 },
    maxTokens: 1000,
    defaulted: ["temperature", "top_p", "top_k", "max_tokens"],
    stop: [],
  });
  assertEquals(v1Surface.read({ messages: MESSAGES }).id, "");
});

Deno.test("resolve tells a default from the same value that was asked for", async () => {
  assertEquals((await resolved({ top_k: 64, temperature: 1 })).defaulted, ["top_p", "max_tokens"]);
});

Deno.test("resolve takes every field as it is given", async () => {
  const messages = [
    { role: "system", content: "be brief" },
    { role: "user", content: "" },
    { role: "assistant", content: "yes" },
  ];
  const given = {
    messages,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 7,
    max_tokens: 3,
    grammar: 'root ::= "a" | "b"',
    seed: 42,
    stop: ["END", "\n"],
    image_token_budget: 70,
  };
  assertEquals<unknown>(await resolved(given), {
    ...PLAIN,
    messages,
    sampling: { temperature: 0.5, topP: 0.9, topK: 7, seed: 42 },
    maxTokens: 3,
    stop: ["END", "\n"],
    grammar: 'root ::= "a" | "b"',
  });
});

Deno.test("resolve passes on nothing a message has beside role and content", async () => {
  const request = await resolved({ messages: [{ role: "user", content: "hi", name: "bob", tool_calls: [] }] });
  assertEquals<unknown>(request.messages, [{ role: "user", content: "hi" }]);
});

Deno.test("resolve accepts every value on the edge of its range", () => {
  for (const temperature of [0, -0, 2]) assertAccepted({ temperature });
  for (const top_p of [Number.MIN_VALUE, 1]) assertAccepted({ top_p });
  for (const top_k of [0, 2 ** 31 - 1]) assertAccepted({ top_k });
  for (const seed of [0, -1, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]) assertAccepted({ seed });
  for (const image_token_budget of [70, 140, 280, 560, 1120]) assertAccepted({ image_token_budget });
  assertAccepted({ stop: [] });
  assertAccepted({ stop: Array(16).fill("s") });
  assertAccepted({ grammar: "x".repeat(64 * 1024) });
  assertAccepted({ grammar: "ü".repeat(32 * 1024) });
  assertAccepted({ grammar: "|".repeat(4096) });
});

Deno.test("resolve takes a max_tokens beyond what an engine can count as that much", async () => {
  assertEquals((await resolved({ max_tokens: 1e300 })).maxTokens, 2 ** 31 - 1);
});

Deno.test("resolve reads nothing from a prototype", () => {
  const value: unknown = JSON.parse('{"__proto__":{"messages":[{"role":"user","content":"x"}]}}');
  assertThrows(
    () => v1Surface.read(value),
    InvalidRequestError,
    '"messages" must be a non-empty array, got nothing',
  );
});

Deno.test("an answer renders each text, then one terminal frame with the whole", async () => {
  const backend = new ControlledBackend("b");
  const collected = stepsOf(v1Surface.read({ id: "i", messages: MESSAGES }), backend);
  const run = await backend.next();
  run.say("a");
  run.say("b");
  const usage = { promptTokens: 3, completionTokens: 2, cachedTokens: 1 };
  run.finish("length", usage);
  assertEquals<Step[]>(await collected, [
    '{"id":"i","type":"token","content":"a"}\n',
    '{"id":"i","type":"token","content":"b"}\n',
    {
      frame:
        '{"id":"i","type":"done","content":"ab","usage":{"prompt_tokens":3,"completion_tokens":2},"stop_reason":"length","backend":"b"}\n',
      stopReason: "length",
      usage,
    },
  ]);
});

Deno.test("an answer in one piece leaves out text that turned out to be a thought", async () => {
  for (const [stream, content] of [[false, "So."], [true, "Plan.So."]] as const) {
    const backend = new ControlledBackend();
    const collected = stepsOf(v1Surface.read({ messages: MESSAGES, stream }), backend);
    const run = await backend.next();
    run.say("Plan.");
    run.takeBack();
    run.say("So.");
    run.finish();
    const last = (await collected).at(-1);
    assertEquals(typeof last === "object" ? JSON.parse(last.frame).content : last, content);
  }
});

Deno.test("each finish has its stop_reason", async () => {
  for (const [reason, stopReason] of [["end", "end"], ["stop", "end"], ["length", "length"]] as const) {
    const backend = new ControlledBackend();
    const collected = stepsOf(v1Surface.read({ messages: MESSAGES }), backend);
    (await backend.next()).finish(reason);
    const [step] = await collected;
    assertEquals(typeof step === "object" ? step.stopReason : step, stopReason);
  }
});

Deno.test("resolve refuses more messages than any context has room for", () => {
  const messages = (count: number): unknown[] => Array.from({ length: count }, () => MESSAGES[0]);
  assertAccepted({ messages: messages(16384) });
  assertThrows(
    () => v1Surface.read({ messages: messages(16385) }),
    InvalidRequestError,
    '"messages" must have at most 16384 messages and blocks',
  );
});
