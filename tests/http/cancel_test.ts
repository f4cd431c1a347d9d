/** A client that goes away, on a connection of its own: how soon an SDK closes one is the SDK's business. */
import { assertEquals } from "@std/assert";
import { admin } from "@inferd/client";
import { BridgeUnderTest } from "../support/bridges.ts";
import { untilQueued } from "../support/daemons.ts";

const MESSAGES = [{ role: "user", content: "hi" }];
/** Every endpoint that generates, with what asks for an answer at once and for a stream. */
const ENDPOINTS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["/v1/chat/completions", { messages: MESSAGES }],
  ["/v1/completions", { prompt: "hi" }],
  ["/v1/responses", { input: "hi" }],
  ["/v1/messages", { model: "mock", max_tokens: 10, messages: MESSAGES }],
  ["/api/chat", { model: "mock", messages: MESSAGES }],
  ["/api/generate", { model: "mock", prompt: "hi" }],
  ["/completion", { prompt: "hi" }],
];
const BODIES = ENDPOINTS.flatMap(([path, body]) =>
  [false, true].map((stream): readonly [string, Record<string, unknown>] => [path, { ...body, stream }])
);

/** Send a request and read nothing. */
async function ask(url: string, path: string, body: unknown): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const text = JSON.stringify(body);
  await connection.write(
    new TextEncoder().encode(
      `POST ${path} HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    ),
  );
  return connection;
}

for (const [path, body] of ENDPOINTS) {
  Deno.test(`a stream of ${path} is cancelled when its client goes away in the middle`, async () => {
    await using bridge = await BridgeUnderTest.start({ script: { hangAt: 2 } });
    const cancelled = bridge.daemon.log.next("request_cancelled");
    const connection = await ask(bridge.url, path, { ...body, stream: true });
    await connection.read(new Uint8Array(4096));
    connection.close();
    await cancelled;
    assertEquals(bridge.unexpected, []);
  });
}

for (const [path, body] of BODIES) {
  const how = body.stream === true ? "that streams" : "that does not stream";
  Deno.test(`a request to ${path} ${how} is cancelled when its client goes away`, async () => {
    await using bridge = await BridgeUnderTest.start({ script: { hangAt: 0 } });
    const { log } = bridge.daemon;
    const accepted = log.next("request_accepted");
    const cancelled = log.next("request_cancelled");
    const connection = await ask(bridge.url, path, body);
    await accepted;
    connection.close();
    await cancelled;
    assertEquals(bridge.unexpected, []);
  });

  Deno.test(`a request to ${path} ${how} leaves the queue when its client goes away`, async () => {
    await using bridge = await BridgeUnderTest.start({ script: { hangAt: 0 }, daemon: { parallel: 1 } });
    const { log } = bridge.daemon;
    const accepted = log.next("request_accepted");
    const running = await ask(bridge.url, path, body);
    await accepted;
    const waiting = await ask(bridge.url, path, body);
    await untilQueued(admin({ path: bridge.daemon.options.adminSocket }));
    const cancelled = log.next("request_cancelled");
    waiting.close();
    assertEquals((await cancelled).fields.backend, undefined);
    running.close();
    await log.next("request_cancelled");
  });
}
