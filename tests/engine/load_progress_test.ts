import { assert, assertEquals } from "@std/assert";
import { cString, openLibrary } from "../../src/engine/native/library.ts";
import { LoadProgress } from "../../src/engine/native/load_progress.ts";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { MODEL_PATH } from "./engine_child.ts";

/** A clock that goes on so many milliseconds whenever it is looked at. */
function clock(ms: number): () => number {
  let now = 0;
  return () => now += ms;
}

function assertRises(shares: readonly number[]): void {
  assert(shares.every((share, index) => share > (shares[index - 1] ?? 0)), shares.join(" "));
}

Deno.test("native library tells how far it is with a model, which is not reported when it loads at once", async () => {
  const library = openLibrary({ folder: await packagedFolder(), own: false });
  library.loadBackends({ narrow: false });
  for (const ms of [1000, 0]) {
    const shares: number[] = [];
    const allocated: number[] = [];
    using progress = new LoadProgress((share) => shares.push(share), () => allocated.push(shares.length), clock(ms));
    const params = library.llama.llama_model_default_params();
    progress.watch(params);
    assert(library.llama.llama_model_load_from_file(cString(MODEL_PATH), params) !== null);
    assertRises(shares);
    assertEquals(allocated, [0], "once, before anything is loaded");
    if (ms === 0) assertEquals(shares, []);
    else assert(shares.length > 10 && shares.at(-1) === 1, shares.join(" "));
  }
});

Deno.test("a file that is not in memory is read with reports, one that is there is mostly skipped", async () => {
  const MIB = 1024 * 1024;
  const paths = await Promise.all([Deno.makeTempFile(), Deno.makeTempFile()]);
  try {
    for (const path of paths) await Deno.truncate(path, 100 * MIB);
    const read = (ms: number): number[] => {
      const shares: number[] = [];
      using progress = new LoadProgress((share) => shares.push(share), undefined, clock(ms));
      progress.read(paths);
      return shares;
    };
    const slow = read(1000);
    assertRises(slow);
    assertEquals([slow[0], slow.length, slow.at(-1)], [0.04, 26, 1]);
    assertEquals(read(0), []);
    // A millisecond a chunk is not a disk's: few chunks are read, in less than a report's interval.
    assertEquals(read(1), []);
  } finally {
    for (const path of paths) await Deno.remove(path);
  }
});
