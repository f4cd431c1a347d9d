/** Models in several files: pulled, imported, listed, verified and removed as one. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { findForeignModels } from "../../src/models/foreign.ts";
import { modelHash, readShardName, shardFileName, shardPaths } from "../../src/models/file/shards.ts";
import { ModelStoreError, type PullOptions, type PullSpec } from "../../src/models/store.ts";
import { splitModel } from "../support/gguf_files.ts";
import { ModelServer, type ServerFiles } from "../support/model_server.ts";
import { blobFile, modelBytes, sha256Of, TempStore } from "../support/model_store.ts";

const WHOLE = Deno.readFileSync(BUILT_INS["inferd-tiny"].url);
const PARTS = await splitModel(WHOLE, 3);
const HASHES = await Promise.all(PARTS.map(sha256Of));
const SHA256 = await modelHash(HASHES);
const BYTES = PARTS.reduce((sum, { length }) => sum + length, 0);
const NAMES = [1, 2, 3].map((index) => shardFileName("tiny", index, 3));

function filesOf(parts: readonly Uint8Array<ArrayBuffer>[]): ServerFiles {
  return Object.fromEntries(parts.map((part, index) => [NAMES[index] ?? "", part]));
}

interface Site {
  readonly server: ModelServer;
  readonly store: TempStore;
  pull(spec?: Partial<PullSpec>, options?: PullOptions): ReturnType<TempStore["pull"]>;
  /** The last part of every path that was asked for. */
  asked(): string[];
}

async function withSite(files: ServerFiles, work: (site: Site) => Promise<void>): Promise<void> {
  await using server = new ModelServer(files);
  await using store = new TempStore();
  const pull: Site["pull"] = (spec = {}, options = {}) =>
    store.pull({ name: "tiny", url: server.urlOf(`/${NAMES[0]}`), ...spec }, { backoffMs: 1, ...options });
  const asked = (): string[] => server.requests.map(({ path }) => path.split("/").at(-1) ?? "");
  await work({ server, store, pull, asked });
}

function assertPulled(store: TempStore): void {
  for (const [index, hash] of HASHES.entries()) assertEquals(Deno.readFileSync(store.blobPath(hash)), PARTS[index]);
  assertEquals(store.files(), [...HASHES.map(blobFile), "manifests/tiny.json"].sort());
}

Deno.test("the name of a part is one that can be", () => {
  assertEquals(readShardName("/a/x-00002-of-00003.gguf"), { prefix: "/a/x", index: 2, count: 3 });
  assertEquals(readShardName("x-00001-of-00002.GGUF"), { prefix: "x", index: 1, count: 2 });
  for (
    const name of [
      "x-00002-of-00001.gguf",
      "x-00001-of-00001.gguf",
      "x-00000-of-00003.gguf",
      "x-1-of-3.gguf",
      "-00001-of-00002.gguf",
      "x-00001-of-00003.bin",
      "x",
    ]
  ) {
    assertEquals(readShardName(name), undefined, name);
  }
  assertEquals(shardPaths("/a/x-00002-of-00003.gguf"), [1, 2, 3].map((index) => `/a/x-0000${index}-of-00003.gguf`));
  assertEquals(shardPaths("/a/x.gguf"), ["/a/x.gguf"]);
});

for (const given of [1, 3]) {
  Deno.test(`pull fetches every file of a split model when it is told of file ${given}`, () =>
    withSite(filesOf(PARTS), async ({ server, store, pull, asked }) => {
      const pulled = await pull({ url: server.urlOf(`/${NAMES[given - 1]}?download=true`), sizeBytes: BYTES });
      assertEquals([pulled.sha256, pulled.sizeBytes, pulled.parts.map(({ sha256 }) => sha256)], [
        SHA256,
        BYTES,
        HASHES,
      ]);
      assertEquals(asked(), NAMES.map((name) => `${name}?download=true`));
      assertPulled(store);
      const { shards, ...manifest } = JSON.parse(Deno.readTextFileSync(`${store.root}/manifests/tiny.json`));
      // What reads only what it always did finds the first file.
      assertEquals([manifest.schema_version, manifest.blob, manifest.size_bytes], [
        1,
        `sha256:${HASHES[0]}`,
        PARTS[0]?.length,
      ]);
      assertEquals(shards, PARTS.map(({ length }, index) => ({ blob: `sha256:${HASHES[index]}`, size_bytes: length })));
    }));
}

