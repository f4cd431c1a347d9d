/** A daemon that fetches the model it serves: what it reads, says and holds. */
import { assertEquals, assertRejects } from "@std/assert";
import type { LlamaBackendConfig } from "../../src/config/options.ts";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { ModelStoreError, Store } from "../../src/models/store.ts";
import { DaemonUnderTest, until } from "../support/daemons.ts";
import { ModelServer } from "../support/model_server.ts";

const { sha256, url: file, bytes } = BUILT_INS["inferd-tiny-rerank"];
const MODEL = Deno.readFileSync(file);

function backend(modelsHome: string, url: string): LlamaBackendConfig {
  const modelPath = new Store(modelsHome).blobPath(sha256);
  const source = { url, sizeBytes: bytes };
  return { kind: "llamacpp", name: "r", modelName: "tiny", modelPath, modelSha256: sha256, source };
}

/** What the admin stream says until the daemon is ready. */
async function boot(modelsHome: string, url: string): Promise<string[]> {
  await using test = await DaemonUnderTest.start({ modelsHome, backends: [backend(modelsHome, url)] });
  using admin = await test.admin();
  const said = await until(admin, "ready");
  await test.daemon.ready;
  await assertRejects(() => new Store(modelsHome).remove("tiny"), ModelStoreError, "in use");
  return said;
}

Deno.test("a daemon hashes a model once: on its way here, or when it is loaded", async () => {
  const modelsHome = await Deno.makeTempDir({ prefix: "inferd-models-" });
  await using server = new ModelServer(MODEL);
  try {
    const verifies = (said: readonly string[]): number => said.filter((what) => what === "loading_model verify").length;
    const first = await boot(modelsHome, server.url);
    assertEquals([verifies(first), first.includes("loading_model download")], [1, true]);
    const second = await boot(modelsHome, server.url);
    assertEquals([verifies(second), second.includes("loading_model download")], [1, false]);
    assertEquals(server.requests.length, 1);
  } finally {
    await Deno.remove(modelsHome, { recursive: true });
  }
});

Deno.test("a daemon does not start with what a server sends instead of the model, and keeps it aside", async () => {
  const modelsHome = await Deno.makeTempDir({ prefix: "inferd-models-" });
  const wrong = MODEL.slice();
  wrong[wrong.length - 1] = ~(wrong.at(-1) ?? 0);
  await using server = new ModelServer(wrong);
  try {
    await using test = await DaemonUnderTest.start({ modelsHome, backends: [backend(modelsHome, server.url)] });
    using admin = await test.admin();
    const error = await assertRejects(() => test.daemon.ready, ModelStoreError);
    assertEquals(error.code, "mismatch");
    assertEquals((await until(admin, "loading_model quarantine")).includes("ready"), false);
    assertEquals([...Deno.readDirSync(`${modelsHome}/locks/quarantine`)].length, 1);
  } finally {
    await Deno.remove(modelsHome, { recursive: true });
  }
});
