/** `Store.pull` against a server that cuts, lies, stalls and changes its file. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { LoadPhase } from "@inferd/client/protocol";
import { isSafeRedirect } from "../../src/models/transfer/transfer.ts";
import { ensureDir, removeEmptyDir } from "../../src/models/store/store_files.ts";
import { ModelStoreError, type PullOptions, type PullRetry, type PullSpec } from "../../src/models/store.ts";
import { type Answer, ModelServer } from "../support/model_server.ts";
import { blobFile, modelBytes, partialFile, sha256Of, TempStore } from "../support/model_store.ts";

const NAME = "tiny";
/** More than two buffers, and no whole number of them. */
const CONTENT = modelBytes(2_500_003);
const SHA256 = await sha256Of(CONTENT);
/** More than one buffer. */
const CUT = 1_500_000;

interface Site {
  readonly server: ModelServer;
  readonly store: TempStore;
  /** Pulls the server's file. */
  pull(spec?: Partial<PullSpec>, options?: PullOptions): ReturnType<TempStore["pull"]>;
  /** Fails to, with this code; the message. */
  assertFails(code: string, spec?: Partial<PullSpec>, options?: PullOptions): Promise<string>;
}

async function withSite(script: readonly Answer[], work: (site: Site) => Promise<void>): Promise<void> {
  await using server = new ModelServer(CONTENT, script);
  await using store = new TempStore();
  const pull: Site["pull"] = (spec = {}, options = {}) =>
    store.pull({ name: NAME, url: server.url, sha256: SHA256, ...spec }, { backoffMs: 1, ...options });
  const assertFails: Site["assertFails"] = async (code, spec, options) => {
    const error = await assertRejects(() => pull(spec, options), ModelStoreError);
    assertStrictEquals(error.code, code, error.message);
    assert(!error.message.includes("\n"));
    assertEquals(
      store.files().filter((file) => file.endsWith("/data") || file.endsWith(".json")).filter((file) =>
        !file.endsWith("state.json")
      ),
      [],
    );
    return error.message;
  };
  await work({ server, store, pull, assertFails });
}

function assertPulled(store: TempStore): void {
  assertEquals(Deno.readFileSync(store.blobPath(SHA256)), CONTENT);
  assertEquals(store.files(), [blobFile(SHA256), `manifests/${NAME}.json`]);
}

Deno.test("pull puts the blob and a manifest in place when the server has the file", () =>
  withSite([], async ({ server, store, pull }) => {
    const phases: LoadPhase[] = [];
    const pulled = await pull({ license: "MIT" }, { onPhase: (phase) => phases.push(phase) });
    assertPulled(store);
    const { parts: [part, ...others], ...rest } = pulled;
    assertEquals([part?.sha256, part?.sizeBytes, part?.path, others], [SHA256, CONTENT.length, pulled.path, []]);
    assertEquals(rest, {
      name: NAME,
      sha256: SHA256,
      sizeBytes: CONTENT.length,
      path: store.blobPath(SHA256),
      downloadedBytes: CONTENT.length,
    });
    const info = Deno.statSync(pulled.path);
    assertEquals([part?.verified?.ino, part?.verified?.ctimeMs], [info.ino, info.ctime?.getTime()]);
    const { produced_at, ...manifest } = JSON.parse(Deno.readTextFileSync(`${store.root}/manifests/${NAME}.json`));
    assert(/^\d{4}-.*Z$/.test(produced_at));
    assertEquals(manifest, {
      schema_version: 1,
      name: NAME,
      format: "gguf",
      blob: `sha256:${SHA256}`,
      size_bytes: CONTENT.length,
      license: "MIT",
      source: { registry: new URL(server.url).host, repo: "files", revision: null, filename: "model.gguf" },
      produced_by: "inferd/test",
    });
    const download = (downloaded_bytes: number, total_bytes: number | null): LoadPhase => ({
      phase: "download",
      downloaded_bytes,
      total_bytes,
      source_url: server.url,
    });
    assertEquals(phases, [
      download(0, null),
      download(CONTENT.length, CONTENT.length),
      { phase: "verify", path: `${store.root}/${partialFile(SHA256)}` },
    ]);
  }));

