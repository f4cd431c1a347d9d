/** When the `config_id` is known, and what moves it. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { configId } from "../../../src/config/config_id.ts";
import { type BackendConfig, BUILT_IN_MODEL, type LlamaBackendConfig } from "../../../src/config/options.ts";
import { BUILT_INS } from "../../../src/models/built_in.ts";
import { hashModelFile } from "../../../src/models/file/model_file.ts";
import { ModelHashes } from "../../../src/models/file/model_hashes.ts";
import { ServedConfig } from "../../../src/daemon/served_config.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

const BUILT_IN: LlamaBackendConfig = { kind: "llamacpp", name: "one", modelName: BUILT_IN_MODEL };
const LIMITS = { parallel: 4, queueDepth: 10 };
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** A configuration that is followed. */
class Scene implements AsyncDisposable {
  readonly log = new LogRecorder();
  readonly dir = Deno.makeTempDirSync({ prefix: "inferd-" });
  readonly path = `${this.dir}/model`;
  /** Whether it was identified, each time that was told. */
  readonly told: boolean[] = [];
  /** Hashing goes on when this resolves. */
  gate: Promise<void> = Promise.resolve();
  readonly served: ServedConfig;

  constructor(backends: (path: string) => BackendConfig[]) {
    Deno.writeTextFileSync(this.path, "");
    this.served = new ServedConfig({
      backends: backends(this.path),
      ...LIMITS,
      log: this.log,
      onChange: () => this.told.push(this.served.identified),
      hashes: new ModelHashes({
        hash: async (path, signal) => {
          await this.gate;
          return await hashModelFile(path, signal);
        },
      }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.served[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

const ONE = {
  kind: "llamacpp",
  name: "one",
  modelSha256: BUILT_INS[BUILT_IN_MODEL].sha256,
  contextTokens: 512,
  parallel: 4,
  embed: false,
} as const;

Deno.test("a configuration without models is identified at once", async () => {
  await using scene = new Scene(() => [
    { kind: "mock", name: "mock", script: { count: 3 }, parallel: 9 },
    { kind: "openai-compat", name: "far", baseUrl: "http://h/v1", model: "m", apiKey: "secret", timeoutSecs: 3 },
  ]);
  await scene.served.settled();
  const backends = [
    { kind: "mock", name: "mock", script: { count: 3 } },
    { kind: "openai-compat", name: "far", baseUrl: "http://h/v1", model: "m" },
  ] as const;
  assertEquals(scene.served.id, await configId({ backends, ...LIMITS }));
  assertEquals([scene.served.identified, scene.told], [true, [true]]);
});

Deno.test("a configuration is identified when its models are loaded, by hashes that are known", async () => {
  const two = { ...BUILT_IN, name: "two", modelName: "own", modelPath: "/nowhere", modelSha256: EMPTY };
  await using scene = new Scene(() => [{
    ...BUILT_IN,
    threads: 3,
    gpuLayers: 7,
    warm: ["x"],
    draft: { modelName: "small", modelPath: "/nowhere" },
  }, {
    ...two,
    parallel: 2,
    embed: true,
    pooling: "cls",
  }]);
  await scene.served.settled();
  scene.served.ready("one", 512);
  await scene.served.settled();
  assertEquals([scene.served.id, scene.served.identified], [undefined, false]);
  scene.served.ready("two", 256);
  await scene.served.settled();
  const other = {
    kind: "llamacpp",
    name: "two",
    modelSha256: EMPTY,
    contextTokens: 256,
    parallel: 2,
    embed: true,
    pooling: "cls",
  } as const;
  assertEquals(scene.served.id, await configId({ backends: [ONE, other], ...LIMITS }));
  assertEquals([scene.served.modelSha256("one"), scene.served.modelSha256("two")], [ONE.modelSha256, EMPTY]);
  assertEquals(scene.served.modelSha256("three"), undefined);
});

Deno.test("a configuration has another config_id when a model comes back with another context", async () => {
  await using scene = new Scene(() => [BUILT_IN]);
  scene.served.ready("one", 512);
  await scene.served.settled();
  const before = scene.served.id;
  scene.served.ready("one", 512);
  assertEquals(scene.served.id, before);
  scene.served.ready("one", 256);
  // Nobody is told the old one from now on.
  assertEquals(scene.served.id, undefined);
  await scene.served.settled();
  assert(scene.served.id !== undefined);
  assertNotEquals(scene.served.id, before);
  // The socket stays where it is for that.
  assertEquals(scene.told, [true]);
  scene.served.ready("somebody else", 1);
  assert(scene.served.id !== undefined);
});

Deno.test("a configuration with a file nobody has hashed is not waited for, and identified once it is hashed", async () => {
  await using scene = new Scene((modelPath) => [{ ...BUILT_IN, modelPath }]);
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.gate = promise;
  scene.served.ready("one", 512);
  await scene.served.settled();
  assertEquals([scene.served.id, scene.served.identified, scene.served.modelSha256("one")], [
    undefined,
    false,
    undefined,
  ]);
  resolve();
  const { fields } = await scene.log.next("config_identified");
  assertEquals(fields.config_id, await configId({ backends: [{ ...ONE, modelSha256: EMPTY }], ...LIMITS }));
  assertEquals([scene.served.id, scene.served.modelSha256("one")], [fields.config_id, EMPTY]);

  // The same file: nothing has to be read, and the socket stays.
  scene.served.ready("one", 512);
  assertEquals((await scene.log.next("config_identified")).fields.config_id, fields.config_id);
  assertEquals(scene.told, [true]);
  // Another file: it has to be read first.
  await Deno.writeTextFile(scene.path, "more");
  scene.served.ready("one", 512);
  assertNotEquals((await scene.log.next("config_identified")).fields.config_id, fields.config_id);
  assertEquals(scene.told, [true, false, true]);
});

Deno.test("a configuration is not identified when its model is gone, and is when it is back", async () => {
  await using scene = new Scene((modelPath) => [{ ...BUILT_IN, modelPath }]);
  await Deno.remove(scene.path);
  scene.served.ready("one", 512);
  assert(String((await scene.log.next("config_not_identified")).fields.reason).includes("no such file"));
  assertEquals([scene.served.id, scene.served.identified], [undefined, false]);
  await Deno.writeTextFile(scene.path, "");
  scene.served.ready("one", 512);
  await scene.log.next("config_identified");
  assertEquals(scene.served.identified, true);
});

Deno.test("hashing ends when the daemon does", async () => {
  const scene = new Scene((modelPath) => [{ ...BUILT_IN, modelPath }]);
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.gate = promise;
  scene.served.ready("one", 512);
  const disposed = scene[Symbol.asyncDispose]();
  resolve();
  await disposed;
  assertEquals([scene.served.id, scene.log.records.length], [undefined, 0]);
});
