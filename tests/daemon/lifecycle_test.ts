/** `daemon/boot.ts`: boot, following its backends, drain. Backends are staged, sockets are real. */
import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { admin } from "@inferd/client";
import { UnreachableError } from "../../src/cli/command.ts";
import { reach } from "../../src/cli/reach.ts";
import { BackendUnavailableError } from "../../src/inference/errors.ts";
import { DrainedError, startDaemon } from "../../src/daemon/boot.ts";
import { ReadyTimeoutError } from "../../src/daemon/not_served.ts";
import { LockHeldError } from "../../src/daemon/lock.ts";
import { RuntimeDirError } from "../../src/daemon/runtime_dir.ts";
import { BindError } from "../../src/server/listener.ts";
import { CONTROLLED_CAPABILITIES } from "../support/controlled_backend.ts";
import { daemonOptions, DaemonUnderTest, filesIn, status, until } from "../support/daemons.ts";
import { LogRecorder } from "../support/log_recorder.ts";
import { ask } from "../support/serving.ts";
import { StagedBackend } from "../support/staged_backend.ts";
import { WireClient } from "../support/wire_client.ts";

/** A daemon over one staged backend that is ready. */
async function serving(
  options: Parameters<typeof DaemonUnderTest.start>[0] = {},
): Promise<[DaemonUnderTest, StagedBackend]> {
  const backend = new StagedBackend();
  const test = await DaemonUnderTest.start(options, { backends: [backend] });
  backend.becomeReady();
  await test.daemon.ready;
  return [test, backend];
}

/** The next frames, of backends and their states. */
async function states(events: WireClient, count: number): Promise<unknown[][]> {
  const told: unknown[][] = [];
  while (told.length < count) {
    const { status, backend, state } = await events.frame();
    assertEquals(status, "capabilities");
    told.push([backend, state]);
  }
  return told;
}

Deno.test("the daemon tells the boot in order when a reader comes first", async () => {
  const backend = new StagedBackend();
  await using test = await DaemonUnderTest.start({}, { backends: [backend] });
  using events = await test.admin();
  assertEquals(await events.line(), '{"id":"admin","type":"status","status":"starting"}');
  await backend.started;
  backend.tell({ type: "phase", phase: { phase: "mmap", path: "/m" } });
  backend.becomeReady();
  assertEquals(await until(events, "ready"), ["loading_model mmap", "capabilities", "ready"]);
});

Deno.test("the daemon tells capabilities, then the snapshot when a reader comes later", async () => {
  const [test] = await serving();
  await using _ = test;
  using events = await test.admin();
  const capabilities = await events.frame();
  assertEquals(capabilities.status, "capabilities");
  assertEquals(capabilities.backend, "staged");
  assertEquals(capabilities.queue, { active: 0, waiting: 0, depth: 10 });
  assertEquals(await status(events), "ready");
});

Deno.test("the daemon has no inference socket until every backend is ready", async () => {
  const backends = [new StagedBackend("one"), new StagedBackend("two")];
  await using test = await DaemonUnderTest.start({}, { backends });
  using events = await test.admin();
  assertEquals(test.files(), ["admin.sock", "inferd.lock", "inferd.pid"]);
  await backends[0]?.started;
  backends[0]?.becomeReady();
  assertEquals(await until(events, "capabilities"), ["starting", "capabilities"]);
  assertEquals(test.files(), ["admin.sock", "inferd.lock", "inferd.pid"]);
  backends[1]?.becomeReady();
  await until(events, "ready");
  // Whoever hears `ready` can connect.
  using infer = await test.infer();
  await infer.write("{}\n");
  assertEquals((await infer.frame()).type, "error");
  assertEquals(test.files(), ["admin.sock", "infer.sock", "inferd.lock", "inferd.pid", "rpc.sock"]);
});

Deno.test("the daemon keeps its files to itself when it runs", async () => {
  const [test] = await serving();
  await using _ = test;
  const mode = (path: string): number => (Deno.statSync(path).mode ?? 0) & 0o777;
  const { runtimeDir, adminSocket, listen: { infer: { socket: inferSocket } }, lockPath } = test.options;
  assertEquals([runtimeDir, adminSocket, inferSocket, lockPath, `${runtimeDir}/inferd.pid`].map(mode), [
    0o700,
    0o600,
    0o660,
    0o600,
    0o600,
  ]);
  assertEquals(Deno.readTextFileSync(`${runtimeDir}/inferd.pid`), `${Deno.pid}\n`);
});