Deno.test("pull asks no server when the blob is there and right", () =>
  withSite([], async ({ server, store, pull }) => {
    await pull();
    const again = await pull({ name: "other" });
    assertEquals([again.downloadedBytes, server.requests.length], [0, 1]);
    assert(again.parts[0]?.verified !== undefined);
    const sized = await pull({ sizeBytes: CONTENT.length }, { check: "size" });
    assertStrictEquals(sized.parts[0]?.verified, undefined);
    assertEquals(store.files(), [blobFile(SHA256), "manifests/other.json", `manifests/${NAME}.json`]);
  }));

Deno.test("pull replaces a blob when that is not what its place says", () =>
  withSite([], async ({ store, pull }) => {
    for (const wrong of [new Uint8Array(0), CONTENT.subarray(0, 1000), modelBytes(CONTENT.length, 2)]) {
      await pull();
      Deno.writeFileSync(store.blobPath(SHA256), wrong);
      const phases: string[] = [];
      await pull({}, { onPhase: ({ phase }) => phases.push(phase) });
      assert(phases.includes("quarantine"));
      assertEquals(Deno.readFileSync(store.blobPath(SHA256)), CONTENT);
    }
    assertEquals(store.files().filter((file) => file.startsWith("locks/quarantine/")).length, 3);
    Deno.writeFileSync(store.blobPath(SHA256), new Uint8Array(0));
    assertEquals((await store.find(NAME))?.present, false);
    // By size alone where that is known.
    await pull({}, { check: "size" });
    assertEquals(Deno.readFileSync(store.blobPath(SHA256)), CONTENT);
  }));

Deno.test("pull goes on where the connection was cut", () =>
  withSite([{ cutAfter: CUT }, { cutAfter: 10 }, { hangUp: true }], async ({ server, store, pull }) => {
    const retries: PullRetry[] = [];
    const pulled = await pull({}, { onRetry: (retry) => retries.push(retry) });
    assertPulled(store);
    assertEquals(server.ranges, [null, `bytes=${CUT}-`, `bytes=${CUT + 10}-`, `bytes=${CUT + 10}-`]);
    assertEquals(server.requests[1]?.headers.get("if-range"), '"v1"');
    assertEquals(pulled.downloadedBytes, CONTENT.length);
    assertEquals(retries.map(({ attempt, delayMs }) => [attempt, delayMs]), [[1, 1], [2, 2], [3, 4]]);
  }));

Deno.test("pull goes on in another run when one was cancelled", () =>
  withSite([{ stallAfter: CUT }], async ({ server, store, pull }) => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const onStage = (): void => abort.abort(reason);
    const error = await assertRejects(() => pull({}, { signal: abort.signal, onStage }));
    assertStrictEquals(error, reason);
    const kept = Deno.statSync(`${store.root}/${partialFile(SHA256)}`).size;
    assert(kept > 0);
    assertEquals((await store.list()).unfinished, [{
      path: `${store.root}/${partialFile(SHA256)}`,
      sizeBytes: kept,
      name: NAME,
      totalBytes: CONTENT.length,
    }]);
    const phases: LoadPhase[] = [];
    const pulled = await pull({}, { onPhase: (phase) => phases.push(phase) });
    assertPulled(store);
    assertEquals(server.ranges, [null, `bytes=${kept}-`]);
    assertEquals(pulled.downloadedBytes, CONTENT.length - kept);
    assertEquals(phases[0], { phase: "checking_local", path: `${store.root}/${partialFile(SHA256)}` });
    assertEquals(phases[1]?.phase === "download" && phases[1].downloaded_bytes, kept);
  }));

/** What a server does after it cut the first connection; whether it was asked for the rest, and then for everything. */
const START_OVER: readonly [string, readonly Answer[], { readonly asked: boolean; readonly again: boolean }][] = [
  ["ignores ranges", [{ cutAfter: CUT }, { ignoreRange: true }], { asked: true, again: false }],
  [
    "has another version",
    [{ cutAfter: CUT, content: modelBytes(CONTENT.length, 9) }, { content: CONTENT, etag: '"v2"' }],
    { asked: true, again: false },
  ],
  [
    "says another version in its partial answer",
    [{ cutAfter: CUT }, { headers: { etag: '"v2"' } }],
    { asked: true, again: true },
  ],
  ["answers 416", [{ cutAfter: CUT }, { status: 416 }], { asked: true, again: true }],
  [
    "sends another part than asked for",
    [{ cutAfter: CUT }, { headers: { "content-range": `bytes 0-${CONTENT.length - 1}/${CONTENT.length}` } }],
    { asked: true, again: true },
  ],
  [
    "sends a part without saying which",
    [{ cutAfter: CUT }, { headers: { "content-range": null } }],
    { asked: true, again: true },
  ],
  [
    "sends a part of something longer",
    [{ cutAfter: CUT }, { headers: { "content-range": `bytes ${CUT}-${CONTENT.length}/${CONTENT.length + 1}` } }],
    { asked: true, again: true },
  ],
  ["names no version", [{ cutAfter: CUT, etag: null }], { asked: false, again: false }],
  ["names a weak version", [{ cutAfter: CUT, etag: 'W/"v1"' }], { asked: false, again: false }],
];

