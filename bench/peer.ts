/**
 * llama-server and llama-bench, built once without their own CPU backend: they use the same libraries as inferd. Owns
 * the build and its location; runs no server.
 */
import { join } from "@std/path";
import { acceleratorLibraries } from "./accelerator.ts";
import { packagedFolder } from "../src/libraries/library_files.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { buildLlamaCpp, builtFolder } from "./llama_cpp.ts";
import { LIBRARY_DIR } from "./servers.ts";

const PROGRAMS = ["llama-server", "llama-bench"] as const;
const CMAKE_FLAGS = [
  "-DLLAMA_CURL=OFF",
  "-DLLAMA_OPENSSL=OFF",
  "-DLLAMA_BUILD_TESTS=OFF",
  "-DLLAMA_BUILD_EXAMPLES=OFF",
  "-DLLAMA_BUILD_UI=OFF",
  "-DGGML_BACKEND_DL=ON",
  "-DGGML_CPU=OFF",
  // A CPU backend built separately must find its libggml-base.so.
  "-DCMAKE_PLATFORM_NO_VERSIONED_SONAME=ON",
];

/**
 * Folder of the peer's programs, with inferd's CPU backend; built if missing.
 *
 * @param cache Cache folder of the benchmark.
 * @param progress Progress display.
 * @returns The folder.
 * @throws {BuildError} If a build tool is missing or the build fails.
 */
export async function peerFolder(cache: string, progress: Progress): Promise<string> {
  const workplace = join(cache, "peer");
  const folder = builtFolder(workplace);
  if (!await complete(folder)) {
    await Deno.mkdir(workplace, { recursive: true });
    await buildLlamaCpp({ folder: workplace, targets: PROGRAMS, flags: () => CMAKE_FLAGS, progress });
  }
  await giveCpuCode(folder, LIBRARY_DIR ?? await packagedFolder());
  await giveBackend(folder, (await acceleratorLibraries())?.folder);
  return folder;
}

/**
 * Give programs the CPU backend of a folder; they load the libraries next to them.
 *
 * @param programs The programs' folder.
 * @param libraries Folder of the CPU backend.
 */
export async function giveCpuCode(programs: string, libraries: string): Promise<void> {
  for await (const { name } of Deno.readDir(programs)) if (isCpuCode(name)) await Deno.remove(join(programs, name));
  for await (const { name } of Deno.readDir(libraries)) {
    if (isCpuCode(name)) await Deno.symlink(join(libraries, name), join(programs, name));
  }
}

/**
 * Give programs the accelerator's backend of a folder, and take away that of another run.
 *
 * @param programs The programs' folder.
 * @param libraries Folder of the backend; undefined: none.
 */
export async function giveBackend(programs: string, libraries: string | undefined): Promise<void> {
  for await (const { name } of Deno.readDir(programs)) if (isBackend(name)) await Deno.remove(join(programs, name));
  if (libraries === undefined) return;
  for await (const { name } of Deno.readDir(libraries)) {
    if (isBackend(name)) await Deno.symlink(join(libraries, name), join(programs, name));
  }
}

function isBackend(file: string): boolean {
  return /^libggml-(cuda|vulkan|metal)\./.test(file);
}

function isCpuCode(file: string): boolean {
  return /^libggml-cpu\b/.test(file);
}

/** Whether both programs are in a folder. */
async function complete(folder: string): Promise<boolean> {
  const found = PROGRAMS.map((program) => Deno.stat(join(folder, program)).then((stat) => stat.isFile, () => false));
  return (await Promise.all(found)).every((exists) => exists);
}
