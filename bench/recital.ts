/** Reciting models, in the benchmark's cache: as much computation as the random model, with known output. */
import { join } from "@std/path";
import { BUILT_IN_MODEL } from "./engine.ts";
import { readMetadata } from "./gguf.ts";
import { BENCH_SHAPE, type LlamaShape, wordsOf, writeRandomModel } from "./random_gguf.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";

/** Options for writing a model. */
export interface RecitalOptions {
  readonly cache: string;
  readonly progress: Progress;
}

/** Words with a token of their own in the built-in tokenizer, with a leading space, as in the vocabulary. */
export async function knownWords(): Promise<string[]> {
  return wordsOf(readMetadata(await Deno.readFile(BUILT_IN_MODEL)));
}

/** Words as text. */
export function asText(words: readonly string[]): string {
  return words.join("").replaceAll("Ġ", " ");
}

/**
 * Path of a reciting model; written on first use.
 *
 * @param name File name in the cache.
 * @param recites As in `writeRandomModel`.
 * @param options Cache and progress.
 * @param shape Its shape.
 * @returns Its path.
 */
export async function recitingModel(
  name: string,
  recites: readonly (readonly string[])[],
  { cache, progress }: RecitalOptions,
  shape: LlamaShape = BENCH_SHAPE,
): Promise<string> {
  const path = join(cache, name);
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  progress.step("writing a model that recites");
  await writeRandomModel(path, {
    tokenizerFrom: BUILT_IN_MODEL,
    shape,
    seed: 1,
    recites,
    onProgress: (fraction) => progress.at(fraction),
  });
  return path;
}
