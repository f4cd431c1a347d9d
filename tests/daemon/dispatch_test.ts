/** Dispatch over real sockets: its framing, its rules, and what becomes of whoever does not keep them. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { MAX_DISPATCH_BYTES } from "@inferd/client/protocol";
import type { DaemonOptions } from "../../src/config/options.ts";
import { Dispatch, type DispatchService } from "../../src/surfaces/dispatch.ts";
import { Admission } from "../../src/pipeline/admission.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { Router } from "../../src/pipeline/router.ts";
import { DispatchServer, type DispatchServerOptions } from "../../src/server/dispatch_server.ts";
import { MemoryBudget } from "../../src/server/memory_budget.ts";
import { Peers } from "../../src/server/peer.ts";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { DaemonUnderTest, until } from "../support/daemons.ts";
import { dispatch, frame, request, response, rest, results } from "../support/dispatch_wire.ts";
import { LogRecorder } from "../support/log_recorder.ts";
import { StagedBackend } from "../support/staged_backend.ts";
import { WireClient } from "../support/wire_client.ts";
import { modeOf } from "../support/folders.ts";

const ID = "1-test";

type Times = Pick<DispatchServerOptions, "requestTimeoutMs" | "idleWriteTimeoutMs" | "halfClosedMs" | "memory">;

interface ServingOptions extends Times {
  /** Whether the kernel can be asked who is gone. Default: where this system can. */
  readonly asksKernel?: boolean;
}

/** A dispatch server over one controlled backend. */
class Serving implements AsyncDisposable {
  readonly log = new LogRecorder();
  readonly dir = Deno.makeTempDirSync({ prefix: "inferd-" });
  readonly path = `${this.dir}/rpc.sock`;
  readonly backend = new ControlledBackend();
  readonly admission = new Admission({ active: 1, depth: 0 });
  readonly server: DispatchServer;

  readonly peers: Peers | undefined;

  constructor({ asksKernel = true, ...times }: ServingOptions = {}) {
    this.peers = asksKernel ? Peers.open(this.log) : undefined;
    const { log, admission } = this;
    const router = new Router([this.backend]);
    const pipeline = (service: DispatchService): Pipeline =>
      new Pipeline({ service, admission: () => admission, router, log });
    this.server = new DispatchServer({
      path: this.path,
      peers: this.peers,
      log,
      dispatch: new Dispatch({
        namespace: () => "default",
        backends: () => [this.backend],
        pipelines: { v1: pipeline("v1"), v2: pipeline("v2"), embed: pipeline("embed"), rerank: pipeline("rerank") },
        configId: () => ID,
        state: () => "ready",
        queue: () => admission.status(),
        capabilities: () => [],
        modelSha256: () => undefined,
      }),
      ...times,
    });
  }

