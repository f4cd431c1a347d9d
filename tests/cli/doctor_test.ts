/** `inferd doctor`: finds what is wrong, names it, and says what to do. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { DaemonOptions } from "../../src/config/options.ts";
import { checkEngine } from "../../src/cli/doctor/engine.ts";
import { checkContexts } from "../../src/cli/doctor/contexts.ts";
import { checkDisks, checkRoom, type DiskSpace } from "../../src/cli/doctor/places.ts";
import { whyNotWritable } from "../../src/cli/doctor/writable.ts";
import { mountSmallDisk, onSmallDisk } from "../support/small_disk.ts";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { checkTemplates } from "../../src/cli/doctor/templates.ts";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { fakeEngineCommand, type FakeLoad } from "../support/fake_engine.ts";
import { LIBRARY_VERSION, packagedFolder, platformPackage } from "../../src/libraries/library_files.ts";
import { DenoCacheWithout } from "../support/deno_cache.ts";
import { type ProgramOptions, Sandbox } from "../support/program.ts";
import { modelBytes } from "../support/gguf_files.ts";

const MOCK = ["--backend", "mock"];
const HASH = "ab".repeat(32);
const GiB = 1024 ** 3;

interface Report {
  readonly code: number;
  readonly ok: boolean;
  readonly checks: readonly Finding[];
}

async function examine(box: Sandbox, args: readonly string[], options: ProgramOptions = {}): Promise<Report> {
  const { code, stdout, stderr } = await box.run(["doctor", "--json", ...args], options);
  assertEquals(stderr, "");
  const report = JSON.parse(stdout);
  assertEquals(code, report.ok ? 0 : 1);
  for (const { level, check, help } of report.checks) {
    assert(level === "ok" || (typeof help === "string" && help !== ""), `${check} says nothing of what to do`);
  }
  return { code, ...report };
}

/** The one finding of this kind that is not `ok`. */
function problem(report: Report, check: string, level: "warn" | "fail" = "fail"): string {
  const found = report.checks.filter((finding) => finding.level === level && finding.check === check);
  assertEquals(found.length, 1, JSON.stringify(report.checks, null, 1));
  if (level === "fail") assertEquals(report.code, 1);
  return found[0]?.message ?? "";
}

function failures(report: Report): string[] {
  return report.checks.filter(({ level }) => level === "fail").map(({ check }) => check);
}

Deno.test("inferd doctor says ok of everything when nothing is wrong, and warns that no daemon runs", async () => {
  await using box = new Sandbox();
  const { code, stdout, stderr } = await box.run(["doctor"]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^\[ ok \] models: Backend "llamacpp": ".*inferd-tiny\.gguf", \d+ bytes, SHA-256 .* matches$/m);
  assertMatch(
    stdout,
    new RegExp(`^\\[ ok \\] native library: Opened, node-llama-cpp ${LIBRARY_VERSION}, in ".*"$`, "m"),
  );
  assertMatch(stdout, /^\[ ok \] accelerator: \w+(?:; .*)?$/m);
  assertMatch(
    stdout,
    /^\[ ok \] chat template: Backend "llamacpp": it can be used, and supports tools and thinking$/m,
  );
  assertMatch(stdout, /^\[warn\] admin: No daemon is running\n {7}"inferd serve" starts one$/m);
  const order = [...stdout.matchAll(/^\[.{4}\] ([^:]+):/gm)].map(([, check]) => check);
  assertEquals(order, [
    "config",
    "models",
    "model store",
    "context",
    "native library",
    "accelerator",
    "chat template",
    "permissions",
    "runtime directory",
    "lock",
    "sockets",
    "TCP ports",
    "disk space",
    "log folder",
    "admin",
  ]);
});

Deno.test("inferd doctor finds the daemon that runs, and nothing wrong with it", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve(MOCK);
  const { code, stdout } = await box.run(["doctor", ...MOCK]);
  assertEquals(code, 0, stdout);
  assertStringIncludes(stdout, `inferd.lock" is held by a running daemon, pid ${daemon.pid}`);
  assertStringIncludes(stdout, "[ ok ] sockets: 6 in use by the daemon, 0 paths are free");
  assertStringIncludes(stdout, "[ ok ] admin: The daemon answers: ready");
  assert(!stdout.includes("[warn]"), stdout);
});

