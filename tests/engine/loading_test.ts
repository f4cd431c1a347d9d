import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { EngineConfig } from "../../src/engine/ipc/messages.ts";
import { splitModel } from "../support/gguf_files.ts";
import { EngineChild, MODEL_PATH } from "./engine_child.ts";

/** What the engine says when it cannot load. */
async function fatal(config: Partial<EngineConfig>): Promise<string> {
  await using engine = EngineChild.spawn();
  await engine.load(config);
  assertEquals((await engine.exit()).code, 1);
  const fatals = engine.messages.filter((message) => message.type === "fatal");
  assertEquals(fatals.length, 1);
  assert(!engine.messages.some((message) => message.type === "ready"));
  return fatals[0]?.message ?? "";
}

/** A file that is not the model it should be. */
async function damaged(change: (model: Uint8Array) => Uint8Array): Promise<{ path: string } & Disposable> {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  await Deno.writeFile(path, change(await Deno.readFile(MODEL_PATH)));
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}

Deno.test("engine says that there is no file when the model is missing", async () => {
  const modelPath = `${MODEL_PATH}.not`;
  assertEquals(await fatal({ modelPath }), `Cannot load "${modelPath}": there is no such file`);
});

Deno.test("engine says that it is no file when the model is a directory", async () => {
  assertStringIncludes(await fatal({ modelPath: "/" }), 'Cannot load "/": it is');
});

Deno.test("engine says that it is not GGUF when the model is something else", async () => {
  using file = await damaged(() => new TextEncoder().encode("This is a text about a model."));
  assertEquals(await fatal({ modelPath: file.path }), `Cannot load "${file.path}": it is not a GGUF file`);
});

Deno.test("engine says that it is too short when the model is nearly empty", async () => {
  using file = await damaged((model) => model.slice(0, 6));
  assertStringIncludes(await fatal({ modelPath: file.path }), "too short");
});

for (const [what, share] of [["weights", 0.5], ["metadata", 0.002]] as const) {
  Deno.test(`engine says why when the model is cut within its ${what}`, async () => {
    using file = await damaged((model) => model.slice(0, Math.floor(model.length * share)));
    const message = await fatal({ modelPath: file.path });
    assertStringIncludes(message, `Cannot load "${file.path}": `);
    assert(message.length > `Cannot load "${file.path}": `.length + 10 && !message.includes("\n"), message);
  });
}

Deno.test("engine names the architecture when it does not know the model's", async () => {
  using file = await damaged((model) => {
    const name = new TextEncoder().encode("qwen2");
    const at = model.findIndex((_, i) => name.every((byte, j) => model[i + j] === byte));
    model.set(new TextEncoder().encode("qwenX"), at);
    return model;
  });
  assertStringIncludes(await fatal({ modelPath: file.path }), "qwenX");
});

Deno.test("engine says how much is missing when the context does not fit into memory", async () => {
  const message = await fatal({ contextTokens: 1_000_000_000 });
  assertStringIncludes(message, "not enough memory for a context of 1000000000 tokens");
  assertStringIncludes(message, "MiB");
});

Deno.test("engine lowers a context that was not asked for to what fits into memory, and says so", async () => {
  await using engine = await EngineChild.start({ memoryBytes: 8 * 1024 * 1024 });
  const warning = await engine.until((message) => message.type === "warning");
  const ready = await engine.until((message) => message.type === "ready");
  assert(warning.type === "warning" && ready.type === "ready");
  assertEquals([warning.msg, warning.fields.wanted, warning.fields.n_ctx], ["context_lowered", 1024, 768]);
  assertEquals(ready.contextTokens, 768);
});

