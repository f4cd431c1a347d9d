/** Models by name in flags and configuration: what the store has, what is built in, what a file is, and what is nothing. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { checkFolders } from "../../../../src/config/home.ts";
import { parseConfigFile } from "../../../../src/config/file.ts";
import type { LlamaBackendConfig } from "../../../../src/config/options.ts";
import { hasRelativePath, settingFlags } from "../../../../src/config/merge.ts";
import { resolveOptions } from "../../../../src/config/resolve.ts";
import type { SettingValues } from "../../../../src/config/schema.ts";
import { UsageError } from "../../../../src/config/setting/usage_error.ts";
import { modelHash } from "../../../../src/models/file/shards.ts";
import { shardFileName } from "../../../../src/models/file/shards.ts";
import { splitModel } from "../../../support/gguf_files.ts";
import { modelBytes, sha256Of, TempStore } from "../../../support/model_store.ts";
import { BUILT_INS } from "../../../../src/models/built_in.ts";

const SHA256 = await sha256Of(modelBytes(1000));
const OTHER = "b".repeat(64);
const SOURCE = "https://models.example/x.gguf";

/** What a model becomes in a box with a store that has "my-model" and a split "big". */
type Resolve = (given: SettingValues, model?: Record<string, unknown>) => LlamaBackendConfig;

async function withStore(work: (resolve: Resolve, store: TempStore) => Promise<void> | void): Promise<void> {
  await using store = new TempStore();
  Deno.writeFileSync(`${store.dir}/mine.gguf`, modelBytes(1000));
  await store.importFile(`${store.dir}/mine.gguf`, { name: "my-model" });
  const parts = await splitModel(Deno.readFileSync(BUILT_INS["inferd-tiny-embed"].url), 2);
  parts.forEach((part, index) => Deno.writeFileSync(`${store.dir}/${shardFileName("big", index + 1, 2)}`, part));
  await store.importFile(`${store.dir}/${shardFileName("big", 1, 2)}`);
  const machine = {
    env: (name: string): string | undefined =>
      ({ HOME: store.dir, MODELS_HOME: store.root } as Record<string, string>)[name],
    uid: 1,
    platform: "linux",
    memoryBytes: 2 ** 40,
  };
  const resolve: Resolve = (given, model) => {
    const content = parseConfigFile(JSON.stringify(model === undefined ? {} : { model }), "/c.json");
    const config = { path: "/c.json", content, place: (path: string): string => `/${path}` };
    const [backend] = resolveOptions(given, machine, config).backends;
    assert(backend?.kind === "llamacpp");
    return backend;
  };
  await work(resolve, store);
}

Deno.test("a name alone finds what the store has, as a flag and in the file", () =>
  withStore((resolve, store) => {
    const expected = { modelName: "my-model", modelPath: store.blobPath(SHA256), modelSha256: SHA256, stored: "name" };
    for (
      const found of [resolve({ model: "my-model" }), resolve({}, { name: "my-model" }), resolve({ model: "MY-Model" })]
    ) {
      const { kind: _, name: __, ...model } = found;
      assertEquals(model, expected as typeof model);
    }
  }));

Deno.test("a name finds every file of a split model", () =>
  withStore(async (resolve, store) => {
    const { modelPath, modelSha256, parts = [], stored } = resolve({ model: "big" });
    assertEquals([parts.length, modelPath, modelSha256, stored], [2, parts[0]?.path, undefined, "name"]);
    const sha256 = await modelHash(parts.map(({ sha256 }) => sha256));
    assertEquals((await store.find("big"))?.sha256, sha256);
    const pinned = resolve({}, { name: "big", sha256 });
    assertEquals([pinned.modelSha256, pinned.stored, pinned.parts?.length], [sha256, "hash", 2]);
    const given = resolve({ model: "big", modelSha256: OTHER });
    // Not to be believed because of what was hashed some time ago.
    assertEquals([given.modelSha256, given.stored], [OTHER, "hash"]);
  }));

Deno.test("a name with a hash alone is found by the hash, whatever the name stands for", () =>
  withStore((resolve, store) => {
    const { modelPath, modelSha256, stored } = resolve({}, { name: "my-model", sha256: OTHER });
    assertEquals([modelPath, modelSha256, stored], [store.blobPath(OTHER), OTHER, "hash"]);
  }));

Deno.test("a name with an address alone is what the store has, or is fetched", () =>
  withStore((resolve, store) => {
    const found = resolve({}, { name: "my-model", source_url: SOURCE });
    assertEquals([found.modelPath, found.modelSha256, found.source?.url], [store.blobPath(SHA256), SHA256, SOURCE]);
    const { modelPath, missing, source } = resolve({}, { name: "new", source_url: SOURCE });
    assertEquals([modelPath, missing, source?.url], [undefined, undefined, SOURCE]);
    // Which blobs a split model has, its hash does not say.
    const split = resolve({}, { name: "new", sha256: OTHER, source_url: SOURCE.replace("x.", "x-00001-of-00002.") });
    assertEquals([split.modelPath, split.modelSha256, split.missing], [undefined, OTHER, undefined]);
    assertEquals(resolve({}, { name: "new", sha256: OTHER, source_url: SOURCE }).modelPath, store.blobPath(OTHER));
  }));

