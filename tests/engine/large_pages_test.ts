import { assert, assertEquals } from "@std/assert";
import { writeRandomModel } from "../../bench/random_gguf.ts";
import { LargePages } from "../../src/engine/native/libc/large_pages.ts";
import type { EngineConfig } from "../../src/engine/ipc/messages.ts";
import { inFolder } from "../support/folders.ts";
import { EngineChild, MODEL_PATH } from "./engine_child.ts";

const MIB = 1024 * 1024;

/** Memory of a process in large pages. */
function largeBytes(pid: number): number {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return Number(/^AnonHugePages:\s+(\d+) kB$/m.exec(rollup)?.[1]) * 1024;
}

Deno.test({
  name:
    "weights and caches are in large pages, and weights mapped if wished or if they take more than half of the memory",
  ignore: LargePages.of() === undefined,
  fn: () =>
    inFolder(async (folder) => {
      const modelPath = `${folder}/model.gguf`;
      const shape = { width: 512, layers: 12, feedForward: 2048, heads: 8, kvHeads: 8 };
      await writeRandomModel(modelPath, { tokenizerFrom: MODEL_PATH, shape, seed: 3 });
      const { size } = await Deno.stat(modelPath);
      assert(size > 40 * MIB);
      const answers: string[] = [];
      const start = async (config: Partial<EngineConfig>): Promise<{ isMapped: boolean; large: number }> => {
        await using engine = await EngineChild.start({ modelPath, parallel: 1, contextTokens: 512, ...config });
        const isMapped = Deno.readTextFileSync(`/proc/${engine.pid}/maps`).includes(modelPath);
        const large = largeBytes(engine.pid);
        answers.push((await engine.answer("Hello", { maxTokens: 16 })).text);
        return { isMapped, large };
      };
      const { isMapped, large } = await start({});
      assert(!isMapped && large > 0.8 * size, `${large} of ${size} bytes`);
      // 12 layers, K and V, 512 numbers of two bytes.
      const cacheBytes = 4096 * 12 * 2 * 512 * 2;
      const longer = (await start({ contextTokens: 512 + 4096 })).large - large;
      assert(longer > 0.8 * cacheBytes, `${longer} of ${cacheBytes} bytes`);
      assert((await start({ native: { mmap: true } })).isMapped);
      assert((await start({ memoryBytes: 1.9 * size })).isMapped);
      assertEquals(new Set(answers).size, 1);
    }),
});
