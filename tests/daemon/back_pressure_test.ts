/** Slow readers are held by back-pressure, and cut when they take nothing. */
import { assert, assertEquals } from "@std/assert";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { ask, Serving } from "../support/serving.ts";

/** Far more than the daemon and the kernel hold. */
const PIECES = 400;
const PIECE = "x".repeat(64 * 1024);

for (const transport of ["unix", "tcp"] as const) {
  Deno.test(`the backend is not asked for more while a ${transport} client takes nothing, and goes on when it does`, async () => {
    const backend = new ControlledBackend();
    await using serving = await Serving.start({ backends: [backend], tcp: {} });
    using client = transport === "unix" ? await serving.connect() : await serving.connectTcp();
    await client.send(ask({ id: "slow" }));
    const run = await backend.next();
    for (let index = 0; index < PIECES; index++) run.say(PIECE);
    run.finish();
    // A neighbour that is served from beginning to end: time enough for the slow one to run ahead, if it could.
    using neighbour = await serving.connect();
    for (let index = 0; index < 50; index++) {
      await neighbour.send(ask({ id: `${index}` }));
      const other = await backend.next();
      other.say("y");
      other.finish();
      await neighbour.answer();
    }
    assert(run.taken < PIECES / 2, `the backend was asked for ${run.taken} of ${PIECES} pieces`);
    const lines = await client.answer();
    assertEquals(lines.length, PIECES + 1);
    assertEquals(run.taken, PIECES + 1);
  });
}

Deno.test("a client that takes nothing for too long is cut and its request cancelled", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], idleWriteTimeoutMs: 50 });
  using client = await serving.connect();
  await client.send(ask({ id: "stuck" }));
  const run = await backend.next();
  for (let index = 0; index < PIECES; index++) run.say(PIECE);
  await run.cancelled;
  const { fields } = await serving.log.next("request_cancelled");
  assertEquals([fields.id, fields.reason], ["stuck", "The client takes nothing"]);
  assertEquals(serving.admission.status().active, 0);
});

Deno.test("a client that takes nothing is cut also when its answer is complete and only waits to be sent", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], idleWriteTimeoutMs: 50 });
  using client = await serving.connect();
  await client.send(ask({ id: "stuck", stream: false }));
  const run = await backend.next();
  run.say("x".repeat(8 * 1024 * 1024));
  run.finish();
  await serving.log.next("request_done");
  // The server lets go of the connection; what was sent before is read, then comes the end, in the middle of a line.
  await serving.server.drain(new AbortController().signal);
  const read: number[] = [];
  const chunk = new Uint8Array(1024 * 1024);
  for (let count = await client.conn.read(chunk); count !== null; count = await client.conn.read(chunk)) {
    read.push(count);
  }
  assert(read.reduce((sum, count) => sum + count, 0) < 8 * 1024 * 1024);
});

Deno.test("a client that is quiet while nothing is to be sent is not cut", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], idleWriteTimeoutMs: 20 });
  using client = await serving.connect();
  await client.send(ask({ id: "patient" }));
  const run = await backend.next();
  run.say("x");
  await client.frame();
  // Another client's time runs out meanwhile, begun later.
  using stuck = await serving.connect();
  await stuck.send(ask({ id: "stuck" }));
  const stuckRun = await backend.next();
  for (let index = 0; index < PIECES; index++) stuckRun.say(PIECE);
  await stuckRun.cancelled;
  run.finish();
  assertEquals((await client.frame()).type, "done");
});

Deno.test("a client that takes nothing leaves its place to one that waits, and goes on when it reads", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], active: 1, idleWriteTimeoutMs: 600_000 });
  using stuck = await serving.connect();
  await stuck.send(ask({ id: "stuck" }));
  const run = await backend.next();
  for (let index = 0; index < PIECES; index++) run.say(PIECE);
  run.finish();
  using neighbour = await serving.connect();
  await neighbour.send(ask({ id: "neighbour" }));
  const other = await backend.next();
  // The neighbour has the place now: the other one comes back when it is free.
  assertEquals(serving.log.of("request_cancelled"), []);
  other.finish();
  assertEquals((await neighbour.frame()).id, "neighbour");
  for (let index = 0; index < PIECES; index++) assertEquals((await stuck.frame()).type, "token");
  assertEquals((await stuck.frame()).type, "done");
});

Deno.test("twelve clients that take nothing leave the places to others, and not all at once a place to each other", async () => {
  const backend = new ControlledBackend();
  const limits = { active: 4, depth: 20 };
  await using serving = await Serving.start({ backends: [backend], ...limits, idleWriteTimeoutMs: 600_000 });
  await using stuck = new AsyncDisposableStack();
  for (let index = 0; index < 12; index++) {
    const client = await serving.connect();
    stuck.defer(() => client[Symbol.dispose]());
    await client.send(ask({ id: `stuck ${index}` }));
  }
  for (let index = 0; index < 12; index++) {
    const run = await backend.next();
    for (let piece = 0; piece < PIECES; piece++) run.say(PIECE);
  }
  // All twelve have had a place by now, and lose it as soon as somebody waits.
  using neighbour = await serving.connect();
  for (let index = 0; index < 20; index++) {
    await neighbour.send(ask({ id: `${index}` }));
    (await backend.next()).finish();
    assertEquals((await neighbour.frame()).id, `${index}`);
  }
  assertEquals(serving.log.of("request_cancelled"), []);
});
