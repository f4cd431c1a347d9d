/** Whatever a server sends, it is an answer or one of the known errors. Seeded: a failure can be had again. */
import { assert, assertEquals } from "@std/assert";
import {
  BackendUnavailableError,
  InvalidRequestError,
  ToolCallMalformedError,
} from "../../../../src/inference/errors.ts";
import type { BackendEvent } from "../../../../src/inference/events.ts";
import type { JsonObject } from "../../../../src/inference/request.ts";
import { Answer } from "../../../../src/backend/openai/answer.ts";
import { toBackendError, toFailure, UpstreamError } from "../../../../src/backend/openai/errors.ts";
import { ServerFields } from "../../../../src/backend/openai/fields.ts";
import { toOpenAiRequest } from "../../../../src/backend/openai/request.ts";
import { chunk } from "../../../support/openai_server.ts";
import { randomFrom } from "../../../support/random.ts";
import { ask, callPiece, callPieces, TOOLS, type WrittenPiece } from "../../../support/remote.ts";

const ROUNDS = 3000;
const KNOWN = [BackendUnavailableError, InvalidRequestError, ToolCallMalformedError, UpstreamError];

const CHUNKS: readonly unknown[] = [
  chunk({ role: "assistant", content: "" }),
  chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "a" }] }, { type: "text", text: "b" }] }),
  chunk({ content: "<think>a</think>b", reasoning: { summary: [{ text: "c" }] }, reasoning_details: [{ data: "d" }] }),
  callPieces({ index: 0, id: "a", name: "get_time", input: "{" }, { index: 1, id: 2, name: "get_weather", input: {} }),
  callPiece({ index: 0, input: "}" }),
  { choices: [{ index: 0, delta: { refusal: "no" }, finish_reason: "stop", stop_reason: "END" }], error: null },
  { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 0 } } },
  {
    error: { message: "m", code: 400, param: "a.b", metadata: { raw: "{}" } },
    detail: [{ loc: ["body", 1], msg: "x" }],
  },
];
const ODD: readonly unknown[] = [null, undefined, true, -1, 0.5, 1e400, "", "0", "x", [], {}, [[]], [null], { a: {} }];

/** The same with something odd in a few places. */
function damaged(value: unknown, random: () => number): unknown {
  if (random() < 0.08) return ODD[Math.floor(random() * ODD.length)];
  if (Array.isArray(value)) return value.map((entry) => damaged(entry, random));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, damaged(entry, random)]));
}

function isKnown(error: unknown): boolean {
  return KNOWN.some((known) => error instanceof known);
}

Deno.test("an answer of damaged chunks is an answer or a known error", () => {
  const random = randomFrom(11);
  for (let round = 0; round < ROUNDS; round++) {
    const answer = new Answer(ask({ ...TOOLS, thinking: round % 2 === 0 }), "far");
    const chunks = Array.from(
      { length: 1 + Math.floor(random() * 6) },
      () => damaged(CHUNKS[Math.floor(random() * CHUNKS.length)], random),
    );
    try {
      const events = [...chunks.flatMap((value) => answer.take(value)), ...answer.end({ complete: random() < 0.5 })];
      assertEquals(events.filter(({ type }) => type === "done").length, 1);
      for (const event of events) check(event);
    } catch (error) {
      assert(isKnown(error), `${error} in round ${round}: ${JSON.stringify(chunks)}`);
    }
  }
});

function check(event: BackendEvent): void {
  if (event.type === "text" || event.type === "thinking") assert(typeof event.text === "string" && event.text !== "");
  if (event.type !== "done") return;
  for (const count of Object.values(event.usage)) assert(Number.isSafeInteger(count) && count >= 0, `${count}`);
}

