import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { fillFolder, variantsFor } from "../../../packaging/native.ts";

Deno.test("a machine gets its best code, and its best without AVX-512 beside it", () => {
  const on = (...runs: string[]): readonly string[] => variantsFor((variant) => runs.includes(variant));
  assertEquals(on("haswell", "alderlake", "skylakex", "icelake", "zen4"), ["zen4", "alderlake"]);
  assertEquals(on("haswell", "skylakex"), ["skylakex", "haswell"]);
  assertEquals(on("haswell", "alderlake"), ["alderlake"]);
  assertEquals(on("haswell"), ["haswell"]);
  assertEquals(on("sapphirerapids", "sandybridge"), []);
});

/** What is in a folder: each file's text. */
function contents(folder: string): Record<string, string> {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return Object.fromEntries(files.map((name) => [name, Deno.readTextFileSync(join(folder, name))]));
}

function write(folder: string, files: Record<string, string>): string {
  Deno.mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(join(folder, name), text);
  return folder;
}

Deno.test("the folder holds npm's libraries and the new code, nothing of an older build, and what else was there", async () => {
  const scratch = await Deno.makeTempDir();
  try {
    const npms = write(join(scratch, "npm"), {
      "libllama.v0.4.0.so": "llama",
      "libggml-base.so": "base",
      "libggml-cpu-zen4.so": "npm's zen4",
      "libggml-cpu-haswell.so": "npm's haswell",
      "llama-addon.node": "addon",
      "_nlcBuildMetadata.json": "{}",
    });
    const built = write(join(scratch, "built"), { "libggml-cpu-zen4.so": "our zen4" });
    const folder = write(join(scratch, "native"), {
      "libllama.v0.3.0.so": "old llama",
      "libggml-base.so": "old base",
      "libggml-cpu-icelake.so": "old icelake",
      "libggml.v0.4.0.so.partial": "cut",
      "notes.txt": "mine",
    });
    const mapped = await Deno.open(join(folder, "libggml-base.so"));
    await fillFolder(folder, npms, [join(built, "libggml-cpu-zen4.so")]);
    assertEquals(contents(folder), {
      "libggml-base.so": "base",
      "libggml-cpu-zen4.so": "our zen4",
      "libllama.v0.4.0.so": "llama",
      "notes.txt": "mine",
    });
    // Whoever has the old one open goes on with it.
    assertEquals(await new Response(mapped.readable).text(), "old base");
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
});
