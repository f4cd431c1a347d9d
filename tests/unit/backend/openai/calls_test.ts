/** Calls of tools put together from the pieces of servers that number and name them as they like. */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ToolCallMalformedError } from "../../../../src/inference/errors.ts";
import type { BackendEvent } from "../../../../src/inference/events.ts";
import { chunk } from "../../../support/openai_server.ts";
import { CALLED, callPiece, callPieces, last, read, textOf, TIME, TOOLS } from "../../../support/remote.ts";

/** The calls in an answer, each as `name {"input"}`. */
function callsOf(events: readonly BackendEvent[]): string[] {
  return events.flatMap((event) => event.type === "tool_use" ? [`${event.name} ${JSON.stringify(event.input)}`] : []);
}

const OSLO = 'get_weather {"city":"Oslo"}';
const ROME = 'get_weather {"city":"Rome"}';
const NOON = "get_time {}";

const weather = { name: "get_weather", input: '{"city":"Oslo"}' };
const begun = { name: "get_weather", input: '{"city":' };
const ended = { input: '"Oslo"}' };
const rome = { name: "get_weather", input: '{"city":"Rome"}' };
const time = { name: "get_time", input: "{}" };

/** What comes of pieces, in whatever way they are told apart. */
const WAYS: readonly [way: string, chunks: unknown[], calls: string[]][] = [
  ["one, with everything", [callPiece({ index: 0, id: "a", ...begun }), callPiece({ index: 0, ...ended })], [OSLO]],
  ["the name in every piece", [callPiece(begun), callPiece({ ...ended, name: "get_weather" })], [OSLO]],
  ["the name in every piece, the first and last empty", [
    callPiece({ name: "get_weather", input: "" }),
    callPiece(begun),
    callPiece({ ...ended, name: "get_weather" }),
    callPiece({ name: "get_weather", input: "" }),
  ], [OSLO]],
  ["name and index in every piece", [
    callPiece({ index: 0, ...begun }),
    callPiece({ index: 0, ...ended, name: "get_weather" }),
  ], [OSLO]],
  ["name, index and another id in every piece", [
    callPiece({ index: 0, id: "a", name: "get_weather", input: "" }),
    callPiece({ index: 0, id: "b", ...begun }),
    callPiece({ index: 0, id: "c", ...ended, name: "get_weather" }),
    callPiece({ index: 0, id: "d", name: "get_weather", input: "" }),
  ], [OSLO]],
  ["the name and another id in every piece, without an index", [
    callPiece({ id: "a", name: "get_weather", input: '{"ci' }),
    callPiece({ id: "b", name: "get_weather", input: 'ty":' }),
    callPiece({ id: "c", ...ended, name: "get_weather" }),
    callPiece({ id: "d", ...rome }),
  ], [OSLO, ROME]],
  ["the name and one id in every piece", [
    callPiece({ id: "a", ...begun }),
    callPiece({ id: "a", ...ended, name: "get_weather" }),
  ], [OSLO]],
  ["another id in every piece", [
    callPiece({ index: 0, id: "a", ...begun }),
    callPiece({ index: 0, id: "zzz", ...ended }),
    callPiece({ index: 1, id: "b", ...time }),
  ], [OSLO, NOON]],
  ["nothing but the name first", [callPiece(begun), callPiece(ended)], [OSLO]],
  ["the name last", [
    callPiece({ index: 0, id: "a", input: '{"city":"Oslo"}' }),
    callPiece({ index: 0, name: "get_weather" }),
  ], [OSLO]],
  ["the name in pieces", [
    callPiece({ index: 0, id: "a", name: "get_" }),
    callPiece({ index: 0, name: "weather" }),
    callPiece({ index: 0, input: '{"city":"Oslo"}' }),
  ], [OSLO]],
  ["an empty object before the one that is meant", [
    callPiece({ index: 0, id: "a", name: "get_weather", input: "{}" }),
    callPiece({ index: 0, input: '{"city":' }),
    callPiece({ index: 0, ...ended }),
  ], [OSLO]],
  ["two by index", [
    callPiece({ index: 0, ...begun }),
    callPiece({ index: 1, ...rome }),
    callPiece({ index: 0, ...ended }),
  ], [OSLO, ROME]],
  ["two by index as a text", [
    callPiece({ index: "0", id: "a", ...begun }),
    callPiece({ index: "1", id: "b", ...rome }),
    callPiece({ index: "0", ...ended }),
  ], [OSLO, ROME]],
  ["two by numeric ids", [
    callPiece({ id: 17, ...begun }),
    callPiece({ id: 18, ...rome }),
    callPiece({ id: 17, ...ended }),
  ], [OSLO, ROME]],
  ["two by ids, pieces by turns", [
    callPiece({ id: "a", name: "get_weather", input: "" }),
    callPiece({ id: "b", name: "get_weather", input: "" }),
    callPiece({ id: "a", input: '{"city":' }),
    callPiece({ id: "b", input: '{"city":' }),
    callPiece({ id: "a", input: '"Oslo"}' }),
    callPiece({ id: "b", input: '"Rome"}' }),
  ], [OSLO, ROME]],
  ["two by ids, names and pieces by turns", [
    callPiece({ id: "a", ...begun }),
    callPiece({ id: "b", ...begun }),
    callPiece({ id: "a", name: "get_weather", input: '"Oslo"}' }),
    callPiece({ id: "b", name: "get_weather", input: '"Rome"}' }),
  ], [OSLO, ROME]],
  ["two by ids, the index always 0", [
    callPiece({ index: 0, id: "a", ...weather }),
    callPiece({ index: 0, id: "b", ...rome }),
  ], [
    OSLO,
    ROME,
  ]],
  ["two by ids, the index always -1", [
    callPiece({ index: -1, id: "a", ...begun }),
    callPiece({ index: -1, id: "b", ...time }),
    callPiece({ index: -1, id: "a", ...ended }),
  ], [OSLO, NOON]],
  ["two by names, the index always 0", [callPiece({ index: 0, ...weather }), callPiece({ index: 0, ...time })], [
    OSLO,
    NOON,
  ]],
  ["two by names", [callPiece({ name: "get_time" }), callPiece(begun), callPiece(ended)], [NOON, OSLO]],
  ["two of one name, whole", [callPiece(weather), callPiece(rome)], [OSLO, ROME]],
  ["two of one name, whole, with one index", [callPiece({ index: 0, ...weather }), callPiece({ index: 0, ...rome })], [
    OSLO,
    ROME,
  ]],
  ["two of one name and one id, whole", [callPiece({ id: "x", ...weather }), callPiece({ id: "x", ...rome })], [
    OSLO,
    ROME,
  ]],
  ["two of one id, by index", [
    callPiece({ index: 0, id: "x", ...begun }),
    callPiece({ index: 1, id: "x", ...rome }),
    callPiece({ index: 0, ...ended }),
  ], [OSLO, ROME]],
  ["two without arguments, by ids", [
    callPiece({ index: 0, id: "a", name: "get_time", input: "" }),
    callPiece({ index: 0, id: "b", name: "get_time", input: "" }),
  ], [NOON, NOON]],
  ["two together", [callPieces(weather, time)], [OSLO, NOON]],
  ["two together, and pieces of both", [
    callPieces({ name: "get_weather" }, { name: "get_weather" }),
    callPieces({ input: '{"city":' }, { input: '{"city":' }),
    callPieces({ input: '"Oslo"}' }, { input: '"Rome"}' }),
  ], [OSLO, ROME]],
  ["two one after the other, and pieces of both", [
    callPiece({ name: "get_time" }),
    callPiece({ name: "get_weather" }),
    callPieces({ input: "{}" }, { input: '{"city":"Oslo"}' }),
  ], [NOON, OSLO]],
  ["two together by ids, and pieces in another order", [
    callPieces({ id: "a", name: "get_weather" }, { id: "b", name: "get_weather" }),
    callPieces({ id: "b", input: '{"city":"Rome"}' }, { id: "a", input: '{"city":"Oslo"}' }),
  ], [OSLO, ROME]],
  ["the second begins with the first one's index", [
    callPiece({ index: 0, id: "a", ...weather }),
    callPiece({ index: 0, id: "b", name: "get_weather", input: "" }),
    callPiece({ index: 1, input: '{"city":' }),
    callPiece({ index: 1, input: '"Rome"}' }),
  ], [OSLO, ROME]],
  ["the second has an index that the first piece lacks", [
    callPiece({ id: "a", ...weather }),
    callPiece({ id: "b", name: "get_weather" }),
    callPiece({ index: 1, input: '{"city":"Rome"}' }),
  ], [OSLO, ROME]],
  ["whole ones again at the end", [
    callPiece({ index: 0, id: "a", ...begun }),
    callPiece({ index: 0, ...ended }),
    callPiece({ index: 1, id: "b", ...rome }),
    callPieces({ index: 0, id: "a", ...weather }, { index: 1, id: "b", ...rome }),
  ], [OSLO, ROME]],
  ["empty pieces behind the end", [
    callPiece({ index: 0, id: "a", ...weather }),
    callPiece({ index: 1, id: "b", ...time }),
    callPiece({ index: 0, id: "a", input: "" }),
    callPiece({ id: "a" }),
    callPiece({ index: 1, input: null }),
  ], [OSLO, NOON]],
  ["one, and one that is only begun", [
    callPiece({ index: 0, id: "a", ...weather }),
    callPiece({ index: 1, id: "b", name: "", input: "" }),
  ], [OSLO]],
  ["without a function around them", [
    chunk({ tool_calls: [{ id: "a", name: "get_weather", arguments: { city: "Oslo" } }] }),
  ], [
    OSLO,
  ]],
  ["alone instead of in a list", [chunk({ tool_calls: { id: "a", function: weather && { name: "get_time" } } })], [
    NOON,
  ]],
];