Deno.test("a damaged refusal is a known error, and the request never grows by it", () => {
  const random = randomFrom(12);
  const request = ask({ ...TOOLS, responseSchema: {} });
  const body = toOpenAiRequest(request, "m");
  const refusals: unknown[] = [
    ...CHUNKS,
    { detail: [{ loc: ["body", "stream_options", "include_usage"], msg: "no" }, { loc: ["body", "seed"], msg: "no" }] },
    { object: "error", message: { detail: [{ loc: ["body", "top_k"], msg: "no" }] } },
    { error: { message: "'top_k', 'max_tokens' and \"temperature\": use max_completion_tokens", param: "strict" } },
  ];
  for (let round = 0; round < ROUNDS; round++) {
    const fields = new ServerFields();
    const attempt = fields.attempt(request, body);
    let size = Object.keys(attempt.body).length;
    for (let tries = 0; tries < 20; tries++) {
      const refusal = damaged(refusals[Math.floor(random() * refusals.length)], random);
      const failure = toFailure(refusal, 400);
      assert(isKnown(toBackendError(failure, { name: "far", secret: undefined })));
      if (!attempt.refused(failure)) break;
      assert(tries < 12, "a request has only so many fields");
      const keys = Object.keys(attempt.body);
      assert(
        keys.length <= size && ["model", "messages", "tools", "response_format"].every((key) => keys.includes(key)),
      );
      size = keys.length;
    }
    fields.learn(attempt);
    assert(fields.refused.every((name) => typeof name === "string"));
  }
});

/** How a server may tell its calls apart, so that they are told apart. */
const SCHEMES: readonly (readonly [
  name: string,
  byTurns: boolean,
  piece: (call: number, first: boolean, name: string) => WrittenPiece,
])[] = [
  ["index", true, (call, first, name) => ({ index: call, ...(first ? { name } : {}) })],
  ["index and id first", true, (call, first, name) => ({ index: call, ...(first ? { id: `c${call}`, name } : {}) })],
  ["index as a text", true, (call, first, name) => ({ index: String(call), ...(first ? { id: call, name } : {}) })],
  ["index, id and name always", true, (call, _first, name) => ({ index: call, id: `c${call}`, name })],
  ["id", true, (call, first, name) => ({ id: `c${call}`, ...(first ? { name } : {}) })],
  ["id and name always", true, (call, _first, name) => ({ id: `c${call}`, name })],
  [
    "id, and an index that is always -1",
    true,
    (call, first, name) => ({ index: -1, id: call, ...(first ? { name } : {}) }),
  ],
  ["id first, and an index that is always 0", false, (call, first, name) => ({
    index: 0,
    ...(first ? { id: `c${call}`, name } : {}),
  })],
  ["name first", false, (_call, first, name) => first ? { name } : {}],
  ["name always", false, (_call, _first, name) => ({ name })],
];

Deno.test("calls are the same wherever their arguments are cut, by turns or not, in every way to tell them apart", () => {
  const random = randomFrom(13);
  const inputs: readonly JsonObject[] = [
    { city: "Oslo" },
    { a: { b: [1, { c: "}{" }] } },
    { text: 'say "hi" \\ {' },
    {},
  ];
  for (const [scheme, byTurns, toPiece] of SCHEMES) {
    for (let round = 0; round < 300; round++) {
      const calls = Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({
        name: random() < 0.5 ? "get_weather" : "get_time",
        input: inputs[Math.floor(random() * inputs.length)] ?? {},
      }));
      const left = calls.map(({ input }) => cut(JSON.stringify(input), random));
      const chunks: unknown[] = [];
      let open = 0;
      for (let told = 0; told < calls.length;) {
        // A call begins when those before it have begun.
        const at = byTurns ? Math.floor(random() * (open + 1)) : told;
        const pieces = left[at];
        const call = calls[at];
        if (pieces === undefined || call === undefined || pieces.length === 0) {
          if (!byTurns || left.every(({ length }) => length === 0)) told++;
          continue;
        }
        const first = at === open;
        if (first) open++;
        else if (!byTurns) open = at + 1;
        chunks.push(callPiece({ ...toPiece(at, first, call.name), input: pieces.shift() }));
      }
      const answer = new Answer(ask(TOOLS), "far");
      const events = [...chunks.flatMap((value) => answer.take(value)), ...answer.end({ complete: true })];
      const told = events.flatMap((event) =>
        event.type === "tool_use" ? [{ name: event.name, input: event.input }] : []
      );
      assertEquals(told, calls, `${scheme}, ${JSON.stringify(chunks)}`);
    }
  }
});

/** A text in pieces that are not empty. */
function cut(text: string, random: () => number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = at + 1 + Math.floor(random() * 8);
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}
