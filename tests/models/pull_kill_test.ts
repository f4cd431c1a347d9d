/** Pulls in processes of their own: killed at every stage, many at once, and with a full disk. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ModelStoreError } from "../../src/models/store.ts";
import { ModelServer } from "../support/model_server.ts";
import { Program } from "../support/program.ts";
import { mountSmallDisk, onSmallDisk } from "../support/small_disk.ts";
import { blobFile, modelBytes, partialFile, sha256Of, TempStore } from "../support/model_store.ts";

const CHILD = new URL("../support/store_child.ts", import.meta.url).pathname;
const CONTENT = modelBytes(2_500_003);
const SHA256 = await sha256Of(CONTENT);

function spawn(...args: readonly string[]): Program {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", CHILD, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new Program(child, undefined);
}

/** What a killed pull leaves, and what the next one has to fetch. */
const STAGES = {
  partial: { blob: false, manifest: false, fetches: 2 },
  verify: { blob: false, manifest: false, fetches: 1 },
  verified: { blob: false, manifest: false, fetches: 1 },
  renamed: { blob: true, manifest: false, fetches: 1 },
  manifest: { blob: true, manifest: false, fetches: 1 },
} as const;

for (const [stage, left] of Object.entries(STAGES)) {
  Deno.test(`pull repairs or goes on when one was killed at stage "${stage}"`, async () => {
    await using server = new ModelServer(CONTENT);
    await using store = new TempStore();
    {
      await using child = spawn("pull", store.root, "tiny", server.url, SHA256, stage);
      await child.stdout.has(`at ${stage}`);
      child.kill("SIGKILL");
      await child.outcome;
    }
    const files = store.files();
    assertEquals(files.includes(blobFile(SHA256)), left.blob);
    assertEquals(files.includes("manifests/tiny.json"), left.manifest);
    // What is in place is right, whenever that was.
    if (left.blob) assertEquals(Deno.readFileSync(store.blobPath(SHA256)), CONTENT);
    assertEquals((await store.list()).models, []);
    const pulled = await store.pull({ name: "tiny", url: server.url, sha256: SHA256 });
    assertEquals(Deno.readFileSync(pulled.path), CONTENT);
    assertEquals(store.files(), [blobFile(SHA256), "manifests/tiny.json"]);
    assertEquals(server.requests.length, left.fetches);
    if (stage === "partial") assert(server.ranges[1]?.startsWith("bytes="));
  });
}

Deno.test("pulls of many processes at once end with one blob and one download", async () => {
  await using server = new ModelServer(CONTENT);
  await using store = new TempStore();
  const names = ["tiny", "tiny", "other"];
  const children = names.map((name) => spawn("pull", store.root, name, server.url, SHA256));
  const outcomes = await Promise.all(children.map((child) => child.outcome));
  assertEquals(outcomes.map(({ code, stderr }) => [code, stderr]), names.map(() => [0, ""]));
  assertEquals(outcomes.map(({ stdout }) => stdout).sort(), ["pulled 0\n", "pulled 0\n", `pulled ${CONTENT.length}\n`]);
  assertEquals(store.files(), [blobFile(SHA256), "manifests/other.json", "manifests/tiny.json"]);
  assertEquals(server.requests.length, 1);
});

Deno.test("a blob that another process holds is removed when that process is gone, not before", async () => {
  await using server = new ModelServer(CONTENT);
  await using store = new TempStore();
  await store.pull({ name: "tiny", url: server.url, sha256: SHA256 });
  {
    await using child = spawn("hold", store.root, SHA256);
    await child.stdout.has("held");
    assertEquals((await store.list()).models[0]?.inUse, true);
    assertEquals((await assertRejects(() => store.remove("tiny"), ModelStoreError)).code, "in_use");
    assertEquals((await store.find("tiny"))?.present, true);
    // Two can hold it, and a pull goes through.
    using _second = await store.hold(SHA256);
    await store.pull({ name: "tiny", url: server.url, sha256: SHA256 });
    // Without a manifest it is not referenced any more, but it is held.
    Deno.removeSync(`${store.root}/manifests/tiny.json`);
    assertEquals(await store.gc(), { items: [], kept: [], freedBytes: 0, inUse: [SHA256] });
    child.kill("SIGKILL");
    await child.outcome;
  }
  const { items, freedBytes } = await store.gc();
  assertEquals(items.map(({ kind }) => kind), ["blob"]);
  assertEquals(freedBytes, CONTENT.length);
  assertEquals((await assertRejects(() => store.hold(SHA256), ModelStoreError)).code, "not_found");
});

Deno.test({
  ...onSmallDisk("pull and import say that the disk is full, and pull resumes when there is room"),
  async fn(): Promise<void> {
    const dir = Deno.makeTempDirSync({ prefix: "inferd-small-" });
    try {
      await using _disk = await mountSmallDisk(dir, "1m");
      await using server = new ModelServer(CONTENT);
      const store = new TempStore(dir);
      const spec = { name: "tiny", url: server.url, sha256: SHA256 };
      const error = await assertRejects(() => store.pull(spec), ModelStoreError);
      assertEquals(error.code, "disk_full");
      assertEquals(error.message, `Cannot pull "tiny" from "${server.url}": the disk is full`);
      assertEquals(store.files().filter((file) => file.endsWith("/data") || file.startsWith("manifests")), []);
      assertEquals(server.requests.length, 1);
      const kept = Deno.statSync(`${store.root}/${partialFile(SHA256)}`).size;
      assert(kept > 0);
      await new Deno.Command("mount", { args: ["-o", "remount,size=8m", dir] }).output();
      await store.pull(spec);
      assertEquals(server.ranges, [null, `bytes=${kept}-`]);
      assertEquals(Deno.readFileSync(store.blobPath(SHA256)), CONTENT);

      // And the copy of an import, which cannot be a link to another file system.
      const big = await Deno.makeTempFile({ prefix: "inferd-big-", suffix: ".gguf" });
      try {
        Deno.writeFileSync(big, modelBytes(9_000_000));
        const failed = await assertRejects(() => store.importFile(big, { name: "big" }), ModelStoreError);
        assertEquals(failed.code, "disk_full");
        assertEquals(store.files(), [blobFile(SHA256), "manifests/tiny.json"]);
      } finally {
        Deno.removeSync(big);
      }
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
});
