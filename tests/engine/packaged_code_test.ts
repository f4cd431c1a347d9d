import { assertEquals, assertMatch } from "@std/assert";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { loadPackagedCode } from "../../src/engine/native/cpu/packaged_code.ts";

/** What is tried, in its order, when so many libraries are refused. */
function tried(folder: string, refused: number): string[] {
  const files: string[] = [];
  loadPackagedCode(folder, (file) => files.push(file.slice(folder.length + 1)) > refused);
  return files;
}

Deno.test("loadPackagedCode loads the best code for the CPU, the next if that is refused, and no accelerator", async () => {
  const packaged = await packagedFolder();
  const folder = await Deno.makeTempDir();
  try {
    for (const { name } of Deno.readDirSync(packaged)) {
      await Deno.symlink(`${packaged}/${name}`, `${folder}/${name}`);
      // Whatever is an accelerator's has such a name.
      if (/ggml-cpu/.test(name)) {
        await Deno.symlink(`${packaged}/${name}`, `${folder}/${name.replace(/ggml-cpu\w*/, "ggml-cuda")}`).catch(
          () => {},
        );
      }
    }
    const all = tried(folder, Infinity).filter((name) => !name.includes("ggml-blas"));
    assertEquals(all.every((name) => /^(lib)?ggml-cpu\b/.test(name)), true, all.join());
    assertEquals(new Set(all).size, all.length);
    assertEquals(tried(folder, 0).at(-1), all[0]);
    if (all.length > 1) assertEquals(tried(folder, 1).at(-1), all[1]);
    if (Deno.build.os === "linux" && Deno.build.arch === "x86_64") {
      // Runs on everything, and nothing is slower.
      assertMatch(all.at(-1) ?? "", /^libggml-cpu-x64\.so$/);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