Deno.test("the daemon fails to start and leaves only the lock file when a backend is never ready", async () => {
  const dir = await Deno.makeTempDir();
  const script = { neverReady: true };
  const options = daemonOptions(dir, { readyTimeoutSecs: 1, backends: [{ kind: "mock", name: "slow", script }] });
  const daemon = await startDaemon(options, { log: new LogRecorder() });
  using events = await WireClient.connect(options.adminSocket);
  const error = await assertRejects(() => daemon.ready, ReadyTimeoutError);
  assertEquals(
    error.message,
    'Not ready within 1 s, still waiting for backend "slow"; --ready-timeout SECONDS gives it more time',
  );
  assertEquals((await events.rest()).length, 2);
  await daemon.done;
  assertEquals(filesIn(options.runtimeDir), ["inferd.lock"]);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the daemon fails to start with the backend's words when one cannot become ready", async () => {
  const backends = [new StagedBackend("one"), new StagedBackend("two")];
  await using test = await DaemonUnderTest.start({}, { backends });
  await backends[1]?.started;
  const failure = new BackendUnavailableError('Cannot load model "/m": no such file');
  backends[1]?.failToStart(failure);
  assertStrictEquals(await assertRejects(() => test.daemon.ready), failure);
  await test.daemon.done;
  assertEquals(backends.map(({ disposed }) => disposed), [1, 1]);
  assertEquals(test.files(), ["inferd.lock"]);
});

Deno.test("the daemon fails to start when the inference socket cannot stand, and cleans up", async () => {
  const backend = new StagedBackend();
  await using test = await DaemonUnderTest.start({
    listen: { ...daemonOptions("/nonexistent").listen, infer: { socket: "/nonexistent/infer.sock" } },
  }, { backends: [backend] });
  backend.becomeReady();
  const error = await assertRejects(() => test.daemon.ready, BindError);
  assertEquals(error.message, 'Cannot bind "/nonexistent/infer.sock": the folder "/nonexistent" does not exist');
  await test.daemon.done;
  assertEquals(backend.disposed, 1);
  assertEquals(test.files(), ["inferd.lock"]);
});

Deno.test("startDaemon refuses with the holder's pid and touches nothing when another daemon runs", async () => {
  const [test] = await serving();
  await using _ = test;
  const before = test.files();
  const error = await assertRejects(() => startDaemon(test.options, { log: new LogRecorder() }), LockHeldError);
  assertEquals(error.message, `Another inferd daemon (pid ${Deno.pid}) holds "${test.options.lockPath}"`);
  assertEquals(test.files(), before);
  using events = await test.admin();
  await until(events, "ready");
});

Deno.test("startDaemon leaves the pid file of a daemon whose lock file was removed", async () => {
  const [test] = await serving();
  await using _ = test;
  const pidPath = test.options.lockPath.replace(/\.lock$/, ".pid");
  Deno.removeSync(test.options.lockPath);
  const error = await assertRejects(
    () => startDaemon(test.options, { log: new LogRecorder(), pid: 4711 }),
    BindError,
  );
  assertEquals(error.message, `Cannot bind "${test.options.adminSocket}": it is in use by a running process`);
  assertEquals(Deno.readTextFileSync(pidPath), `${Deno.pid}\n`);
});

