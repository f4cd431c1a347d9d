/** llama-server and llama-bench, built once. Owns what is built and where it is; runs no server. */
import { join } from "@std/path";
import { buildLlamaCpp, builtFolder } from "./llama_cpp.ts";
import type { Progress } from "../src/cli/progress.ts";

const PROGRAMS = ["llama-server", "llama-bench"] as const;
const CMAKE_FLAGS = [
  "-DLLAMA_CURL=OFF",
  "-DLLAMA_OPENSSL=OFF",
  "-DLLAMA_BUILD_TESTS=OFF",
  "-DLLAMA_BUILD_EXAMPLES=OFF",
  "-DLLAMA_BUILD_UI=OFF",
];

/**
 * The folder with the peer's programs; builds them if they are not there yet.
 *
 * @param cache Where the benchmark keeps its files.
 * @param progress Whom to tell how far the build is.
 * @returns The folder.
 * @throws {BuildError} If something to build with is missing, or the build fails.
 */
export async function peerFolder(cache: string, progress: Progress): Promise<string> {
  const folder = builtFolder(cache);
  if (!await complete(folder)) {
    await buildLlamaCpp({ folder: cache, targets: PROGRAMS, flags: () => CMAKE_FLAGS, progress });
  }
  return folder;
}

/** Whether both programs are in a folder. */
async function complete(folder: string): Promise<boolean> {
  const found = PROGRAMS.map((program) => Deno.stat(join(folder, program)).then((stat) => stat.isFile, () => false));
  return (await Promise.all(found)).every((exists) => exists);
}
