/**
 * `/api/pull` with the official `ollama` package: a served model is there, a loading one is followed, others are refused
 * or, where the operator allows it, downloaded.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { Ollama } from "npm:ollama@0.6.4";
import { startHttp } from "../../src/http/server.ts";
import { BridgeUnderTest, placeOf } from "../support/bridges.ts";
import { DaemonUnderTest } from "../support/daemons.ts";
import { modelBytes, TempStore } from "../support/model_store.ts";
import type { Answer, ModelServer } from "../support/model_server.ts";
import { hubOf, pullStore } from "../support/pull_stores.ts";
import { StagedBackend } from "../support/staged_backend.ts";

Deno.test("ollama: pull of a served model is done at once, in a stream and without", async () => {
  await using bridge = await BridgeUnderTest.start();
  const client = new Ollama({ host: bridge.url });
  assertEquals((await client.pull({ model: "mock:latest" })).status, "success");
  const lines = await Array.fromAsync(await client.pull({ model: "mock", stream: true }));
  assertEquals(lines.map(({ status }) => status), ["pulling manifest", "success"]);
});

Deno.test("ollama: pull of any other model says what to do", async () => {
  await using bridge = await BridgeUnderTest.start();
  const client = new Ollama({ host: bridge.url });
  for (
    const [model, command] of [
      ["llama3", "hf:OWNER/REPO:QUANTISATION"],
      ["hf.co/owner/Some-GGUF:Q4_K_M", "hf:owner/Some-GGUF:Q4_K_M"],
      ["huggingface.co/owner/Some-GGUF:latest", "hf:owner/Some-GGUF"],
      ["hf:owner/Some-GGUF", "hf:owner/Some-GGUF"],
      // Nobody is told to paste this.
      ["hf.co/owner/$(reboot)", "hf:OWNER/REPO:QUANTISATION"],
    ] as const
  ) await assertRejects(() => client.pull({ model }), Error, `run "inferd pull ${command}"`);
});

Deno.test("ollama: pull of a model that the daemon is fetching follows the download to its end", async () => {
  const backend = new StagedBackend("staged");
  await using test = await DaemonUnderTest.start({}, { backends: [backend] });
  await backend.started;
  await using server = await startHttp({
    listen: { hostname: "127.0.0.1", port: 0 },
    daemon: placeOf(test.options),
    origins: [],
    aliases: {},
  });
  const lines = await new Ollama({ host: server.url }).pull({ model: "staged", stream: true });
  const seen: unknown[] = [];
  for await (const { status, completed, total } of lines) {
    seen.push([status, completed, total]);
    if (seen.length === 1) {
      const phase = { phase: "download", downloaded_bytes: 5, total_bytes: 10, source_url: "https://a" } as const;
      backend.tell({ type: "phase", phase });
    }
    if (seen.length === 2) backend.becomeReady();
  }
  assertEquals(seen, [
    ["pulling manifest", undefined, undefined],
    ["pulling staged", 5, 10],
    ["success", undefined, undefined],
  ]);
});

const MODEL = modelBytes(300_000);
const SHA256 = createHash("sha256").update(MODEL).digest("hex");
const NAME = "Some-Q4_K_M";
const REPOSITORY = "hf.co/owner/Some-GGUF";

function hub(...script: readonly Answer[]): ModelServer {
  return hubOf(`${NAME}.gguf`, MODEL, script);
}

/** A bridge whose clients may download. */
async function downloading(
  store: TempStore,
  server: ModelServer,
): Promise<{ readonly bridge: BridgeUnderTest; readonly client: Ollama }> {
  const bridge = await BridgeUnderTest.start({ http: { store: await pullStore(store, server) } });
  return { bridge, client: new Ollama({ host: bridge.url }) };
}

