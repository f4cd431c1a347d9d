/** How a server stops: without new requests, with those that run, and in time. */
import { assertEquals, assertRejects } from "@std/assert";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { ask, Serving } from "../support/serving.ts";

const NEVER = new AbortController().signal;

Deno.test("drain resolves at once when nothing runs, and the socket is gone", async () => {
  await using serving = await Serving.start();
  using _idle = await serving.connect();
  await serving.server.drain(NEVER);
  await assertRejects(() => serving.connect(), Deno.errors.NotFound);
});

Deno.test("drain lets what runs and what waits finish, and refuses what is new", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], active: 1, depth: 1 });
  using first = await serving.connect();
  await first.send(ask({ id: "runs" }));
  const run = await backend.next();
  using second = await serving.connect();
  await second.send(ask({ id: "waits" }));
  await serving.admission.untilWaiting(1);
  using third = await serving.connect();
  await third.send([]);
  await third.frame();
  const drained = serving.server.drain(NEVER);
  await third.send(ask({ id: "new" }));
  assertEquals(
    await third.line(),
    '{"id":"new","type":"error","code":"backend_unavailable","message":"The daemon is shutting down"}',
  );
  run.say("x");
  run.finish();
  assertEquals((await first.answer()).length, 2);
  (await backend.next()).finish();
  assertEquals((await second.frame()).type, "done");
  await drained;
  assertEquals(serving.admission.status().active, 0);
});

Deno.test("drain waits until the last frame has left", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  await client.send(ask({ id: "big", stream: false }));
  const run = await backend.next();
  run.say("x".repeat(4 * 1024 * 1024));
  run.finish();
  await serving.log.next("request_done");
  using other = await serving.connect();
  await other.send([]);
  await other.frame();
  let drained = false;
  const drain = serving.server.drain(NEVER).then(() => drained = true);
  await other.send([]);
  assertEquals((await other.frame()).code, "backend_unavailable");
  assertEquals(drained, false);
  assertEquals(String((await client.frame()).content).length, 4 * 1024 * 1024);
  await drain;
});

Deno.test("drain cancels what is left when it is cut, with one last frame, and closes those connections", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], active: 1, depth: 1 });
  using first = await serving.connect();
  await first.send(ask({ id: "runs" }));
  const run = await backend.next();
  run.say("x");
  using second = await serving.connect();
  await second.send(ask({ id: "waits" }));
  await serving.admission.untilWaiting(1);
  const cut = new AbortController();
  const drained = serving.server.drain(cut.signal);
  cut.abort();
  await run.cancelled;
  await drained;
  assertEquals(await first.rest(), [
    '{"id":"runs","type":"token","content":"x"}',
    '{"id":"runs","type":"error","code":"backend_unavailable","message":"The daemon is shutting down"}',
  ]);
  assertEquals(await second.rest(), [
    '{"id":"waits","type":"error","code":"backend_unavailable","message":"The daemon is shutting down"}',
  ]);
});

Deno.test("drain is not held up by a client that takes nothing when it is cut", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  await client.send(ask({ id: "stuck" }));
  const run = await backend.next();
  for (let index = 0; index < 100; index++) run.say("x".repeat(64 * 1024));
  await client.frame();
  await serving.server.drain(AbortSignal.abort());
  await run.cancelled;
  assertEquals(serving.admission.status().active, 0);
});

Deno.test("a server can be bound again after it was unbound, and open connections live on meanwhile", async () => {
  await using serving = await Serving.start();
  using before = await serving.connect();
  await before.send([]);
  await before.frame();
  serving.server.unbind();
  await assertRejects(() => serving.connect(), Deno.errors.NotFound);
  await before.send(ask({ id: "meanwhile", stream: false }));
  assertEquals((await before.frame()).id, "meanwhile");
  await serving.server.bind();
  using after = await serving.connect();
  await after.send(ask({ id: "after", stream: false }));
  assertEquals((await after.frame()).id, "after");
});

Deno.test("disposing of a server closes every connection and removes the socket", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using idle = await serving.connect();
  using running = await serving.connect();
  await running.send(ask());
  const run = await backend.next();
  await serving.server[Symbol.asyncDispose]();
  await run.cancelled;
  assertEquals([await idle.line(), await running.line()], [undefined, undefined]);
  await assertRejects(() => Deno.lstat(serving.socketPath), Deno.errors.NotFound);
});

Deno.test("connections that the kernel took before a server was unbound are served like those before", async () => {
  await using serving = await Serving.start();
  // Faster than they are accepted one by one.
  const clients = await Promise.all(Array.from({ length: 100 }, () => serving.connect()));
  serving.server.unbind();
  await assertRejects(() => serving.connect(), Deno.errors.NotFound);
  for (const [index, client] of clients.entries()) {
    await client.send(ask({ id: `id ${index}`, stream: false }));
    assertEquals((await client.frame()).id, `id ${index}`);
  }
  await serving.server.bind();
  using after = await serving.connect();
  await after.send(ask({ id: "after", stream: false }));
  assertEquals((await after.frame()).id, "after");
  for (const client of clients) client.close();
});

Deno.test("connections that the kernel took before a server is drained are told so, and none is left", async () => {
  await using serving = await Serving.start();
  const clients = await Promise.all(Array.from({ length: 100 }, () => serving.connect()));
  const asked = clients.map((client, index) => client.send(ask({ id: `id ${index}`, stream: false })));
  const drained = serving.server.drain(NEVER);
  await Promise.all(asked);
  const ends = await Promise.all(clients.map(async (client) => (await client.frame()).id));
  assertEquals(ends, clients.map((_, index) => `id ${index}`));
  await drained;
  await serving.server[Symbol.asyncDispose]();
  assertEquals(await Promise.all(clients.map((client) => client.line())), clients.map(() => undefined));
  for (const client of clients) client.close();
});
