/** Models of the store at boot: split ones, ones that are found by name, ones that are still to come, and their hashes. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect } from "@inferd/client";
import { BackendUnavailableError } from "../../src/inference/errors.ts";
import type { DaemonOptions, LlamaBackendConfig } from "../../src/config/options.ts";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { modelHash, shardFileName } from "../../src/models/file/shards.ts";
import { ModelStoreError } from "../../src/models/store.ts";
import { DaemonUnderTest } from "../support/daemons.ts";
import { splitModel } from "../support/gguf_files.ts";
import { ModelServer } from "../support/model_server.ts";
import { modelBytes, sha256Of, TempStore } from "../support/model_store.ts";

const WHOLE = BUILT_INS["inferd-tiny"];
const PARTS = await splitModel(Deno.readFileSync(WHOLE.url), 3);
const HASHES = await Promise.all(PARTS.map(sha256Of));
const NAMES = [1, 2, 3].map((index) => shardFileName("tiny", index, 3));

/** A store, and the files of a split model beside it. */
class Scene extends TempStore {
  readonly paths = NAMES.map((name) => `${this.dir}/${name}`);

  constructor() {
    super();
    PARTS.forEach((part, index) => Deno.writeFileSync(this.paths[index] ?? "", part));
  }

  /** Zeros in the middle of a file. */
  damage(path: string): void {
    const bytes = Deno.readFileSync(path);
    bytes.fill(0, 400_000, 550_000);
    Deno.writeFileSync(path, bytes);
  }

  /** A daemon with one model. */
  start(model: Partial<LlamaBackendConfig>, more: Partial<DaemonOptions> = {}): Promise<DaemonUnderTest> {
    const backend: LlamaBackendConfig = {
      kind: "llamacpp",
      name: "b",
      modelName: "tiny",
      contextTokens: 256,
      ...model,
    };
    return DaemonUnderTest.start({
      backends: [backend],
      modelsHome: this.root,
      cacheDir: `${this.dir}/cache`,
      ...more,
    });
  }

  /** The `config_id` of a daemon with one model, and what it answered. */
  async serve(
    model: Partial<LlamaBackendConfig>,
    more?: Partial<DaemonOptions>,
  ): Promise<{ id: string; answer: string }> {
    await using test = await this.start(model, more);
    await test.daemon.ready;
    await using client = await connect({ path: test.options.listen.infer.socket });
    const messages = [{ role: "user", content: "What is the capital of France?" }] as const;
    const answer = await client.generate({ messages, temperature: 0, maxTokens: 8 }).text();
    const { fields } = await test.log.next("config_identified");
    return { id: String(fields.config_id), answer };
  }
}

Deno.test("a daemon serves a split model from files, from the store and from one file alike, and tells them apart", async () => {
  await using scene = new Scene();
  const { answer } = await scene.serve({ modelPath: WHOLE.url.pathname });
  assertStringIncludes(answer, "Paris");
  const files = await scene.serve({ modelPath: scene.paths[0] ?? "" });
  const { sha256, parts } = await scene.importFile(scene.paths[0] ?? "", { link: false });
  const stored = await scene.serve({ modelPath: parts[0]?.path ?? "", parts, stored: "name" });
  const pinned = await scene.serve({ modelPath: parts[0]?.path ?? "", parts, modelSha256: sha256, stored: "hash" });
  assertEquals([files.answer, stored.answer, pinned.answer], [answer, answer, answer]);
  // Whatever it is called and wherever it lies, it is the same.
  assertEquals([stored.id, pinned.id], [files.id, files.id]);
  assert((await scene.serve({ modelPath: WHOLE.url.pathname })).id !== files.id);

  // The last of its files is another one: so is the model.
  scene.damage(scene.paths[2] ?? "");
  assert((await scene.serve({ modelPath: scene.paths[0] ?? "" })).id !== files.id);
  scene.damage(parts[2]?.path ?? "");
  for (const model of [{ stored: "name" }, { stored: "hash", modelSha256: sha256 }] as const) {
    await using test = await scene.start({ modelPath: parts[0]?.path ?? "", parts, ...model });
    const error = await assertRejects(() => test.daemon.ready, BackendUnavailableError);
    assertStringIncludes(error.message, `Cannot load model "${parts[2]?.path}": its SHA-256 is `);
  }
});

