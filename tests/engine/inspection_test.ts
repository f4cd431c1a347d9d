import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { inspect } from "../../src/engine/inspection.ts";
import { openLibrary } from "../../src/engine/native/library.ts";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { ModelError } from "../../src/engine/native/first_look.ts";
import { Model } from "../../src/engine/native/model.ts";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { fileHead, readMetadata } from "../../bench/gguf.ts";

Deno.test("inspect says what a model is for and what its chat template knows", async () => {
  const library = openLibrary({ folder: await packagedFolder(), own: false });
  const of = (name: keyof typeof BUILT_INS): ReturnType<typeof inspect> =>
    inspect(library, { modelPath: BUILT_INS[name].url.pathname });
  const trainedContextTokens = 512;
  const nothing = { type: "inspected", tools: false, thinking: false, trainedContextTokens } as const;
  assertEquals(await of("inferd-tiny"), {
    type: "inspected",
    purpose: "generate",
    tools: true,
    thinking: true,
    trainedContextTokens: 1024,
  });
  assertEquals(await of("inferd-tiny-embed"), { ...nothing, purpose: "embed" });
  assertEquals(await of("inferd-tiny-rerank"), { ...nothing, purpose: "rerank" });
  const modelPath = BUILT_INS["inferd-tiny"].url.pathname;
  assertEquals((await inspect(library, { modelPath, embed: true })).purpose, "embed");
});

Deno.test("inspect reads no weights, so that a file without any is good enough for it and not for a load", async () => {
  const library = openLibrary({ folder: await packagedFolder(), own: false });
  const modelPath = await Deno.makeTempFile({ prefix: "inferd-", suffix: ".gguf" });
  try {
    const metadata = readMetadata(await Deno.readFile(BUILT_INS["inferd-tiny"].url));
    await Deno.writeFile(modelPath, fileHead(metadata, []));
    const { purpose, tools } = await inspect(library, { modelPath });
    assertEquals([purpose, tools], ["generate", true]);
    assertThrows(() => Model.load(library, [modelPath], {}), ModelError, modelPath);
    const unknown = new Map(metadata).set("general.architecture", { type: "string", value: "nobody" });
    await Deno.writeFile(modelPath, fileHead(unknown, []));
    const error = await assertRejects(() => inspect(library, { modelPath }), ModelError);
    assert(error.message.includes(modelPath) && error.message.includes("nobody"), error.message);
  } finally {
    await Deno.remove(modelPath);
  }
});
