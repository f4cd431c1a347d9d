/** The client against the real daemon. */
import { assertEquals, assertRejects } from "@std/assert";
import {
  admin,
  BackendUnavailableError,
  connect,
  ConnectError,
  ConnectionClosedError,
  InvalidRequestError,
  QueueFullError,
} from "@inferd/client";
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
    usage: { promptTokens: 1, completionTokens: 6 },
    stopReason: "end",
    backend: "mock",
  });
  const { status, capabilities } = await client.admin.snapshot();
  assertEquals([status.status, capabilities.map(({ backend }) => backend)], ["ready", ["mock"]]);
});

Deno.test("watch sees the daemon drain and end, and a client left over is told so", async () => {
  await using daemon = await DaemonUnderTest.start();
  await daemon.daemon.ready;
  const { inferSocket: path, adminSocket: adminPath } = daemon.options;
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
    assertEquals(event.text, " a");
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
    text += event.text;
    tokens++;
  }
  const result = await generation.result();
  assertEquals([tokens, result.usage.completionTokens], [5_000, 5_000]);
  assertEquals(result.text, text);
});