Deno.test("inferd doctor names the configuration file when it cannot be read or is wrong", async () => {
  await using box = new Sandbox();
  const path = `${box.dir}/config.json`;
  Deno.mkdirSync(path);
  assertStringIncludes(problem(await examine(box, ["--config", path]), "config"), `Cannot read "${path}"`);
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, '{"backends":[{"kind":"mock","name":"a","n_ctx":4}]}');
  assertStringIncludes(
    problem(await examine(box, ["--config", path]), "config"),
    "backends[0].n_ctx: there is no such",
  );
  Deno.writeTextFileSync(
    path,
    '{"backends":[{"kind":"openai-compat","name":"far","base_url":"http://h/v1","model":"m","api_key_env":"NO_SUCH"}]}',
  );
  const report = await examine(box, ["--config", path]);
  assertStringIncludes(problem(report, "config"), "NO_SUCH, which is not set");
  assertEquals(failures(report), ["config", "remote backends"]);
});

Deno.test("inferd doctor names the model file when it is missing, no model, or has another hash", async () => {
  await using box = new Sandbox();
  const path = `${box.dir}/m.gguf`;
  assertStringIncludes(problem(await examine(box, ["--model", path]), "models"), `"${path}": no such file`);
  Deno.writeTextFileSync(path, "no model");
  assertStringIncludes(problem(await examine(box, ["--model", path]), "models"), "it is not a GGUF file");
  Deno.writeFileSync(path, modelBytes(5000));
  const wrong = problem(await examine(box, ["--model", path, "--model-sha256", HASH]), "models");
  assertStringIncludes(wrong, `the configured one is ${HASH}`);
});

Deno.test("inferd doctor names the file of a draft model when it is missing", async () => {
  await using box = new Sandbox();
  const path = `${box.dir}/draft.gguf`;
  assertStringIncludes(problem(await examine(box, ["--draft", path]), "models"), `"${path}": no such file`);
});

