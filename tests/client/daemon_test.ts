/** The client against the real daemon. */
import { assertEquals, assertRejects } from "@std/assert";
import {
  admin,
  AttachmentUnsupportedError,
  BackendUnavailableError,
  type Client,
  connect,
  ConnectError,
  ConnectionClosedError,
  InvalidRequestError,
  ObjectError,
  QueueFullError,
} from "@inferd/client";
import type { MockScript } from "../../src/config/options.ts";
import { DaemonUnderTest } from "../support/daemons.ts";
import { readyMock, Serving } from "../support/serving.ts";
import { Scratch } from "./support.ts";

Deno.test("a client that was there before the daemon is served once it is ready", async () => {
  await using scratch = new Scratch();
  const runtimeDir = scratch.path("run");
  const path = `${runtimeDir}/infer.sock`;
  const adminPath = `${runtimeDir}/admin.sock`;
  const connecting = connect({ path, adminPath });
  const ready = admin({ path: adminPath }).ready();
  await assertRejects(() => connect({ path, timeoutMs: 0 }), ConnectError);

  await using _daemon = await DaemonUnderTest.start({ runtimeDir });
  await using client = await connecting;
  await ready;
  assertEquals(await client.generate("hi").result(), {
    text: "This is a mock answer.",
    thinking: "",
    toolCalls: [],
    usage: { promptTokens: 1, completionTokens: 6 },
    stopReason: "end_turn",
    backend: "mock",
    toolChoiceUnsatisfied: false,
  });
  const { status, capabilities } = await client.admin.snapshot();
  assertEquals([status.status, capabilities.map(({ backend }) => backend)], ["ready", ["mock"]]);
});

Deno.test("watch sees the daemon drain and end, and a client left over is told so", async () => {
  await using daemon = await DaemonUnderTest.start();
  await daemon.daemon.ready;
  const { listen: { infer: { socket: path } }, adminSocket: adminPath } = daemon.options;
  await using client = await connect({ path, adminPath });
  await client.generate("hi").text();
  const seen: string[] = [];
  for await (const event of client.admin.watch()) {
    seen.push(event.status);
    if (event.status === "ready") void daemon.daemon.drain();
  }
  assertEquals(seen, ["capabilities", "ready", "draining"]);
  const error = await client.generate("hi").text().catch((error: unknown) => error);
  assertEquals(error instanceof ConnectError && error.retryable, true);
});

Deno.test("the daemon's refusals become error classes, and the connection goes on", async () => {
  const backends = [await readyMock({ tokens: ["a"], failAt: 0 })];
  await using serving = await Serving.start({ backends });
  await using client = await connect({ path: serving.socketPath });
  await assertRejects(() => client.generate({ messages: [] }).text(), InvalidRequestError, "messages");
  await assertRejects(
    () => client.generate({ messages: [{ role: "user", content: "hi" }], temperature: 9 }).text(),
    InvalidRequestError,
    "temperature",
  );
  await assertRejects(() => client.generate("hi").text(), BackendUnavailableError);
  assertEquals(serving.log.of("connection_accepted").length, 1);
});

Deno.test("leaving the loop cancels on the daemon and gives its place to the next", async () => {
  const backends = [await readyMock({ tokens: [" a", " b"], hangAt: 1 })];
  await using serving = await Serving.start({ backends, active: 1, depth: 0 });
  await using client = await connect({ path: serving.socketPath });
  for await (const event of client.generate("hi")) {
    assertEquals("text" in event ? event.text : "", " a");
    await assertRejects(() => client.generate("hi").text(), QueueFullError);
    break;
  }
  await serving.log.next("request_cancelled");

  const controller = new AbortController();
  const events = client.generate("hi", { signal: controller.signal })[Symbol.asyncIterator]();
  await events.next();
  const waiting = assertRejects(() => events.next(), Error, "mine");
  controller.abort(new Error("mine"));
  await waiting;
  await serving.log.next("request_cancelled");
  assertEquals(serving.admission.status().active, 0);
});

Deno.test("a client with the right API key is served over TCP, one without is not", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: "right" } });
  const { port } = serving;
  await using right = await connect({ tcp: { port, apiKey: "right" } });
  assertEquals(await Promise.all([right.generate("a").text(), right.generate("b").text()]), [" a b", " a b"]);
  for (const tcp of [{ port }, { port, apiKey: "wrong" }]) {
    await using client = await connect({ tcp });
    await assertRejects(() => client.generate("hi").text(), ConnectionClosedError, "API key");
  }
});

Deno.test("5 000 tokens come from the daemon in order", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ count: 5_000 })] });
  await using client = await connect({ path: serving.socketPath });
  let text = "";
  let tokens = 0;
  const generation = client.generate({ messages: [{ role: "user", content: "hi" }], maxTokens: 5_000 });
  for await (const event of generation) {
    if (event.type === "done") break;
    if (event.type === "text" || event.type === "thinking") text += event.text;
    tokens++;
  }
  const result = await generation.result();
  assertEquals([tokens, result.usage.completionTokens], [5_000, 5_000]);
  assertEquals(result.text, text);
});

