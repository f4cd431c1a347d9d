/** What a remote server may cost this daemon: bytes, JSON values, levels, and time without progress. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BackendUnavailableError, ToolCallMalformedError } from "../../../../src/inference/errors.ts";
import { ANY_OBJECT } from "../../../../src/inference/request.ts";
import { MAX_JSON_VALUES } from "../../../../src/inference/json_bounds.ts";
import { type Asked, chunk } from "../../../support/openai_server.ts";
import { CALLED, callPiece, read, Remote, TOOLS } from "../../../support/remote.ts";
import { everyTurn, nextTurn } from "../../../support/waiting.ts";

const HOLDS_TOO_MUCH = "sent JSON with too many values or levels";

/** An object in objects; valid JSON. */
function nested(levels: number): string {
  return `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
}

/** The length of the longest text that is parsed as JSON while something runs. */
async function longestParsed(run: () => Promise<unknown>): Promise<number> {
  const { parse } = JSON;
  let longest = 0;
  JSON.parse = (text, reviver): unknown => {
    longest = Math.max(longest, text.length);
    return parse(text, reviver);
  };
  try {
    await run();
    return longest;
  } finally {
    JSON.parse = parse;
  }
}

/** Writes for as long as it is listened to. */
async function endlessly(asked: Asked, say: () => Promise<void>): Promise<void> {
  let listened = true;
  void asked.closed.then(() => listened = false);
  await asked.head();
  while (listened) {
    await say();
    await nextTurn();
  }
}

Deno.test("a whole answer of too many values is given up before it is parsed", async () => {
  const bomb = `[${"{},".repeat(5_000_000)}{}]`;
  await using started = await Remote.start((asked) => asked.json(200, bomb));
  const longest = await longestParsed(() =>
    assertRejects(() => started.events(), BackendUnavailableError, HOLDS_TOO_MUCH)
  );
  assert(longest < bomb.length, `${longest} characters were parsed`);
});

Deno.test("an event of too many values or levels is given up before it is parsed", async () => {
  const many = `{"choices":[${"{},".repeat(MAX_JSON_VALUES)}{}]}`;
  for (const bomb of [many, nested(200), `[${"[],".repeat(MAX_JSON_VALUES)}[]]`]) {
    await assertRejects(() => read([bomb, "[DONE]"]), BackendUnavailableError, HOLDS_TOO_MUCH);
  }
});

Deno.test("an event of more lines than a server has chunks is given up", async () => {
  await using started = await Remote.start(async (asked) => {
    await asked.head();
    await asked.write(`${"data: {}\n".repeat(5000)}\n`);
    await asked.end();
  });
  await assertRejects(() => started.events(), BackendUnavailableError, "is no JSON");
});

Deno.test("a whole answer larger than any answer is given up while it comes", async () => {
  await using started = await Remote.start(async (asked) => {
    await asked.head(200, { "content-type": "application/json" });
    await asked.write('{"choices":[{"message":{"content":"');
    const much = new Uint8Array(1024 * 1024).fill(0x78);
    for (let at = 0; at < 20; at++) await asked.write(much);
    await asked.write('"}}]}');
    await asked.end();
  });
  await assertRejects(() => started.events(), BackendUnavailableError, "too large");
});

Deno.test("arguments and answers that hold too many values are no JSON", async () => {
  const many = `{"a":[${"1,".repeat(MAX_JSON_VALUES)}1]}`;
  await assertRejects(
    () => read([callPiece({ index: 0, id: "c", name: "get_time", input: many }), ...CALLED], TOOLS),
    ToolCallMalformedError,
  );
  await assertRejects(
    () => read([chunk({ content: many }, "stop"), "[DONE]"], { responseSchema: ANY_OBJECT }),
    BackendUnavailableError,
    "response_format",
  );
});

Deno.test("arguments that come as an object are malformed when they are too deep", async () => {
  const pieces = [callPiece({ index: 0, id: "c", name: "get_time", input: JSON.parse(nested(66)) }), ...CALLED];
  await assertRejects(() => read(pieces, TOOLS), ToolCallMalformedError);
});

Deno.test("a server that keeps the connection alive and makes no progress is given up after the timeout", async () => {
  const empties = [
    ": keep-alive\n\n",
    " \n",
    `data: ${JSON.stringify(chunk({}))}\n\n`,
    `data: ${JSON.stringify(chunk({ content: "" }))}\n\n`,
    `data: ${JSON.stringify(callPiece({ index: 0, id: "c", name: "get_time", input: "" }))}\n\n`,
  ];
  for (const empty of empties) {
    await using started = await Remote.start((asked) => endlessly(asked, () => asked.write(empty)), {
      timeoutSecs: 0.3,
    });
    await assertRejects(() => started.events(TOOLS), BackendUnavailableError, "made no progress for 0.3 s");
  }
});

Deno.test("a whole answer that comes a byte at a time is given up after the timeout", async () => {
  await using started = await Remote.start((asked) => endlessly(asked, () => asked.write("{")), { timeoutSecs: 0.3 });
  await assertRejects(() => started.events(), BackendUnavailableError, "made no progress for 0.3 s");
});

Deno.test("an answer takes longer than the timeout when it makes progress", async () => {
  using time = new FakeTime();
  await using started = await Remote.start(undefined, { timeoutSecs: 0.4 });
  const events = started.generate();
  let next = events.next();
  const asked = await started.server.next();
  await asked.head();
  for (let piece = 0; piece < 5; piece++) {
    await asked.write(": keep-alive\n\n");
    await asked.say(chunk({ content: "a" }));
    assertEquals((await next).value, { type: "text", text: "a" });
    next = events.next();
    // By then the next piece is waited for.
    await nextTurn();
    time.tick(300);
  }
  await asked.say("[DONE]");
  await asked.end();
  assertEquals((await next).value?.type, "done");
});

Deno.test("others get their turn while a message of many chunks is read", async () => {
  let turns = 0;
  {
    using _others = everyTurn(() => turns++);
    await read([`[${"{},".repeat(120_000)}{}]`, chunk({ content: "a" }, "stop"), "[DONE]"]);
  }
  assert(turns > 60, `others had ${turns} turns`);
});
