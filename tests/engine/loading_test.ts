import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { EngineConfig } from "../../src/engine/messages.ts";
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

Deno.test("engine takes the context and the threads it is given when they are configured", async () => {
  await using engine = await EngineChild.start({ contextTokens: 256, threads: 1, parallel: 2 });
  const ready = await engine.until((message) => message.type === "ready");
  assert(ready.type === "ready");
  assertEquals([ready.contextTokens, ready.threads, ready.parallel], [256, 1, 2]);
  const { error } = await engine.answer("word ".repeat(300));
  assertStringIncludes(error?.message ?? "", "may have 256");
  assertEquals((await engine.answer("What is 12 plus 7?")).text, "12 + 7 = 19.");
});
