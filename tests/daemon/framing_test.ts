/** Every promise of the protocol's "Framing", over real sockets. */
import { assertEquals } from "@std/assert";
import { MAX_FRAME_BYTES } from "@inferd/client/protocol";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { ask, readyMock, Serving } from "../support/serving.ts";

const NOT_JSON = '{"id":"","type":"error","code":"invalid_request","message":"The line is not valid JSON"}';
const NOT_UTF8 = '{"id":"","type":"error","code":"invalid_request","message":"The line is not valid UTF-8"}';
const TOO_LARGE =
  '{"id":"","type":"error","code":"frame_too_large","message":"A frame may have at most 67108864 bytes"}';

const encoder = new TextEncoder();

/** A request line of exactly so many bytes, newline not counted. */
function lineOf(bytes: number): Uint8Array {
  const head = '{"id":"big","stream":false,"messages":[{"role":"user","content":"';
  const tail = '"}]}';
  return encoder.encode(`${head}${"x".repeat(bytes - head.length - tail.length)}${tail}\n`);
}

Deno.test("a last line is served when it has no newline before the end", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.write(JSON.stringify(ask({ id: "last", stream: false })));
  await client.end();
  assertEquals((await client.frame()).id, "last");
  assertEquals(await client.line(), undefined);
});

Deno.test("blank lines are skipped, and carriage returns before the newline too", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.write(`\n\r\n   \n${JSON.stringify(ask({ id: "a", stream: false }))}\r\n\n`);
  assertEquals((await client.frame()).id, "a");
  await client.end();
  assertEquals(await client.line(), undefined);
});

Deno.test("a line of exactly 64 MiB is served", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ tokens: ["ok"] })] });
  using client = await serving.connect();
  await client.write(lineOf(MAX_FRAME_BYTES));
  assertEquals((await client.frame()).content, "ok");
});

Deno.test("a line of one byte over 64 MiB gets frame_too_large and the connection is closed", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.write(lineOf(MAX_FRAME_BYTES + 1));
  assertEquals(await client.rest(), [TOO_LARGE]);
});

Deno.test("65 MiB without a newline get frame_too_large, readable also by a client that writes all before it reads", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  const piece = new Uint8Array(1024 * 1024).fill(0x78);
  for (let index = 0; index < 65; index++) await client.write(piece);
  assertEquals(await client.rest(), [TOO_LARGE]);
  assertEquals((await serving.log.next("request_oversized")).fields.limit_bytes, MAX_FRAME_BYTES);
});

Deno.test("65 MiB without a newline get frame_too_large over TCP, too, and no reset overtakes it", async () => {
  await using serving = await Serving.start({ tcp: {} });
  using client = await serving.connectTcp();
  const piece = new Uint8Array(1024 * 1024).fill(0x78);
  for (let index = 0; index < 65; index++) await client.write(piece);
  assertEquals(await client.rest(), [TOO_LARGE]);
});

Deno.test("requests before an endless line are answered first", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.send(ask({ id: "first", stream: false }));
  const piece = new Uint8Array(1024 * 1024).fill(0x78);
  for (let index = 0; index < 65; index++) await client.write(piece);
  assertEquals((await client.frame()).id, "first");
  assertEquals(await client.rest(), [TOO_LARGE]);
});

Deno.test("a line is served when it arrives byte by byte", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  for (const byte of encoder.encode(`${JSON.stringify(ask({ id: "ü漢👩‍🚀", stream: false }))}\n`)) {
    await client.write(new Uint8Array([byte]));
  }
  assertEquals((await client.frame()).id, "ü漢👩‍🚀");
});

Deno.test("a line that is not JSON gets invalid_request with an empty id and the connection is closed", async () => {
  await using serving = await Serving.start();
  for (const line of ["nonsense", '{"id":"x"', "{'id':1}", '{"id":"x"}}', "NaN", '{"a":1,}', '\ufeff{"id":"x"}']) {
    using client = await serving.connect();
    await client.write(`${line}\n${JSON.stringify(ask())}\n`);
    assertEquals(await client.rest(), [NOT_JSON], line);
  }
});

