/** Loads CPU backends from npm packages as ggml would, but skips the accelerators in the same folder. */
import { scoreOf } from "./cpu_code.ts";
import { isLibrary } from "../../../libraries/library_files.ts";

/**
 * Load the best supported CPU variant, and BLAS if the package has it (macOS).
 *
 * @param load Loads a library into ggml and returns whether that worked.
 */
export function loadPackagedCode(folder: string, load: (file: string) => boolean): void {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name);
  for (const name of files) if (isLibrary(name, "ggml-blas")) load(`${folder}/${name}`);
  const rated = files.filter((name) => /^(lib)?ggml-cpu\b/.test(name))
    .map((name) => ({ file: `${folder}/${name}`, score: scoreOf(`${folder}/${name}`) }))
    .filter(({ score }) => score > 0)
    .toSorted((one, other) => other.score - one.score);
  for (const { file } of rated) if (load(file)) return;
}
