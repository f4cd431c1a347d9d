/** Threats: a web page, another machine or a program without the key asks the bridge; each mitigation by itself. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BridgeUnderTest } from "../support/bridges.ts";
import { exchange } from "../support/raw_http.ts";

const CHAT = { model: "mock", messages: [{ role: "user", content: "a secret question" }] };
const PATH = "/v1/chat/completions";

Deno.test("guard: a foreign Host is refused, so a rebound name of a web page leads nowhere", async () => {
  await using bridge = await BridgeUnderTest.start();
  const { port } = new URL(bridge.url);
  for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "localhost.evil.example"]) {
    const { status, body } = await exchange(bridge.url, { path: "/v1/models", headers: { Host: host } });
    assertEquals([status, JSON.parse(body).error.code], [403, "host_not_allowed"]);
  }
  assertEquals((await exchange(bridge.url, { path: "/v1/models", headers: { Host: "" } })).status, 400);
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, "LOCALHOST", `[::1]:${port}`]) {
    assertEquals((await exchange(bridge.url, { path: "/v1/models", headers: { Host: host } })).status, 200);
  }
});

Deno.test("guard: a page of another origin is refused, whatever it sends and for every method", async () => {
  await using bridge = await BridgeUnderTest.start();
  for (const origin of ["https://evil.example", "http://localhost:3000", "null", "https://127.0.0.1"]) {
    const headers = { Origin: origin, "Content-Type": "text/plain" };
    for (const path of [PATH, "/v1/messages", "/api/chat", "/v1/embeddings"]) {
      const { status, headers: sent } = await bridge.post(path, CHAT, headers);
      assertEquals([status, sent.get("access-control-allow-origin")], [403, null]);
    }
    assertEquals((await bridge.get("/v1/models", { Origin: origin })).status, 403);
  }
  const own = await bridge.post(PATH, CHAT, { Origin: bridge.url });
  assertEquals([own.status, own.headers.get("access-control-allow-origin")], [200, null]);
});

Deno.test("guard: a request that a browser marks as another site's is refused without an Origin, too", async () => {
  await using bridge = await BridgeUnderTest.start();
  const asked = async (headers: Record<string, string>): Promise<number> =>
    (await exchange(bridge.url, { path: "/v1/models", headers })).status;
  assertEquals(await asked({ "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors" }), 403);
  assertEquals(await asked({ "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors" }), 403);
  assertEquals(await asked({ "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors" }), 200);
  assertEquals(await asked({ "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate" }), 200);
  // A link on a page of another site may be followed.
  assertEquals(await asked({ "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate" }), 200);
});

Deno.test("guard: there are no CORS headers unless an origin is configured, and then only for it", async () => {
  const app = "https://app.example";
  await using bridge = await BridgeUnderTest.start({ http: { origins: [app] } });
  const preflight = async (origin: string): Promise<Response> => {
    const response = await fetch(`${bridge.url}${PATH}`, {
      method: "OPTIONS",
      headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
    });
    await response.body?.cancel();
    return response;
  };
  const allowed = await preflight(app);
  assertEquals([allowed.status, allowed.headers.get("access-control-allow-origin")], [200, app]);
  assertEquals(allowed.headers.get("access-control-allow-credentials"), "true");
  assertEquals((await preflight("https://other.example")).status, 403);
  const answer = await bridge.post(PATH, CHAT, { Origin: app });
  assertEquals([answer.status, answer.headers.get("access-control-allow-origin")], [200, app]);
  // A page is to read what is wrong, too.
  const wrong = await bridge.post(PATH, { ...CHAT, model: "none" }, { Origin: app });
  assertEquals([wrong.status, wrong.headers.get("access-control-allow-origin")], [404, app]);
});

Deno.test("guard: streams and the page's files have the headers of every answer", async () => {
  const app = "https://app.example";
  await using bridge = await BridgeUnderTest.start({ http: { origins: [app] } });
  const messages = [{ role: "user", content: "hi" }];
  const whole = (await bridge.post(PATH, CHAT, { Origin: app })).headers;
  for (
    const { headers } of [
      await bridge.post("/v1/chat/completions", { messages, stream: true }, { Origin: app }),
      await bridge.post("/v1/messages", { model: "mock", max_tokens: 5, messages, stream: true }, { Origin: app }),
      await bridge.post("/completion", { prompt: "hi", stream: true }, { Origin: app }),
      await bridge.post("/api/chat", { model: "mock", messages }, { Origin: app }),
      await bridge.get("/", { Origin: app }),
    ]
  ) {
    for (const name of ["access-control-allow-origin", "vary", "x-content-type-options"]) {
      assertEquals(headers.get(name), whole.get(name), name);
    }
  }
});

Deno.test("guard: with a key nothing but health and the page answers without it, in each API's own form", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { apiKey: "correct horse" } });
  for (const path of ["/v1/models", "/metrics", "/api/tags", "/props", "/nothing"]) {
    assertEquals((await bridge.get(path)).status, 401, path);
  }
  for (const path of [PATH, "/v1/messages", "/api/chat"]) {
    for (const key of ["", "correct hors", "correct horses", "x".repeat(10_000)]) {
      const { status, json } = await bridge.post(path, CHAT, { Authorization: `Bearer ${key}` });
      assertEquals(status, 401);
      assert("error" in json);
    }
  }
  assertEquals((await bridge.get("/health")).status, 200);
  assertEquals((await bridge.post(PATH, CHAT, { Authorization: "bearer correct horse" })).status, 200);
  assertEquals((await bridge.post(PATH, CHAT, { "X-Api-Key": "correct horse" })).status, 200);
  // A stand-in in the other header does no harm.
  const both = { "X-Api-Key": "none", Authorization: "Bearer correct horse" };
  assertEquals((await bridge.post(PATH, CHAT, both)).status, 200);
});

Deno.test("guard: a body over the limit is refused before it is read", async () => {
  await using bridge = await BridgeUnderTest.start();
  const { status, body } = await exchange(bridge.url, {
    method: "POST",
    path: PATH,
    headers: { "Content-Length": String(65 * 1024 * 1024) },
  });
  assertEquals([status, JSON.parse(body).error.code], [413, "request_too_large"]);
});

Deno.test("guard: what is no JSON, no UTF-8 or nested without end is refused in one sentence", async () => {
  await using bridge = await BridgeUnderTest.start();
  for (const body of ["", "{", "[".repeat(200_000), "null", '"text"']) {
    const { status, json } = await bridge.post(PATH, body);
    assertEquals([status, typeof (json.error as { message: string }).message], [400, "string"]);
  }
  const { status } = await bridge.post(PATH, CHAT);
  assertEquals(status, 200);
});

Deno.test("guard: a mistake of the bridge's is told without a word of what was asked", async () => {
  await using bridge = await BridgeUnderTest.start();
  const missing = await bridge.get("/v1/nothing");
  assertEquals(missing.status, 404);
  assertStringIncludes(missing.text, "unknown_url");
  assertEquals((await bridge.get(PATH)).status, 405);
  assertEquals(bridge.unexpected, []);
});