Deno.test("pull asks no server when a split model is there and right, and fetches it anew when a part is not", () =>
  withSite(filesOf(PARTS), async ({ server, store, pull }) => {
    await pull({ sha256: SHA256 });
    const requests = server.requests.length;
    const again = await pull({ sha256: SHA256 });
    assertEquals([again.parts.length, again.downloadedBytes, server.requests.length], [3, 0, requests]);
    const path = store.blobPath(HASHES[2] ?? "");
    const damaged = Deno.readFileSync(path);
    damaged.fill(0, 1_000_000, 1_150_000);
    Deno.writeFileSync(path, damaged);
    await pull({ sha256: SHA256 });
    assertEquals(Deno.readFileSync(path), PARTS[2]);
    assertEquals(store.files().filter((file) => file.startsWith("locks/quarantine/")).length, 1);
  }));

Deno.test("pull resumes a split model in the file in which it was broken off", () =>
  withSite(filesOf(PARTS), async ({ server, store, pull, asked }) => {
    server.next({}, { stallAfter: 1_000_000 });
    const abort = new AbortController();
    const stalled = pull({}, { signal: abort.signal });
    const failed = assertRejects(() => stalled);
    await server.seen(2);
    abort.abort();
    await failed;
    assertEquals((await store.list()).models, []);
    await pull();
    assertPulled(store);
    assertEquals(asked(), [NAMES[0], NAMES[1], NAMES[1], NAMES[2]]);
  }));

Deno.test("pull says what is wrong when a split model is not whole, and leaves no half of it", async () => {
  const other = await splitModel(Deno.readFileSync(BUILT_INS["inferd-tiny-embed"].url), 3);
  const [one = WHOLE, two = WHOLE, three = WHOLE] = PARTS;
  const cases: readonly (readonly [Uint8Array<ArrayBuffer>[], string, string])[] = [
    [[one, two], "http", "404"],
    [[one, three, two], "split", "what came as file 2 of 3: it should be file 2 of 3, but is file 3 of 3"],
    [[one, two, modelBytes(5000)], "split", "but is a model by itself"],
    [[one, two, three.slice(0, -1000)], "cut", "it is truncated"],
    [[two, one, three], "split", "it is file 2 of 3 of a split model"],
    [[one, two, other[2] ?? one], "split", "it is file 3 of 3 of another model"],
  ];
  for (const [parts, code, message] of cases) {
    await withSite(filesOf(parts), async ({ store, pull }) => {
      const error = await assertRejects(() => pull(), ModelStoreError);
      assertEquals(error.code, code, error.message);
      assert(error.message.includes(message), error.message);
      const { models, loose } = await store.list();
      assertEquals([models, loose], [[], []]);
    });
  }
  await withSite(filesOf(PARTS), async ({ store, pull }) => {
    const error = await assertRejects(() => pull({ sha256: HASHES[0] }), ModelStoreError);
    assertEquals(error.code, "mismatch");
    assert(
      error.message.includes(`its 3 files together is ${SHA256}, not that of the first file alone`),
      error.message,
    );
    assertEquals((await assertRejects(() => pull({ sizeBytes: BYTES + 1 }), ModelStoreError)).code, "size");
    assertEquals(store.files().filter((file) => file.startsWith("blobs/")), []);
  });
});