Deno.test("inferd doctor names blobs that are missing or too short", async () => {
  await using box = new Sandbox();
  const store = `${box.dir}/models`;
  const folder = `${store}/blobs/sha256/ab`;
  const config = `${box.dir}/config.json`;
  const model = { name: "far", sha256: HASH, source_url: "https://models.example/far.gguf" };
  Deno.writeTextFileSync(config, JSON.stringify({ models_home: store, model }));
  Deno.mkdirSync(`${folder}/.partial-${HASH}`, { recursive: true });
  Deno.writeTextFileSync(`${folder}/.partial-${HASH}/data.tmp`, "12345");
  const blob = `${folder}/${HASH}/data`;
  const missing = problem(await examine(box, ["--config", config]), "models");
  assertStringIncludes(missing, `the blob of model "far" is missing: "${blob}", 5 bytes of it are downloaded`);

  Deno.mkdirSync(`${store}/manifests`);
  Deno.writeTextFileSync(
    `${store}/manifests/near.json`,
    JSON.stringify({ schema_version: 1, name: "near", blob: `sha256:${HASH}`, size_bytes: 9 }),
  );
  const of = (report: Report): string => problem(report, "model store");
  const args = [...MOCK, "--config", config];
  assertStringIncludes(of(await examine(box, args)), `Model "near": its blob is missing: "${blob}"`);
  Deno.mkdirSync(`${folder}/${HASH}`);
  Deno.writeTextFileSync(blob, "123");
  assertEquals(of(await examine(box, args)), `Model "near": "${blob}" has 3 bytes, its manifest says 9`);
  Deno.writeTextFileSync(`${store}/manifests/near.json`, "{");
  assertMatch(of(await examine(box, args)), /near\.json" cannot be used: it is not JSON/);
  Deno.removeSync(`${store}/manifests`, { recursive: true });
  Deno.mkdirSync(`${store}/locks/quarantine`, { recursive: true });
  Deno.writeTextFileSync(`${store}/locks/quarantine/20260101T000000Z-sha-mismatch.bin`, "");
  assertMatch(problem(await examine(box, args), "model store", "warn"), /quarantine" has 1 file whose hash was wrong/);
});

const PACKAGE = platformPackage(Deno.build.os, Deno.build.arch) ?? "";

Deno.test("inferd doctor says why there is no native library when a file of it is missing", async () => {
  await using box = new Sandbox();
  using cache = new DenoCacheWithout(
    new RegExp(`@node-llama-cpp/${PACKAGE}/${LIBRARY_VERSION}/bins/${PACKAGE}/(lib)?llama\\.`),
  );
  const report = await examine(box, [], { env: { DENO_DIR: cache.dir } });
  assertMatch(problem(report, "native library"), /^It cannot be opened: There is no "llama" library in "/);
  assertEquals(failures(report), ["native library"]);
  assertStringIncludes(problem(report, "chat template", "warn"), "Skipped: ");
});

Deno.test("inferd doctor says which package the next start fetches when it is not here, and fetches nothing", async () => {
  await using box = new Sandbox();
  using cache = new DenoCacheWithout(/@node-llama-cpp/);
  Deno.writeTextFileSync(`${box.dir}/.npmrc`, "@node-llama-cpp:registry=http://127.0.0.1:1/");
  const report = await examine(box, [], { env: { DENO_DIR: cache.dir } });
  assertMatch(
    problem(report, "native library", "warn"),
    new RegExp(`^@node-llama-cpp/${PACKAGE} ${LIBRARY_VERSION} \\([\\d.]+ MiB\\) is not downloaded yet$`),
  );
  assertMatch(
    problem(report, "chat template", "warn"),
    /^Backend "llamacpp": skipped, because .* is not downloaded yet$/,
  );
  assertEquals(failures(report), []);
});

Deno.test("inferd doctor says what is possible when an accelerator cannot be used, and why the CPU computes", async () => {
  await using box = new Sandbox();
  const impossible = Deno.build.os === "darwin" ? "cuda" : "metal";
  const report = await examine(box, ["--accelerator", impossible]);
  assertMatch(
    problem(report, "native library"),
    new RegExp(`^It cannot be opened: Accelerator "${impossible}" cannot be used: .*Possible here: auto, cpu`),
  );
  const { checks } = await examine(box, ["--accelerator", "cpu"]);
  assertMatch(checks.find(({ check }) => check === "accelerator")?.message ?? "", /^cpu.*, as "accelerator" says$/);
});

Deno.test("inferd doctor looks at each native library that a backend is to have", async () => {
  await using box = new Sandbox();
  const model = { name: "inferd-tiny" };
  const backends = [
    { kind: "llamacpp", name: "a", model },
    { kind: "llamacpp", name: "b", model, library_dir: "own" },
    { kind: "llamacpp", name: "c", model, library_dir: await packagedFolder() },
  ];
  Deno.writeTextFileSync(`${box.dir}/config.json`, JSON.stringify({ backends }));
  const report = await examine(box, ["--config", `${box.dir}/config.json`]);
  assertEquals(
    problem(report, "native library"),
    `It cannot be opened: Cannot open the "ggml-base" library in "${box.dir}/own": No such file or directory ` +
      `(os error 2): readdir '${box.dir}/own'`,
  );
  assertEquals(
    report.checks.filter(({ check, level }) => check === "native library" && level === "ok").map(({ message }) =>
      message.replace(/".*"/, "FOLDER")
    ),
    [
      `Opened, node-llama-cpp ${LIBRARY_VERSION}, in FOLDER`,
      `Opened, node-llama-cpp ${LIBRARY_VERSION}, your own build in FOLDER`,
    ],
  );
});

Deno.test("inferd doctor says what the engine said when it cannot even be started", async () => {
  const command = Deno.execPath();
  const text = async (args: readonly string[], program = command): Promise<string> =>
    (await checkEngine(undefined, { command: program, args })).map(({ level, message }) => `${level} ${message}`)
      .join();
  assertMatch(await text(["eval", "console.error('broken')"]), /^fail It cannot be opened: broken$/);
  assertMatch(await text(["eval", "Deno.exit(3)"]), /^fail It cannot be opened: the engine ended with exit code 3$/);
  assertMatch(await text([], "/nonexistent/deno"), /^fail It cannot be opened: .*\/nonexistent\/deno/);
});

Deno.test("inferd doctor names the model that llama.cpp does not know", async () => {
  await using box = new Sandbox();
  const path = `${box.dir}/m.gguf`;
  const bytes = await Deno.readFile(BUILT_INS["inferd-tiny"].url);
  // The name of its architecture, in as many letters: the value follows the key, its type and its length.
  const key = "general.architecture";
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 4096));
  const at = head.indexOf(key) + key.length + 4;
  const length = new DataView(bytes.buffer).getUint32(at, true);
  bytes.set(new TextEncoder().encode("nobody".slice(0, length).padEnd(length, "y")), at + 8);
  await Deno.writeFile(path, bytes);
  const message = problem(await examine(box, ["--model", path]), "chat template");
  assertStringIncludes(message, `Backend "llamacpp": Cannot load "${path}": `);
  assertStringIncludes(message, "nobod");
});

Deno.test("inferd doctor says of each model what its chat template knows, and what is wrong with it", async () => {
  const found = async (load: FakeLoad, backends: DaemonOptions["backends"]): Promise<string[]> => {
    const options = { runtimeDir: "/nonexistent", backends } as DaemonOptions;
    const findings = await checkTemplates(options, fakeEngineCommand(load));
    assert(findings.every(({ check }) => check === "chat template"));
    return findings.map(({ level, message }) => `${level} ${message}`);
  };
  const local = { kind: "llamacpp", name: "a", modelName: "inferd-tiny" } as const;
  const templateError = { message: "Unknown filter\n  groupby", line: 12, format: "chatml" };
  assertEquals(await found({}, [local, { ...local, name: "b" }]), [
    'ok Backend "a": it can be used, and supports tools and thinking',
    'ok Backend "b": it can be used, and supports tools and thinking',
  ]);
  assertEquals(await found({ templateError }, [local]), [
    'warn Backend "a": it cannot be used (line 12: Unknown filter groupby); conversations are written as chatml',
  ]);
  assertEquals(await found({ needs: { chatWrappers: true } }, [local]), [
    `warn Backend "a": skipped, because node-llama-cpp ${LIBRARY_VERSION}, for its chat formats, is not downloaded yet`,
  ]);
  assertEquals(await found({ fatal: "It is damaged" }, [local]), ['fail Backend "a": It is damaged']);
  const none = "ok No backend has a model that answers with text";
  assertEquals(await found({ purpose: "embed" }, [local]), [none]);
  // Nothing is asked of what is no model, or is elsewhere.
  const missing = { ...local, modelPath: "/nonexistent/model.gguf" };
  assertEquals(await found({ fatal: "asked" }, [missing, { kind: "mock", name: "m", script: {} }]), [none]);
});

Deno.test("inferd doctor names the permissions that Deno was not given", async () => {
  await using box = new Sandbox();
  const permissions = ["--no-prompt", "--allow-env", "--allow-read", "--allow-sys", "--allow-run"];
  const report = await examine(box, MOCK, { permissions });
  assertMatch(problem(report, "permissions"), /--allow-write=\S*\/inferd\.pid\S* --allow-net=unix:\S*\/admin\.sock/);
});

Deno.test("inferd doctor needs no more than what inferd permissions doctor prints", async () => {
  await using box = new Sandbox();
  const { stdout } = await box.run(["permissions", "doctor"]);
  const report = await examine(box, [], { permissions: stdout.trim().split(" ") });
  assertEquals(failures(report), []);
});

Deno.test("inferd doctor names a stale pid file, and a lock that is no file", async () => {
  await using box = new Sandbox();
  Deno.mkdirSync(box.runtimeDir, { mode: 0o700 });
  Deno.writeTextFileSync(`${box.runtimeDir}/inferd.lock`, "");
  assertEquals((await examine(box, MOCK)).code, 0);
  Deno.writeTextFileSync(`${box.runtimeDir}/inferd.pid`, "4711\n");
  const stale = await examine(box, MOCK);
  assertEquals(stale.code, 0);
  assertStringIncludes(problem(stale, "lock", "warn"), `inferd.pid" is stale: it names process 4711`);
  Deno.removeSync(`${box.runtimeDir}/inferd.lock`);
  Deno.symlinkSync("/etc/passwd", `${box.runtimeDir}/inferd.lock`);
  assertStringIncludes(problem(await examine(box, MOCK), "lock"), "is a symbolic link, so no daemon can start");
});

Deno.test("inferd doctor names a runtime directory that is open to others or no folder", async () => {
  await using box = new Sandbox();
  Deno.mkdirSync(box.runtimeDir);
  Deno.chmodSync(box.runtimeDir, 0o755);
  assertStringIncludes(problem(await examine(box, MOCK), "runtime directory", "warn"), "has mode 755");
  Deno.removeSync(box.runtimeDir);
  Deno.writeTextFileSync(box.runtimeDir, "");
  assertStringIncludes(problem(await examine(box, MOCK), "runtime directory"), "is not a folder");
});

Deno.test("inferd doctor names sockets that were left over, are in use, or are no sockets", async () => {
  await using box = new Sandbox();
  Deno.mkdirSync(box.runtimeDir, { mode: 0o700 });
  const path = `${box.runtimeDir}/infer.sock`;
  {
    using _listener = Deno.listen({ transport: "unix", path });
    assertEquals(problem(await examine(box, MOCK), "sockets"), `"${path}" is in use by another program`);
  }
  leaveSocket(path);
  const report = await examine(box, MOCK);
  assertEquals(report.code, 0);
  assertStringIncludes(problem(report, "sockets", "warn"), `"${path}" is left over`);
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, "");
  assertStringIncludes(problem(await examine(box, MOCK), "sockets"), "is not a socket");
  Deno.removeSync(path);
  const grouped = await examine(box, [...MOCK, "--group", String(Deno.gid())]);
  assertEquals(
    problem(grouped, "sockets", "warn").split("\n")[0],
    `Group "${Deno.gid()}" cannot get to "${path}" and 3 more: it may not enter "${box.runtimeDir}"`,
  );
});

