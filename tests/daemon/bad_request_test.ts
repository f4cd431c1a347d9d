/** Every rule of the v1 table, broken once, on the wire: one clear message each, and the connection goes on. */
import { assertEquals } from "@std/assert";
import { ask, Serving } from "../support/serving.ts";

const WRONG: readonly [field: string, json: string, message: string][] = [
  ["id", "7", '"id" must be a string, got 7'],
  ["id", "null", '"id" must be a string, got null'],
  ["id", '{"a":1}', '"id" must be a string, got an object'],
  ["id", `"${"i".repeat(1025)}"`, `"id" must be at most 1024 bytes of UTF-8, got "${"i".repeat(40)}…"`],
  ["id", `"${"ä".repeat(513)}"`, `"id" must be at most 1024 bytes of UTF-8, got "${"ä".repeat(40)}…"`],
  ["messages", "null", '"messages" must be a non-empty array, got null'],
  ["messages", '"hello"', '"messages" must be a non-empty array, got "hello"'],
  ["messages", "{}", '"messages" must be a non-empty array, got an object'],
  ["messages", "[]", '"messages" must be a non-empty array, got an empty array'],
  ["messages", "[1]", '"messages[0]" must be an object, got 1'],
  ["messages", "[[]]", '"messages[0]" must be an object, got an empty array'],
  ["messages", "[null]", '"messages[0]" must be an object, got null'],
  [
    "messages",
    '[{"role":"tool","content":"x"}]',
    '"messages[0].role" must be "system", "user" or "assistant", got "tool"',
  ],
  ["messages", '[{"content":"x"}]', '"messages[0].role" must be "system", "user" or "assistant", got nothing'],
  ["messages", '[{"role":1,"content":"x"}]', '"messages[0].role" must be "system", "user" or "assistant", got 1'],
  ["messages", '[{"role":"user"}]', '"messages[0].content" must be a string, got nothing'],
  ["messages", '[{"role":"user","content":[]}]', '"messages[0].content" must be a string, got an empty array'],
  [
    "messages",
    '[{"role":"user","content":"x"},{"role":"user","content":2}]',
    '"messages[1].content" must be a string, got 2',
  ],
  ["temperature", "-1", '"temperature" must be a number from 0 to 2, got -1'],
  ["temperature", "9", '"temperature" must be a number from 0 to 2, got 9'],
  ["temperature", "2.0001", '"temperature" must be a number from 0 to 2, got 2.0001'],
  ["temperature", "1e999", '"temperature" must be a number from 0 to 2, got Infinity'],
  ["temperature", "-1e999", '"temperature" must be a number from 0 to 2, got -Infinity'],
  ["temperature", '"1"', '"temperature" must be a number from 0 to 2, got "1"'],
  ["temperature", "null", '"temperature" must be a number from 0 to 2, got null'],
  ["top_p", "0", '"top_p" must be a number above 0 and at most 1, got 0'],
  ["top_p", "1.1", '"top_p" must be a number above 0 and at most 1, got 1.1'],
  ["top_p", "true", '"top_p" must be a number above 0 and at most 1, got true'],
  ["top_k", "-1", '"top_k" must be an integer from 0 to 2147483647, got -1'],
  ["top_k", "1.5", '"top_k" must be an integer from 0 to 2147483647, got 1.5'],
  ["top_k", "1e300", '"top_k" must be an integer from 0 to 2147483647, got 1e+300'],
  ["top_k", '"64"', '"top_k" must be an integer from 0 to 2147483647, got "64"'],
  ["max_tokens", "0", '"max_tokens" must be an integer of at least 1, got 0'],
  ["max_tokens", "1.5", '"max_tokens" must be an integer of at least 1, got 1.5'],
  ["max_tokens", "1e999", '"max_tokens" must be an integer of at least 1, got Infinity'],
  ["max_tokens", "[5]", '"max_tokens" must be an integer of at least 1, got an array'],
  ["stream", "1", '"stream" must be true or false, got 1'],
  ["stream", '"false"', '"stream" must be true or false, got "false"'],
  ["image_token_budget", "71", '"image_token_budget" must be one of 70, 140, 280, 560, 1120, got 71'],
  ["image_token_budget", '"70"', '"image_token_budget" must be one of 70, 140, 280, 560, 1120, got "70"'],
  ["grammar", "{}", '"grammar" must be a string, got an object'],
  ["grammar", JSON.stringify("x".repeat(65537)), '"grammar" must have at most 65536 bytes, got 65537'],
  ["grammar", JSON.stringify("ü".repeat(32769)), '"grammar" must have at most 65536 bytes, got 65538'],
  ["grammar", JSON.stringify("|".repeat(4097)), '"grammar" must have at most 4096 "|", got 4097'],
  ["seed", "1.5", '"seed" must be an integer from -9007199254740991 to 9007199254740991, got 1.5'],
  [
    "seed",
    "9007199254740992",
    '"seed" must be an integer from -9007199254740991 to 9007199254740991, got 9007199254740992',
  ],
  ["seed", '"7"', '"seed" must be an integer from -9007199254740991 to 9007199254740991, got "7"'],
  ["stop", '"END"', '"stop" must be an array of strings, got "END"'],
  ["stop", "[1]", '"stop[0]" must be a non-empty string, got 1'],
  ["stop", '["a",""]', '"stop[1]" must be a non-empty string, got ""'],
  ["stop", JSON.stringify(Array(17).fill("s")), '"stop" must have at most 16 strings, got 17'],
];

Deno.test("a request gets invalid_request with one clear message when a field breaks its rule", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  for (const [field, json, message] of WRONG) {
    const fields = { id: '"r"', messages: '[{"role":"user","content":"x"}]', [field]: json };
    const line = `{${Object.entries(fields).map(([name, value]) => `"${name}":${value}`).join(",")}}`;
    await client.write(`${line}\n`);
    assertEquals(await client.frame(), {
      id: field === "id" ? "" : "r",
      type: "error",
      code: "invalid_request",
      message,
    });
  }
  await client.send(ask({ id: "after", stream: false }));
  assertEquals((await client.frame()).type, "done");
});

Deno.test("a request without messages gets invalid_request", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.send({ id: "r" });
  assertEquals(
    await client.line(),
    '{"id":"r","type":"error","code":"invalid_request","message":"\\"messages\\" must be a non-empty array, got nothing"}',
  );
});

Deno.test("NaN and Infinity as words are not JSON", async () => {
  await using serving = await Serving.start();
  for (const word of ["NaN", "Infinity", "-Infinity"]) {
    using client = await serving.connect();
    await client.write(`{"id":"r","messages":[{"role":"user","content":"x"}],"temperature":${word}}\n`);
    assertEquals(await client.rest(), [
      '{"id":"","type":"error","code":"invalid_request","message":"The line is not valid JSON"}',
    ]);
  }
});

Deno.test("a message repeats only the beginning of a long value", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.send(ask({ temperature: "x".repeat(1_000_000) }));
  assertEquals((await client.frame()).message, `"temperature" must be a number from 0 to 2, got "${"x".repeat(40)}…"`);
});