for (const [what, script, { asked, again }] of START_OVER) {
  Deno.test(`pull starts over when the server ${what}`, () =>
    withSite(script, async ({ server, store, pull }) => {
      await pull();
      assertPulled(store);
      assertEquals(server.ranges, [null, asked ? `bytes=${CUT}-` : null, ...(again ? [null] : [])]);
    }));
}

Deno.test("pull gives up when the server answers with the wrong part each time", () =>
  withSite([{ status: 206, body: "GGUF" }, { status: 206, body: "GGUF" }], async ({ assertFails }) => {
    await assertFails("http");
  }));

Deno.test("pull gives up after five more tries when every connection breaks", () =>
  withSite(Array<Answer>(6).fill({ hangUp: true }), async ({ server, assertFails }) => {
    const message = await assertFails("connection");
    assert(message.endsWith("(tried 6 times)"), message);
    assertEquals(server.requests.length, 6);
  }));

for (const status of [429, 500, 503]) {
  Deno.test(`pull tries again when the server answers ${status}`, () =>
    withSite([{ status }, { status }], async ({ server, store, pull }) => {
      await pull();
      assertPulled(store);
      assertEquals(server.requests.length, 3);
    }));
}

for (const status of [401, 403, 404, 410]) {
  Deno.test(`pull does not try again when the server answers ${status}`, () =>
    withSite([{ status }], async ({ server, assertFails }) => {
      assert((await assertFails("http")).includes(`the server answers ${status}`));
      assertEquals(server.requests.length, 1);
    }));
}

Deno.test("pull waits as long as the server asks, but no more than a minute", () =>
  withSite([{ status: 503, headers: { "retry-after": "7" } }], async ({ server, pull }) => {
    for (const [given, waited] of [["7", 7000], ["86400", 60_000], ["nonsense", 1]] as const) {
      const abort = new AbortController();
      let delayMs = 0;
      if (given !== "7") server.next({ status: 503, headers: { "retry-after": given } });
      await assertRejects(() =>
        pull({}, {
          signal: abort.signal,
          onRetry: (retry) => {
            delayMs = retry.delayMs;
            abort.abort();
          },
        })
      );
      assertEquals(delayMs, waited);
    }
  }));

Deno.test("pull tries again when no byte comes", () =>
  withSite([{ stallAfter: 0 }, { stallAfter: CUT }], async ({ server, store, pull }) => {
    const reasons: string[] = [];
    await pull({}, { stallMs: 200, onRetry: ({ reason }) => reasons.push(reason) });
    assertPulled(store);
    assertEquals(reasons, ["no data received for 0.2 s", "no data received for 0.2 s"]);
    assertEquals(server.ranges.at(-1), `bytes=${CUT}-`);
  }));

Deno.test("pull quarantines what came when its hash is another", () =>
  withSite([{ content: modelBytes(5000, 3) }], async ({ store, assertFails }) => {
    const actual = await sha256Of(modelBytes(5000, 3));
    const phases: LoadPhase[] = [];
    const message = await assertFails("mismatch", {}, { onPhase: (phase) => phases.push(phase) });
    const phase = phases.at(-1);
    assert(phase?.phase === "quarantine");
    assertEquals([phase.expected_sha256, phase.actual_sha256], [SHA256, actual]);
    assert(/\/locks\/quarantine\/\d{8}T\d{6}\.\d{3}Z-sha-mismatch\.bin$/.test(phase.quarantine_path));
    assertEquals(Deno.readFileSync(phase.quarantine_path), modelBytes(5000, 3));
    assert(message.includes(SHA256) && message.includes(actual) && message.includes(phase.quarantine_path));
    assertEquals(store.files(), [phase.quarantine_path.slice(store.root.length + 1)]);
  }));

