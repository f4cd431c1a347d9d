/** The whole daemon on the built-in model: its engine is killed, stopped, or cannot load. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BackendUnavailableError } from "../../src/inference/errors.ts";
import { LlamaBackend } from "../../src/backend/llama/llama.ts";
import { BUILT_IN_MODEL, type LlamaBackendConfig } from "../../src/config/options.ts";
import { startDaemon } from "../../src/daemon/boot.ts";
import { AllDownError } from "../../src/daemon/not_served.ts";
import { openActivityLog } from "../../src/log/log.ts";
import { BUILT_INS, builtInModelFile } from "../../src/models/built_in.ts";
import { daemonOptions, DaemonUnderTest, until } from "../support/daemons.ts";
import { assertEnds } from "../support/processes.ts";
import { Sandbox } from "../support/program.ts";
import { WireClient } from "../support/wire_client.ts";

const BUILT_IN = BUILT_INS["inferd-tiny"];

const LLAMA: LlamaBackendConfig = { kind: "llamacpp", name: "llamacpp", modelName: BUILT_IN_MODEL };
const STREAMS = 8;

function llama(config: Partial<LlamaBackendConfig> = {}): Promise<DaemonUnderTest> {
  return DaemonUnderTest.start({ backends: [{ ...LLAMA, ...config }], parallel: STREAMS });
}

/** A request the model cannot end by itself. */
function endless(id: string): Record<string, unknown> {
  return {
    id,
    messages: [{ role: "user", content: "Tell me a story." }],
    grammar: "root ::= [a-z ] root",
    max_tokens: 100_000,
  };
}

async function story(client: WireClient): Promise<unknown> {
  await client.send({
    messages: [{ role: "user", content: "Tell me a story about a fox." }],
    temperature: 0,
    stream: false,
  });
  const { type, content } = await client.frame();
  assertEquals(type, "done");
  return content;
}

async function enginePid(test: DaemonUnderTest, msg: "engine_started" | "engine_restarted"): Promise<number> {
  return (await test.log.next(msg)).fields.pid as number;
}

Deno.test("the daemon fails eight streams, restarts the engine and serves again when it is killed", async () => {
  await using test = await llama();
  await test.daemon.ready;
  using admin = await test.admin();
  assertEquals(await until(admin, "ready"), ["capabilities", "ready"]);
  using steady = await test.infer();
  const before = await story(steady);
  const pid = await enginePid(test, "engine_started");

  const clients = await Promise.all(Array.from({ length: STREAMS }, () => test.infer()));
  await Promise.all(clients.map((client, index) => client.send(endless(String(index)))));
  for (const client of clients) assertEquals((await client.frame()).type, "token");
  Deno.kill(pid, "SIGKILL");

  for (const [index, client] of clients.entries()) {
    const terminal = JSON.parse((await client.answer()).at(-1) ?? "{}") as Record<string, unknown>;
    assertEquals([terminal.id, terminal.type, terminal.code], [String(index), "error", "backend_unavailable"]);
  }
  assertEquals(await until(admin, "restarting checking_local"), ["capabilities", "restarting checking_local"]);
  assertEquals(test.files().includes("infer.sock"), false);
  const exited = (await test.log.next("engine_exited")).fields;
  assertEquals([exited.pid, exited.signal], [pid, "SIGKILL"]);

  assertEquals(await until(admin, "ready"), [
    // Its breaker opened, for eight requests failed, and closes as another engine answers.
    "capabilities",
    "loading_model checking_local",
    "loading_model mmap",
    "loading_model kv_cache",
    "capabilities",
    "capabilities",
    "ready",
  ]);
  assert(await enginePid(test, "engine_restarted") !== pid);
  using fresh = await test.infer();
  assertEquals(await story(fresh), before);
  // Who was connected all the time is served again, too.
  assertEquals(await story(steady), before);
  for (const client of clients) client.close();
});

Deno.test("the daemon kills and replaces the engine when it hangs in the middle of a stream", async () => {
  const modelPath = builtInModelFile({ cacheDir: "" });
  const backend = new LlamaBackend({ ...LLAMA, modelPath, parallel: 2 }, { hangTimeoutMs: 3000 });
  await using test = await DaemonUnderTest.start({}, { backends: [backend] });
  await test.daemon.ready;
  using admin = await test.admin();
  await until(admin, "ready");
  using client = await test.infer();
  await client.send(endless("hang"));
  assertEquals((await client.frame()).type, "token");
  Deno.kill(await enginePid(test, "engine_started"), "SIGSTOP");
  assertEquals(JSON.parse((await client.answer()).at(-1) ?? "{}").code, "backend_unavailable");
  assertStringIncludes(String((await test.log.next("engine_exited")).fields.reason), "said nothing while work");
  await until(admin, "ready");
  await story(client);
});

