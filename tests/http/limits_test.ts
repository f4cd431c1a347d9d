/** Threat: connections that send little, nothing, or come in great numbers use up the bridge. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BridgeUnderTest } from "../support/bridges.ts";
import { converse } from "../support/raw_http.ts";
import { nextTurn } from "../support/waiting.ts";

const LIMITS = { headerMs: 200, requestMs: 400, pausedMs: 0, idleMs: 300 };
const HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n";

for (
  const [what, sent] of [
    ["sends nothing", ""],
    ["stops in the middle of its header", HEAD],
    ["stops in the middle of its body", `${HEAD}Content-Length: 100\r\n\r\n{"model"`],
  ] as const
) {
  Deno.test(`limits: a connection is closed when it ${what}`, async () => {
    await using bridge = await BridgeUnderTest.start({ http: { limits: LIMITS } });
    assertMatch(await converse(bridge.url, sent), /^HTTP\/1\.1 408 /);
    assertEquals(bridge.unexpected, []);
  });
}

Deno.test("limits: a body has more time where the bridge pauses while it reads it", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { limits: { ...LIMITS, pausedMs: 500 } } });
  const start = performance.now();
  assertMatch(await converse(bridge.url, `${HEAD}Content-Length: 100\r\n\r\n{"model"`), /^HTTP\/1\.1 408 /);
  const ms = performance.now() - start;
  assert(ms >= 900, `${ms} ms`);
});

Deno.test("limits: a header that comes byte by byte has no more time than one at once", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { limits: LIMITS } });
  const { hostname, port } = new URL(bridge.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const answer = new Uint8Array(1024);
  const closed = connection.read(answer);
  let isClosed = false;
  void closed.finally(() => isClosed = true);
  const bytes = new TextEncoder().encode(`${HEAD}X-Slow: ${"x".repeat(2000)}`);
  for (const byte of bytes) {
    if (isClosed) break;
    await connection.write(Uint8Array.of(byte)).catch(() => isClosed = true);
    await nextTurn();
  }
  assert(isClosed, "the whole header was taken");
  assertMatch(new TextDecoder().decode(answer.subarray(0, await closed ?? 0)), /^HTTP\/1\.1 408 /);
});

Deno.test("limits: a connection is closed when nothing follows an answer", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { limits: LIMITS } });
  assertMatch(await converse(bridge.url, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"), /^HTTP\/1\.1 200 /);
});

Deno.test("limits: an answer may take longer than a request may", async () => {
  await using bridge = await BridgeUnderTest.start({
    script: { tokens: Array.from({ length: 20 }, (_, index) => `${index} `), delayMs: 50 },
    http: { limits: LIMITS },
  });
  const { status, json } = await bridge.post("/v1/completions", { prompt: "Hi" });
  assertEquals([status, (json.usage as { completion_tokens: number }).completion_tokens], [200, 20]);
});

Deno.test("limits: a stream is chunked, and for a client of HTTP 1.0 it ends with the connection", async () => {
  await using bridge = await BridgeUnderTest.start();
  const body = JSON.stringify({ prompt: "Hi", stream: true });
  const ask = (version: string): Promise<string> =>
    converse(
      bridge.url,
      `POST /v1/completions HTTP/${version}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  const [head = "", rest = ""] = (await ask("1.1")).split(/\r\n\r\n(.*)/s);
  assertMatch(head, /transfer-encoding: chunked/i);
  assertMatch(rest, /^[0-9a-f]+\r\ndata: /);
  const [older = "", plain = ""] = (await ask("1.0")).split(/\r\n\r\n(.*)/s);
  assertEquals(/transfer-encoding/i.test(older), false);
  assertMatch(plain, /^data: .*data: \[DONE\]\n\n$/s);
});

Deno.test("limits: connections over the limit are closed at once, the others are served", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { limits: { connections: 2 } } });
  const { hostname, port } = new URL(bridge.url);
  const connect = (): Promise<Deno.TcpConn> => Deno.connect({ hostname, port: Number(port) });
  using first = await connect();
  using second = await connect();
  const buffer = new Uint8Array(1024);
  const ask = async (connection: Deno.TcpConn): Promise<number | null> => {
    await connection.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    return await connection.read(buffer);
  };
  assert(await ask(first) !== null);
  assert(await ask(second) !== null);
  {
    using third = await connect();
    assertEquals(await third.read(buffer), null);
  }
  assert(await ask(first) !== null);
});

Deno.test("limits: the arguments of all calls of a conversation hold as many values as a body may", async () => {
  await using bridge = await BridgeUnderTest.start();
  const text = `{"a":[${"{},".repeat(100_000)}0]}`;
  const ask = (count: number): ReturnType<BridgeUnderTest["post"]> => {
    const ids = Array.from({ length: count }, (_, index) => `call-${index}`);
    return bridge.post("/v1/chat/completions", {
      messages: [
        { role: "user", content: "Hi" },
        {
          role: "assistant",
          tool_calls: ids.map((id) => ({ id, type: "function", function: { name: "f", arguments: text } })),
        },
        ...ids.map((id) => ({ role: "tool", tool_call_id: id, content: "" })),
      ],
    });
  };
  assertEquals((await ask(1)).status, 200);
  const { status, json } = await ask(2);
  assertEquals(status, 400);
  assertMatch(JSON.stringify(json), /tool_calls\[1\].*at most 262144 JSON values, all calls together/);
});