Deno.test("pull finds out by the hash when the beginning that was there is wrong, and the next one succeeds", () =>
  withSite([{ stallAfter: CUT }], async ({ store, pull, assertFails }) => {
    const abort = new AbortController();
    await assertRejects(() => pull({}, { signal: abort.signal, onStage: () => abort.abort() }));
    const path = `${store.root}/${partialFile(SHA256)}`;
    const bytes = Deno.readFileSync(path);
    assert(bytes.length > 1100);
    bytes.fill(0, 1000, 1100);
    Deno.writeFileSync(path, bytes);
    await assertFails("mismatch");
    await pull();
    assertEquals(Deno.readFileSync(store.blobPath(SHA256)), CONTENT);
  }));

Deno.test("pull refuses what is longer or shorter than it should be", async () => {
  const size = CONTENT.length;
  for (const sizeBytes of [size - 1, size + 1]) {
    await withSite([], async ({ store, assertFails }) => {
      await assertFails("size", { sizeBytes });
      assertEquals(store.files(), []);
    });
    // Nobody says how long it is before it has come.
    await withSite([{ chunked: true }], async ({ store, assertFails }) => {
      await assertFails("size", { sizeBytes });
      assertEquals(store.files(), []);
    });
  }
  await withSite([], async ({ pull }) => {
    await pull();
    const error = await assertRejects(() => pull({ sizeBytes: size + 1 }), ModelStoreError);
    assertEquals(error.code, "size");
  });
});

Deno.test("pull takes the file when the server does not say how long it is", () =>
  withSite([{ chunked: true }], async ({ store, pull }) => {
    await pull({ sizeBytes: CONTENT.length });
    assertPulled(store);
  }));

Deno.test("pull tries again when the server promises more than it sends", () =>
  withSite([{ headers: { "content-length": String(CONTENT.length + 5) } }], async ({ server, store, pull }) => {
    await pull();
    assertPulled(store);
    // The rest is asked for, and there is none: so the promise was wrong, and the file is whole.
    assertEquals(server.ranges, [null, `bytes=${CONTENT.length}-`]);
  }));

Deno.test("pull refuses what is no GGUF file", () =>
  withSite([{ status: 200, body: "<html>Please log in</html>" }], async ({ store, assertFails }) => {
    await assertFails("not_gguf");
    assertEquals(store.files(), []);
  }));

Deno.test("pull follows redirects, each with its own check", () =>
  withSite([{ status: 302, headers: { location: "/elsewhere?signed=1" } }], async ({ server, store, pull }) => {
    await pull();
    assertPulled(store);
    assertEquals(server.requests.map(({ path }) => path), ["/files/model.gguf", "/elsewhere?signed=1"]);
    assert(!Deno.readTextFileSync(`${store.root}/manifests/${NAME}.json`).includes("signed"));
  }));

Deno.test("pull refuses a redirect to plain http, to nowhere and without an end", async () => {
  const redirect = (location: string | null): Answer => ({ status: 301, headers: { location } });
  await withSite([redirect("http://example.com/model.gguf")], async ({ assertFails }) => {
    await assertFails("insecure");
  });
  await withSite([redirect(null)], async ({ assertFails }) => {
    await assertFails("redirect");
  });
  await withSite([redirect("ftp://127.0.0.1/model.gguf")], async ({ assertFails }) => {
    await assertFails("insecure");
  });
  await withSite(Array<Answer>(11).fill(redirect("/again")), async ({ server, assertFails }) => {
    await assertFails("redirect");
    assertEquals(server.requests.length, 11);
  });
});

Deno.test("isSafeRedirect never leaves https for http", () => {
  const safe = (from: string, to: string): boolean => isSafeRedirect(new URL(from), new URL(to));
  assert(safe("https://one.example", "https://other.example"));
  assert(safe("http://127.0.0.1:1", "https://other.example"));
  assert(safe("http://127.0.0.1:1", "http://localhost:2"));
  assert(!safe("https://one.example", "http://127.0.0.1:2"));
  assert(!safe("https://one.example", "http://one.example"));
  assert(!safe("http://127.0.0.1:1", "http://one.example"));
});

