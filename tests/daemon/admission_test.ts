/** Places and the queue, seen from the wire. */
import { assertEquals } from "@std/assert";
import { BackendUnavailableError } from "../../src/inference/errors.ts";
import { ControlledBackend, type ControlledRun } from "../support/controlled_backend.ts";
import { ask, Serving } from "../support/serving.ts";
import type { WireClient } from "../support/wire_client.ts";

async function askWith(serving: Serving, id: string): Promise<WireClient> {
  const client = await serving.connect();
  await client.send(ask({ id }));
  return client;
}

Deno.test("the third request gets queue_full at once when one runs and one may wait", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], active: 1, depth: 1 });
  using first = await askWith(serving, "1");
  const run = await backend.next();
  using second = await askWith(serving, "2");
  await serving.admission.untilWaiting(1);
  using third = await askWith(serving, "3");
  assertEquals(
    await third.line(),
    '{"id":"3","type":"error","code":"queue_full","message":"The queue is full: 1 running, 1 waiting"}',
  );
  run.finish();
  assertEquals((await first.frame()).id, "1");
  (await backend.next()).finish();
  assertEquals((await second.frame()).id, "2");
});

Deno.test("requests are served in the order of their arrival", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], active: 1, depth: 5 });
  const clients: WireClient[] = [];
  for (let index = 0; index < 5; index++) {
    clients.push(await askWith(serving, `${index}`));
    await serving.admission.untilWaiting(index);
  }
  for (const [index, client] of clients.entries()) {
    const run: ControlledRun = await backend.next();
    assertEquals(backend.unclaimed, 0);
    run.finish();
    assertEquals((await client.frame()).id, `${index}`);
    client.close();
  }
});

Deno.test("one program that fills every place and the queue makes only itself wait, with however many connections", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], active: 1, depth: 3, tcp: {} });
  using _running = await askWith(serving, "running");
  let run = await backend.next();
  const greedy: WireClient[] = [];
  for (let index = 0; index < 3; index++) {
    greedy.push(await askWith(serving, `greedy ${index}`));
    await serving.admission.untilWaiting(index + 1);
  }
  // This machine over TCP is another caller than this program on the unix socket.
  using victim = await serving.connectTcp();
  await victim.send(ask({ id: "victim" }));
  assertEquals((await greedy[2]?.frame())?.code, "queue_full");
  for (const client of [greedy[0], victim, greedy[1]]) {
    run.finish();
    run = await backend.next();
    if (client !== victim) continue;
    run.finish();
    assertEquals((await victim.frame()).id, "victim");
    run = await backend.next();
    break;
  }
  run.finish();
  for (const client of greedy) client.close();
});

Deno.test("a place is given back however a request ends", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], active: 1, depth: 0 });
  using client = await serving.connect();
  const endings: [(run: ControlledRun) => void, string][] = [
    [(run) => run.finish(), "done"],
    [(run) => run.fail(new BackendUnavailableError("It broke")), "error"],
    [(run) => run.fail(new Error("A bug")), "error"],
  ];
  for (const [end, type] of endings) {
    await client.send(ask());
    end(await backend.next());
    assertEquals((await client.frame()).type, type);
  }
  assertEquals(serving.admission.status(), { active: 0, waiting: 0, depth: 0 });
});

Deno.test("a request gets backend_unavailable and its place goes back when no backend is ready", async () => {
  const backend = new ControlledBackend();
  backend.state = "restarting";
  await using serving = await Serving.start({ backends: [backend], active: 1, depth: 0 });
  using client = await serving.connect();
  await client.send(ask({ id: "1" }));
  assertEquals(
    await client.line(),
    '{"id":"1","type":"error","code":"backend_unavailable","message":"No backend is available"}',
  );
  backend.state = "ready";
  await client.send(ask({ id: "2" }));
  (await backend.next()).finish();
  assertEquals((await client.frame()).type, "done");
});

Deno.test("a bug in a backend is told as internal, with its cause in the log and not on the wire", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using client = await serving.connect();
  await client.send(ask({ id: "1" }));
  (await backend.next()).fail(new TypeError("secret detail"));
  assertEquals(
    await client.line(),
    `{"id":"1","type":"error","code":"internal","message":"Internal error; the daemon's log has the details"}`,
  );
  const record = await serving.log.next("request_error");
  assertEquals([record.level, String(record.fields.cause).includes("secret detail")], ["error", true]);
});

Deno.test("the next backend is taken when the first one's breaker has opened", async () => {
  const first = new ControlledBackend("first");
  const second = new ControlledBackend("second");
  await using serving = await Serving.start({ backends: [first, second] });
  using client = await serving.connect();
  for (let failures = 0; failures < 3; failures++) {
    await client.send(ask());
    (await first.next()).fail(new BackendUnavailableError("It broke"));
    assertEquals((await client.frame()).code, "backend_unavailable");
  }
  assertEquals((await serving.log.next("breaker_opened")).fields.backend, "first");
  await client.send(ask());
  (await second.next()).finish();
  assertEquals((await client.frame()).backend, "second");
});
