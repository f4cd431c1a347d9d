/** Models that recite, in the cache of the benchmark: they compute as much as the random model, and it is known what. */
import { join } from "@std/path";
import { BUILT_IN_MODEL } from "./engine.ts";
import { readMetadata } from "./gguf.ts";
import { BENCH_SHAPE, type LlamaShape, wordsOf, writeRandomModel } from "./random_gguf.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";

/** Where a model is written. */
export interface RecitalOptions {
  readonly cache: string;
  readonly progress: Progress;
}

/** The words that the built-in tokenizer has tokens for, each with a space before it, as the vocabulary writes it. */
export async function knownWords(): Promise<string[]> {
  return wordsOf(readMetadata(await Deno.readFile(BUILT_IN_MODEL)));
}

/** Such words as text. */
export function asText(words: readonly string[]): string {
  return words.join("").replaceAll("Ġ", " ");
}

/**
 * A model that recites; written if it is not there yet.
 *
 * @param name Its file in the cache.
 * @param recites As `writeRandomModel` says.
 * @param options Where.
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