Deno.test("startDaemon refuses when the runtime directory or a socket path is of no use, and leaves nothing", async () => {
  const dir = await Deno.makeTempDir();
  Deno.writeTextFileSync(`${dir}/file`, "");
  Deno.mkdirSync(`${dir}/real`);
  Deno.symlinkSync(`${dir}/real`, `${dir}/link`);
  const log = new LogRecorder();
  for (const runtimeDir of [`${dir}/file`, `${dir}/link`]) {
    await assertRejects(() => startDaemon(daemonOptions(dir, { runtimeDir }), { log }), RuntimeDirError);
  }
  assertEquals(filesIn(`${dir}/real`), []);

  const options = daemonOptions(dir);
  const refused = async (adminSocket: string): Promise<string> => {
    const error = await assertRejects(() => startDaemon({ ...options, adminSocket }, { log }), BindError);
    assertEquals(filesIn(options.runtimeDir), ["inferd.lock"]);
    return error.message;
  };
  assertEquals(await refused(`${dir}/link`), `Cannot bind "${dir}/link": it is a symbolic link`);
  assertEquals(await refused(`${dir}/real`), `Cannot bind "${dir}/real": it is a directory`);
  const long = `${dir}/${"x".repeat(120)}`;
  assert((await refused(long)).startsWith(`Cannot bind "${long}": a unix socket's path may have`));
  const ofNobody = { ...options, group: "no-such-group" };
  const error = await assertRejects(
    () => startDaemon(ofNobody, { log }),
    BindError,
    'there is no group "no-such-group"',
  );
  assert(error.message.startsWith(`Cannot bind "${options.listen.infer.socket}": `));
  await Deno.remove(dir, { recursive: true });
});