/** A client of a whole daemon whose only backend follows this script. */
async function withDaemon(script: MockScript, test: (client: Client) => Promise<void>): Promise<void> {
  await using daemon = await DaemonUnderTest.start({ backends: [{ kind: "mock", name: "mock", script }] });
  await daemon.daemon.ready;
  const { infer, embed } = daemon.options.listen;
  const surface = script.services?.includes("v1") === false ? "embed" : "infer";
  await using client = await connect({ path: infer.socket, surface });
  assertEquals(client.endpoint, `unix:${surface === "infer" ? infer.socket : embed.socket}`);
  await test(client);
}

const ADD = {
  name: "add",
  description: "The sum of two numbers",
  inputSchema: {
    type: "object",
    properties: { a: { type: "integer" }, b: { type: "integer" } },
    required: ["a", "b"],
  },
} as const;

Deno.test("thinking, text and calls come from the daemon's v2 socket, and tools are run", async () => {
  const calls = [{ name: "add", input: { a: 1, b: 2 } }, { name: "add", input: { a: 3, b: 4 } }];
  await withDaemon({ tokens: ["Let me", " see."], thinking: ["Hm", "m."], calls }, async (client) => {
    const messages = [{ role: "user", content: [{ type: "text", text: "1 + 2 and 3 + 4?" }] }] as const;
    const generation = client.generate({ messages, tools: [ADD], thinking: true });
    const types: string[] = [];
    for await (const event of generation) types.push(event.type);
    assertEquals(types, ["thinking", "thinking", "text", "text", "tool_use", "tool_use", "done"]);
    const { text, thinking, toolCalls, stopReason } = await generation.result();
    assertEquals([text, thinking, stopReason], ["Let me see.", "Hmm.", "tool_use"]);
    assertEquals(toolCalls.map(({ input }) => input), [{ a: 1, b: 2 }, { a: 3, b: 4 }]);

    const run = await client.runTools({ messages, tools: [ADD], toolChoice: "required" }, {
      add: ({ a, b }) => a + b,
    }).result();
    assertEquals([run.text, run.steps, run.stopReason], ["Let me see.", 2, "end_turn"]);
    assertEquals(run.messages[2]?.content, [
      { type: "tool_result", toolCallId: "tc-1", content: "3" },
      { type: "tool_result", toolCallId: "tc-2", content: "7" },
    ]);
    // What a run came to is taken as the start of the next one.
    const more = await client.generate({ messages: [...run.messages, { role: "user", content: "Sure?" }] }).result();
    assertEquals(more.stopReason, "end_turn");
  });
});

Deno.test("a value comes from the daemon, and the daemon refuses what v2 does not take", async () => {
  await withDaemon({ tokens: ['{"name":', '"Ada"', "}"] }, async (client) => {
    const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] } as const;
    assertEquals((await client.generateObject("Who?", { schema })).name, "Ada");
    const messages = [{ role: "user", content: "Who?" }] as const;
    const error = await assertRejects(
      () => client.generateObject({ messages, maxTokens: 2 }, { schema }),
      ObjectError,
    );
    assertEquals([error.text, error.stopReason], ['{"name":"Ada"', "max_tokens"]);
    await assertRejects(
      () => client.generateObject("Who?", { schema: { type: "objekt" } }),
      InvalidRequestError,
      "schema",
    );
    const attachments = [{ id: "a", kind: "image", mime: "image/png", bytes: Uint8Array.of(1) }] as const;
    const image = [{ role: "user", content: [{ type: "image", attachmentId: "a" }] }] as const;
    await assertRejects(
      () => client.generate({ messages: image, attachments }).text(),
      AttachmentUnsupportedError,
    );
    assertEquals(await client.generate({ messages, thinking: false }).text(), '{"name":"Ada"}');
  });
});

Deno.test("vectors and rankings come from a daemon that generates nothing", async () => {
  await withDaemon({ services: ["embed", "rerank"], dimensions: 8 }, async (client) => {
    const { embeddings, dimensions, model } = await client.embed(["a fox", "a dog"], { task: "similarity" });
    assertEquals([embeddings.length, dimensions, model], [2, 8, "mock"]);
    const cut = await client.embed("a fox", { dimensions: 4 });
    assertEquals(cut.embeddings[0]?.length, 4);
    assertEquals(Math.abs(Math.hypot(...cut.embeddings[0] ?? []) - 1) < 1e-6, true);

    const { results } = await client.rerank("fox", ["a dog", "a fox"]);
    assertEquals(results.map(({ document }) => document), ["a fox", "a dog"]);
    assertEquals((await client.rerank("fox", ["a dog", "a fox"], { topN: 1 })).results.length, 1);
    await assertRejects(() => client.embed([]), InvalidRequestError, "input");
    await assertRejects(() => client.rerank("", ["a"]), InvalidRequestError, "query");
    await assertRejects(() => client.generate("hi").text(), ConnectError, "no such socket");
  });
});

Deno.test("leaving the loop of a v2 answer cancels on the daemon", async () => {
  await using daemon = await DaemonUnderTest.start({
    backends: [{ kind: "mock", name: "mock", script: { tokens: [" a", " b"], hangAt: 1 } }],
  });
  await daemon.daemon.ready;
  await using client = await connect({ path: daemon.options.listen.infer.socket });
  const messages = [{ role: "user", content: "hi" }] as const;
  for await (const event of client.generate({ messages, thinking: false })) {
    assertEquals(event, { type: "text", text: " a" });
    break;
  }
  await daemon.log.next("request_cancelled");
});
