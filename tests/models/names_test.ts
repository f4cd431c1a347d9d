/** What a name stands for is not taken over, and what lost its name is not cleared away without a word. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ModelStoreError, type PullOptions, type TakenName } from "../../src/models/store.ts";
import { ModelServer } from "../support/model_server.ts";
import { blobFile, modelBytes, partialFile, sha256Of, TempStore } from "../support/model_store.ts";

const ONE = modelBytes(300_000, 1);
const TWO = modelBytes(300_000, 2);
const LONGER = modelBytes(400_000, 3);
const [FIRST, SECOND, THIRD] = await Promise.all([ONE, TWO, LONGER].map(sha256Of)) as [string, string, string];

/** A store in which the first file has the name. */
async function withName(
  work: (store: TempStore, server: ModelServer) => Promise<void>,
  name = "Small-Q4",
): Promise<void> {
  await using server = new ModelServer({ "one.gguf": ONE, "two.gguf": TWO, "longer.gguf": LONGER });
  await using store = new TempStore();
  await store.pull({ name, url: server.urlOf("/a/one.gguf") });
  await work(store, server);
}

function pull(
  store: TempStore,
  url: string,
  options: PullOptions & { readonly name?: string; readonly sha256?: string } = {},
): ReturnType<TempStore["pull"]> {
  const { name = "Small-Q4", sha256, ...rest } = options;
  return store.pull({ name, url, sha256 }, { backoffMs: 1, ...rest });
}

async function meaning(store: TempStore, name = "Small-Q4"): Promise<string | undefined> {
  return (await store.find(name))?.sha256;
}

Deno.test("pull does not take over a name that refers to another model", () =>
  withName(async (store, server) => {
    const error = await assertRejects(() => pull(store, server.urlOf("/b/two.gguf")), ModelStoreError);
    assertEquals(error.code, "taken");
    assertEquals(
      error.message,
      `Cannot pull "Small-Q4" from "${server.urlOf("/b/two.gguf")}": "Small-Q4" refers to another model ` +
        `(sha256:${FIRST.slice(0, 12)}…, from ${new URL(server.url).host}/a/one.gguf); choose another name ` +
        "(--name NAME), or reassign this one (--replace)",
    );
    assertEquals(await meaning(store), FIRST);
    // What came is not fetched again for another name.
    const requests = server.requests.length;
    assertEquals((await pull(store, server.urlOf("/b/two.gguf"), { name: "other" })).sha256, SECOND);
    assertEquals(server.requests.length, requests);
    assertEquals((await store.gc()).items, []);
  }));

Deno.test("pull does not even begin when the hash, the length or the server tell that it is another model", () =>
  withName(async (store, server) => {
    const requests = server.requests.length;
    const refused = async (options: PullOptions & { sha256?: string }, url = "/b/two.gguf"): Promise<void> => {
      const error = await assertRejects(() => pull(store, server.urlOf(url), options), ModelStoreError);
      assertEquals(error.code, "taken");
      assertEquals(await meaning(store), FIRST);
      assertEquals((await store.list()).unfinished, []);
    };
    await refused({ sha256: SECOND });
    assertEquals(server.requests.length, requests);
    await refused({}, "/b/longer.gguf");
    server.next({ status: 302, headers: { location: "/c/two.gguf", "x-linked-etag": `"${SECOND}"` } });
    await refused({});
    assertEquals(server.requests.map(({ path }) => path).slice(requests), ["/b/longer.gguf", "/b/two.gguf"]);
  }));

Deno.test("pull leaves a name alone when it stands for the same model, wherever that is from", () =>
  withName(async (store, server) => {
    server.next({ content: ONE });
    assertEquals((await pull(store, server.urlOf("/elsewhere/one.gguf"))).sha256, FIRST);
    assertEquals((await store.find("Small-Q4"))?.source?.repo, "a");
  }));

Deno.test("pull and import ask once, and take the name when they may", () =>
  withName(async (store, server) => {
    const asked: TakenName[] = [];
    const onTaken = (taken: TakenName): boolean => asked.push(taken) > 1;
    assertEquals(
      (await assertRejects(() => pull(store, server.urlOf("/b/longer.gguf"), { onTaken }), ModelStoreError)).code,
      "taken",
    );
    assertEquals((await pull(store, server.urlOf("/b/longer.gguf"), { onTaken })).sha256, THIRD);
    const from = `${new URL(server.url).host}/a/one.gguf`;
    assertEquals(asked, [1, 2].map(() => ({ name: "Small-Q4", sha256: FIRST, from })));
    assertEquals(await meaning(store), THIRD);

    Deno.mkdirSync(`${store.dir}/y`);
    Deno.writeFileSync(`${store.dir}/y/Small-Q4.gguf`, TWO);
    const path = `${store.dir}/y/Small-Q4.gguf`;
    const error = await assertRejects(() => store.importFile(path), ModelStoreError);
    assertEquals([error.code, await meaning(store)], ["taken", THIRD]);
    assertEquals((await store.importFile(path, { replace: true })).sha256, SECOND);
  }));