Deno.test("ollama: pull downloads a model with progress where clients may, and the lists have it", async () => {
  await using store = new TempStore();
  await using server = hub();
  const { bridge, client } = await downloading(store, server);
  await using _bridge = bridge;
  const lines = await Array.fromAsync(await client.pull({ model: `${REPOSITORY}:Q4_K_M`, stream: true }));
  assertEquals([...new Set(lines.map(({ status }) => status))], [
    "pulling manifest",
    `pulling ${NAME}`,
    "verifying sha256 digest",
    "writing manifest",
    "success",
  ]);
  const { digest, total, completed } = lines.findLast(({ status }) => status === `pulling ${NAME}`) ?? {};
  assertEquals([digest, total, completed], [`sha256:${SHA256}`, MODEL.length, MODEL.length]);
  const { models } = await client.list();
  assertEquals(models.map(({ name, size, digest }) => [name, size, digest]), [
    ["mock", 0, ""],
    [NAME, MODEL.length, SHA256],
  ]);
  assertEquals((await client.show({ model: NAME })).details.quantization_level, "Q4_K_M");
  // It is not served yet, and asking for it again finds it.
  await assertRejects(() => client.chat({ model: NAME, messages: [{ role: "user", content: "hi" }] }), Error, "exist");
  assertEquals((await client.pull({ model: REPOSITORY })).status, "success");
  assertEquals((await client.pull({ model: NAME })).status, "success");
  assertEquals(server.requests.filter(({ path }) => path.endsWith(".gguf")).length, 1);
});

Deno.test("ollama: two clients that pull the same model share a download, and one may leave", async () => {
  await using store = new TempStore();
  const { promise: more, resolve: goOn } = Promise.withResolvers<void>();
  await using server = hub({}, { pause: { after: 1000, until: more } });
  const { bridge, client } = await downloading(store, server);
  await using _bridge = bridge;
  const leaving = new Ollama({ host: bridge.url });
  const [first, second] = await Promise.all(
    [leaving, client].map((one) => one.pull({ model: REPOSITORY, stream: true })),
  );
  assert(first !== undefined && second !== undefined);
  // It never ends for the one that leaves, and the server may end it only then.
  const left = assertRejects(() => Array.fromAsync(first), DOMException);
  for await (const { status, completed } of second) {
    if (status === `pulling ${NAME}` && completed === 1000) {
      leaving.abort();
      await left;
      goOn();
    }
  }
  assertEquals(server.requests.filter(({ path }) => path.endsWith(".gguf")).length, 1);
  assertEquals((await store.find(NAME))?.sha256, SHA256);
});

Deno.test("ollama: a pull that its only client leaves stops, and the next one resumes it", async () => {
  await using store = new TempStore();
  await using server = hub({}, { stallAfter: 1000 });
  const { bridge, client } = await downloading(store, server);
  await using _bridge = bridge;
  const lines = await client.pull({ model: REPOSITORY, stream: true });
  await assertRejects(async () => {
    for await (const { completed } of lines) if (completed === 1000) client.abort();
  }, DOMException);
  await new Ollama({ host: bridge.url }).pull({ model: REPOSITORY });
  const { requests } = server;
  assertEquals(
    requests.filter(({ path }) => path.endsWith(".gguf")).map(({ headers }) => headers.get("range")),
    [null, "bytes=1000-"],
  );
  assertEquals((await store.find(NAME))?.sha256, SHA256);
});

Deno.test("ollama: a pull that runs does not hold up the end of the server, and is told why it ends", async () => {
  await using store = new TempStore();
  await using server = hub({}, { stallAfter: 1000 });
  const { bridge, client } = await downloading(store, server);

  await using _bridge = bridge;
  await assertRejects(
    async () => {
      for await (const { completed } of await client.pull({ model: REPOSITORY, stream: true })) {
        if (completed === 1000) void bridge.drain();
      }
    },
    Error,
    "the next download resumes",
  );
});

Deno.test("ollama: a pull that cannot be is refused with its reason, and takes no name from another model", async () => {
  await using store = new TempStore();
  await using server = hub();
  const other = `${store.dir}/other.gguf`;
  await Deno.writeFile(other, modelBytes(1000, 2));
  await store.importFile(other, { name: NAME });
  const { bridge } = await downloading(store, server);
  await using _bridge = bridge;
  for (
    const [model, status, reason] of [
      [REPOSITORY, 400, "refers to another model"],
      [`${REPOSITORY}:Q2_K`, 404, 'has no quantisation "Q2_K"'],
      ["hf.co/owner/Other-GGUF/x.gguf", 404, "answers 404"],
      ["llama3", 404, "Ollama's library is not known here"],
      ["https://elsewhere.example/x.gguf", 404, "Ollama's library is not known here"],
      ["../x", 404, "Ollama's library is not known here"],
    ] as const
  ) {
    const answer = await bridge.post("/api/pull", { model, stream: false });
    assertEquals([model, answer.status], [model, status]);
    assert(String(answer.json.error).includes(reason), answer.text);
  }
  assertEquals((await store.list()).models.map(({ name, sizeBytes }) => [name, sizeBytes]), [[NAME, 1000]]);
});
