/** What a store says it holds, and what goes when something is removed. */
import { assertEquals, assertRejects } from "@std/assert";
import { ModelStoreError, Store } from "../../src/models/store.ts";
import { blobFile, modelBytes, partialFile, sha256Of, TempStore } from "../support/model_store.ts";

const CONTENT = modelBytes(1000);
const SHA256 = await sha256Of(CONTENT);
const OTHER = await sha256Of(modelBytes(1000, 2));
const OLD = new Date(Date.now() - 8 * 24 * 60 * 60 * 1000);

async function withStore(work: (store: TempStore) => Promise<void>): Promise<void> {
  await using store = new TempStore();
  Deno.writeFileSync(`${store.dir}/one.gguf`, CONTENT);
  Deno.writeFileSync(`${store.dir}/two.gguf`, modelBytes(1000, 2));
  await store.importFile(`${store.dir}/one.gguf`, { license: "MIT" });
  await work(store);
}

function write(store: Store, file: string, text: string, time?: Date): void {
  const path = `${store.root}/${file}`;
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  Deno.writeTextFileSync(path, text);
  if (time !== undefined) Deno.utimeSync(path, time, time);
}

Deno.test("list and find say what is there, what is missing, what is loose and what is broken", () =>
  withStore(async (store) => {
    await store.importFile(`${store.dir}/two.gguf`);
    Deno.removeSync(`${store.root}/manifests/two.json`);
    const gone = "ab".repeat(32);
    write(store, "manifests/gone.json", JSON.stringify({ blob: `sha256:${gone}`, size_bytes: 5, extra: 1 }));
    write(store, "manifests/text.json", "hello");
    write(store, "manifests/.one.tmp", "half");
    write(store, "manifests/notes.txt", "not ours");
    write(store, "blobs/sha256/zz/whatever", "not ours");
    write(store, partialFile(gone), "half");
    const { models, loose, unfinished, broken } = await store.list();
    assertEquals(models.map(({ name, sizeBytes, present, inUse }) => [name, sizeBytes, present, inUse]), [
      ["gone", 5, false, false],
      ["one", 1000, true, false],
    ]);
    assertEquals(models[1]?.license, "MIT");
    assertEquals(loose, [{ sha256: OTHER, sizeBytes: 1000, path: store.blobPath(OTHER), inUse: false }]);
    assertEquals(unfinished, [{ path: `${store.root}/${partialFile(gone)}`, sizeBytes: 4 }]);
    assertEquals(broken.map(({ name, reason }) => [name, reason]), [["text", "it is not JSON"]]);
    assertEquals((await store.find("one"))?.sha256, SHA256);
    assertEquals(await store.find("nobody"), undefined);
    assertEquals((await assertRejects(() => store.find("text"), ModelStoreError)).code, "broken_manifest");
    assertEquals((await assertRejects(() => store.find("../one"), ModelStoreError)).code, "bad_name");
    Deno.truncateSync(store.blobPath(SHA256), 10);
    assertEquals((await store.find("one"))?.present, false);
  }));

Deno.test("list finds nothing when there is no store", async () => {
  const empty = { models: [], loose: [], unfinished: [], broken: [] };
  assertEquals(await new Store("/nonexistent/models").list(), empty);
  assertEquals(await new Store("/nonexistent/models").gc(), { items: [], kept: [], freedBytes: 0, inUse: [] });
});

Deno.test("remove takes the blob along when no other manifest refers to it", () =>
  withStore(async (store) => {
    await store.importFile(`${store.dir}/one.gguf`, { name: "same" });
    assertEquals(await store.remove("one"), { name: "one", sha256: SHA256, blob: "referenced", freedBytes: 0 });
    assertEquals(store.files(), [blobFile(SHA256), "manifests/same.json"]);
    assertEquals(await store.remove("same"), { name: "same", sha256: SHA256, blob: "removed", freedBytes: 1000 });
    assertEquals(store.files(), []);
    assertEquals([...Deno.readDirSync(`${store.root}/blobs/sha256`)], []);
    assertEquals((await assertRejects(() => store.remove("same"), ModelStoreError)).code, "not_found");
  }));

Deno.test("remove leaves everything when the blob is held, and lets a broken manifest go", () =>
  withStore(async (store) => {
    {
      using _held = await store.hold(SHA256);
      assertEquals((await assertRejects(() => store.remove("one"), ModelStoreError)).code, "in_use");
    }
    write(store, "manifests/text.json", "hello");
    assertEquals((await store.remove("text")).blob, "absent");
    assertEquals((await store.remove("one")).blob, "removed");
  }));

Deno.test("remove refuses a name that somebody pulls at that moment", () =>
  withStore(async (store) => {
    using lock = await Deno.open(`${store.root}/locks/one.lock`, { read: true, write: true });
    await lock.lock(true);
    assertEquals((await assertRejects(() => store.remove("one"), ModelStoreError)).code, "busy");
  }));

Deno.test("gc takes what nobody refers to and nobody came back for, and only says so when it is dry", () =>
  withStore(async (store) => {
    await store.importFile(`${store.dir}/two.gguf`);
    Deno.removeSync(`${store.root}/manifests/two.json`);
    const [young, old] = ["ab".repeat(32), "cd".repeat(32)];
    write(store, partialFile(young), "half");
    write(store, partialFile(old), "half", OLD);
    write(store, "locks/quarantine/20200101T000000.000Z-sha-mismatch.bin", "wrong", OLD);
    write(store, "locks/quarantine/20300101T000000.000Z-sha-mismatch.bin", "wrong");
    write(store, "manifests/.one.tmp", "half", OLD);
    const before = store.files();
    const dry = await store.gc({ dryRun: true });
    assertEquals(store.files(), before);
    assertEquals(await store.gc(), dry);
    assertEquals(dry.items.map(({ kind, sizeBytes }) => [kind, sizeBytes]).sort(), [
      ["blob", 1000],
      ["partial", 4],
      ["quarantine", 5],
      ["temporary", 4],
    ]);
    assertEquals(dry.freedBytes, 1013);
    assertEquals(
      store.files(),
      [
        partialFile(young),
        blobFile(SHA256),
        "locks/quarantine/20300101T000000.000Z-sha-mismatch.bin",
        "manifests/one.json",
      ].sort(),
    );
    assertEquals((await store.gc({ keepMs: 0 })).items.length, 2);
  }));

Deno.test("gc keeps what a broken manifest or a field of another program refers to", () =>
  withStore(async (store) => {
    await store.importFile(`${store.dir}/two.gguf`);
    for (const text of [`{"blob":"sha256:${OTHER}`, JSON.stringify({ blob: `sha256:${SHA256}`, projector: OTHER })]) {
      write(store, "manifests/two.json", text);
      assertEquals((await store.gc()).items, []);
    }
  }));

Deno.test("gc leaves a partial that somebody is at work on", () =>
  withStore(async (store) => {
    write(store, partialFile(OTHER), "half", OLD);
    using file = await Deno.open(`${store.root}/${partialFile(OTHER)}`, { read: true, write: true });
    await file.lock(true);
    assertEquals((await store.gc({ keepMs: 0 })).items, []);
    assertEquals((await store.gc({ keepMs: 0, dryRun: true })).items, []);
  }));
