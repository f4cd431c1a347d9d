/** Closing a connection cancels, wherever the request is; half-closing one does not. */
import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { ControlledBackend, type ControlledRun } from "../support/controlled_backend.ts";
import { ask, Serving } from "../support/serving.ts";
import type { WireClient } from "../support/wire_client.ts";

type Transport = "unix" | "tcp";

function connect(serving: Serving, transport: Transport): Promise<WireClient> {
  return transport === "unix" ? serving.connect() : serving.connectTcp();
}

/** Frames to and fro: what the client has sent before has been read then, as far as it is read. */
async function exchange(run: ControlledRun, client: WireClient): Promise<void> {
  for (let index = 0; index < 20; index++) {
    run.say(`${index}`);
    assertEquals((await client.frame()).content, `${index}`);
  }
}

for (const transport of ["unix", "tcp"] as const) {
  Deno.test(`a request is cancelled before its first token when its ${transport} client closes`, async () => {
    const backend = new ControlledBackend();
    await using serving = await Serving.start({ backends: [backend], tcp: {} });
    using client = await connect(serving, transport);
    await client.send(ask({ id: "r1" }));
    const run = await backend.next();
    client.close();
    await run.cancelled;
    assertEquals((await serving.log.next("request_cancelled")).fields.id, "r1");
    assertEquals(serving.admission.status(), { active: 0, waiting: 0, depth: 10 });
  });

  Deno.test(`a request is cancelled while it streams when its ${transport} client closes, and its neighbour goes on`, async () => {
    const backend = new ControlledBackend();
    await using serving = await Serving.start({ backends: [backend], tcp: {} });
    using neighbour = await connect(serving, transport);
    await neighbour.send(ask({ id: "stays" }));
    const neighbourRun = await backend.next();
    neighbourRun.say("one ");
    using client = await connect(serving, transport);
    await client.send(ask({ id: "goes" }));
    const run = await backend.next();
    run.say("x");
    assertEquals((await client.frame()).content, "x");
    client.close();
    await run.cancelled;
    neighbourRun.say("two");
    neighbourRun.finish();
    assertEquals((await neighbour.answer()).length, 3);
    assertEquals(neighbourRun.signal.aborted, false);
  });

  Deno.test(`a queued request leaves the queue at once when its ${transport} client closes`, async () => {
    const backend = new ControlledBackend();
    await using serving = await Serving.start({ backends: [backend], tcp: {}, active: 1, depth: 1 });
    using first = await connect(serving, transport);
    await first.send(ask({ id: "runs" }));
    const run = await backend.next();
    using second = await connect(serving, transport);
    await second.send(ask({ id: "waits" }));
    await serving.admission.untilWaiting(1);
    second.close();
    assertEquals((await serving.log.next("request_cancelled")).fields.id, "waits");
    assertEquals(serving.admission.status(), { active: 1, waiting: 0, depth: 1 });
    run.finish();
    assertEquals((await first.frame()).id, "runs");
    assertEquals(backend.unclaimed, 0);
  });
}

Deno.test("a TCP client that sends its end has closed, and is cancelled", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], tcp: {} });
  using client = await serving.connectTcp();
  await client.send(ask({ id: "r1" }));
  const run = await backend.next();
  await client.end();
  await run.cancelled;
  assertEquals(await client.line(), undefined);
});

Deno.test("a unix client that only sends its end gets all it asked for", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  await client.send(ask({ id: "1" }));
  await client.send(ask({ id: "2" }));
  await client.end();
  for (const id of ["1", "2"]) {
    const run = await backend.next();
    run.say("x");
    assertEquals((await client.frame()).id, id);
    run.finish();
    assertEquals((await client.frame()).type, "done");
  }
  assertEquals(await client.line(), undefined);
});

Deno.test("a half-closed unix client is cancelled when it closes altogether, though no end can be read any more", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  await client.send(ask({ id: "r1" }));
  await client.end();
  const run = await backend.next();
  await exchange(run, client);
  client.close();
  await run.cancelled;
  assertEquals((await serving.log.next("request_cancelled")).fields.id, "r1");
});

Deno.test("a unix client that has ended its side is cancelled after a while when no kernel can tell whether it is there", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], asksKernel: false, halfClosedMs: 50 });
  using client = await serving.connect();
  await client.send(ask({ id: "r1", stream: false }));
  await client.end();
  const run = await backend.next();
  await run.cancelled;
  const { reason } = (await serving.log.next("request_cancelled")).fields;
  assertEquals(reason, "The client ended its side, and nothing could be sent to it for 50 ms");
  assertEquals(await client.line(), undefined);
});

Deno.test("a unix client that has gone is noticed by a failed write when no kernel can be asked", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], asksKernel: false });
  const client = await serving.connect();
  await client.send(ask({ id: "r1" }));
  const run = await backend.next();
  await exchange(run, client);
  client.close();
  run.say("to nobody");
  await run.cancelled;
  assertEquals((await serving.log.next("request_cancelled")).fields.id, "r1");
});

Deno.test("a unix client that has ended its side is served as long as it takes frames when no kernel can be asked", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], asksKernel: false, halfClosedMs: 500 });
  using client = await serving.connect();
  await client.send(ask({ id: "r1" }));
  const run = await backend.next();
  using time = new FakeTime();
  await client.end();
  for (let round = 0; round < 5; round++) {
    await exchange(run, client);
    time.tick(300);
  }
  run.finish();
  assertEquals((await client.frame()).type, "done");
});

Deno.test("a client that has gone is noticed behind requests that are too many to be read ahead", async () => {
  for (const transport of ["unix", "tcp"] as const) {
    const backend = new ControlledBackend();
    await using serving = await Serving.start({ backends: [backend], tcp: {} });
    using client = await connect(serving, transport);
    await client.send(ask({ id: "r1" }));
    const run = await backend.next();
    // More than is read ahead, less than that and the kernel's buffers: the end stays behind it, unread.
    await client.write(new Uint8Array(400 * 1024).fill(0x20));
    await exchange(run, client);
    client.close();
    await run.cancelled;
    assertEquals((await serving.log.next("request_cancelled")).fields.id, "r1");
  }
});

Deno.test("a client that leaves after its request was answered disturbs nobody", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  {
    using client = await serving.connect();
    await client.send(ask({ id: "gone" }));
    (await backend.next()).finish();
    await client.frame();
  }
  using next = await serving.connect();
  await next.send(ask({ id: "next" }));
  (await backend.next()).finish();
  assertEquals((await next.frame()).id, "next");
  assertEquals(serving.log.of("request_cancelled"), []);
});

Deno.test("a client that leaves without asking disturbs nobody", async () => {
  await using serving = await Serving.start();
  for (let index = 0; index < 20; index++) (await serving.connect()).close();
  using client = await serving.connect();
  await client.send(ask({ stream: false }));
  assertEquals((await client.frame()).type, "done");
  assertEquals(serving.log.of("request_accepted").length, 1);
});

Deno.test("a request in half a line is not served when its client leaves", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.write('{"id":"half","messages":[{"role":"user",');
  client.close();
  using next = await serving.connect();
  await next.send(ask({ stream: false }));
  assertEquals((await next.frame()).type, "done");
  assertEquals(serving.log.of("request_accepted").length, 1);
});
