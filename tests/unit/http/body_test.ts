/** Threat: one body of megabytes keeps the bridge from everybody else. */
import { assert, assertEquals } from "@std/assert";
import { Hono } from "hono";
import { JoinedText, LONG_TEXT_LENGTH } from "@inferd/client/protocol";
import { z } from "zod";
import { ApiError } from "../../../src/http/api_error.ts";
import { type Bindings, readBody } from "../../../src/http/body.ts";
import { longText } from "../../../src/http/long_texts.ts";
import { PaceUnderTest } from "../../support/paces.ts";
import { nextTurn } from "../../support/waiting.ts";
import { MAX_JSON_VALUES } from "../../../src/inference/json_bounds.ts";

const PIECE_BYTES = 65_536;

/** What a body is read as, or why it is refused. All of it has arrived already. */
async function read(
  text: string | Uint8Array,
  bindings: Bindings = {},
  schema: z.ZodType = z.unknown(),
): Promise<unknown> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const body = new ReadableStream<Uint8Array>({
    start(controller): void {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) controller.enqueue(bytes.subarray(at, at + PIECE_BYTES));
      controller.close();
    },
  });
  let outcome: unknown;
  const app = new Hono().post("/", async (context) => {
    outcome = await readBody(context, schema, { inPieces: "list" }).catch((error: unknown) => {
      if (error instanceof ApiError) return error.message;
      throw error;
    });
    return context.body(null);
  });
  const { status } = await app.request("/", { method: "POST", body }, bindings);
  assertEquals(status, 200);
  return outcome;
}

Deno.test("a large body is read as JSON.parse reads it, wherever its pieces end", async () => {
  for (const unit of ["漢😀é", 'a"b\\c\n', "\ud83d"]) {
    const value = {
      ["__proto__"]: [1, -0, 1e300],
      texts: Array.from({ length: 3 }, (_, i) => `${i}${unit.repeat(100_001)}`),
    };
    const text = JSON.stringify(value);
    assertEquals(JSON.stringify(await read(text)), JSON.stringify(JSON.parse(text)));
  }
});

Deno.test("a large body that is not JSON is refused", async () => {
  const long = `"${"x".repeat(2 * MAX_JSON_VALUES)}"`;
  for (const text of [`{${long}}`, `[${long}`, `[${long}]]`, `[${long},]`]) {
    assertEquals(await read(text), "The body is not JSON");
  }
  assertEquals(
    await read(Uint8Array.of(...new TextEncoder().encode(`["${"x".repeat(100)}`), 0xff)),
    "The body is not UTF-8",
  );
});

Deno.test("as many values are read as a line of the daemon's may hold, and one more is refused", async () => {
  const most = `[${"0,".repeat(MAX_JSON_VALUES - 3)}0]`;
  assertEquals((await read(most) as unknown[]).length, MAX_JSON_VALUES - 2);
  const refused = `The body holds more than ${MAX_JSON_VALUES} JSON values`;
  for (const more of [`[${"0,".repeat(MAX_JSON_VALUES)}0]`, `[${"{},".repeat(3_000_000)}0]`]) {
    assertEquals(await read(more), refused);
  }
});

Deno.test("others are served while a large body is parsed", async () => {
  let isRead = false;
  const text = `[${Array.from({ length: 250_000 }, (_, i) => `"${i} ${"words ".repeat(30)}"`).join(",")}]`;
  const reading = read(text).finally(() => isRead = true);
  let turns = 0;
  for (; !isRead; turns++) await nextTurn();
  await reading;
  assert(turns > 2, `${turns} turns`);
});

Deno.test("reading a large body pauses while requests run, also when it is refused already, and not otherwise", async () => {
  const test = new PaceUnderTest();
  const long = "river ".repeat(1_000_000);
  const pausesFor = async (text: string, running: number): Promise<number> => {
    test.running = running;
    test.pauses.length = 0;
    await read(text, { pace: test.pace });
    return test.pauses.length;
  };
  assert(await pausesFor(JSON.stringify([long]), 1) >= 2, `${test.pauses}`);
  assert(await pausesFor(`{${long}`, 1) >= 2, `${test.pauses}`);
  assertEquals(await pausesFor(JSON.stringify([long]), 0), 0);
  assertEquals(await pausesFor(JSON.stringify(["short"]), 1), 0);
});