Deno.test("calls are told apart by index, id, name or place, whichever a server gives", async () => {
  for (const [way, chunks, calls] of WAYS) {
    assertEquals(callsOf(await read([...chunks, ...CALLED], TOOLS)), calls, way);
    // The same where the server does not say why the answer ends.
    assertEquals(callsOf(await read([...chunks, "[DONE]"], TOOLS)), calls, way);
  }
});

Deno.test("a call of which nothing is said is none", async () => {
  const empty: unknown[] = [{}, "", false, [{}], [null], [{ index: 0, function: { name: null, arguments: "" } }]];
  const deltas = [...empty.map((tool_calls) => ({ tool_calls })), { function_call: { name: "", arguments: "" } }];
  for (const delta of deltas) {
    const events = await read([chunk({ content: "a", ...delta }), chunk({ content: "b", ...delta }, "stop"), "[DONE]"]);
    assertEquals([textOf(events), last(events).reason], ["ab", "end"], JSON.stringify(delta));
  }
});

Deno.test("calls have the server's ids where those are ids, each another", async () => {
  const chunks = [
    callPiece({ index: 0, id: 17, ...time }),
    callPiece({ index: 1, id: "", ...time }),
    callPiece({ index: 2, id: "17", ...time }),
    callPiece({ index: 3, id: {}, ...time }),
  ];
  const ids = (await read([...chunks, ...CALLED], TOOLS)).flatMap((event) =>
    "toolCallId" in event ? [event.toolCallId] : []
  );
  assertEquals(ids[0], "17");
  assertEquals(new Set(ids).size, 4);
});