Deno.test({
  name: "inferd doctor names the user when a socket is somebody else's",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using box = new Sandbox();
    Deno.mkdirSync(box.runtimeDir, { mode: 0o700 });
    const path = `${box.runtimeDir}/rpc.sock`;
    leaveSocket(path);
    Deno.chownSync(path, 4242, null);
    const report = await examine(box, MOCK);
    assertEquals(problem(report, "sockets"), `"${path}" is a socket of user 4242, this is user 0`);
  },
});

/** A socket that nobody listens on any more, as a killed daemon leaves it. */
function leaveSocket(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { success, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["eval", `Deno.listen({transport: "unix", path: ${JSON.stringify(path)}}); Deno.exit()`],
  }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
}

Deno.test("inferd doctor names the port that is taken, and the address that needs a key", async () => {
  await using box = new Sandbox();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const taken = problem(await examine(box, [...MOCK, "--tcp", `127.0.0.1:${port}`]), "TCP ports");
  assertEquals(taken, `Cannot bind "127.0.0.1:${port}": the port is taken`);
  const open = problem(await examine(box, [...MOCK, "--embed-tcp", "0.0.0.0:1"]), "TCP ports");
  assertStringIncludes(open, "without an API key only loopback addresses are allowed");
});

Deno.test("inferd doctor names a log folder that cannot be written", async () => {
  await using box = new Sandbox();
  Deno.writeTextFileSync(`${box.dir}/logs`, "");
  assertStringIncludes(problem(await examine(box, MOCK), "log folder"), `"${box.dir}/logs" is not writable`);
});

