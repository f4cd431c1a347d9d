/**
 * CPU backends. ggml ships one per processor generation and picks the best supported variant; some models run faster on
 * another one.
 */
import { findLibrary } from "../../../libraries/library_files.ts";

/** Variants with AVX2 but without AVX-512, best first by ggml's score. */
const NARROW_VARIANTS: readonly string[] = ["alderlake", "haswell"];

/**
 * Load the best supported CPU variant without AVX-512.
 *
 * @param load Loads a library into ggml and returns whether that worked.
 * @returns Whether one was loaded.
 */
export function loadNarrowCode(folder: string, load: (path: string) => boolean): boolean {
  return NARROW_VARIANTS.some((variant) => {
    const file = findLibrary(folder, `ggml-cpu-${variant}`);
    return file !== undefined && scoreOf(file) > 0 && load(file);
  });
}

/**
 * ggml's score of a CPU variant on this machine, without loading it into ggml.
 *
 * @returns 0 if this machine does not support it.
 */
export function scoreOf(file: string): number {
  try {
    const library = Deno.dlopen(
      file,
      { ggml_backend_score: { parameters: [], result: "i32", optional: true } } as const,
    );
    // A library without variants exports no score.
    const score = library.symbols.ggml_backend_score?.() ?? 1;
    library.close();
    return score;
  } catch {
    return 0; // ggml cannot load it either.
  }
}