Deno.test("a name with an address alone is not another model that happens to have the name", () =>
  withStore((resolve, store) => {
    const from = (registry: string, repo: string | null, filename: string, revision: string | null = null): void => {
      const path = `${store.root}/manifests/my-model.json`;
      const manifest = JSON.parse(Deno.readTextFileSync(path));
      Deno.writeTextFileSync(path, JSON.stringify({ ...manifest, source: { registry, repo, revision, filename } }));
    };
    const found = (): LlamaBackendConfig => resolve({}, { name: "my-model", source_url: SOURCE });
    from("models.example", null, "x.gguf");
    assertEquals([found().stored, found().missing], ["name", undefined]);
    from("models.example", "other", "x.gguf");
    assertEquals(
      [found().modelPath, found().missing],
      [
        undefined,
        `Model "my-model" in the store is from models.example/other/x.gguf, not from the configured "source_url" ` +
        `${SOURCE}; configure its "sha256", too, or choose another name`,
      ],
    );
    // Pinned by its hash it is whatever the name stands for.
    assertEquals(resolve({}, { name: "my-model", sha256: OTHER, source_url: SOURCE }).missing, undefined);
  }));

Deno.test("a flag names a file where there is one, or where it can be nothing else", () =>
  withStore((resolve, store) => {
    const before = Deno.cwd();
    Deno.chdir(store.dir);
    try {
      Deno.writeTextFileSync("my-model", "a file of that name");
      assertEquals(resolve({ model: "my-model" }).modelPath, `${Deno.cwd()}/my-model`);
      Deno.removeSync("my-model");
      Deno.mkdirSync("my-model");
      assertEquals(resolve({ model: "my-model" }).stored, "name");
      for (const path of ["./my-model", "none.gguf", "/x/y", "a/b"]) {
        assertEquals([resolve({ model: path }).stored, resolve({ model: path }).missing], [undefined, undefined], path);
      }
      assertEquals(settingFlags({ model: "my-model" }), ["--model=my-model"]);
      assertEquals([hasRelativePath({ model: "my-model" }), hasRelativePath({ model: "./x.gguf" })], [false, true]);
      assertEquals(settingFlags({ model: "./x.gguf" }), [`--model=${Deno.cwd()}/x.gguf`]);
    } finally {
      Deno.chdir(before);
    }
  }));

Deno.test("a flag names a built-in model", () =>
  withStore((resolve) => {
    const { modelName, modelPath, missing } = resolve({ model: "inferd-tiny-embed" });
    assertEquals([modelName, modelPath, missing], ["inferd-tiny-embed", undefined, undefined]);
  }));

Deno.test("a name that is nowhere is said with names that are near, and nothing is thrown", () =>
  withStore((resolve, store) => {
    assertEquals(
      resolve({ model: "my-modle" }).missing,
      `There is no file "my-modle", and no model of that name in the store "${store.root}": did you mean "my-model"? ` +
        '"inferd models" lists them, "inferd pull" and "inferd import" add one',
    );
    assertEquals(
      resolve({}, { name: "mistral" }).missing,
      `There is no model "mistral" in the store "${store.root}": there are "big", "my-model", "inferd-tiny", ` +
        '"inferd-tiny-embed", "inferd-tiny-rerank"; "inferd models" lists them, "inferd pull" and "inferd import" add one',
    );
    assert(resolve({ model: "tiny" }).missing?.includes('did you mean "inferd-tiny"'));
    Deno.writeTextFileSync(`${store.root}/manifests/broken.json`, "{");
    assert(resolve({ model: "broken" }).missing?.includes('broken.json": it is not JSON'));
  }));

Deno.test("without a place for the store a name says what to set, and a file needs none", () => {
  const machine = { env: (): undefined => undefined, uid: 1, platform: "linux", memoryBytes: 1 };
  const [missing, file] = ["my-model", "/x/y.gguf"].map((model) => resolveOptions({ model }, machine));
  assert(missing?.backends[0]?.kind === "llamacpp" && file?.backends[0]?.kind === "llamacpp");
  assert(missing.backends[0].missing?.includes("neither HOME nor MODELS_HOME is set"), missing.backends[0].missing);
  assertEquals([file.modelsHome, file.backends[0].missing, file.runtimeDir], [undefined, undefined, "/tmp/inferd-1"]);
  assertThrows(() => resolveOptions({ httpPull: true }, machine), UsageError, "neither HOME nor MODELS_HOME is set");
});

Deno.test("folders that depend on the working directory are refused", () => {
  for (const name of ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"]) {
    const { message } = assertThrows(() => checkFolders((key) => key === name ? "rel/dir" : undefined), UsageError);
    assertEquals(message, `${name} must be an absolute path, got "rel/dir"`);
  }
  checkFolders(() => "");
  checkFolders(() => "/abs");
});