Deno.test("inferd doctor says which context fits, and which is longer than the model was made for", async () => {
  await using box = new Sandbox();
  const report = await examine(box, ["--n-ctx", "10000000"]);
  const [finding] = report.checks.filter(({ check }) => check === "context");
  assertMatch(finding?.message ?? "", /^Backend "llamacpp": a context of 10000000 tokens (takes|is longer)/);
  assertEquals(finding?.help, "Set n_ctx to 1024 or less");
  const options = await examine(box, ["--n-ctx", "2048"]);
  assertEquals(
    problem(options, "context", "warn"),
    'Backend "llamacpp": a context of 2048 tokens is longer than the 1024 that the model was made for',
  );
});

Deno.test("checkContexts refuses what the machine's memory cannot hold", async () => {
  const backend = { kind: "llamacpp", name: "a", modelName: "inferd-tiny", contextTokens: 100_000 } as const;
  const options = { runtimeDir: "/nonexistent", backends: [backend] } as unknown as DaemonOptions;
  const [finding] = await checkContexts(options, GiB / 8);
  assertEquals(finding?.level, "fail");
  assertMatch(finding?.message ?? "", /takes [\d.]+ MiB beside weights of [\d.]+ MiB, and this machine has 128 MiB$/);
  assertEquals((await checkContexts(options, 64 * GiB))[0]?.level, "warn");
});