Deno.test("startDaemon takes over when a crashed daemon left sockets, lock and pid file", async () => {
  const dir = await Deno.makeTempDir();
  const options = daemonOptions(dir);
  Deno.mkdirSync(options.runtimeDir);
  for (const path of [options.adminSocket, options.listen.infer.socket]) {
    // Closing removes the file under the name it was bound to; under another it stays and nobody listens.
    const listener = Deno.listen({ transport: "unix", path: `${path}.x` });
    Deno.renameSync(`${path}.x`, path);
    listener.close();
    assert(Deno.statSync(path).isSocket);
  }
  Deno.writeTextFileSync(options.lockPath, "");
  Deno.writeTextFileSync(`${options.runtimeDir}/inferd.pid`, "1\n");
  const daemon = await startDaemon(options, { log: new LogRecorder() });
  await daemon.ready;
  using events = await WireClient.connect(options.adminSocket);
  await until(events, "ready");
  await daemon.drain();
  assertEquals(filesIn(options.runtimeDir), ["inferd.lock"]);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the daemon says that a group cannot get to its sockets, and nothing where it can", async () => {
  const group = String(Deno.gid());
  const [closed] = await serving({ group });
  {
    await using _ = closed;
    const { folder, sockets, reason } = (await closed.log.next("group_shut_out")).fields;
    assertEquals(folder, closed.options.runtimeDir);
    assertEquals(sockets, Object.values(closed.options.listen).map(({ socket }) => socket));
    assertStringIncludes(String(reason), "--uds PATH");
  }
  const dir = await Deno.makeTempDir();
  Deno.chmodSync(dir, 0o750);
  const listen = Object.fromEntries(
    Object.keys(closed.options.listen).map((name) => [name, { socket: `${dir}/${name}.sock` }]),
  );
  const [open] = await serving({ group, listen: listen as unknown as typeof closed.options.listen });
  {
    await using _ = open;
    assertEquals(open.log.of("group_shut_out"), []);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the daemon takes its inference socket away while no backend serves, and brings it back", async () => {
  const [test, backend] = await serving();
  await using _ = test;
  using events = await test.admin();
  using client = await test.infer();
  await until(events, "ready");
  for (let death = 0; death < 2; death++) {
    backend.die();
    assertEquals(test.files(), ["admin.sock", "inferd.lock", "inferd.pid"]);
    assertEquals(await until(events, "restarting checking_local"), ["capabilities", "restarting checking_local"]);
    // Who is connected stays so and is told.
    await client.send(ask());
    assertEquals((await client.frame()).code, "backend_unavailable");
    backend.tell({ type: "phase", phase: { phase: "kv_cache", n_ctx: 512 } });
    backend.becomeReady();
    assertEquals(await until(events, "ready"), ["loading_model kv_cache", "capabilities", "ready"]);
    using again = await test.infer();
    await again.send(ask());
    (await backend.next()).finish();
    assertEquals((await again.frame()).type, "done");
  }
});

Deno.test("the daemon serves at once when the backend whose breaker opened has been started anew", async () => {
  const [test, backend] = await serving();
  await using _ = test;
  using events = await test.admin();
  await until(events, "ready");
  using client = await test.infer();
  for (let failure = 0; failure < 3; failure++) {
    await client.send(ask());
    (await backend.next()).fail(new BackendUnavailableError("The engine died"));
    assertEquals((await client.frame()).code, "backend_unavailable");
  }
  await test.log.next("breaker_opened");
  backend.die();
  backend.becomeReady();
  await until(events, "ready");
  await test.log.next("breaker_closed");
  await client.send(ask());
  (await backend.next()).finish();
  assertEquals((await client.frame()).type, "done");
});

Deno.test("the daemon keeps serving and stays ready when one of two backends dies, and says of which", async () => {
  const backends = [new StagedBackend("one"), new StagedBackend("two")] as const;
  await using test = await DaemonUnderTest.start({}, { backends });
  for (const backend of backends) backend.becomeReady();
  await test.daemon.ready;
  using events = await test.admin();
  await until(events, "ready");
  backends[0].die();
  backends[0].tell({ type: "phase", phase: { phase: "mmap", path: "/m" } });
  using client = await test.infer();
  await client.send(ask());
  (await backends[1].next()).finish();
  const done = await client.frame();
  assertEquals(done.backend, "two");
  backends[0].goDown();
  assertEquals(await states(events, 2), [["one", "loading"], ["one", "down"]]);
  await admin({ path: test.options.adminSocket }).ready({ timeoutMs: 0 });
  // Everything that was said since: nothing more of the first one.
  backends[1].die();
  backends[1].becomeReady();
  assertEquals(await until(events, "ready"), [
    "capabilities",
    "restarting checking_local",
    "capabilities",
    "ready",
  ]);
});

Deno.test("the daemon is ready again without the surfaces of a backend that has given up", async () => {
  const chat = new StagedBackend("chat");
  const vectors = new StagedBackend("vectors", { ...CONTROLLED_CAPABILITIES, v1: false, embed: true });
  await using test = await DaemonUnderTest.start({}, { backends: [chat, vectors] });
  for (const backend of [chat, vectors]) backend.becomeReady();
  await test.daemon.ready;
  using events = await test.admin();
  await until(events, "ready");
  vectors.die();
  assertEquals(await until(events, "restarting checking_local"), ["capabilities", "restarting checking_local"]);
  vectors.goDown();
  assertEquals(await until(events, "ready"), ["capabilities", "ready"]);
  assertEquals(test.files().filter((name) => name.startsWith("infer")), ["infer.sock", "inferd.lock", "inferd.pid"]);
  const { status, capabilities } = await admin({ path: test.options.adminSocket }).snapshot();
  assertEquals(status.status, "ready");
  assertEquals(capabilities.map(({ backend, state }) => [backend, state]), [["chat", "ready"], ["vectors", "down"]]);
  // The commands say so, and neither wait nor start another daemon.
  const { adminSocket, listen: { embed } } = test.options;
  const at = { infer: { surface: "embed", paths: { embed: embed.socket } }, admin: { path: adminSocket } } as const;
  const message = 'No backend that embeds is running: "vectors" is down; ';
  await assertRejects(() => reach(at, () => {}), UnreachableError, message);
  chat.die();
  const lines: string[] = [];
  await assertRejects(() => reach(at, (line) => lines.push(line)), UnreachableError, message);
  assertEquals(lines, []);
});

Deno.test("the daemon says down and lives on when its only backend gives up", async () => {
  const [test, backend] = await serving();
  await using _ = test;
  using events = await test.admin();
  await until(events, "ready");
  backend.die();
  backend.goDown();
  assertEquals(await states(events, 1), [["staged", "loading"]]);
  assertEquals(await status(events), "restarting checking_local");
  assertEquals(await states(events, 1), [["staged", "down"]]);
  assertEquals(test.files(), ["admin.sock", "inferd.lock", "inferd.pid"]);
  assertEquals(test.log.of("backend_down").length, 1);
});

Deno.test("the daemon says why its socket cannot be bound again, and binds it when it can be", async () => {
  const [test, backend] = await serving();
  await using _ = test;
  const path = test.options.listen.infer.socket;
  using events = await test.admin();
  await until(events, "ready");
  backend.die();
  await until(events, "restarting checking_local");
  const places = [path, test.options.rpcSocket];
  for (const place of places) Deno.mkdirSync(place);
  backend.becomeReady();
  for (const place of places) {
    const { fields } = await test.log.next("socket_not_restored");
    assertEquals(fields.reason, `Cannot bind "${place}": it is a directory`);
  }
  using before = await test.admin();
  await until(before, "restarting checking_local");
  for (const place of places.toReversed()) Deno.removeSync(place);
  await until(events, "ready");
  assertEquals(test.log.of("socket_not_restored").length, places.length);
  using client = await test.infer();
  await client.send(ask({ stream: false }));
  (await backend.next()).finish();
  assertEquals((await client.frame()).type, "done");
});

Deno.test("drain lets a running answer finish, refuses new requests and ends the admin stream", async () => {
  const [test, backend] = await serving();
  await using _ = test;
  using events = await test.admin();
  await until(events, "ready");
  using running = await test.infer();
  await running.send(ask({ id: "running" }));
  const run = await backend.next();
  run.say("half");
  assertEquals((await running.frame()).content, "half");
  using open = await test.infer();
  await open.send({});
  assertEquals((await open.frame()).type, "error");

  const drained = test.daemon.drain();
  assertEquals(await status(events), "draining");
  assertEquals(test.files().includes("infer.sock"), false);
  await open.send(ask({ id: "late" }));
  assertEquals((await open.frame()).code, "backend_unavailable");
  assertEquals(backend.disposed, 0);

  run.finish();
  assertEquals((await running.frame()).type, "done");
  await drained;
  await test.daemon.done;
  assertEquals(await events.line(), undefined);
  assertEquals(backend.disposed, 1);
  assertEquals(test.files(), ["inferd.lock"]);
});

Deno.test("drain cuts what still runs when its time is over", async () => {
  const [test, backend] = await serving({ drainTimeoutSecs: 0 });
  await using _ = test;
  using client = await test.infer();
  await client.send(ask());
  const run = await backend.next();
  await test.daemon.drain();
  await run.cancelled;
  assertEquals((await client.rest()).map((line) => JSON.parse(line).code), ["backend_unavailable"]);
  assertEquals(test.files(), ["inferd.lock"]);
});

Deno.test("drain stops a daemon that is not ready yet", async () => {
  const backend = new StagedBackend();
  await using test = await DaemonUnderTest.start({}, { backends: [backend] });
  await backend.started;
  await test.daemon.drain();
  await assertRejects(() => test.daemon.ready, DrainedError);
  await test.daemon.done;
  assertEquals(backend.disposed, 1);
  assertEquals(test.files(), ["inferd.lock"]);
});

Deno.test("drain is one and the same when it is asked for twice", async () => {
  const [test] = await serving();
  await using _ = test;
  const first = test.daemon.drain();
  assertStrictEquals(test.daemon.drain(), first);
  await first;
});

Deno.test("the daemon disposes of everything and tells every failure when disposers fail", async () => {
  const backends = [new StagedBackend("one"), new StagedBackend("two")] as const;
  await using test = await DaemonUnderTest.start({}, { backends });
  for (const backend of backends) backend.becomeReady();
  await test.daemon.ready;
  backends[0].disposalError = new Error("first");
  backends[1].disposalError = new Error("second");
  await test.daemon.drain();
  const error = await assertRejects(() => test.daemon.done, AggregateError);
  assertEquals(error.errors, [backends[1].disposalError, backends[0].disposalError]);
  assertEquals(test.files(), ["inferd.lock"]);
});

Deno.test("the ready timeout counts the time in which backends load, not that in which they hash or fetch", async () => {
  const [slow, late] = [new StagedBackend("slow"), new StagedBackend("late")];
  const time = new FakeTime();
  await using test = await DaemonUnderTest.start({ readyTimeoutSecs: 60 }, { backends: [slow, late] });
  const failed = assertRejects(() => test.daemon.ready, ReadyTimeoutError);
  try {
    await Promise.all([slow.started, late.started]);
    slow.tell({ type: "preparing" });
    late.tell({ type: "preparing" });
    time.tick(61_000);
    slow.tell({ type: "loading" });
    slow.becomeReady();
    late.tell({ type: "loading" });
    time.tick(61_000);
  } finally {
    time.restore();
  }
  assertEquals((await failed).message.split(";")[0], 'Not ready within 60 s, still waiting for backend "late"');
});