Deno.test("engine refuses with numbers when a context that was asked for does not fit, or not even the weights", async () => {
  const small = await fatal({ memoryBytes: 8 * 1024 * 1024, contextTokens: 1024 });
  assertStringIncludes(
    small,
    "not enough memory for a context of 1024 tokens: it takes 3 MiB besides weights of 6 MiB",
  );
  const none = await fatal({ memoryBytes: 4 * 1024 * 1024 });
  assertStringIncludes(none, "its weights take 6 MiB, but only 4 MiB is available");
});

Deno.test("engine keeps the beginnings of prompts it was told to, and says which it cannot", async () => {
  const system = "You are a kind assistant who answers in one short sentence and never says more than is asked for.";
  await using engine = await EngineChild.start({ warm: [system, "long ".repeat(3000)], parallel: 1 });
  const warning = await engine.until((message) => message.type === "warning");
  assert(warning.type === "warning");
  assertEquals([warning.msg, warning.fields.index], ["warm_skipped", 1]);
  const ask = (question: string): ReturnType<EngineChild["answer"]> =>
    engine.answer([{ role: "system", content: system }, { role: "user", content: question }]);
  let { done } = await ask("hello");
  // It is decoded in a quiet moment; there is one between two requests, when the machine gives it.
  for (let attempt = 0; attempt < 100 && (done?.cached ?? 0) <= 15; attempt++) {
    await engine.answer("Something else, which takes the only slot there is.");
    ({ done } = await ask("hello"));
  }
  assert((done?.cached ?? 0) > 15, `${done?.cached} of ${done?.prompt} tokens`);
  await engine.answer("Something else again.");
  // It may not have been whole yet when it was found.
  const again = (await ask("What is the capital of France?")).done?.cached ?? 0;
  assert(again >= (done?.cached ?? 0), `${again} of ${done?.cached} tokens`);
});

Deno.test("engine takes the context and the threads it is given when they are configured", async () => {
  await using engine = await EngineChild.start({ contextTokens: 256, threads: 1, parallel: 2 });
  const ready = await engine.until((message) => message.type === "ready");
  assert(ready.type === "ready");
  assertEquals([ready.contextTokens, ready.threads, ready.parallel], [256, 1, 2]);
  const { error } = await engine.answer("word ".repeat(300));
  assertStringIncludes(error?.message ?? "", "may have 256");
  assertEquals((await engine.answer("What is 12 plus 7?")).text, "12 + 7 = 19.");
});

/** A model in several files, whose names say nothing. */
async function inParts(path: string): Promise<{ paths: string[] } & Disposable> {
  const parts = await splitModel(await Deno.readFile(path), 3);
  const paths = await Promise.all(parts.map(() => Deno.makeTempFile({ suffix: ".part" })));
  parts.forEach((part, index) => Deno.writeFileSync(paths[index] ?? "", part));
  return { paths, [Symbol.dispose]: () => paths.forEach((path) => Deno.removeSync(path)) };
}

Deno.test("engine loads a model in several files, whatever they are called", async () => {
  using model = await inParts(MODEL_PATH);
  const { paths: partPaths } = model;
  const modelPath = partPaths[0] ?? "";
  {
    await using engine = await EngineChild.start({ modelPath, partPaths });
    assertEquals((await engine.answer("What is 12 plus 7?")).text, "12 + 7 = 19.");
  }
  // All of them have to fit.
  assertStringIncludes(await fatal({ modelPath, partPaths, memoryBytes: 4 * 1024 * 1024 }), "its weights take 6 MiB");
  assertStringIncludes(
    await fatal({ modelPath, partPaths: partPaths.toReversed() }),
    `Cannot load "${partPaths[2]}": `,
  );
});

Deno.test("engine finds the head that ranks in whichever file of a model it is", async () => {
  using model = await inParts(MODEL_PATH.replace("inferd-tiny", "inferd-tiny-rerank"));
  await using engine = await EngineChild.start({ modelPath: model.paths[0] ?? "", partPaths: model.paths });
  const ready = await engine.until((message) => message.type === "ready");
  assert(ready.type === "ready" && ready.purpose === "rerank");
});