Deno.test("pull refuses a part whose name does not tell where the others are", () =>
  withSite({ "ordinary.gguf": PARTS[0] ?? WHOLE }, async ({ server, store, pull }) => {
    const error = await assertRejects(() => pull({ url: server.urlOf("/ordinary.gguf") }), ModelStoreError);
    assertEquals([error.code, store.files()], ["split", []]);
    assert(error.message.includes("it is file 1 of 3 of a split model"), error.message);
  }));

Deno.test("pull takes a whole model whose name looks like that of a part", () =>
  withSite({ [NAMES[0] ?? ""]: WHOLE, "y-00002-of-00001.gguf": WHOLE }, async ({ server, pull }) => {
    for (const [name, url] of [["a", NAMES[0]], ["b", "y-00002-of-00001.gguf"]] as const) {
      const pulled = await pull({ name, url: server.urlOf(`/${url}`), sha256: BUILT_INS["inferd-tiny"].sha256 });
      assertEquals([pulled.sha256, pulled.parts.length], [BUILT_INS["inferd-tiny"].sha256, 1]);
    }
  }));

/** A folder with the files of a split model, under their own names. */
async function withFiles(work: (store: TempStore, paths: readonly string[]) => Promise<void>): Promise<void> {
  await using store = new TempStore();
  const paths = NAMES.map((name) => `${store.dir}/${name}`);
  PARTS.forEach((part, index) => Deno.writeFileSync(paths[index] ?? "", part));
  await work(store, paths);
}

for (const given of [0, 2]) {
  Deno.test(`importFile takes every file of a split model when it is given file ${given + 1}`, () =>
    withFiles(async (store, paths) => {
      const imported = await store.importFile(paths[given] ?? "", { sha256: SHA256 });
      assertEquals([imported.name, imported.sha256, imported.sizeBytes, imported.how], [
        "tiny",
        SHA256,
        BYTES,
        "linked",
      ]);
      assertPulled(store);
      assertEquals((await store.importFile(paths[0] ?? "")).how, "present");
      // The same as it is pulled.
      await using server = new ModelServer(filesOf(PARTS));
      await store.pull({ name: "tiny", url: server.urlOf(`/${NAMES[0]}`), sha256: SHA256 });
      assertEquals(server.requests, []);
    }));
}

Deno.test("importFile follows links to the files of a split model, as Hugging Face's cache has them", () =>
  withFiles(async (store, paths) => {
    Deno.mkdirSync(`${store.dir}/snapshot`);
    paths.forEach((path, index) => {
      Deno.renameSync(path, `${store.dir}/blob${index}`);
      Deno.symlinkSync(`${store.dir}/blob${index}`, `${store.dir}/snapshot/${NAMES[index]}`);
    });
    await store.importFile(`${store.dir}/snapshot/${NAMES[0]}`, { move: true });
    assertPulled(store);
    assertEquals([0, 1, 2].filter((index) => exists(`${store.dir}/blob${index}`)), []);
  }));

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

Deno.test("importFile refuses a part under an ordinary name, and a split model of which a part is missing", () =>
  withFiles(async (store, paths) => {
    const refused = async (path: string): Promise<[string, string]> => {
      const { code, message } = await assertRejects(() => store.importFile(path), ModelStoreError);
      return [code, message];
    };
    for (const name of ["ordinary.gguf", "m.gguf.part1of2"]) {
      Deno.copyFileSync(paths[0] ?? "", `${store.dir}/${name}`);
      const [code, message] = await refused(`${store.dir}/${name}`);
      assertEquals(code, "split");
      assert(
        message.startsWith(`Cannot import "${store.dir}/${name}": it is file 1 of 3 of a split model; put all 3`),
        message,
      );
    }
    Deno.removeSync(paths[2] ?? "");
    const [code, message] = await refused(paths[0] ?? "");
    assertEquals(
      [code, message],
      [
        "not_found",
        `Cannot import "${paths[0]}": "${paths[2]}": no such file; the model is split, and this is file 3 of 3`,
      ],
    );
    Deno.writeFileSync(paths[2] ?? "", WHOLE);
    assertEquals((await refused(paths[0] ?? ""))[0], "split");
    assertEquals(store.files(), []);
  }));