Deno.test("pull takes whatever comes when no hash is given", () =>
  withSite([{ cutAfter: CUT }], async ({ server, store, pull }) => {
    const pulled = await pull({ sha256: undefined });
    assertEquals(pulled.sha256, SHA256);
    assertPulled(store);
    assertEquals(server.ranges, [null, `bytes=${CUT}-`]);
    // The next time it has to be fetched to know, and is found to be there.
    const inode = Deno.statSync(pulled.path).ino;
    await pull({ sha256: undefined, name: "again" });
    assertEquals(Deno.statSync(pulled.path).ino, inode);
    assertEquals(store.files().filter((file) => file.startsWith("blobs/")), [blobFile(SHA256)]);
  }));

Deno.test("pull holds what comes against the hash that the server named", () =>
  withSite([{ headers: { "x-linked-etag": `"${"0".repeat(64)}"` } }], async ({ assertFails }) => {
    await assertFails("mismatch", { sha256: undefined });
  }));

Deno.test("pull says what is wrong when it cannot even begin", () =>
  withSite([], async ({ server, assertFails }) => {
    await assertFails("bad_name", { name: "../up" });
    await assertFails("bad_name", { sha256: "abc" });
    await assertFails("bad_reference", { url: "nowhere" });
    await assertFails("insecure", { url: "http://example.com/model.gguf" });
    assertEquals(server.requests, []);
  }));

Deno.test("pull tells that it waits when another one pulls the same name", () =>
  withSite([{ stallAfter: CUT }], async ({ server, store, pull }) => {
    const abort = new AbortController();
    const first = pull({}, { signal: abort.signal });
    const failed = assertRejects(() => first);
    await server.seen(1);
    let waits = 0;
    const onWait = (): void => {
      waits++;
      abort.abort();
    };
    await pull({}, { onWait });
    await failed;
    assertEquals(waits, 1);
    assertPulled(store);
  }));

Deno.test("pulls of the same model under several names end with one blob and one download", () =>
  withSite([], async ({ server, store, pull }) => {
    const names = ["a", "b", "c", "d"];
    await Promise.all(names.map((name) => pull({ name })));
    assertEquals(store.files(), [blobFile(SHA256), ...names.map((name) => `manifests/${name}.json`)]);
    assertEquals(server.requests.length, 1);
  }));

Deno.test("a pull that is done removes nothing of one that has begun in its place", () =>
  withSite([], async ({ store, pull }) => {
    // Without a hash the partial is that of the URL, which the first leaves when it has moved its blob.
    const begun = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    let second: Promise<unknown> = Promise.resolve();
    await pull({ sha256: undefined }, {
      onStage: async (stage) => {
        if (stage !== "renamed") return;
        second = pull({ name: "other", sha256: undefined }, {
          onStage: async (stage) => {
            if (stage !== "partial") return;
            begun.resolve();
            await done.promise;
          },
        });
        await begun.promise;
      },
    });
    const isLeft = store.files().some((file) => file.endsWith("/data.tmp"));
    done.resolve();
    await second;
    assert(isLeft);
    assertEquals(store.files(), [blobFile(SHA256), "manifests/other.json", `manifests/${NAME}.json`]);
  }));

Deno.test("a folder is there though it is removed again and again while it is made", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/a/b/c`;
  let ended = false;
  const remove = async (): Promise<void> => {
    while (!ended) for (const one of [path, `${dir}/a/b`, `${dir}/a`]) await removeEmptyDir(one);
  };
  const removing = [remove(), remove()];
  for (let count = 0; count < 2000; count++) await ensureDir(path);
  ended = true;
  await Promise.all(removing);
  await ensureDir(path);
  assert((await Deno.stat(path)).isDirectory);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("pull leaves a manifest of another program as it is when it names the same blob", () =>
  withSite([], async ({ store, pull }) => {
    await pull();
    const path = `${store.root}/manifests/${NAME}.json`;
    const foreign = JSON.stringify({ schema_version: 3, blob: `sha256:${SHA256}`, mine: { deep: true } });
    Deno.writeTextFileSync(path, foreign);
    await pull();
    assertEquals(Deno.readTextFileSync(path), foreign);
    Deno.writeTextFileSync(path, "{ broken");
    await pull();
    assertEquals((await store.find(NAME))?.present, true);
  }));