Deno.test("the engine leaves when its daemon is killed", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve([]);
  const client = await WireClient.connect(`${box.runtimeDir}/infer.sock`);
  await client.send(endless("orphan"));
  assertEquals((await client.frame()).type, "token");
  daemon.kill("SIGKILL");
  const pid = Number(/engine_started .*pid=(\d+)/.exec((await daemon.outcome).stderr)?.[1]);
  assert(pid > 0);
  client.close();
  await assertEnds([pid]);
});

Deno.test("the daemon logs neither what was asked nor what was answered", async () => {
  const dir = await Deno.makeTempDir();
  const options = daemonOptions(dir, { backends: [LLAMA], logLevel: "debug" });
  const log = openActivityLog({ dir: options.logDir, level: "debug" });
  const daemon = await startDaemon(options, { log });
  await daemon.ready;
  using client = await WireClient.connect(options.listen.infer.socket);
  const canary = "canary-7391";
  const answers: string[] = [];
  await client.send({ id: "1", messages: [{ role: "user", content: `${canary} Tell me a story.` }], temperature: 0 });
  answers.push(...await client.answer());
  // Refused by our own checks, and by the engine.
  await client.send({ id: "2", messages: [{ role: canary, content: canary }] });
  await client.send({ id: "3", messages: [{ role: "user", content: "x" }], grammar: `root ::= ${canary} (` });
  await client.send({ id: "4", messages: [{ role: "user", content: canary.repeat(1000) }] });
  for (let refused = 0; refused < 3; refused++) assertEquals((await client.frame()).type, "error");
  await daemon.drain();
  await log[Symbol.asyncDispose]();
  const logged = Deno.readTextFileSync(`${options.logDir}/inferd.ndjson`);
  assertStringIncludes(logged, '"msg":"request_done","id":"1"');
  assert(!logged.includes(canary), logged);
  const { content } = JSON.parse(answers.at(-1) ?? "{}") as { content: string };
  for (const sentence of content.split(". ").filter(({ length }) => length > 8)) {
    assert(!logged.includes(sentence), logged);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the daemon does not start and says why in one line when the model file is of no use", async () => {
  const dir = await Deno.makeTempDir();
  const model = Deno.readFileSync(BUILT_IN.url);
  Deno.writeTextFileSync(`${dir}/text.gguf`, "This is not a model");
  Deno.writeFileSync(`${dir}/truncated.gguf`, model.subarray(0, model.length / 2));
  Deno.writeFileSync(`${dir}/header.gguf`, model.subarray(0, 100));
  const wrong = "0".repeat(64);
  const cases: readonly (readonly [Partial<LlamaBackendConfig>, string])[] = [
    [{ modelPath: `${dir}/none.gguf` }, `Cannot load model "${dir}/none.gguf": no such file`],
    [{ modelPath: dir }, `Cannot load model "${dir}": it is a directory`],
    [{ modelPath: `${dir}/text.gguf` }, `Cannot load model "${dir}/text.gguf": it is not a GGUF file`],
    [
      { modelPath: `${dir}/truncated.gguf` },
      `Cannot load model "${dir}/truncated.gguf": it is truncated: ${
        model.length / 2
      } of its ${model.length} bytes are there`,
    ],
    [
      { modelPath: `${dir}/header.gguf` },
      `Cannot load model "${dir}/header.gguf": it is truncated: it ends within its header, after 100 bytes`,
    ],
    [
      { modelPath: builtInModelFile({ cacheDir: "" }), modelSha256: wrong },
      `Cannot load model "${
        builtInModelFile({ cacheDir: "" })
      }": its SHA-256 is ${BUILT_IN.sha256}, the configured one is ${wrong}`,
    ],
  ];
  for (const [config, message] of cases) {
    await using test = await llama(config);
    const error = await assertRejects(() => test.daemon.ready, BackendUnavailableError);
    assert(error.message.startsWith(message) && !error.message.includes("\n"), error.message);
    await test.daemon.done;
    assertEquals(test.files(), ["inferd.lock"]);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the daemon starts when the model file has the configured hash, and refuses it once it is replaced", async () => {
  const dir = await Deno.makeTempDir();
  const modelPath = `${dir}/model.gguf`;
  Deno.copyFileSync(BUILT_IN.url, modelPath);
  const backend = new LlamaBackend({ ...LLAMA, modelPath, modelSha256: BUILT_IN.sha256, parallel: 1 }, {
    backoffMs: { first: 1, most: 1 },
    maxDeaths: 2,
  });
  await using test = await DaemonUnderTest.start({}, { backends: [backend] });
  await test.daemon.ready;
  using admin = await test.admin();
  await until(admin, "ready");
  Deno.copyFileSync(BUILT_INS["inferd-tiny-embed"].url, modelPath);
  Deno.kill(backend.enginePid ?? 0, "SIGKILL");
  await until(admin, "loading_model verify");
  const reason = String((await test.log.next("backend_down")).fields.reason);
  assertStringIncludes(reason, `the configured one is ${BUILT_IN.sha256}`);
  await Deno.remove(dir, { recursive: true });
});

/** A daemon whose model is a file that can be taken away, and is tried again after `slowMs`. */
async function removable(
  dir: string,
  { slowMs, exitWhenDown, mmap }: { readonly slowMs: number; readonly exitWhenDown: boolean; readonly mmap?: boolean },
): Promise<{ readonly test: DaemonUnderTest; readonly modelPath: string; readonly backend: LlamaBackend }> {
  const modelPath = `${dir}/model.gguf`;
  Deno.copyFileSync(BUILT_IN.url, modelPath);
  const backend = new LlamaBackend({ ...LLAMA, modelPath, parallel: 1, ...(mmap === undefined ? {} : { mmap }) }, {
    backoffMs: { first: 1, most: 1 },
    maxDeaths: 2,
    slowBackoffMs: { first: slowMs, most: 2 * slowMs },
  });
  const test = await DaemonUnderTest.start({ exitWhenDown }, { backends: [backend], downLimitMs: 200 });
  await test.daemon.ready;
  return { test, modelPath, backend };
}

Deno.test("a model that is missing is tried again, less and less often, until it is there", async () => {
  const dir = await Deno.makeTempDir();
  const { test, modelPath, backend } = await removable(dir, { slowMs: 50, exitWhenDown: false });
  await using _ = test;
  Deno.renameSync(modelPath, `${modelPath}.away`);
  Deno.kill(backend.enginePid ?? 0, "SIGKILL");
  const waits: (string | undefined)[] = [];
  while (waits.length < 4) {
    const reason = String((await test.log.next("backend_down")).fields.reason);
    assertStringIncludes(reason, modelPath);
    waits.push(/tried again in ([\d.]+) s$/.exec(reason)?.[1]);
    assertEquals(backend.state, "down");
  }
  assertEquals(waits, ["0.05", "0.1", "0.1", "0.1"]);
  Deno.renameSync(`${modelPath}.away`, modelPath);
  await test.log.next("engine_restarted");
  using admin = await test.admin();
  await until(admin, "ready");
  using client = await test.infer();
  assert(String(await story(client)).length > 0);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a daemon of which every backend is down for long ends with a failure when it is to", async () => {
  const dir = await Deno.makeTempDir();
  const { test, modelPath, backend } = await removable(dir, { slowMs: 60_000, exitWhenDown: true });
  await using _ = test;
  Deno.removeSync(modelPath);
  Deno.kill(backend.enginePid ?? 0, "SIGKILL");
  await assertRejects(() => test.daemon.done, AllDownError, "Every backend has been down for 0.2 s (--exit-when-down)");
  assertEquals(test.files(), ["inferd.lock"]);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a model that was copied into memory serves on when its file is cut", async () => {
  const dir = await Deno.makeTempDir();
  const { test, modelPath } = await removable(dir, { slowMs: 50, exitWhenDown: false, mmap: false });
  await using _ = test;
  using client = await test.infer();
  const told = await story(client);
  Deno.truncateSync(modelPath, 4096);
  assertEquals(await story(client), told);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a mapped model that is cut while it serves fails what runs, and serves again when it is whole; one that is removed serves on", async () => {
  const dir = await Deno.makeTempDir();
  const { test, modelPath } = await removable(dir, { slowMs: 50, exitWhenDown: false, mmap: true });
  await using _ = test;
  using admin = await test.admin();
  await until(admin, "ready");
  using client = await test.infer();
  const told = await story(client);
  Deno.truncateSync(modelPath, 4096);
  await client.send(endless("cut"));
  const answer = await client.answer();
  assertEquals(JSON.parse(answer.at(-1) ?? "{}").code, "backend_unavailable");
  assertStringIncludes(String((await test.log.next("backend_down")).fields.reason), "it is truncated");
  Deno.copyFileSync(BUILT_IN.url, modelPath);
  await until(admin, "ready");
  using again = await test.infer();
  assertEquals(await story(again), told);
  Deno.removeSync(modelPath);
  assertEquals(await story(again), told);
  await Deno.remove(dir, { recursive: true });
});
