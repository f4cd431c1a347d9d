/** Code for the CPU in npm's packages, as ggml itself would choose it, but without the accelerators in the same folder. */
import { scoreOf } from "./cpu_code.ts";
import { isLibrary } from "../../../libraries/library_files.ts";

/**
 * Load the code that this machine runs best, and Apple's matrix products where the package has code for them.
 *
 * @param folder The libraries of a package.
 * @param load Loads a library into ggml, and says whether it did.
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
