/** Paths, methods and bodies that are not quite right. */
import { assertEquals, assertMatch } from "@std/assert";
import { BridgeUnderTest } from "../support/bridges.ts";

for (const name of ["%", "%E0%A4%A", "a%2Fb", ""]) {
  Deno.test(`paths: no model is called ${JSON.stringify(name)}`, async () => {
    await using bridge = await BridgeUnderTest.start();
    const { status, json } = await bridge.get(`/v1/models/${name}`);
    assertEquals([status, (json.error as { code: unknown }).code], [404, "model_not_found"]);
    assertEquals(bridge.unexpected, []);
  });
}

Deno.test("paths: what is under /v1 is found without it", async () => {
  await using bridge = await BridgeUnderTest.start();
  for (const path of ["/models", "/models/mock", "/v1/health"]) {
    assertEquals((await bridge.get(path)).status, 200, path);
  }
  const messages = [{ role: "user", content: "Hello." }];
  const input = "Hello.";
  const asked: readonly (readonly [string, Record<string, unknown>])[] = [
    ["/chat/completions", { messages }],
    ["/completions", { prompt: input }],
    ["/responses", { input }],
  ];
  for (const [path, body] of asked) assertEquals((await bridge.post(path, body)).status, 200, path);
});

Deno.test("paths: a wrong method is answered with those that are allowed", async () => {
  await using bridge = await BridgeUnderTest.start();
  for (
    const [method, path, allowed] of [
      ["GET", "/v1/chat/completions", "POST"],
      ["PUT", "/api/chat", "POST"],
      ["POST", "/v1/models", "GET, HEAD"],
      ["DELETE", "/v1/models/mock", "GET, HEAD"],
    ] as const
  ) {
    const response = await fetch(`${bridge.url}${path}`, { method });
    await response.body?.cancel();
    assertEquals([response.status, response.headers.get("allow")], [405, allowed], `${method} ${path}`);
  }
});

Deno.test("paths: a compressed body is refused as such", async () => {
  await using bridge = await BridgeUnderTest.start();
  const body = new Blob(["{}"]).stream().pipeThrough(new CompressionStream("gzip"));
  const response = await fetch(`${bridge.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Encoding": "gzip" },
    body: await new Response(body).arrayBuffer(),
  });
  assertEquals(response.status, 415);
  assertMatch(await response.text(), /\\"gzip\\"/);
});

Deno.test("paths: a client that leaves in the middle of its body is no mistake of the bridge's", async () => {
  await using bridge = await BridgeUnderTest.start();
  const { hostname, port } = new URL(bridge.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const header = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
  await connection.write(new TextEncoder().encode(header));
  // The header has been read when the next request is answered.
  await bridge.get("/health");
  await connection.closeWrite();
  const rest = new Uint8Array(1024);
  while (await connection.read(rest) !== null);
  connection.close();
  await bridge.get("/health");
  assertEquals(bridge.unexpected, []);
});

const DEPTH = 50_000;
const DEEP_SCHEMA = `${'{"type":"object","properties":{"a":'.repeat(DEPTH)}true${"}}".repeat(DEPTH)}`;
const DEEP_INPUT = `${'{"a":'.repeat(DEPTH)}1${"}".repeat(DEPTH)}`;

const DEEP: readonly (readonly [string, string])[] = [
  [
    "/v1/chat/completions",
    `{"messages":[{"role":"user","content":"x"}],
      "tools":[{"type":"function","function":{"name":"f","parameters":${DEEP_SCHEMA}}}]}`,
  ],
  [
    "/v1/chat/completions",
    JSON.stringify({
      messages: [
        { role: "user", content: "x" },
        {
          role: "assistant",
          tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: DEEP_INPUT } }],
        },
        { role: "tool", tool_call_id: "call_1", content: "x" },
      ],
    }),
  ],
  ["/v1/responses", `{"input":"x","text":{"format":{"type":"json_schema","schema":${DEEP_SCHEMA}}}}`],
  [
    "/v1/messages",
    `{"model":"mock","max_tokens":5,"messages":[{"role":"user","content":"x"},
      {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":${DEEP_INPUT}}]}]}`,
  ],
  ["/api/chat", `{"model":"mock","messages":[{"role":"user","content":"x"}],"format":${DEEP_SCHEMA}}`],
];

for (const [index, [path, body]] of DEEP.entries()) {
  Deno.test(`paths: JSON nested ${DEPTH} levels deep is refused by ${path}, ${index}`, async () => {
    await using bridge = await BridgeUnderTest.start();
    const { status, text } = await bridge.post(path, body);
    assertEquals(status, 400);
    assertMatch(text, /levels deep/);
    assertEquals(bridge.unexpected, []);
  });
}