Deno.test("a split model is listed, held and removed as one, and shares its files with others", () =>
  withFiles(async (store, paths) => {
    await store.importFile(paths[0] ?? "");
    const { models: [model], loose } = await store.list();
    assertEquals([model?.sha256, model?.sizeBytes, model?.present, model?.parts.length, loose], [
      SHA256,
      BYTES,
      true,
      3,
      [],
    ]);
    assertEquals((await store.gc()).items, []);
    {
      using _held = await store.hold(...HASHES);
      assertEquals((await store.list()).models[0]?.inUse, true);
    }
    {
      // One is enough.
      using _held = await store.hold(HASHES[2] ?? "");
      assertEquals((await assertRejects(() => store.remove("tiny"), ModelStoreError)).code, "in_use");
    }
    await store.importFile(store.blobPath(HASHES[1] ?? ""), { name: "stray" }).then(
      () => assert(false),
      (error) => assertEquals(error.code, "split"),
    );
    await store.importFile(paths[0] ?? "", { name: "same" });
    {
      // Whoever serves the other name serves the same files.
      using _held = await store.hold(...HASHES);
      assertEquals(await store.remove("tiny"), { name: "tiny", sha256: SHA256, blob: "referenced", freedBytes: 0 });
    }
    assertEquals(await store.remove("same"), { name: "same", sha256: SHA256, blob: "removed", freedBytes: BYTES });
    assertEquals(store.files(), []);
  }));

Deno.test("a split model of which a blob is gone or too short is not there", () =>
  withFiles(async (store, paths) => {
    await store.importFile(paths[0] ?? "", { link: false });
    Deno.truncateSync(store.blobPath(HASHES[1] ?? ""), 100);
    assertEquals((await store.find("tiny"))?.parts.map(({ present }) => present), [true, false, true]);
    Deno.removeSync(store.blobPath(HASHES[1] ?? ""));
    assertEquals((await store.find("tiny"))?.present, false);
  }));

Deno.test("a name does not go from one model to another because their first files are the same", () =>
  withFiles(async (store, paths) => {
    await store.importFile(paths[0] ?? "");
    const third = PARTS[2]?.slice() ?? WHOLE;
    third.fill(1, 1_000_000, 1_000_100);
    await using server = new ModelServer({ ...filesOf(PARTS), [NAMES[2] ?? ""]: third });
    const url = server.urlOf(`/${NAMES[0]}`);
    const error = await assertRejects(() => store.pull({ name: "tiny", url }), ModelStoreError);
    assertEquals([error.code, (await store.find("tiny"))?.sha256], ["taken", SHA256]);
    await store.pull({ name: "tiny", url }, { replace: true });
    // The third alone has lost its name.
    assertEquals((await store.gc()).kept.map(({ sha256 }) => sha256), [HASHES[2]]);
  }));

Deno.test("findForeignModels finds split models of LM Studio that are whole, each once", () =>
  withFiles(async (store) => {
    const folder = `${store.dir}/.lmstudio/models/publisher/repo`;
    Deno.mkdirSync(folder, { recursive: true });
    PARTS.forEach((part, index) => Deno.writeFileSync(`${folder}/${NAMES[index]}`, part));
    Deno.writeFileSync(`${folder}/half-00001-of-00002.gguf`, WHOLE);
    Deno.writeFileSync(`${folder}/odd-00002-of-00001.gguf`, WHOLE);
    const found = await findForeignModels({ home: store.dir, env: () => undefined });
    assertEquals(found.map(({ title, name, sizeBytes }) => [title, name, sizeBytes]), [
      ["publisher/repo/odd-00002-of-00001.gguf", "odd-00002-of-00001", WHOLE.length],
      [`publisher/repo/${NAMES[0]}`, "tiny", BYTES],
    ]);
  }));
