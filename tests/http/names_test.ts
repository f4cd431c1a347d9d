/** Which names of models lead where, and what is said of the others. */
import { assertEquals, assertMatch } from "@std/assert";
import Anthropic from "npm:@anthropic-ai/sdk@1.14.0";
import { type BridgeOptions, BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const OPTIONS = {
  daemon: {
    backends: [
      { kind: "mock", name: "talker", script: { tokens: ["Hi."] } },
      { kind: "mock", name: "second", script: {} },
    ],
  },
  http: { aliases: { "gpt-4o-mini": "talker", lost: "nowhere" } },
} satisfies BridgeOptions;

Deno.test("names: what is said of a model that there is not names those that there are", async () => {
  await using bridge = await BridgeUnderTest.start(OPTIONS);
  const messages = [{ role: "user", content: "Hello." }];
  const { status, text } = await bridge.post("/v1/chat/completions", { model: "lost", messages });
  assertEquals(status, 404);
  assertMatch(text, /\\"lost\\" does not exist; those that can generate: [^"]*gpt-4o-mini"/);
});

Deno.test("names: a model that does something else is not said to be missing", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const { status, text } = await bridge.post("/v1/embeddings", { model: "inferd-tiny", input: "Hello." });
  assertEquals(status, 404);
  assertMatch(text, /\\"inferd-tiny\\" cannot embed; no backend can embed/);
});

Deno.test("names: /api/show knows a backend's name, as /api/chat does", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  for (const model of ["llamacpp", "inferd-tiny"]) {
    assertEquals((await bridge.post("/api/show", { model })).status, 200, model);
  }
});

Deno.test("names: models come in pages to a client of Anthropic's that asks for them", async () => {
  await using bridge = await BridgeUnderTest.start(OPTIONS);
  const client = new Anthropic({ baseURL: bridge.url, apiKey: "none", maxRetries: 0 });
  const first = await client.models.list({ limit: 2 });
  assertEquals([first.data.length, first.has_more], [2, true]);
  const seen: string[] = [];
  for await (const { id } of client.models.list({ limit: 2 })) seen.push(id);
  const whole = await client.models.list();
  assertEquals([whole.data.map(({ id }) => id), whole.has_more], [seen, false]);
  assertEquals(seen.length, 3);
  const { data, has_more: more } = await client.models.list({ limit: 1, before_id: seen[2] ?? "" });
  assertEquals([data.map(({ id }) => id), more], [[seen[1]], true]);
  for (const query of ["limit=0", "limit=x", "after_id=nothing"]) {
    assertEquals((await bridge.get(`/v1/models?${query}`)).status, 400, query);
  }
});
