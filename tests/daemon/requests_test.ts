/** Which requests run and wait, and cancelling one, by the admin socket of a whole daemon. */
import { assertEquals, assertRejects } from "@std/assert";
import { admin, type Client, connect, RequestCancelledError } from "@inferd/client";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { DaemonUnderTest, untilQueued } from "../support/daemons.ts";

class Started implements AsyncDisposable {
  readonly backend: ControlledBackend;
  readonly test: DaemonUnderTest;
  readonly client: Client;

  private constructor(backend: ControlledBackend, test: DaemonUnderTest, client: Client) {
    this.backend = backend;
    this.test = test;
    this.client = client;
  }

  static async with(parallel: number): Promise<Started> {
    const backend = new ControlledBackend();
    const test = await DaemonUnderTest.start({ parallel, queueDepth: 2 }, { backends: [backend] });
    await test.daemon.ready;
    return new Started(backend, test, await connect({ path: test.options.listen.infer.socket }));
  }

  get admin(): ReturnType<typeof admin> {
    return admin({ path: this.test.options.adminSocket });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.test[Symbol.asyncDispose]();
  }
}

Deno.test("the admin socket tells which requests run and wait, and what those that ended add up to", async () => {
  await using started = await Started.with(1);
  const long = "x".repeat(200);
  const first = started.client.generate({ messages: [{ role: "user", content: "secret" }], id: long }).result();
  const run = await started.backend.next();
  const second = started.client.generate({ messages: [{ role: "user", content: "secret" }], id: "b" }).result();
  await untilQueued(started.admin);
  const { requests, queue } = await started.admin.activity();
  assertEquals(requests.map(({ ageMs: _, ...rest }) => rest), [
    { number: 1, id: `${"x".repeat(128)}…`, service: "v1", state: "running", backend: "controlled", pieces: 0 },
    { number: 2, id: "b", service: "v1", state: "waiting", pieces: 0 },
  ]);
  assertEquals(queue, { active: 1, waiting: 1, depth: 2 });
  run.say("a");
  run.finish("end", { promptTokens: 3, completionTokens: 5, cachedTokens: 0 });
  await first;
  (await started.backend.next()).fail(new Error("broken"));
  await assertRejects(() => second);
  const { requests: none, totals: { firstTokenMs: _, ...totals } } = await started.admin.activity();
  assertEquals(none, []);
  assertEquals(totals, { done: 1, failed: 1, promptTokens: 3, completionTokens: 5, firstTokens: 1 });
});

Deno.test("a request that is cancelled by the admin socket ends, its connection serves on, and its place is free", async () => {
  await using started = await Started.with(1);
  const first = started.client.generate("one").result();
  const run = await started.backend.next();
  assertEquals(await started.admin.cancel(1), true);
  await assertRejects(() => first, RequestCancelledError, "The operator cancelled the request");
  await run.cancelled;
  const second = started.client.generate("two").result();
  const next = await started.backend.next();
  next.say("answer");
  next.finish();
  assertEquals((await second).text, "answer");
});

Deno.test("a request that waits leaves the queue when it is cancelled by the admin socket", async () => {
  await using started = await Started.with(1);
  const first = started.client.generate("one").result();
  const run = await started.backend.next();
  const second = started.client.generate("two").result();
  await untilQueued(started.admin);
  assertEquals(await started.admin.cancel(2), true);
  await assertRejects(() => second, RequestCancelledError);
  assertEquals((await started.admin.activity()).queue.waiting, 0);
  assertEquals(await started.admin.cancel(2), false);
  run.finish();
  await first;
});

Deno.test("questions to the admin socket are answered among what is ignored, also in pieces", async () => {
  await using started = await Started.with(1);
  using reader = await started.test.admin();
  await reader.write("x".repeat(5000) + "\n[]\nnot json\n" + '{"type":"cancel","number":"7"}\n{"type":"can');
  await reader.write('cel","number":7}\n');
  for (;;) {
    const line = await reader.line();
    if (line?.includes('"status"')) continue;
    assertEquals(line, '{"id":"admin","type":"cancelled","number":7,"found":false}');
    return;
  }
});

Deno.test("a watch that asks for requests is told of those under way, and of each that comes, runs and ends", async () => {
  await using started = await Started.with(1);
  const { client, backend } = started;
  const first = client.generate({ messages: [{ role: "user", content: "secret" }], id: "a" }).result();
  const run = await backend.next();
  const stop = new AbortController();
  const seen: unknown[] = [];
  let wanted = 1;
  let told = Promise.withResolvers<void>();
  const watching = (async () => {
    for await (const event of started.admin.watch({ requests: true, signal: stop.signal })) {
      if (event.status !== "request") continue;
      const { change, request: { id, pieces }, completionTokens } = event;
      seen.push([id, change, pieces, completionTokens]);
      if (seen.length === wanted) told.resolve();
    }
  })();
  const until = async (count: number): Promise<void> => {
    [wanted, told] = [count, Promise.withResolvers()];
    if (seen.length < count) await told.promise;
  };
  await until(1);
  const second = client.generate({ messages: [{ role: "user", content: "secret" }], id: "b" }).result();
  await until(2);
  run.say("a");
  run.finish("end", { promptTokens: 3, completionTokens: 5, cachedTokens: 0 });
  await first;
  (await backend.next()).fail(new Error("broken"));
  await assertRejects(() => second);
  await until(5);
  assertEquals(seen, [
    ["a", "running", 0, undefined],
    ["b", "waiting", 0, undefined],
    ["a", "done", 2, 5],
    ["b", "running", 0, undefined],
    ["b", "failed", 0, undefined],
  ]);
  stop.abort();
  await assertRejects(() => watching);
});
