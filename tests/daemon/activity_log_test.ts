/** The activity log of a whole daemon: what is in it, what is not, and what happens when the disk does not go along. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { MAX_DISPATCH_BYTES, MAX_FRAME_BYTES } from "@inferd/client/protocol";
import { BackendUnavailableError } from "../../src/inference/errors.ts";
import { LlamaBackend } from "../../src/backend/llama/llama.ts";
import { MockBackend } from "../../src/backend/mock.ts";
import { BUILT_IN_MODEL } from "../../src/config/options.ts";
import { startDaemon } from "../../src/daemon/boot.ts";
import { type ActivityLog, openActivityLog } from "../../src/log/log.ts";
import { builtInModelFile } from "../../src/models/built_in.ts";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { daemonOptions, until } from "../support/daemons.ts";
import { dispatch, frame, request, results } from "../support/dispatch_wire.ts";
import { fakeEngineCommand } from "../support/fake_engine.ts";
import { type FileRecord, recordsIn, untilLogged } from "../support/log_file.ts";
import { LogRecorder } from "../support/log_recorder.ts";
import { type Program, Sandbox } from "../support/program.ts";
import { ask } from "../support/serving.ts";
import { mountSmallDisk, onSmallDisk } from "../support/small_disk.ts";
import { WireClient } from "../support/wire_client.ts";

const LINUX = Deno.build.os === "linux";
const KEY = "activity-log-key";

/** Two logs at once: one to wait for, one on the disk. */
class Tee implements ActivityLog {
  readonly #logs: readonly ActivityLog[];

  constructor(...logs: readonly ActivityLog[]) {
    this.#logs = logs;
  }

