/**
 * The code that computes on the CPU. ggml has it once for each generation of processors, the variants, and takes the best
 * one that the machine can run; some models are faster with another.
 */
import { findLibrary } from "../../../libraries/library_files.ts";

/** Those with AVX2 and without AVX-512, the best first, as ggml rates them. */
const NARROW_VARIANTS: readonly string[] = ["alderlake", "haswell"];

/**
 * Load the best code without AVX-512 that this machine runs.
 *
 * @param folder The native libraries.
 * @param load Loads a library into ggml, and says whether it did.
 * @returns Whether there is any.
 */
export function loadNarrowCode(folder: string, load: (path: string) => boolean): boolean {
  return NARROW_VARIANTS.some((variant) => {
    const file = findLibrary(folder, `ggml-cpu-${variant}`);
    return file !== undefined && scoreOf(file) > 0 && load(file);
  });
}

/**
 * How well a library's code suits this machine: ggml's own answer, before it loads one.
 *
 * @param file The library.
 * @returns 0: this machine does not run it.
 */
export function scoreOf(file: string): number {
  try {
    const library = Deno.dlopen(
      file,
      { ggml_backend_score: { parameters: [], result: "i32", optional: true } } as const,
    );
    // What there is only one of does not say.
    const score = library.symbols.ggml_backend_score?.() ?? 1;
    library.close();
    return score;
  } catch {
    return 0; // ggml cannot load it either.
  }
}
