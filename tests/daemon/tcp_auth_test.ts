/** Every promise of the protocol's "TCP authentication". */
import { assertEquals } from "@std/assert";
import { ask, Serving } from "../support/serving.ts";
import { WireClient } from "../support/wire_client.ts";

const KEY = "correct horse";

Deno.test("a TCP client is served when its first line has the key", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY } });
  using client = await serving.connectTcp();
  await client.send({ type: "auth", key: KEY });
  await client.send(ask({ id: "1", stream: false }));
  assertEquals((await client.frame()).id, "1");
});

Deno.test("the key line and requests may come in one write, also when the request is large", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY } });
  using client = await serving.connectTcp();
  const request = ask({ id: "1", stream: false, padding: "p".repeat(1_000_000) });
  await client.write(`${JSON.stringify({ type: "auth", key: KEY })}\n${JSON.stringify(request)}\n`);
  assertEquals((await client.frame()).id, "1");
});

Deno.test("a key of 3 KiB is taken, also with many requests behind it in one write", async () => {
  const apiKey = "k".repeat(3 * 1024);
  await using serving = await Serving.start({ tcp: { apiKey } });
  using client = await serving.connectTcp();
  const requests = Array.from({ length: 50 }, (_, id) => JSON.stringify(ask({ id: `${id}`, stream: false })));
  await client.write([JSON.stringify({ type: "auth", key: apiKey }), ...requests, ""].join("\n"));
  for (let id = 0; id < 50; id++) assertEquals((await client.frame()).id, `${id}`);
});

Deno.test("a key as long as a file may hold is taken, however JSON writes it", async () => {
  // The shortest characters there are, and those that a client may write longest.
  const apiKey = 'k"é\u{1f600}\u0001'.repeat(64 * 1024 / 10);
  await using serving = await Serving.start({ tcp: { apiKey } });
  const escaped = [...apiKey].map((char) =>
    Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")
  ).join("");
  for (const line of [JSON.stringify({ type: "auth", key: apiKey }), `{"type":"auth","key":"${escaped}"}`]) {
    using client = await serving.connectTcp();
    await client.write(`${line}\n`);
    await client.send(ask({ id: "1", stream: false }));
    assertEquals((await client.frame()).id, "1");
  }
});

const REJECTED: readonly [what: string, line: string | Uint8Array, reason: string][] = [
  ["a wrong key", '{"type":"auth","key":"wrong"}\n', "wrong"],
  ["a key that only begins like the right one", '{"type":"auth","key":"correct"}\n', "wrong"],
  ["an empty key", '{"type":"auth","key":""}\n', "wrong"],
  ["a key that is no string", '{"type":"auth","key":7}\n', "wrong"],
  ["a request instead", `${JSON.stringify(ask())}\n`, "wrong"],
  ["the right key under another type", `{"type":"login","key":"${KEY}"}\n`, "wrong"],
  ["no JSON", "hello\n", "wrong"],
  ["bytes that are not UTF-8", new Uint8Array([0xff, 0x0a]), "wrong"],
  ["a line longer than any key", `{"type":"auth","key":"${"x".repeat(20_000)}"}\n`, "too large"],
  ["a long line without end", "x".repeat(20_000), "too large"],
];

for (const [what, line, reason] of REJECTED) {
  Deno.test(`a TCP client is closed without a byte when it sends ${what}`, async () => {
    await using serving = await Serving.start({ tcp: { apiKey: KEY } });
    using client = await serving.connectTcp();
    await client.write(line);
    assertEquals(await client.rest(), []);
    assertEquals((await serving.log.next("tcp_auth_rejected")).fields.reason, reason);
    assertEquals(serving.log.of("request_error"), []);
  });
}

Deno.test("a TCP client is closed without a byte when it sends its end instead of a key", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY } });
  using client = await serving.connectTcp();
  await client.end();
  assertEquals(await client.rest(), []);
  assertEquals((await serving.log.next("tcp_auth_rejected")).fields.reason, "missing");
});

Deno.test("a TCP client is closed without a byte when its key comes too late", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY }, authTimeoutMs: 20 });
  using client = await serving.connectTcp();
  assertEquals(await client.rest(), []);
  assertEquals((await serving.log.next("tcp_auth_rejected")).fields.reason, "late");
});

Deno.test("the time for the key line does not count once the key was right", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY }, authTimeoutMs: 50 });
  using client = await serving.connectTcp();
  await client.send({ type: "auth", key: KEY });
  await client.send([]);
  assertEquals((await client.frame()).code, "invalid_request");
  // Another client's time, begun later, is over: so would be this one's.
  using late = await serving.connectTcp();
  assertEquals(await late.rest(), []);
  await client.send(ask({ id: "still", stream: false }));
  assertEquals((await client.frame()).id, "still");
});

Deno.test("a rejection names the peer and not the key", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY } });
  using client = await serving.connectTcp();
  await client.send({ type: "auth", key: "guess" });
  await client.rest();
  const { fields } = await serving.log.next("tcp_auth_rejected");
  const { port } = client.conn.localAddr as Deno.NetAddr;
  assertEquals(fields, { peer: `127.0.0.1:${port}`, reason: "wrong" });
});

Deno.test("a unix client needs no key line where TCP clients do", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY } });
  using client = await serving.connect();
  await client.send(ask({ id: "1", stream: false }));
  assertEquals((await client.frame()).id, "1");
});

Deno.test("a key line is ignored when the daemon has no key, and only as the first line of a TCP client", async () => {
  await using serving = await Serving.start({ tcp: {} });
  using client = await serving.connectTcp();
  await client.send({ type: "auth", key: KEY });
  await client.send(ask({ id: "1", stream: false }));
  assertEquals((await client.frame()).id, "1");
  await client.send({ type: "auth", key: KEY });
  assertEquals((await client.frame()).code, "invalid_request");
  using unix = await WireClient.connect(serving.socketPath);
  await unix.send({ type: "auth", key: KEY });
  assertEquals((await unix.frame()).code, "invalid_request");
});

Deno.test("binding TCP without a key logs a warning, and with one it does not", async () => {
  await using open = await Serving.start({ tcp: {} });
  assertEquals(open.log.of("tcp_without_key").map(({ level, fields }) => [level, fields.address]), [
    ["warn", `127.0.0.1:${open.port}`],
  ]);
  await using guarded = await Serving.start({ tcp: { apiKey: KEY } });
  assertEquals(guarded.log.of("tcp_without_key"), []);
});
