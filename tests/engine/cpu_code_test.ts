/** Which code computes on the CPU. */
import { assert, assertEquals } from "@std/assert";
import { loadNarrowCode, scoreOf } from "../../src/engine/native/cpu/cpu_code.ts";
import { findLibrary, packagedFolder } from "../../src/libraries/library_files.ts";

const HAS_AVX2 = Deno.build.target === "x86_64-unknown-linux-gnu" &&
  /\bavx2\b/.test(Deno.readTextFileSync("/proc/cpuinfo"));

/** A folder with one library under the names of some variants. */
async function withVariants(names: readonly string[], act: (folder: string) => void): Promise<void> {
  const packaged = await packagedFolder();
  const [haswell = "", base = ""] = ["ggml-cpu-haswell", "ggml-base"].map((name) => findLibrary(packaged, name));
  const folder = await Deno.makeTempDir();
  try {
    await Deno.symlink(base, `${folder}/libggml-base.so`);
    for (const name of names) await Deno.symlink(haswell, `${folder}/libggml-cpu-${name}.so`);
    act(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "loadNarrowCode takes the best code without AVX-512 when there is wider code, too",
  ignore: !HAS_AVX2,
  fn: () =>
    withVariants(["zen4", "haswell", "alderlake"], (folder) => {
      const tried: string[] = [];
      const refusing = (path: string): boolean => tried.push(path) > 1;
      assertEquals(loadNarrowCode(folder, refusing), true);
      assertEquals(tried, ["alderlake", "haswell"].map((name) => `${folder}/libggml-cpu-${name}.so`));
    }),
});

Deno.test({
  name: "loadNarrowCode passes over code that does not run here",
  ignore: !HAS_AVX2,
  fn: () =>
    withVariants(["haswell"], (folder) => {
      Deno.writeTextFileSync(`${folder}/libggml-cpu-alderlake.so`, "no code");
      const tried: string[] = [];
      assertEquals(loadNarrowCode(folder, (path) => tried.push(path) > 0), true);
      assertEquals(tried, [`${folder}/libggml-cpu-haswell.so`]);
    }),
});

Deno.test({
  name: "loadNarrowCode leaves the choice to ggml when there is none without AVX-512",
  ignore: !HAS_AVX2,
  fn: () =>
    withVariants(["zen4"], (folder) => {
      assertEquals(loadNarrowCode(folder, () => true), false);
    }),
});

Deno.test("code has no score when its library is something else or missing", async () => {
  const folder = await packagedFolder();
  assertEquals(scoreOf(`${folder}/missing`), 0);
  const text = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(text, "no code");
    assertEquals(scoreOf(text), 0);
  } finally {
    await Deno.remove(text);
  }
  if (HAS_AVX2) assert(scoreOf(findLibrary(folder, "ggml-cpu-haswell") ?? "") > 0);
});