Deno.test({
  name: "inferd doctor names folders that cannot be made or written to",
  ignore: Deno.build.os === "windows",
  async fn(): Promise<void> {
    await using box = new Sandbox();
    Deno.writeTextFileSync(`${box.dir}/file`, "");
    const env = {
      XDG_RUNTIME_DIR: `${box.dir}/file`,
      INFERD_LOG_DIR: `${box.dir}/file/logs`,
      MODELS_HOME: `${box.dir}/file`,
    };
    const report = await examine(box, MOCK, { env });
    assertStringIncludes(problem(report, "runtime directory"), "cannot be created: ");
    assertStringIncludes(problem(report, "log folder"), `cannot be created: "${box.dir}/file" is not a folder`);
  },
});

Deno.test({
  ...onSmallDisk("whyNotWritable sees a file system that is mounted read-only"),
  async fn(): Promise<void> {
    const dir = await Deno.makeTempDir({ prefix: "inferd-" });
    try {
      await using _disk = await mountSmallDisk(dir, "64k");
      assertEquals(whyNotWritable(`${dir}/a/b`), undefined);
      await new Deno.Command("mount", { args: ["-o", "remount,ro", dir] }).output();
      assertEquals(whyNotWritable(`${dir}/a/b`), `"${dir}" is on a file system that is mounted read-only`);
    } finally {
      await Deno.remove(dir);
    }
  },
});

Deno.test("checkRoom fails when downloads that are to come are larger than what is free", async () => {
  const disk = (bytes: number) => (): Promise<DiskSpace> => Promise.resolve({ bsize: 1, blocks: 0, bavail: bytes });
  const expected = [{ name: "a", bytes: 3 * GiB }, { name: "b", bytes: 2 * GiB }];
  const [full] = await checkRoom("/nonexistent", expected, disk(4 * GiB));
  assertEquals(full?.level, "fail");
  assertEquals(full?.message, 'The download of "a", "b" takes 5.0 GiB, and "/nonexistent" has room for 4.0 GiB');
  assertEquals((await checkRoom("/nonexistent", expected, disk(6 * GiB)))[0]?.level, "ok");
  assertEquals(await checkRoom("/nonexistent", [], disk(0)), []);
});

Deno.test("inferd doctor fails when less than 1 GiB is left, and warns when it is less than 5 %", async () => {
  const disk = (blocks: number, bavail: number) => (): Promise<DiskSpace> =>
    Promise.resolve({ bsize: 4096, blocks, bavail });
  const blocksOf = (gib: number): number => gib * GiB / 4096;
  const level = async (total: number, left: number): Promise<string | undefined> =>
    (await checkDisks({ models: "/nonexistent/folder" }, disk(blocksOf(total), blocksOf(left))))[0]?.level;
  assertEquals(await level(100, 50), "ok");
  assertEquals(await level(100, 4.9), "warn");
  assertEquals(await level(100, 0.9), "fail");
  assertEquals(await level(2, 1.5), "ok");
  const [finding] = await checkDisks({ log: "/" }, disk(blocksOf(100), blocksOf(0.5)));
  assertEquals(finding?.message, 'Nearly full: 0.5 GiB (0 %) left for the log in "/"');
});

Deno.test("inferd doctor exits with 2 when a flag is wrong", async () => {
  await using box = new Sandbox();
  const { code, stdout, stderr } = await box.run(["doctor", "--parallel", "x"]);
  assertEquals([code, stdout], [2, ""]);
  assertStringIncludes(stderr, "--parallel must be a whole number");
});

Deno.test("inferd doctor says who may download models over HTTP where clients may", async () => {
  await using box = new Sandbox();
  const args = [...MOCK, "--http-pull"];
  const open = problem(await examine(box, args), "downloads over HTTP", "warn");
  assertStringIncludes(open, "Without an API key every program on this machine may download models into");
  const { checks } = await examine(box, [...args, "--api-key", "sesame"]);
  assertEquals(checks.find(({ check }) => check === "downloads over HTTP")?.level, "ok");
});