Deno.test("a daemon says which file of a split model is missing, and what a part alone is", async () => {
  await using scene = new Scene();
  Deno.copyFileSync(scene.paths[0] ?? "", `${scene.dir}/ordinary.gguf`);
  Deno.removeSync(scene.paths[1] ?? "");
  for (
    const [modelPath, message] of [
      [scene.paths[0] ?? "", `"${scene.paths[1]}": no such file; the model is split, and this is file 2 of 3`],
      [`${scene.dir}/ordinary.gguf`, "it is file 1 of 3 of a split model; put all 3 into one folder"],
    ] as const
  ) {
    await using test = await scene.start({ modelPath });
    assertStringIncludes((await assertRejects(() => test.daemon.ready, BackendUnavailableError)).message, message);
  }
});

Deno.test("a daemon fetches a split model, holds all of it, and has it the next time", async () => {
  await using scene = new Scene();
  const files = Object.fromEntries(NAMES.map((name, index) => [name, PARTS[index] ?? PARTS[0]] as const));
  await using server = new ModelServer(files as Record<string, Uint8Array<ArrayBuffer>>);
  const source = { url: server.urlOf(`/${NAMES[0]}`) };
  const sha256 = await modelHash(HASHES);
  for (const modelSha256 of [undefined, sha256, sha256]) {
    await using test = await scene.start({ source, ...(modelSha256 === undefined ? {} : { modelSha256 }) });
    await test.daemon.ready;
    assertEquals((await scene.list()).models.map(({ name, inUse, parts }) => [name, inUse, parts.length]), [[
      "tiny",
      true,
      3,
    ]]);
    await assertRejects(() => scene.remove("tiny"), ModelStoreError, "in use");
  }
  assertEquals(server.requests.length, 3);
  // And without any network, by its hash alone.
  assertStringIncludes((await scene.serve({ source, modelSha256: sha256 }, { autoPull: false })).answer, "Paris");
});

Deno.test("a daemon leaves a name that refers to another model alone, and keeps its own under another name", async () => {
  await using scene = new Scene();
  Deno.writeFileSync(`${scene.dir}/other.gguf`, modelBytes(1000));
  const other = await scene.importFile(`${scene.dir}/other.gguf`, { name: "tiny" });
  await using server = new ModelServer(Deno.readFileSync(WHOLE.url));
  const model = { source: { url: server.url }, modelSha256: WHOLE.sha256, modelPath: scene.blobPath(WHOLE.sha256) };
  const { answer } = await scene.serve(model);
  assertStringIncludes(answer, "Paris");
  const second = `tiny-${WHOLE.sha256.slice(0, 12)}`;
  assertEquals((await scene.list()).models.map(({ name, sha256 }) => [name, sha256]), [
    [second, WHOLE.sha256],
    ["tiny", other.sha256],
  ]);
  await scene.serve(model);
  assertEquals([server.requests.length, (await scene.gc()).items], [1, []]);

  // Two of one name in one configuration, which boot at once.
  const embed = BUILT_INS["inferd-tiny-embed"];
  await using twinServer = new ModelServer(Deno.readFileSync(embed.url));
  const twin = { url: twinServer.url };
  const backends: LlamaBackendConfig[] = [
    { kind: "llamacpp", name: "a", modelName: "twin", ...model },
    {
      kind: "llamacpp",
      name: "b",
      modelName: "twin",
      source: twin,
      modelSha256: embed.sha256,
      modelPath: scene.blobPath(embed.sha256),
    },
  ];
  await using test = await DaemonUnderTest.start({ backends, modelsHome: scene.root, cacheDir: `${scene.dir}/cache` });
  await test.daemon.ready;
  assertEquals((await scene.list()).models.filter(({ name }) => name.startsWith("twin")).length, 2);
});