  static async start(options?: ServingOptions): Promise<Serving> {
    const serving = new Serving(options);
    await serving.server.bind();
    return serving;
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

/** A daemon that is ready. */
async function ready(options: Partial<DaemonOptions> = {}): Promise<DaemonUnderTest> {
  const test = await DaemonUnderTest.start(options);
  await test.daemon.ready;
  return test;
}

/** The daemon's fingerprint, as anybody can ask for it. */
async function configIdOf({ options }: DaemonUnderTest): Promise<string> {
  const { served_config_id } = await dispatch(options.rpcSocket, request("", { namespace: options.namespace }));
  if (served_config_id === null) throw new Error("No config_id is served");
  return served_config_id;
}

const GOOD = JSON.stringify(request("config_id()", { config_id: ID }));

Deno.test("dispatch runs several calls in one request and closes", async () => {
  await using test = await ready();
  const config_id = await configIdOf(test);
  const ops = 'generate(prompt="a; b) \\"c\\""); status(); models(); config_id(); generate(messages=[], max_tokens=1)';
  const refused = await dispatch(test.options.rpcSocket, request(ops, { config_id }));
  assertEquals([refused.ok, refused.result], [false, null]);
  assertStringIncludes(refused.error ?? "", "call 5 (generate) at character 66");

  const answered = await dispatch(
    test.options.rpcSocket,
    request(ops.replace("messages=[]", 'system="s", prompt="p"'), {
      config_id,
      presentation_per_op: ["text", "text", "json", null, null],
    }),
  );
  assertEquals({ ...answered, result: null }, {
    ok: true,
    result: null,
    error: null,
    namespace_mismatch: false,
    config_mismatch: false,
    served_config_id: config_id,
  });
  assertEquals(results(answered), [
    { ok: true, value: "This is a mock answer." },
    { ok: true, value: "ready; mock ready; 0 active, 0 of 10 waiting" },
    { ok: true, value: [{ name: "mock", backend: "mock", n_ctx: 8192 }] },
    { ok: true, value: config_id },
    {
      ok: true,
      value: {
        content: "This",
        usage: { prompt_tokens: 2, completion_tokens: 1 },
        stop_reason: "length",
        backend: "mock",
      },
    },
  ]);
});

Deno.test("dispatch capabilities are those of the admin stream", async () => {
  await using test = await ready();
  const config_id = await configIdOf(test);
  using admin = await test.admin();
  const { id: _id, type: _type, status: _status, ...fields } = await admin.frame();
  const told = results(await dispatch(test.options.rpcSocket, request("capabilities()", { config_id })));
  // Time has passed in between.
  const timeless = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value), (key, one) => key === "uptime_ms" ? 0 : one);
  assertEquals(timeless(told), timeless([{ ok: true, value: [fields] }]));
});

Deno.test("dispatch compares the namespace first, then config_id, and always says which config_id it serves", async () => {
  await using test = await ready({ namespace: "mine" });
  const { rpcSocket } = test.options;
  const config_id = await configIdOf(test);
  assert(/^1-[0-9a-f]{64}$/.test(config_id));
  const base = { ok: false, result: null, error: null, served_config_id: config_id };
  for (const namespace of ["default", "Mine", "mine ", ""]) {
    assertEquals(await dispatch(rpcSocket, request("(", { namespace, config_id: "other" })), {
      ...base,
      namespace_mismatch: true,
      config_mismatch: false,
    });
  }
  for (const other of [undefined, "", config_id.toUpperCase(), `${config_id} `, "1-"]) {
    const asked = request('generate(prompt="a")', {
      namespace: "mine",
      ...(other === undefined ? {} : { config_id: other }),
    });
    assertEquals(await dispatch(rpcSocket, asked), { ...base, namespace_mismatch: false, config_mismatch: true });
  }
  assertEquals(test.log.of("request_accepted").length, 0);
  assertEquals((await dispatch(rpcSocket, request("status()", { namespace: "mine", config_id }))).ok, true);
});

Deno.test("dispatch serves the same config_id wherever the daemon runs, and another one for another configuration", async () => {
  await using one = await ready();
  await using same = await ready({ namespace: "other", drainTimeoutSecs: 1, logLevel: "debug", readyTimeoutSecs: 9 });
  await using other = await ready({ parallel: 5 });
  const id = await configIdOf(one);
  assertEquals(await configIdOf(same), id);
  assert(await configIdOf(other) !== id);
});

Deno.test("only the owner may open the dispatch socket", async () => {
  await using test = await ready({ group: String(Deno.gid()) });
  assertEquals(modeOf(test.options.rpcSocket), 0o600);
  // The group is given generation, and nothing else.
  assertEquals(modeOf(test.options.listen.infer.socket), 0o660);
});

Deno.test("the dispatch socket stands when a backend is ready, and only then", async () => {
  const backends = [new StagedBackend("one"), new StagedBackend("two")];
  const [one, two] = backends;
  await using test = await DaemonUnderTest.start({}, { backends });
  using admin = await test.admin();
  await one?.started;
  one?.becomeReady();
  assertEquals(test.files().includes("rpc.sock"), false);
  two?.becomeReady();
  await until(admin, "ready");
  const config_id = await configIdOf(test);
  one?.die();
  const status = { state: "ready", queue: { active: 0, waiting: 0, depth: 10 } };
  assertEquals(results(await dispatch(test.options.rpcSocket, request("status()", { config_id }))), [{
    ok: true,
    value: { ...status, backends: [{ name: "one", state: "loading" }, { name: "two", state: "ready" }] },
  }]);
  two?.die();
  await until(admin, "restarting checking_local");
  assertEquals(test.files().includes("rpc.sock"), false);
  two?.becomeReady();
  await until(admin, "ready");
  assertEquals(await configIdOf(test), config_id);
});