Deno.test("arguments are an object in any form", async () => {
  const forms: [unknown, unknown][] = [
    [undefined, {}],
    [null, {}],
    ["", {}],
    ["  ", {}],
    ["null", {}],
    ["{}", {}],
    [{}, {}],
    [{ city: "Oslo" }, { city: "Oslo" }],
    [' {"city": "Oslo"}\n', { city: "Oslo" }],
    [JSON.stringify('{"city":"Oslo"}'), { city: "Oslo" }],
    ['{"a":"}\\"{","b":[{}]}', { a: '}"{', b: [{}] }],
  ];
  for (const [input, expected] of forms) {
    const [call] = await read([callPiece({ index: 0, id: "a", name: "get_time", input }), ...CALLED], TOOLS);
    const shown = JSON.stringify(input);
    assertEquals(call, { type: "tool_use", toolCallId: "a", name: "get_time", input: expected } as BackendEvent, shown);
  }
  const whole = chunk({ tool_calls: [{ id: "a", type: "function", function: { name: "get_time" } }] });
  assertEquals(callsOf(await read([whole, ...CALLED], TOOLS)), [NOON]);
});

Deno.test("arguments that are no object are tool_call_malformed", async () => {
  for (const input of ["[]", [], "5", 5, true, '"x"', '"\\"x\\""', "{", '{"a":1}}', '{"a":1}{"b":2}']) {
    const error = await assertRejects(() => read([callPiece({ name: "get_time", input }), ...CALLED], TOOLS), Error);
    assertInstanceOf(error, ToolCallMalformedError, JSON.stringify(input));
  }
});

Deno.test("names in pieces are the longest that was offered, and two that were offered are two calls", async () => {
  const tools = [{ ...TIME, name: "get" }, { ...TIME, name: "set" }, { ...TIME, name: "getter" }];
  const piece = (name: string): unknown => callPiece({ index: 0, name });
  assertEquals(callsOf(await read([piece("get"), piece("ter"), ...CALLED], { tools })), ["getter {}"]);
  assertEquals(callsOf(await read([piece("get"), piece("set"), ...CALLED], { tools })), ["get {}", "set {}"]);
});

Deno.test("a long argument in pieces that all have the name costs no more than its length", async () => {
  const text = "}".repeat(200_000);
  const pieces = [
    callPiece({ name: "get_time", input: '{"a":"' }),
    ...Array.from(
      { length: 2000 },
      (_, at) => callPiece({ name: "get_time", input: text.slice(at * 100, at * 100 + 100) }),
    ),
    callPiece({ name: "get_time", input: '"}' }),
  ];
  const [call] = await read([...pieces, ...CALLED], TOOLS);
  assertEquals(call?.type === "tool_use" && call.input, { a: text });
});

Deno.test("tools whose names a server need not take are sent under others and called under their own", async () => {
  const long = "n".repeat(70);
  const names = ["a.b", "a/b", "a_b", `${long}1`, `${long}2`];
  const tools = names.map((name) => ({ ...TIME, name }));
  for (const [at, name] of names.entries()) {
    const remote = ["a_b_2", "a_b_3", "a_b", "n".repeat(64), `${"n".repeat(62)}_2`][at];
    const events = await read([callPiece({ index: 0, id: "c", name: remote, input: "{}" }), ...CALLED], { tools });
    assertEquals(callsOf(events), [`${name} {}`]);
  }
});