Deno.test("a daemon asks Hugging Face with the token, and says what to do when that is not enough", async () => {
  await using scene = new Scene();
  await using server = new ModelServer(Deno.readFileSync(WHOLE.url), [{ status: 403 }]);
  const { origin } = new URL(server.url);
  const source = { url: `${origin}/owner/repo/resolve/main/m.gguf` };
  const huggingFace = { endpoint: origin, token: { token: "hf_canarycanarycanary", from: "HF_TOKEN" } };
  {
    await using test = await scene.start({ source }, { huggingFace });
    const { message } = await assertRejects(() => test.daemon.ready, ModelStoreError);
    assertStringIncludes(
      message,
      `the token from HF_TOKEN has no access to it; request access at ${origin}/owner/repo`,
    );
    assert(!JSON.stringify(test.log.records).includes("canary"));
  }
  assertStringIncludes((await scene.serve({ source }, { huggingFace })).answer, "Paris");
  assertEquals(
    server.requests.map(({ headers }) => headers.get("authorization")),
    Array(2).fill("Bearer hf_canarycanarycanary"),
  );
});

Deno.test("a daemon does not read a file again that it has hashed before, until it is another", async () => {
  await using scene = new Scene();
  const modelPath = `${scene.dir}/mine.gguf`;
  Deno.copyFileSync(WHOLE.url, modelPath);
  Deno.utimeSync(modelPath, new Date(), new Date(Date.now() - 60_000));
  const { id } = await scene.serve({ modelPath });
  const cache = `${scene.dir}/cache/model-hashes.json`;
  const kept = Deno.readTextFileSync(cache);
  assertStringIncludes(kept, WHOLE.sha256);
  // What is kept is what counts: so nothing was read.
  Deno.writeTextFileSync(cache, kept.replace(WHOLE.sha256, "0".repeat(64)));
  const second = await scene.serve({ modelPath });
  assert(second.id !== id);
  Deno.utimeSync(modelPath, new Date(), new Date(Date.now() - 30_000));
  assertEquals((await scene.serve({ modelPath })).id, id);
});

Deno.test("a daemon says that there is no such model when a name is nowhere, or its file is gone", async () => {
  await using scene = new Scene();
  {
    await using test = await scene.start({ missing: "There is no model" });
    assertEquals((await assertRejects(() => test.daemon.ready, Error)).message, "There is no model");
  }
  const { path, sha256 } = await scene.importFile(scene.paths[0] ?? "", { link: false });
  const other = "0".repeat(64);
  for (
    const [modelName, has] of [["tiny", `"tiny" with the SHA-256 ${sha256}`], ["none", 'no model "none"']] as const
  ) {
    const model = { modelName, modelPath: scene.blobPath(other), modelSha256: other, stored: "hash" } as const;
    await using test = await scene.start(model);
    const { message } = await assertRejects(() => test.daemon.ready, ModelStoreError);
    assertStringIncludes(
      message,
      `The store has ${has}, and none with the configured SHA-256 ${other}; correct "sha256"`,
    );
  }
  Deno.removeSync(path);
  const found = await scene.find("tiny");
  await using test = await scene.start({ modelPath: path, parts: found?.parts ?? [], stored: "name" });
  const { message } = await assertRejects(() => test.daemon.ready, ModelStoreError);
  assertStringIncludes(
    message,
    'Model "tiny" is in the store, but a file of it is missing; "inferd doctor" says which',
  );
  assert(sha256.length === 64);
});

Deno.test("a daemon takes its draft model from the store, answers as without it, and has the same config_id", async () => {
  await using scene = new Scene();
  const { parts, sha256 } = await scene.importFile(scene.paths[0] ?? "", { link: false });
  const modelPath = WHOLE.url.pathname;
  const plain = await scene.serve({ modelPath });
  const draft = { modelName: "small", modelPath: parts[0]?.path ?? "", parts, stored: "name" } as const;
  assertEquals(await scene.serve({ modelPath, draft }), plain);
  await using test = await scene.start({ modelPath, draft: { ...draft, modelSha256: sha256.replace(/^./, "g") } });
  await assertRejects(() => test.daemon.ready, BackendUnavailableError, `its SHA-256 is`);
});