Deno.test("the dispatch socket stands only when the model is known by its hash, which nothing else waits for", async () => {
  await using elsewhere = new Serving();
  const modelPath = `${elsewhere.dir}/model`;
  const backend = new StagedBackend("one");
  const config = { kind: "llamacpp", name: "one", modelName: "m", modelPath } as const;
  await using test = await DaemonUnderTest.start({ backends: [config] }, { backends: [backend] });
  backend.becomeReady();
  await test.daemon.ready;
  // There is no such file to be hashed.
  await test.log.next("config_not_identified");
  assertEquals([test.files().includes("infer.sock"), test.files().includes("rpc.sock")], [true, false]);

  await Deno.writeTextFile(modelPath, "");
  backend.becomeReady();
  await test.log.next("config_identified");
  let surface: unknown;
  while (surface !== "dispatch") surface = (await test.log.next("listening")).fields.surface;
  const config_id = await configIdOf(test);
  assertEquals(results(await dispatch(test.options.rpcSocket, request("models()", { config_id }))), [{
    ok: true,
    value: [{
      name: "controlled",
      backend: "one",
      n_ctx: 512,
      sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }],
  }]);
});

Deno.test("dispatch logs who asked and what came of it, and nothing that was said", async () => {
  await using test = await ready({ logLevel: "debug" });
  const config_id = await configIdOf(test);
  await dispatch(test.options.rpcSocket, request('generate(prompt="my secret")', { config_id }));
  await dispatch(test.options.rpcSocket, request('generate(prompt="my secret", secret=1)', { config_id }));
  using client = await WireClient.connect(test.options.rpcSocket);
  await client.write(frame('{"ops":"my secret"'));
  await rest(client);
  const accepted = test.log.of("connection_accepted").at(-1);
  assertEquals(accepted?.fields, {
    transport: "unix",
    peer: `pid ${Deno.pid}`,
    pid: Deno.pid,
    uid: Deno.uid(),
    gid: Deno.gid(),
  });
  assertEquals(
    test.log.of("dispatch_done").map(({ level, fields: { ok, refused } }) => [level, ok, refused]),
    [["info", false, "config_id"], ["info", true, undefined], ["info", false, undefined]],
  );
  assertEquals(test.log.of("dispatch_frame_refused").map(({ level }) => level), ["debug"]);
  assertEquals(JSON.stringify(test.log.records).includes("secret"), false);
});

const LENGTH = new TextEncoder().encode(GOOD).length;

const BAD: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["nothing at all", new Uint8Array(0)],
  ["half a length", new Uint8Array([0, 0])],
  ["a length and nothing else", frame("", 10)],
  ["a length of 0", frame("")],
  ["a length of 0 and a frame", frame(GOOD, 0)],
  ["a length over the limit", frame(GOOD, MAX_DISPATCH_BYTES + 1)],
  ["the largest length there is", frame(GOOD, 2 ** 32 - 1)],
  ["a little-endian length", frame(GOOD, (LENGTH << 24) >>> 0)],
  ["a frame cut in the middle", frame(GOOD).subarray(0, 40)],
  ["a frame cut before its last byte", frame(GOOD).subarray(0, 3 + LENGTH)],
  ["a length that is too long by one", frame(GOOD, LENGTH + 1)],
  ["a length that is too short by one", frame(GOOD, LENGTH - 1)],
  ["a line without a length", new TextEncoder().encode(`${GOOD}\n`)],
  ["no JSON", frame("status()")],
  ["two values", frame(`${GOOD}${GOOD}`)],
  ["a byte order mark", frame(`\ufeff${GOOD}`)],
  [
    "what is not UTF-8",
    frame(new TextEncoder().encode(GOOD.replace("{", '{"x":"?",')).map((b) => b === 0x3f ? 0xff : b)),
  ],
  ["an array", frame(`[${GOOD}]`)],
  ["null", frame("null")],
  ["no fields", frame("{}")],
  ["ops that are no string", frame(GOOD.replace('"config_id()"', '["config_id()"]'))],
  ["a namespace that is no string", frame(GOOD.replace('"default"', "null"))],
  ["a config_id that is no string", frame(GOOD.replace(`"${ID}"`, "1"))],
  ["a presentation that is no string", frame(GOOD.replace('"presentation":null', '"presentation":{}'))],
  ["presentations that are no array", frame(GOOD.replace('_per_op":null', '_per_op":"json"'))],
  ["a presentation of one call that is no string", frame(GOOD.replace('_per_op":null', '_per_op":[1]'))],
  ["too many values", frame(GOOD.replace('_per_op":null', `_per_op":[${"null,".repeat(1 << 18)}null]`))],
  ["a key that V8 does not hash", frame(GOOD.replace("{", `{"${"k".repeat(16_384)}":1,`))],
  ["nothing but brackets", frame("[".repeat(1_000_000))],
];