  debug(...args: Parameters<ActivityLog["debug"]>): void {
    for (const log of this.#logs) log.debug(...args);
  }

  info(...args: Parameters<ActivityLog["info"]>): void {
    for (const log of this.#logs) log.info(...args);
  }

  warn(...args: Parameters<ActivityLog["warn"]>): void {
    for (const log of this.#logs) log.warn(...args);
  }

  error(...args: Parameters<ActivityLog["error"]>): void {
    for (const log of this.#logs) log.error(...args);
  }

  limited(caller: string): ActivityLog {
    return new Tee(...this.#logs.map((log) => log.limited(caller)));
  }

  for(component: string): ActivityLog {
    return new Tee(...this.#logs.map((log) => log.for(component)));
  }
}

/** A block of text from a user. */
function said(text: string): Record<string, unknown> {
  return { messages: [{ role: "user", content: [{ type: "text", text }] }] };
}

Deno.test("the log of a daemon has every event with its fields, one record a line", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  let now = 0;
  const script = { tokens: ["a", "b"], thinking: ["c"] };
  const controlled = new ControlledBackend();
  const backends = [
    controlled,
    new MockBackend({ kind: "mock", name: "mock", script }),
    new LlamaBackend(
      {
        kind: "llamacpp",
        name: "fake",
        modelName: BUILT_IN_MODEL,
        modelPath: builtInModelFile({ cacheDir: "" }),
        parallel: 1,
      },
      { command: fakeEngineCommand(), backoffMs: { first: 1, most: 1 } },
    ),
  ];
  const base = daemonOptions(dir);
  const infer = { ...base.listen.infer, tcp: { hostname: "127.0.0.1", port: 0 } };
  const options = { ...base, apiKey: KEY, listen: { ...base.listen, infer } };
  const seen = new LogRecorder();
  {
    await using file = openActivityLog({ dir: options.logDir, level: "info" });
    await using daemon = await startDaemon(options, { log: new Tee(seen, file), backends, now: () => now });
    await daemon.ready;
    const { fields } = await seen.next("engine_started");
    const listening = seen.of("listening").find(({ fields }) => String(fields.address).startsWith("127.0.0.1:"));
    const port = Number(String(listening?.fields.address).split(":").at(-1));

    // Answered on every surface.
    using client = await WireClient.connect(infer.socket);
    await client.send(ask({ id: "v1" }));
    const run = await controlled.next();
    run.say("x");
    run.finish("length", { promptTokens: 5, completionTokens: 3, cachedTokens: 2 });
    await client.answer();
    using v2 = await WireClient.connect(options.listen.v2.socket);
    await v2.send({ id: "v2", thinking: true, ...said("one two three") });
    await v2.answer();
    using embed = await WireClient.connect(options.listen.embed.socket);
    await embed.send({ id: "embed", input: ["one two", "three"] });
    await embed.frame();
    using rerank = await WireClient.connect(options.listen.rerank.socket);
    await rerank.send({ id: "rerank", query: "one", documents: ["one two", "three"] });
    await rerank.frame();
    const { served_config_id: config_id } = await dispatch(options.rpcSocket, request(""));
    assert(config_id !== null);
    const calls = 'status(); rerank(query="a", documents=["b"])';
    const answered = await dispatch(options.rpcSocket, request(calls, { config_id }));
    assertEquals(results(answered).map(({ ok }) => ok), [true, true]);

    // Refused, cancelled, too large, unknown.
    await client.send({ id: "bad", messages: [] });
    await client.frame();
    {
      using leaves = await WireClient.connect(infer.socket);
      await leaves.send(ask({ id: "leaves" }));
      (await controlled.next()).say("x");
      await leaves.frame();
    }
    await seen.next("request_cancelled");
    {
      using large = await WireClient.connect(infer.socket);
      const piece = new Uint8Array(1024 * 1024).fill(0x78);
      for (let sent = 0; sent <= MAX_FRAME_BYTES; sent += piece.length) await large.write(piece);
      assertEquals((await large.frame()).code, "frame_too_large");
      using rpc = await WireClient.connect(options.rpcSocket);
      await rpc.write(frame("", MAX_DISPATCH_BYTES + 1));
      assertEquals(await rpc.rest(), []);
    }
    {
      using stranger = await WireClient.connect(port);
      await stranger.send({ type: "auth", key: "wrong" });
      assertEquals(await stranger.rest(), []);
    }

    // Failing until nobody asks any more, and again when it is well; an engine that dies.
    for (let failure = 0; failure < 3; failure++) {
      await client.send(ask({ id: "fails" }));
      (await controlled.next()).fail(new BackendUnavailableError("The backend is ill"));
      await client.frame();
    }
    now += 30_000;
    await client.send(ask({ id: "again" }));
    (await controlled.next()).finish();
    await client.answer();
    Deno.kill(fields.pid as number, "SIGKILL");
    await seen.next("engine_restarted");
  }
  const path = `${options.logDir}/inferd.ndjson`;
  const records = recordsIn(path);
  const of = (msg: string): FileRecord[] => records.filter((record) => record.msg === msg);
  /** The fields of an event but those that differ from run to run, which must be numbers. */
  const fieldsOf = (msg: string, numbers: readonly string[] = []): Record<string, unknown>[] =>
    of(msg).map(({ t: _t, msg: _msg, ...fields }) => {
      for (const name of numbers) assertEquals([name, typeof fields[name]], [name, "number"]);
      return Object.fromEntries(Object.entries(fields).filter(([name]) => !numbers.includes(name)));
    });

  assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  const [byUnix] = of("connection_accepted");
  if (LINUX) {
    const { transport, peer, uid, gid, pid } = byUnix ?? {};
    assertEquals([transport, peer, uid, gid, pid], ["unix", `pid ${Deno.pid}`, Deno.uid(), Deno.gid(), Deno.pid]);
  }
  const byTcp = of("connection_accepted").filter(({ transport }) => transport === "tcp");
  assertEquals(byTcp.length, 1);
  const rejected = of("tcp_auth_rejected")[0];
  assertEquals([rejected?.level, rejected?.peer, rejected?.reason], ["warn", byTcp[0]?.peer, "wrong"]);

  const head = { level: "info", component: "pipeline" };
  const ids = of("request_accepted").map(({ id, backend }) => `${id} ${backend}`);
  const failing = ["fails controlled", "fails controlled", "fails controlled"];
  assertEquals(
    ids,
    [
      "v1 controlled",
      "v2 mock",
      "embed mock",
      "rerank mock",
      " mock",
      "leaves controlled",
      ...failing,
      "again controlled",
    ],
  );
  const done = (
    id: string,
    backend: string,
    [tokens_in, tokens_out, cached_tokens, stop_reason]: unknown[],
  ): unknown => ({
    ...head,
    id,
    backend,
    tokens_in,
    tokens_out,
    cached_tokens,
    stop_reason,
  });
  assertEquals(fieldsOf("request_done", ["queue_ms", "first_token_ms", "total_ms"]), [
    done("v1", "controlled", [5, 3, 2, "length"]),
    done("v2", "mock", [3, 3, 0, "end_turn"]),
    done("embed", "mock", [3, 0, 0, "end"]),
    done("rerank", "mock", [5, 0, 0, "end"]),
    done("", "mock", [2, 0, 0, "end"]),
    done("again", "controlled", [1, 0, 0, "end"]),
  ]);
  for (const { queue_ms, first_token_ms, total_ms } of of("request_done")) {
    assert(Number(queue_ms) <= Number(first_token_ms) && Number(first_token_ms) <= Number(total_ms));
  }
  const failed = { level: "warn", component: "pipeline", id: "fails", code: "backend_unavailable" };
  assertEquals(fieldsOf("request_error", []).map(({ queue_ms: _, total_ms: __, ...fields }) => fields), [
    { ...head, id: "bad", code: "invalid_request" },
    { ...failed, id: "", code: "frame_too_large", message: of("request_error")[1]?.message },
    ...Array(3).fill({ ...failed, backend: "controlled", message: "The backend is ill" }),
  ]);
  assertEquals(fieldsOf("request_cancelled", ["queue_ms", "first_token_ms", "total_ms"]), [
    { ...head, id: "leaves", backend: "controlled", reason: "The client closed the connection" },
  ]);
  assertEquals(of("request_oversized").map(({ level, limit_bytes }) => [level, limit_bytes]), [
    ["warn", MAX_FRAME_BYTES],
    ["warn", MAX_DISPATCH_BYTES],
  ]);
  for (const { peer } of of("request_oversized")) assertStringIncludes(String(peer), LINUX ? `pid ${Deno.pid}` : "");
  const breaker = { level: "warn", component: "daemon", backend: "controlled" };
  assertEquals([...fieldsOf("breaker_opened"), ...fieldsOf("breaker_closed")], [breaker, breaker]);
  const [exited] = of("engine_exited");
  assertEquals(
    [exited?.level, exited?.component, exited?.backend, exited?.signal],
    ["error", "engine", "fake", "SIGKILL"],
  );
  assertEquals(fieldsOf("engine_restarted", ["pid", "after_ms"]), [
    { level: "info", component: "engine", backend: "fake", attempt: 1 },
  ]);
  const life = new Set(["starting", "engine_started", "listening", "ready", "draining", "stopped"]);
  assertEquals(
    records.filter(({ msg }) => life.has(String(msg))).map(({ msg }) => msg).filter((msg) => msg !== "listening"),
    ["starting", "engine_started", "ready", "draining", "stopped"],
  );
  assertEquals(of("listening").length, 6);
  assertEquals(Deno.readTextFileSync(path).includes(KEY), false);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("requests are answered when the disk does not take the log", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  const options = daemonOptions(dir);
  const gate = Promise.withResolvers<void>();
  const original = Deno.FsFile.prototype.write;
  let held = 0;
  Deno.FsFile.prototype.write = async function (this: Deno.FsFile, bytes: Uint8Array): Promise<number> {
    held++;
    await gate.promise;
    return await original.call(this, bytes);
  };
  try {
    await using log = openActivityLog({ dir: options.logDir, level: "debug" });
    await using daemon = await startDaemon(options, { log });
    await daemon.ready;
    log.error("written_at_once");
    using client = await WireClient.connect(options.listen.infer.socket);
    for (let count = 0; held === 0 || count < 1000; count++) {
      await client.send(ask({ id: String(count), stream: false }));
      assertEquals((await client.frame()).type, "done");
    }
    gate.resolve();
  } finally {
    Deno.FsFile.prototype.write = original;
  }
  const records = recordsIn(`${options.logDir}/inferd.ndjson`);
  assert(records.filter(({ msg }) => msg === "request_done").length >= 1000);
  await Deno.remove(dir, { recursive: true });
});

/** Ask, and wait for the answer. */
async function once(box: Sandbox, id: string): Promise<void> {
  using client = await WireClient.connect(`${box.runtimeDir}/infer.sock`);
  await client.send(ask({ id, stream: false }));
  assertEquals((await client.frame()).type, "done");
}

/** The last record, but for the count of those that connecting so often has cost. */
function lastOf(path: string): unknown {
  return recordsIn(path).findLast(({ msg }) => msg !== "records_dropped")?.msg;
}

async function drained(daemon: Program): Promise<string> {
  daemon.kill("SIGTERM");
  const { code, stderr } = await daemon.outcome;
  assertEquals(code, 0, stderr);
  return stderr;
}

Deno.test("the log is rotated, reopened and made anew when the daemon has given its permissions back", async () => {
  await using box = new Sandbox();
  const dir = `${box.dir}/logs`;
  const path = `${dir}/inferd.ndjson`;
  const most = 16 * 1024 * 1024;
  Deno.mkdirSync(dir);
  const line = `{"old":"${"x".repeat(1012)}"}\n`;
  // There is room for the records of booting.
  Deno.writeTextFileSync(path, line.repeat(most / line.length - 8));
  for (const index of [1, 2, 3]) Deno.writeTextFileSync(`${path}.${index}`, `was ${index}\n`);
  const env = { INFERD_BACKEND: "mock" };
  const { stdout } = await box.run(["permissions", "serve"], { env });
  await using daemon = await box.serve([], { env, permissions: stdout.trim().split(" ") });
  await untilLogged(path, "permissions_left");
  assertEquals(Deno.readTextFileSync(`${path}.1`), "was 1\n");

  // Rotated.
  let asked = 0;
  const isOld = async (): Promise<boolean> => ((await Deno.stat(path).catch(() => undefined))?.size ?? most) > most / 2;
  while (await isOld()) await once(box, `fills ${asked++}`);
  const { size } = Deno.statSync(`${path}.1`);
  assert(size < most && size > most - 16 * 1024, String(size));
  assertEquals([2, 3].map((index) => Deno.readTextFileSync(`${path}.${index}`)), ["was 1\n", "was 2\n"]);
  assertEquals([...Deno.readDirSync(dir)].length, 4);

  // Moved away by somebody.
  Deno.renameSync(path, `${dir}/elsewhere`);
  await untilLogged(path, "request_done", { between: () => once(box, "moved") });

  // Deleted with everything in it.
  // Taken away in one step: the daemon may be writing into it at this moment.
  Deno.renameSync(dir, `${dir}.gone`);
  Deno.removeSync(`${dir}.gone`, { recursive: true });
  await untilLogged(path, "request_done", { between: () => once(box, "deleted") });
  assertEquals((Deno.statSync(dir).mode ?? 0) & 0o777, 0o700);
  assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);

  const stderr = await drained(daemon);
  assertEquals(stderr.includes("activity log"), false, stderr);
  assertEquals(lastOf(path), "stopped");
});

Deno.test({
  ...onSmallDisk("the daemon serves on, says so once and logs again when the disk was full"),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const at = `${box.dir}/disk`;
    Deno.mkdirSync(at);
    await using _disk = await mountSmallDisk(at, "512k");
    const env = { INFERD_BACKEND: "mock", INFERD_LOG_DIR: `${at}/logs` };
    const path = `${at}/logs/inferd.ndjson`;
    await using daemon = await box.serve([], { env });
    using admin = await WireClient.connect(`${box.runtimeDir}/admin.sock`);
    await until(admin, "ready");
    await untilLogged(path, "ready");

    const filler = await Deno.open(`${at}/filler`, { write: true, create: true });
    const piece = new Uint8Array(4096);
    try {
      while (await filler.write(piece) > 0) { /* Until it is full. */ }
    } catch (error) {
      assertStringIncludes(String(error), "No space left");
    }
    filler.close();
    // What was begun of the last page still takes some.
    const stopped = until(admin, "log_stopped");
    let told = false;
    stopped.finally(() => told = true).catch(() => {});
    for (let asked = 0; !told; asked++) await once(box, `full ${asked}`);
    assertEquals(await stopped, ["log_stopped"]);
    using late = await WireClient.connect(`${box.runtimeDir}/admin.sock`);
    assertEquals(await until(late, "ready"), ["capabilities", "log_stopped", "ready"]);
    assertStringIncludes((await box.run(["status"])).stdout, "No space left");
    for (let asked = 0; asked < 20; asked++) await once(box, `lost ${asked}`);

    Deno.removeSync(`${at}/filler`);
    const resumed = await untilLogged(path, "log_resumed", { between: () => once(box, "again") });
    assert(Number(resumed.lost) >= 20 * 3, JSON.stringify(resumed));
    const stderr = await drained(daemon);
    const lines = stderr.split("\n").filter((line) => line.includes("activity log"));
    assertEquals(lines.length, 2, stderr);
    assertStringIncludes(lines[0] ?? "", `inferd: the activity log has stopped: Cannot write "${path}": No space left`);
    assertStringIncludes(lines[1] ?? "", "inferd: the activity log has resumed; ");
    assertEquals(lastOf(path), "stopped");
  },
});

Deno.test("a caller that is refused all the time, over however many connections, does not wash out the log", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-log-" });
  const recorder = new LogRecorder();
  try {
    {
      await using log = openActivityLog({ dir, level: "info" });
      await using running = await startDaemon(daemonOptions(`${dir}/daemon`), { log: new Tee(log, recorder) });
      await running.ready;
      const { socket } = running.options.listen.infer;
      for (let round = 0; round < 4; round++) {
        using client = await WireClient.connect(socket);
        for (let refused = 0; refused < 100; refused++) await client.send({ messages: [] });
        for (let refused = 0; refused < 100; refused++) assertEquals((await client.frame()).code, "invalid_request");
      }
      using client = await WireClient.connect(socket);
      await client.send(ask({ stream: false }));
      assertEquals((await client.frame()).type, "done");
    }
    const records = recordsIn(`${dir}/inferd.ndjson`);
    const errors = records.filter(({ msg }) => msg === "request_error").length;
    const dropped = records.filter(({ msg }) => msg === "records_dropped");
    const count = dropped.reduce((sum, { records }) => sum + Number(records), 0);
    const connections = records.filter(({ msg }) => msg === "connection_accepted").length;
    assert(errors < 400, `${errors} records`);
    assertEquals(errors + connections + count, 405);
    assertEquals(records.filter(({ msg }) => msg === "request_done").length, 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
