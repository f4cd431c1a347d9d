/** `admin/server.ts` on a real socket. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ADMIN_BACKLOG_EVENTS } from "@inferd/client/protocol";
import { AdminServer } from "../../src/admin/server.ts";
import { StatusBoard } from "../../src/admin/status.ts";
import { BindError } from "../../src/server/listener.ts";
import { Peers } from "../../src/server/peer.ts";
import { filesIn, status, until } from "../support/daemons.ts";
import { LogRecorder } from "../support/log_recorder.ts";
import { WireClient } from "../support/wire_client.ts";

interface AdminUnderTestOptions {
  readonly asksKernel?: boolean;
  readonly halfClosedMs?: number;
  readonly maxConnections?: number;
}

class AdminUnderTest implements AsyncDisposable {
  readonly board = new StatusBoard({ queue: () => ({ active: 0, waiting: 0, depth: 10 }) });
  readonly log = new LogRecorder();
  readonly dir = Deno.makeTempDirSync({ prefix: "inferd-" });
  readonly path = `${this.dir}/admin.sock`;
  readonly peers: Peers | undefined;
  readonly server: AdminServer;

  private constructor({ asksKernel = true, ...more }: AdminUnderTestOptions) {
    this.peers = asksKernel ? Peers.open(this.log) : undefined;
    const { path, board, peers, log } = this;
    this.server = new AdminServer({ path, board, peers, log, ...more });
  }

  static async start(options: AdminUnderTestOptions = {}): Promise<AdminUnderTest> {
    const test = new AdminUnderTest(options);
    await test.server.bind();
    return test;
  }

  connect(): Promise<WireClient> {
    return WireClient.connect(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.peers?.[Symbol.dispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("the admin server gives every reader the snapshot and then the events", async () => {
  await using test = await AdminUnderTest.start();
  using first = await test.connect();
  assertEquals(await first.line(), '{"id":"admin","type":"status","status":"starting"}');
  test.board.loading({ phase: "kv_cache", n_ctx: 512 });
  using second = await test.connect();
  assertEquals(
    await second.line(),
    '{"id":"admin","type":"status","status":"loading_model","phase":"kv_cache","n_ctx":512}',
  );
  test.board.ready();
  assertEquals(await until(first, "ready"), ["loading_model kv_cache", "ready"]);
  assertEquals(await until(second, "ready"), ["ready"]);
});

Deno.test("the admin server closes a connection that is one too many, and takes one again when another has gone", async () => {
  // One program may have half of them.
  await using test = await AdminUnderTest.start({ maxConnections: 4 });
  const first = await test.connect();
  using second = await test.connect();
  for (const reader of [first, second]) assertEquals(await status(reader), "starting");
  using third = await test.connect();
  assertEquals(await third.line().catch(() => undefined), undefined);
  await test.log.next("connections_refused");
  first[Symbol.dispose]();
  for (;;) {
    using again = await test.connect();
    if (await status(again).catch(() => undefined) === "starting") break;
  }
});

Deno.test("the admin server ends every reader's stream and removes the socket when it is disposed of", async () => {
  await using test = await AdminUnderTest.start();
  using reader = await test.connect();
  assertEquals(await status(reader), "starting");
  test.board.draining();
  await test.server[Symbol.asyncDispose]();
  assertEquals((await reader.rest()).length, 1);
  assertEquals(filesIn(test.dir), []);
});

Deno.test("the admin server ignores what a client writes, however much and whatever it is", async () => {
  await using test = await AdminUnderTest.start();
  using reader = await test.connect();
  await reader.write('{"status":"ready"}\n\0\xff not json');
  const line = new Uint8Array(1024 * 1024).fill(65);
  for (let megabyte = 0; megabyte < 64; megabyte++) await reader.write(line);
  assertEquals(await status(reader), "starting");
  test.board.ready();
  assertEquals(await status(reader), "ready");
});

Deno.test("the admin server keeps telling a reader that has only said it will write nothing", async () => {
  await using test = await AdminUnderTest.start();
  using reader = await test.connect();
  assertEquals(await status(reader), "starting");
  await reader.end();
  // Its end has been read when a later reader's whole connection has been served.
  using other = await test.connect();
  assertEquals(await status(other), "starting");
  test.board.ready();
  assertEquals(await status(reader), "ready");
});

Deno.test("the admin server lets go of a reader that has ended its side when no kernel can tell whether it is there", async () => {
  await using test = await AdminUnderTest.start({ asksKernel: false, halfClosedMs: 1 });
  using reader = await test.connect();
  assertEquals(await status(reader), "starting");
  await reader.end();
  assertEquals(await status(reader), undefined);
});

Deno.test("the admin server goes on when readers vanish", async () => {
  await using test = await AdminUnderTest.start();
  for (let round = 0; round < 50; round++) {
    const reader = await test.connect();
    if (round % 2 === 0) await status(reader);
    reader.close();
    test.board.restarting({ phase: "mmap", path: "/m" });
  }
  using reader = await test.connect();
  assertEquals(await status(reader), "restarting mmap");
});

Deno.test("the admin server disconnects a reader that falls too far behind, and no other", async () => {
  await using test = await AdminUnderTest.start();
  using slow = await test.connect();
  using fast = await test.connect();
  assertEquals(await status(slow), "starting");
  assertEquals(await status(fast), "starting");
  // The kernel's buffers take some; large events fill them soon.
  const path = "/".padEnd(64 * 1024, "x");
  let told = 0;
  while (test.log.of("admin_reader_overrun").length === 0) {
    test.board.loading({ phase: "mmap", path });
    told++;
    assertEquals(await status(fast), "loading_model mmap");
  }
  assert(told > ADMIN_BACKLOG_EVENTS, `${told} events`);
  test.board.ready();
  assertEquals(await status(fast), "ready");
  // What the kernel had taken may still arrive; `ready` does not.
  let last = "";
  await assertRejects(async () => {
    for (let next = await status(slow); next !== undefined; next = await status(slow)) last = next;
    throw new Error("The stream ended");
  });
  assertEquals(last, "loading_model mmap");
});

Deno.test("the admin server refuses when a live one has the socket", async () => {
  await using test = await AdminUnderTest.start();
  const second = new AdminServer({ path: test.path, board: test.board, peers: undefined, log: test.log });
  await assertRejects(() => second.bind(), BindError);
  await second[Symbol.asyncDispose]();
  using reader = await test.connect();
  assertEquals(await status(reader), "starting");
});

Deno.test("the admin server ends in time when a reader takes nothing", async () => {
  await using test = await AdminUnderTest.start();
  using stuck = await test.connect();
  const path = "/".padEnd(64 * 1024, "x");
  for (let event = 0; event < 100; event++) test.board.loading({ phase: "mmap", path });
  await test.server[Symbol.asyncDispose]();
  assertEquals(filesIn(test.dir), []);
  stuck.close();
});