for (const [what, bytes] of BAD) {
  Deno.test(`dispatch closes without an answer when it is sent ${what}`, async () => {
    await using serving = await Serving.start();
    using client = await serving.connect();
    await client.write(bytes).catch((error) => {
      // Closed before everything was written.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    });
    await client.end().catch(() => {});
    assertEquals((await rest(client)).length, 0);
    assertEquals((await serving.log.next("dispatch_frame_refused")).level, "debug");
    assertEquals(serving.log.of("dispatch_done").length, 0);
    // Nobody else is concerned.
    assertEquals((await dispatch(serving.path, JSON.parse(GOOD))).ok, true);
  });
}

Deno.test("dispatch takes a frame of exactly 8 MiB and refuses one byte more", async () => {
  await using serving = await Serving.start();
  const padded = (bytes: number): Uint8Array => frame(GOOD.padEnd(bytes));
  using good = await serving.connect();
  await good.write(padded(MAX_DISPATCH_BYTES));
  assertEquals(results(await response(good)), [{ ok: true, value: ID }]);
  using bad = await serving.connect();
  await bad.write(padded(MAX_DISPATCH_BYTES + 1)).catch(() => {});
  assertEquals((await rest(bad)).length, 0);
});

Deno.test("dispatch takes a frame byte by byte", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  for (const byte of frame(GOOD)) await client.write(new Uint8Array([byte]));
  assertEquals(results(await response(client)), [{ ok: true, value: ID }]);
});

Deno.test("dispatch answers one request and closes, whatever comes after it", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  const twice = new Uint8Array([...frame(GOOD), ...frame(GOOD)]);
  await client.write(twice);
  assertEquals(results(await response(client)), [{ ok: true, value: ID }]);
  await serving.log.next("dispatch_done");
  assertEquals(serving.log.of("dispatch_done").length, 1);
});

Deno.test("dispatch answers a client that has said that no more comes", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.write(frame(JSON.stringify(request('generate(prompt="a")', { config_id: ID, presentation: "text" }))));
  await client.end();
  const run = await serving.backend.next();
  run.say("here");
  run.finish();
  assertEquals(results(await response(client)), [{ ok: true, value: "here" }]);
});

for (
  const [what, bytes] of [["nothing", []], ["one byte", [0]], ["half a frame", [
    ...frame(GOOD).subarray(0, 30),
  ]]] as const
) {
  Deno.test(`dispatch closes on a client that sends ${what} and stops`, async () => {
    await using serving = await Serving.start({ requestTimeoutMs: 20 });
    using client = await serving.connect();
    await client.write(new Uint8Array(bytes));
    assertEquals((await rest(client)).length, 0);
    assertEquals((await serving.log.next("dispatch_frame_refused")).fields.reason, "The frame did not come in time");
  });
}