Deno.test("names that differ in upper and lower case are one name", () =>
  withName(async (store, server) => {
    const { code } = await assertRejects(
      () => pull(store, server.urlOf("/b/two.gguf"), { name: "small-q4" }),
      ModelStoreError,
    );
    assertEquals(code, "taken");
    // The same model keeps its name as it is.
    assertEquals((await pull(store, server.urlOf("/a/one.gguf"), { name: "SMALL-Q4" })).name, "Small-Q4");
    assertEquals(
      (await pull(store, server.urlOf("/b/two.gguf"), { name: "small-q4", replace: true })).name,
      "Small-Q4",
    );
    assertEquals(store.files().filter((file) => file.endsWith("4.json")), ["manifests/Small-Q4.json"]);
    assertEquals((await store.find("small-Q4"))?.sha256, SECOND);
    assertEquals((await store.remove("small-q4")).name, "Small-Q4");
    assertEquals((await store.list()).models, []);
  }));

Deno.test("two pulls at once of a new name in two spellings end with one model and one refusal", () =>
  withName(async (store, server) => {
    const results = await Promise.allSettled([
      pull(store, server.urlOf("/a/two.gguf"), { name: "Fresh" }),
      pull(store, server.urlOf("/a/longer.gguf"), { name: "fresh" }),
    ]);
    assertEquals(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    assertEquals((await store.list()).models.length, 2);
  }));

Deno.test("gc keeps what lost its name to another model, says so, and removes it when told or a week later", () =>
  withName(async (store, server) => {
    await pull(store, server.urlOf("/b/two.gguf"), { replace: true });
    const { items, kept } = await store.gc();
    assertEquals(items, []);
    const [blob] = kept;
    assertEquals([kept.length, blob?.sha256, blob?.sizeBytes, blob?.formerName?.name], [
      1,
      FIRST,
      ONE.length,
      "Small-Q4",
    ]);
    assertEquals((await store.list()).loose.map(({ formerName }) => formerName?.name), ["Small-Q4"]);
    // Back to what it was: then it is the other one.
    await pull(store, server.urlOf("/a/one.gguf"), { replace: true });
    assertEquals((await store.gc({ dryRun: true })).kept.map(({ sha256 }) => sha256), [SECOND]);
    const dry = await store.gc({ dryRun: true, replaced: true });
    assertEquals(dry.items.map(({ kind, formerName }) => [kind, formerName?.name]), [["blob", "Small-Q4"]]);
    assert(store.files().includes(blobFile(SECOND)));
    assertEquals((await store.gc({ keepMs: 0 })).items.length, 1);
    assertEquals(store.files(), [blobFile(FIRST), "manifests/.former-names.ndjson", "manifests/Small-Q4.json"]);
    await store.remove("Small-Q4");
    await store.gc();
    assertEquals(store.files(), []);
  }));

Deno.test("gc keeps what a manifest that could not be read referred to, after it was written anew", () =>
  withName(async (store, server) => {
    await store.remove("Small-Q4");
    await pull(store, server.urlOf("/b/two.gguf"), { name: "other" });
    Deno.renameSync(`${store.root}/manifests/other.json`, `${store.root}/manifests/x`);
    Deno.writeTextFileSync(`${store.root}/manifests/Small-Q4.json`, `{"blob":"sha256:${SECOND}`);
    await pull(store, server.urlOf("/a/one.gguf"));
    assertEquals((await store.gc()).kept.map(({ sha256, formerName }) => [sha256, formerName?.name]), [[
      SECOND,
      "Small-Q4",
    ]]);
  }));

Deno.test("a journal that was cut or is somebody else's harms nothing", () =>
  withName(async (store, server) => {
    const journal = `${store.root}/manifests/.former-names.ndjson`;
    Deno.writeTextFileSync(
      journal,
      `nonsense\n{"name":"../x","blobs":[1],"ended_at":"now"}\n{"name":"old","blobs":["sha256:`,
    );
    assertEquals((await store.gc()).kept, []);
    assertEquals(store.files().includes("manifests/.former-names.ndjson"), false);
    Deno.writeTextFileSync(journal, `{"name":"cut`);
    await pull(store, server.urlOf("/b/two.gguf"), { replace: true });
    assertEquals((await store.gc()).kept.map(({ formerName }) => formerName?.name), ["Small-Q4"]);
  }));

Deno.test("a pull that came to nothing leaves nothing", () =>
  withName(async (store, server) => {
    server.next({ status: 404 });
    await assertRejects(() => pull(store, server.urlOf("/none.gguf"), { name: "none" }), ModelStoreError);
    assertEquals((await store.list()).unfinished, []);
    assertEquals(store.files().filter((file) => file.includes(".partial")), []);
    assert(!store.files().includes(partialFile(SECOND)));
  }));
