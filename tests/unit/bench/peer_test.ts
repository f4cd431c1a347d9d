import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { giveBackend, giveCpuCode } from "../../../bench/peer.ts";

Deno.test("the peer computes with the code of the folder it was given last", async () => {
  const scratch = await Deno.makeTempDir();
  const folder = (name: string, files: readonly string[]): string => {
    const path = join(scratch, name);
    Deno.mkdirSync(path);
    for (const file of files) Deno.writeTextFileSync(join(path, file), `${name}'s`);
    return path;
  };
  try {
    const programs = folder("programs", ["llama-server", "libggml-base.so"]);
    const npms = folder("npm", ["libggml-base.so", "libggml-cpu-haswell.so", "libggml-cpu-zen4.so", "libllama.so"]);
    const own = folder("own", ["libggml-base.so", "libggml-cpu-zen4.so"]);
    await giveCpuCode(programs, npms);
    await giveCpuCode(programs, own);
    const names = [...Deno.readDirSync(programs)].map(({ name }) => name).sort();
    assertEquals(
      Object.fromEntries(names.map((name) => [name, Deno.readTextFileSync(join(programs, name))])),
      { "libggml-base.so": "programs's", "libggml-cpu-zen4.so": "own's", "llama-server": "programs's" },
    );
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
});

Deno.test("the peer has the accelerator's library when it was given one last, and none otherwise", async () => {
  const scratch = await Deno.makeTempDir();
  try {
    for (const folder of ["programs", "cuda"]) await Deno.mkdir(join(scratch, folder));
    for (const file of ["libggml-cuda.so", "libggml-cpu-zen4.so"]) {
      await Deno.writeTextFile(join(scratch, "cuda", file), "");
    }
    const names = (): string[] => [...Deno.readDirSync(join(scratch, "programs"))].map(({ name }) => name);
    await giveBackend(join(scratch, "programs"), join(scratch, "cuda"));
    await giveBackend(join(scratch, "programs"), join(scratch, "cuda"));
    assertEquals(names(), ["libggml-cuda.so"]);
    await giveBackend(join(scratch, "programs"), undefined);
    assertEquals(names(), []);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
});
