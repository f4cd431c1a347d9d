/**
 * The engine with the libraries that `deno task native` built. Needs `INFERD_NATIVE_DIR`, the folder it built into;
 * skipped without it.
 */
import { assertEquals } from "@std/assert";
import { resolve } from "@std/path";
import { scoreOf } from "../../src/engine/native/cpu/cpu_code.ts";
import { EngineChild } from "../engine/engine_child.ts";

const given = Deno.env.get("INFERD_NATIVE_DIR") ?? "";
const folder = resolve(given);

Deno.test({
  name: "the engine answers with the libraries of deno task native, and all their code runs here",
  ignore: given === "",
  async fn(): Promise<void> {
    await using engine = await EngineChild.start({ libraryDir: folder });
    assertEquals((await engine.answer("What is the capital of France?")).text, "Paris.");
    const code = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
      name.startsWith("libggml-cpu-")
    );
    assertEquals(code.filter((name) => scoreOf(`${folder}/${name}`) === 0), []);
    assertEquals(code.length > 0, true);
  },
});