Deno.test("dispatch closes on a client that takes nothing of its answer", async () => {
  await using serving = await Serving.start({ idleWriteTimeoutMs: 20 });
  using client = await serving.connect();
  await client.write(frame(JSON.stringify(request('generate(prompt="a")', { config_id: ID }))));
  const run = await serving.backend.next();
  run.say("x".repeat(6_000_000));
  run.finish();
  assertEquals((await serving.log.next("dispatch_cancelled")).fields.reason, "The client takes nothing");
});

Deno.test("dispatch cancels what runs when the client is gone, and does not go on with the rest", async () => {
  await using serving = await Serving.start();
  const client = await serving.connect();
  const ops = 'generate(prompt="a"); generate(prompt="b")';
  await client.write(frame(JSON.stringify(request(ops, { config_id: ID }))));
  const run = await serving.backend.next();
  run.say("a");
  client.close();
  await run.cancelled;
  await serving.log.next("dispatch_cancelled");
  assertEquals([serving.backend.unclaimed, serving.admission.status().active], [0, 0]);
});

Deno.test("dispatch cancels after a while when the client has ended its side and no kernel can tell whether it is there", async () => {
  await using serving = await Serving.start({ asksKernel: false, halfClosedMs: 1 });
  using client = await serving.connect();
  await client.write(frame(JSON.stringify(request('generate(prompt="a")', { config_id: ID }))));
  await client.end();
  await (await serving.backend.next()).cancelled;
  assertEquals((await rest(client)).length, 0);
});

Deno.test("dispatch says so of a call that there is no place for", async () => {
  await using serving = await Serving.start();
  using first = await serving.connect();
  await first.write(frame(JSON.stringify(request('generate(prompt="a")', { config_id: ID }))));
  const run = await serving.backend.next();
  const [result] = results(await dispatch(serving.path, request('generate(prompt="b")', { config_id: ID })));
  assertEquals(result?.ok, false);
  assertStringIncludes(result?.error ?? "", "queue_full: ");
  run.finish();
  assertEquals(results(await response(first)).map(({ ok }) => ok), [true]);
});

Deno.test("a drain lets dispatch finish what runs and closes on whoever asks later", async () => {
  await using serving = await Serving.start();
  using running = await serving.connect();
  using late = await serving.connect();
  await running.write(frame(JSON.stringify(request('generate(prompt="a"); config_id()', { config_id: ID }))));
  const run = await serving.backend.next();
  const drained = serving.server.drain(new AbortController().signal);
  await assertRejects(() => serving.connect(), Deno.errors.NotFound);
  await late.write(frame(GOOD));
  assertEquals((await rest(late)).length, 0);
  run.finish();
  assertEquals(results(await response(running)).map(({ ok }) => ok), [true, true]);
  await drained;
});

Deno.test("a drain that is cut says so to those whose calls still run", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.write(frame(JSON.stringify(request('generate(prompt="a"); config_id()', { config_id: ID }))));
  const run = await serving.backend.next();
  const cut = new AbortController();
  const drained = serving.server.drain(cut.signal);
  cut.abort();
  await run.cancelled;
  assertEquals(results(await response(client)), [
    { ok: false, error: "backend_unavailable: The daemon is shutting down" },
    { ok: true, value: ID },
  ]);
  await drained;
});

Deno.test("dispatch closes the largest unfinished frame when the memory budget is spent, and serves the others", async () => {
  await using serving = await Serving.start({ memory: new MemoryBudget(1024 * 1024) });
  using large = await serving.connect();
  const whole = frame(JSON.stringify(request(`generate(prompt="${"x".repeat(2 * 1024 * 1024)}")`, { config_id: ID })));
  await large.write(whole.subarray(0, 900_000));
  using next = await serving.connect();
  const writing = next.write(whole.subarray(0, 600_000));
  assertEquals((await rest(large)).length, 0);
  await writing;
  const { fields } = await serving.log.next("request_oversized");
  assertEquals(fields.limit_bytes, 1024 * 1024);
  using small = await serving.connect();
  await small.write(frame(JSON.stringify(request("config_id()", { config_id: ID }))));
  assertEquals(results(await response(small)), [{ ok: true, value: ID }]);
});