Deno.test("lists are limited with what is within their elements, since checking and converting them takes long", async () => {
  const texts = (count: number): unknown[] => Array.from({ length: count }, () => ({ type: "text", text: "" }));
  const rule = "must have at most 16384 elements, with those within them";
  for (
    const [body, refused] of [
      [{ messages: texts(16385) }, `"messages" ${rule}`],
      [{ messages: texts(16384) }, undefined],
      [{ messages: [{ role: "user", content: texts(16384) }] }, `"messages" ${rule}`],
      [
        { messages: [{ role: "user", content: [{ type: "tool_result", content: texts(16383) }] }] },
        `"messages" ${rule}`,
      ],
      [{ messages: [{ role: "assistant", tool_calls: texts(16383) }] }, undefined],
      [{ input: Array.from({ length: 16385 }, () => "") }, `"input" ${rule}`],
      [{ documents: Array.from({ length: 16385 }, () => "") }, `"documents" ${rule}`],
      [
        { prompt: Array.from({ length: 17_000 }, () => "a"), tokens: Array.from({ length: 17_000 }, () => 1) },
        undefined,
      ],
    ] as const
  ) {
    assertEquals(await read(JSON.stringify(body)), refused ?? body);
  }
});

Deno.test("a long list is checked in pieces: the first wrong element is named, and others are served meanwhile", async () => {
  const element = z.object({ of: z.union([z.string(), z.array(z.object({ text: z.string() }))]) });
  const schema = z.strictObject({ list: z.array(element).min(1), name: z.string().nullish() });
  const other = z.strictObject({
    list: z.union([z.string(), z.array(z.discriminatedUnion("of", [z.object({ of: z.literal("a") })]))]),
  });
  const list = (count: number, of: unknown = "a"): Record<string, unknown>[] =>
    Array.from({ length: count }, () => ({ of }));
  const whole = { list: list(10_000), name: "x" };
  assertEquals(await read(JSON.stringify(whole), {}, schema), whole);
  const cases = [
    [
      { list: [...list(9_999), { of: [{ text: 7 }] }] },
      '"list[9999].of[0].text": Invalid input: expected string, received number',
    ],
    [{ list: list(10_000, 7) }, '"list[0].of": Invalid input'],
    [{ list: list(300), name: 7 }, '"name": Invalid input: expected string, received number'],
    [{ list: list(300), more: 7 }, "Unrecognized request argument supplied: more"],
  ] as const;
  for (const [body, problem] of cases) assertEquals(await read(JSON.stringify(body), {}, schema), problem);
  assertEquals(
    await read(JSON.stringify({ list: [...list(700), ...list(700, "b")] }), {}, other),
    "\"list[700].of\": Invalid discriminator value. Expected 'a'",
  );
  let isRead = false;
  const reading = read(JSON.stringify({ list: list(16_000, [{ text: "a" }]) }), {}, schema).finally(() =>
    isRead = true
  );
  let turns = 0;
  for (; !isRead; turns++) await nextTurn();
  await reading;
  assert(turns > 2, `${turns} turns`);
});

Deno.test("a long text stays in parts where the schema has one, and is a string elsewhere", async () => {
  const text = "ä river\n".repeat(LONG_TEXT_LENGTH / 8);
  const body = JSON.stringify({ text, inner: [{ text }] });
  const parts = await read(body, {}, z.object({ text: longText, inner: z.array(z.object({ text: longText })) }));
  assert((parts as { text: unknown }).text instanceof JoinedText);
  assert(JSON.stringify(parts) === body);
  const strings = await read(body, {}, z.object({ text: longText, inner: z.array(z.object({ text: z.string() })) }));
  assertEquals(typeof (strings as { text: unknown }).text, "string");
  assert(JSON.stringify(strings) === body);
  for (const [value, type] of [[7, "number"], [null, "null"], [[], "array"], [{}, "object"]] as const) {
    const problem = await read(JSON.stringify({ inner: value }), {}, z.object({ inner: longText }));
    const [own, theirs] = [problem, await read(JSON.stringify({ inner: value }), {}, z.object({ inner: z.string() }))];
    assertEquals(own, theirs);
    if (value !== null) assertEquals(own, `"inner": Invalid input: expected string, received ${type}`);
  }
});
