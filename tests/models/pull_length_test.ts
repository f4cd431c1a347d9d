/** Files of which no server says how long they are: whole is what holds all of its tensors. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ModelStoreError, type PullSpec, type StoredBlob } from "../../src/models/store.ts";
import { headOfFile } from "../../bench/gguf.ts";
import { type Answer, ModelServer } from "../support/model_server.ts";
import { modelBytes, sha256Of, TempStore } from "../support/model_store.ts";

/** A whole number of alignments, so that nothing but its tensors is in it. */
const CONTENT = modelBytes(2_500_000);
const SHA256 = await sha256Of(CONTENT);
const CUT = 2_000_000;

interface Site {
  readonly server: ModelServer;
  readonly store: TempStore;
  pull(spec?: Partial<PullSpec>): Promise<StoredBlob>;
}

async function withSite(
  content: Uint8Array<ArrayBuffer>,
  script: readonly Answer[],
  work: (site: Site) => Promise<void>,
): Promise<void> {
  await using server = new ModelServer(content, script);
  await using store = new TempStore();
  const pull = (spec: Partial<PullSpec> = {}): Promise<StoredBlob> =>
    store.pull({ name: "m", url: server.url, ...spec }, { backoffMs: 1 });
  await work({ server, store, pull });
}

for (const sha256 of [undefined, SHA256]) {
  const known = sha256 === undefined ? "no hash" : "the hash";
  for (const how of [{ untilClose: true }, { chunked: true }] as const) {
    const way = "chunked" in how ? "chunked" : "until the connection closes";
    Deno.test(`pull takes a file that comes ${way}, with ${known} given`, () =>
      withSite(CONTENT, [how], async ({ server, store, pull }) => {
        const pulled = await pull({ sha256 });
        assertEquals([pulled.sha256, pulled.sizeBytes], [SHA256, CONTENT.length]);
        assertEquals(Deno.readFileSync(store.blobPath(SHA256)), CONTENT);
        assertEquals(server.requests.length, 1);
      }));
  }

  Deno.test(`pull goes on when a body without a length ends early, with ${known} given`, () =>
    withSite(CONTENT, [{ untilClose: true, cutAfter: CUT }], async ({ server, store, pull }) => {
      await pull({ sha256 });
      assertEquals(Deno.readFileSync(store.blobPath(SHA256)), CONTENT);
      assertEquals(server.ranges, [null, `bytes=${CUT}-`]);
    }));

  Deno.test(`pull gives up when every body without a length ends early, with ${known} given`, () =>
    withSite(
      CONTENT,
      Array<Answer>(6).fill({ untilClose: true, cutAfter: CUT, etag: null }),
      async ({ server, store, pull }) => {
        const error = await assertRejects(() => pull({ sha256 }), ModelStoreError);
        assertEquals(error.code, "connection");
        assert(error.message.includes(`ended after ${CUT} of ${CONTENT.length} bytes (tried 6 times)`), error.message);
        assertEquals([server.requests.length, (await store.list()).models], [6, []]);
      },
    ));
}

Deno.test("pull goes on when a body without a length ends within the header", () =>
  withSite(CONTENT, [{ untilClose: true, cutAfter: 60 }], async ({ server, pull }) => {
    assertEquals((await pull()).sha256, SHA256);
    assertEquals(server.ranges, [null, "bytes=60-"]);
  }));

Deno.test("pull ends well when a partial is whole and nobody knew", async (test) => {
  for (
    const [what, last] of [["says how long the file is", {}], ["says nothing", {
      headers: { "content-range": null },
    }]] as const
  ) {
    await test.step(`and the server ${what}`, () =>
      // All of it came, and then the connection broke before its end: the rest is asked for.
      withSite(CONTENT, [{ chunked: true, stallAfter: CONTENT.length }, last], async ({ server, store, pull }) => {
        const stalled = store.pull({ name: "m", url: server.url }, { backoffMs: 1, stallMs: 300 });
        assertEquals((await stalled).sha256, SHA256);
        assertEquals(server.ranges, [null, `bytes=${CONTENT.length}-`]);
        assertEquals((await pull()).sha256, SHA256);
      }));
  }
});

Deno.test("pull starts over when a server says that there is less than came", () =>
  withSite(
    CONTENT,
    [{ chunked: true, cutAfter: CUT, content: modelBytes(3_000_000, 4) }, {
      status: 416,
      headers: { "content-range": "bytes */1000" },
    }, { content: CONTENT }],
    async ({ server, pull }) => {
      assertEquals((await pull()).sha256, SHA256);
      assertEquals(server.ranges, [null, `bytes=${CUT}-`, null]);
    },
  ));

Deno.test("pull takes a part of which the server does not say the whole", () =>
  withSite(
    CONTENT,
    [{ chunked: true, cutAfter: CUT }, { headers: { "content-range": `bytes ${CUT}-${CONTENT.length - 1}/*` } }],
    async ({ server, pull }) => {
      assertEquals((await pull()).sha256, SHA256);
      assertEquals(server.ranges, [null, `bytes=${CUT}-`]);
    },
  ));

Deno.test("pull refuses a body that goes on behind its model, before all of it has come", () => {
  const endless = new Uint8Array([...CONTENT, ...new Uint8Array(30_000_000)]);
  return withSite(endless, [{ chunked: true }], async ({ store, pull }) => {
    const error = await assertRejects(() => pull(), ModelStoreError);
    assertEquals([error.code, store.files()], ["size", []]);
    assert(error.message.includes("sends more than the"), error.message);
  });
});

Deno.test("pull refuses a file without a length whose header claims more than any model has", () => {
  const endless = new Uint8Array(30_000_000);
  endless.set(headOfFile(2 ** 40));
  return withSite(endless, [{ chunked: true }], async ({ store, pull }) => {
    const error = await assertRejects(() => pull(), ModelStoreError);
    assertEquals([error.code, store.files()], ["size", []]);
    assert(error.message.includes("its header claims 1099511627776 bytes"), error.message);
  });
});

Deno.test("pull asks for a hash when only padding may be missing", () => {
  const unpadded = modelBytes(2_500_003);
  return withSite(unpadded, [{ untilClose: true }, { untilClose: true }], async ({ pull }) => {
    const error = await assertRejects(() => pull(), ModelStoreError);
    assertEquals(error.code, "size");
    assert(error.message.includes("the last 29 bytes may be missing; give its SHA-256 (--sha256)"), error.message);
    await pull({ sha256: await sha256Of(unpadded) });
  });
});

Deno.test("pull refuses what is cut on the server, damaged, or no model, whatever the server says of its length", async () => {
  const empty = new Uint8Array([0x47, 0x47, 0x55, 0x46, 3, ...new Uint8Array(19)]);
  const damaged = CONTENT.slice();
  damaged[16] = 200;
  const html = new TextEncoder().encode("<html>Please log in</html>");
  for (
    const [content, code, message] of [
      [CONTENT.subarray(0, CUT), "cut", `it is truncated: ${CUT} of its ${CONTENT.length} bytes are there`],
      [damaged, "damaged", "it is damaged: "],
      [empty, "damaged", "it has no tensors, only metadata"],
      [html, "not_gguf", "the server does not send a GGUF file"],
    ] as const
  ) {
    await withSite(new Uint8Array(content), [], async ({ store, pull }) => {
      const error = await assertRejects(() => pull(), ModelStoreError);
      assertEquals([error.code, store.files()], [code, []], error.message);
      assert(error.message.includes(message), error.message);
    });
  }
});