Deno.test("NUL bytes get invalid_request and the connection is closed", async () => {
  await using serving = await Serving.start();
  for (const line of ["\0", '\0{"id":"x"}', '{"id":"a\0b"}', `{"id":"x"}\0`]) {
    using client = await serving.connect();
    await client.write(`${line}\n`);
    assertEquals(await client.rest(), [NOT_JSON]);
  }
});

Deno.test("a line that is not UTF-8 gets invalid_request, after the good lines that came in the same write", async () => {
  await using serving = await Serving.start();
  const good = encoder.encode(`${JSON.stringify(ask({ id: "good", stream: false }))}\n`);
  for (const bad of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [0xc0, 0x80]]) {
    using client = await serving.connect();
    await client.write(new Uint8Array([...good, 0x22, ...bad, 0x22, 0x0a, ...good]));
    assertEquals((await client.frame()).id, "good");
    assertEquals(await client.rest(), [NOT_UTF8]);
  }
});

Deno.test("a JSON value that is not an object gets invalid_request and the connection goes on", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  const named: [string, string][] = [
    ["[]", "an empty array"],
    ["[1]", "an array"],
    ["null", "null"],
    ["true", "true"],
    ["1e999", "Infinity"],
    ['"text"', '\\"text\\"'],
  ];
  for (const [line, name] of named) {
    await client.write(`${line}\n`);
    assertEquals(
      await client.line(),
      `{"id":"","type":"error","code":"invalid_request","message":"A request must be a JSON object, got ${name}"}`,
    );
  }
  await client.send(ask({ id: "after", stream: false }));
  assertEquals((await client.frame()).id, "after");
});

Deno.test("an object of the wrong shape gets invalid_request with its id echoed and the connection goes on", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.send({ id: "r1", messages: [] });
  await client.send({ id: 7, messages: [{ role: "user", content: "x" }] });
  await client.send(ask({ id: "r3", stream: false }));
  assertEquals([await client.line(), await client.line()], [
    '{"id":"r1","type":"error","code":"invalid_request","message":"\\"messages\\" must be a non-empty array, got an empty array"}',
    '{"id":"","type":"error","code":"invalid_request","message":"\\"id\\" must be a string, got 7"}',
  ]);
  assertEquals((await client.frame()).id, "r3");
});

Deno.test("unknown fields are ignored", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.send(ask({ id: "u", stream: false, tools: [1], backend: "other", extra: { deep: [null] } }));
  assertEquals((await client.frame()).type, "done");
});

Deno.test("requests on one connection are answered in order, one after the other", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  await client.write(["1", "2", "3"].map((id) => `${JSON.stringify(ask({ id }))}\n`).join(""));
  for (const id of ["1", "2", "3"]) {
    const run = await backend.next();
    assertEquals(backend.unclaimed, 0);
    run.say(id);
    run.finish();
    assertEquals((await client.answer()).map((line) => JSON.parse(line).id), [id, id]);
  }
});

Deno.test("parallel connections are served at once", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using one = await serving.connect();
  using two = await serving.connect();
  await one.send(ask({ id: "1" }));
  const first = await backend.next();
  await two.send(ask({ id: "2" }));
  const second = await backend.next();
  second.finish();
  assertEquals((await two.frame()).id, "2");
  first.finish();
  assertEquals((await one.frame()).id, "1");
});

Deno.test("10 000 messages are served", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  const messages = Array.from({ length: 10_000 }, (_, index) => ({ role: "user", content: `message ${index}` }));
  await client.send({ id: "many", messages });
  const run = await backend.next();
  assertEquals(run.request.messages.length, 10_000);
  assertEquals(run.request.messages.at(-1), { role: "user", content: "message 9999" });
  run.finish();
  assertEquals((await client.frame()).type, "done");
});

Deno.test("200 pipelined requests are all answered in order, far more than is read ahead", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  const padding = "p".repeat(10_000);
  const writing = (async () => {
    for (let index = 0; index < 200; index++) await client.send(ask({ id: `${index}`, stream: false, padding }));
    await client.end();
  })();
  const ids = (await client.rest()).map((line) => JSON.parse(line).id);
  await writing;
  assertEquals(ids, Array.from({ length: 200 }, (_, index) => `${index}`));
});
