/** An engine that does not find what it needs: it asks for it, waits, and goes on or ends. */
import { assertEquals } from "@std/assert";
import { packagedFolder, platformPackage } from "../../src/libraries/library_files.ts";
import { packagesFolder } from "../../src/libraries/packages.ts";
import { DenoCacheWithout } from "../support/deno_cache.ts";
import { EngineChild, MODEL_PATH } from "./engine_child.ts";

const NAME = platformPackage(Deno.build.os, Deno.build.arch) ?? "";
const EMBEDDER = new URL("../../models/inferd-tiny-embed.gguf", import.meta.url).pathname;

Deno.test("engine asks for the package it lacks, and loads what it finds when it was told that it is here", async () => {
  const cacheDir = await Deno.makeTempDir();
  using cache = new DenoCacheWithout(/@node-llama-cpp/);
  try {
    await using engine = EngineChild.spawn({ DENO_DIR: cache.dir });
    await engine.load({ modelPath: EMBEDDER, accelerator: "cpu", cacheDir });
    const asked = await engine.until(({ type }) => type === "needs");
    assertEquals(asked, { type: "needs", need: { packages: [NAME] } } as unknown);
    await Deno.mkdir(`${packagesFolder(cacheDir)}/${NAME}/bins`, { recursive: true });
    await Deno.symlink(await packagedFolder(), `${packagesFolder(cacheDir)}/${NAME}/bins/${NAME}`);
    await engine.send({ op: "fetched" });
    await engine.until(({ type }) => type === "ready");
  } finally {
    await Deno.remove(cacheDir, { recursive: true });
  }
});

Deno.test("engine ends with the reason when the package it lacks cannot be had", async () => {
  using cache = new DenoCacheWithout(/@node-llama-cpp/);
  await using engine = EngineChild.spawn({ DENO_DIR: cache.dir });
  await engine.load({ accelerator: "cpu" });
  await engine.until(({ type }) => type === "needs");
  await engine.send({ op: "fetched", failure: "There is no network" });
  await engine.exit();
  assertEquals(engine.messages.at(-1), { type: "fatal", message: "There is no network" });
});

Deno.test("engine ends when the daemon goes while it waits for what it lacks", async () => {
  using cache = new DenoCacheWithout(/@node-llama-cpp/);
  await using engine = EngineChild.spawn({ DENO_DIR: cache.dir });
  await engine.load({ accelerator: "cpu" });
  await engine.until(({ type }) => type === "needs");
  await engine.closeInput();
  assertEquals((await engine.exit()).code, 0);
});

Deno.test("engine asks for the chat wrappers when the model has no template and they are not here", async () => {
  const dir = await Deno.makeTempDir();
  using cache = new DenoCacheWithout(/\/node-llama-cpp\//);
  try {
    const modelPath = `${dir}/without-template.gguf`;
    await Deno.writeFile(modelPath, withoutTemplate(Deno.readFileSync(MODEL_PATH)));
    await using engine = EngineChild.spawn({ DENO_DIR: cache.dir });
    await engine.load({ modelPath, accelerator: "cpu" });
    const asked = await engine.until(({ type }) => type === "needs");
    assertEquals(asked, { type: "needs", need: { chatWrappers: true } } as unknown);
    await engine.send({ op: "fetched", failure: "There is no network" });
    await engine.exit();
    assertEquals(engine.messages.at(-1), { type: "fatal", message: "There is no network" });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("engine asks for no chat wrappers when the model has a template", async () => {
  using cache = new DenoCacheWithout(/\/node-llama-cpp\//);
  await using engine = EngineChild.spawn({ DENO_DIR: cache.dir });
  await engine.load({ accelerator: "cpu" });
  await engine.until(({ type }) => type === "ready" || type === "needs");
  assertEquals(engine.messages.at(-1)?.type, "ready");
});

Deno.test("engine asks for what it lacks also when it is to look at a model", async () => {
  using cache = new DenoCacheWithout(/@node-llama-cpp/);
  await using engine = EngineChild.spawn({ DENO_DIR: cache.dir });
  await engine.send({ op: "inspect", modelPath: MODEL_PATH, accelerator: "cpu" });
  const asked = await engine.until(({ type }) => type === "needs");
  assertEquals(asked, { type: "needs", need: { packages: [NAME] } } as unknown);
  await engine.send({ op: "fetched", failure: "There is no network" });
  await engine.exit();
  assertEquals(engine.messages.at(-1), { type: "fatal", message: "There is no network" });
});

/** A model whose template has a name that nobody knows. */
function withoutTemplate(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const key = new TextEncoder().encode("tokenizer.chat_template");
  const at = bytes.findIndex((_, i) => key.every((byte, j) => bytes[i + j] === byte));
  assertEquals(at > 0, true);
  bytes[at] = "x".charCodeAt(0);
  return bytes;
}
