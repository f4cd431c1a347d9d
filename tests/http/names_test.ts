/** Which names of models lead where, and what is said of the others. */
import { assertEquals, assertMatch } from "@std/assert";
import Anthropic from "npm:@anthropic-ai/sdk@1.14.0";
import { admin } from "@inferd/client";
import { CONTROLLED_CAPABILITIES } from "../support/controlled_backend.ts";
import { startHttp } from "../../src/http/server.ts";
import { type BridgeOptions, BridgeUnderTest, BUILT_IN_BACKEND, placeOf } from "../support/bridges.ts";
import { DaemonUnderTest } from "../support/daemons.ts";
import { StagedBackend } from "../support/staged_backend.ts";

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

Deno.test("names: :latest is as good as no tag, unless a model has it in its name", async () => {
  const backends = ["talker", "second:latest"].map((name) =>
    ({ kind: "mock", name, script: { tokens: ["Hi."] } }) as const
  );
  await using bridge = await BridgeUnderTest.start({ daemon: { backends }, http: { aliases: { mine: "talker" } } });
  const messages = [{ role: "user", content: "Hello." }];
  for (const path of ["/v1/chat/completions", "/api/chat"]) {
    for (const model of ["talker", "talker:latest", "mine:latest", "second:latest"]) {
      assertEquals((await bridge.post(path, { model, messages })).status, 200, `${path} ${model}`);
    }
    assertEquals((await bridge.post(path, { model: "second", messages })).status, 404, path);
  }
});

Deno.test("names: /api/show knows a backend's name, as /api/chat does", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  for (const model of ["llamacpp", "inferd-tiny"]) {
    assertEquals((await bridge.post("/api/show", { model })).status, 200, model);
  }
  assertEquals((await bridge.post("/api/show", { model: "other" })).status, 404);
  assertEquals((await bridge.post("/api/show", { model: "", name: "" })).status, 400);
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

Deno.test("names: models are listed in configured order, whichever is ready first, and those that a reload removes are not", async () => {
  const staged = (model: string): StagedBackend => new StagedBackend(model, { ...CONTROLLED_CAPABILITIES, model });
  const [first, second] = [staged("first"), staged("second")];
  const backends = [first, second].map(({ name }) => ({ kind: "mock", name, script: {} }) as const);
  await using test = await DaemonUnderTest.start({ backends }, {
    create: ({ config: { name } }) => Promise.resolve(name === "first" ? first : second),
  });
  await Promise.all([first.started, second.started]);
  await using server = await startHttp({
    listen: { hostname: "127.0.0.1", port: 0 },
    daemon: placeOf(test.options),
    origins: [],
    aliases: {},
  });
  const listed = async (): Promise<string[]> => {
    const { data } = await (await fetch(`${server.url}/v1/models`)).json() as { data: { id: string }[] };
    return data.map(({ id }) => id);
  };
  const becomes = async (expected: readonly string[]): Promise<void> => {
    let found: string[] = [];
    for (let tries = 0; tries < 100 && found.join() !== expected.join(); tries++) found = await listed();
    assertEquals(found, expected);
  };
  await becomes([]);
  second.becomeReady();
  await becomes(["second"]);
  first.becomeReady();
  await becomes(["first", "second"]);
  await test.daemon.ready;
  assertEquals(await test.daemon.reload(() => Promise.resolve({ ...test.options, backends: backends.slice(1) })), true);
  assertEquals((await admin({ path: test.options.adminSocket }).capabilities()).map(({ backend }) => backend), [
    "second",
  ]);
  await becomes(["second"]);
});
