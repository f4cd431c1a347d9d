/**
 * Builds the CPU backend for this machine from the source in node-llama-cpp's package, with the local compiler, and
 * puts it together with npm's other libraries into a folder for `--library-dir`. See docs/operations.md for the gain.
 * Needs Linux on x86_64 with AVX2, git, cmake and GCC 12 or later; takes a few minutes.
 *
 * usage: deno task native [FOLDER], by default ~/.inferd/native
 */
import { join, resolve } from "@std/path";
import { BuildError, buildLlamaCpp, builtFolder } from "../bench/llama_cpp.ts";
import { stderrProgress } from "../src/cli/terminal/progress.ts";
import { scoreOf } from "../src/engine/native/cpu/cpu_code.ts";
import { findLibrary, packagedFolder } from "../src/libraries/library_files.ts";

/**
 * The variants to build, best first in ggml's rating. Not `sapphirerapids`, the one with AMX: GCC 12 omits most of the
 * tile configuration, which leads to an illegal instruction.
 */
export const VARIANTS: readonly string[] = [
  "zen4",
  "cooperlake",
  "icelake",
  "cascadelake",
  "cannonlake",
  "skylakex",
  "alderlake",
  "haswell",
];
/** Variants without AVX-512, which are faster for some models. */
const NARROW: readonly string[] = ["alderlake", "haswell"];

/** The accumulators are zeroed repeatedly; `rep stos`, GCC's default, takes as long as many multiplications. */
const ZERO_BY_VECTORS = "-mmemset-strategy=vector_loop:1024:noalign,libcall:-1:noalign";
const LEAST_GCC = 12;

/**
 * Select the variants for a machine: the best one, and the best without AVX-512.
 *
 * @param runs Whether the machine can run a variant.
 * @returns The variants; empty if there is none.
 */
export function variantsFor(runs: (variant: string) => boolean): readonly string[] {
  const best = [VARIANTS, NARROW].flatMap((variants) => variants.find(runs) ?? []);
  return [...new Set(best)];
}

/**
 * Fill a folder with npm's libraries, their CPU code replaced by the new build. Files are replaced by renaming, because
 * a daemon may have them mapped.
 *
 * @param folder The folder. Files of another release are removed.
 * @param from Folder of npm's libraries.
 * @param built Folder of the new CPU code.
 */
export async function fillFolder(folder: string, from: string, built: readonly string[]): Promise<void> {
  const files = new Map<string, string>();
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile && /\.so$/.test(name) && !isCpuCode(name)) files.set(name, join(from, name));
  }
  for (const path of built) files.set(path.slice(path.lastIndexOf("/") + 1), path);
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(folder)) {
    if (/^lib(llama|ggml)[^/]*\.so(\.partial)?$/.test(name) && !files.has(name)) await Deno.remove(join(folder, name));
  }
  for (const [name, path] of files) {
    const partial = join(folder, `${name}.partial`);
    await Deno.copyFile(path, partial);
    await Deno.rename(partial, join(folder, name));
  }
}

function isCpuCode(file: string): boolean {
  return /^libggml-cpu\b/.test(file);
}

/** Major version of the compiler cmake would use, if it is GCC. */
async function gccVersion(): Promise<number | undefined> {
  const compiler = Deno.env.get("CXX") || "c++";
  try {
    const { stdout } = await new Deno.Command(compiler, { args: ["-E", "-dM", "-x", "c++", "/dev/null"] }).output();
    const macros = new TextDecoder().decode(stdout);
    if (/#define __clang__\b/.test(macros)) return undefined;
    const [, major] = /#define __GNUC__ (\d+)/.exec(macros) ?? [];
    return major === undefined ? undefined : Number(major);
  } catch {
    return undefined;
  }
}

async function build(folder: string): Promise<number> {
  const npms = await packagedFolder();
  const packaged = (variant: string): string | undefined => findLibrary(npms, `ggml-cpu-${variant}`);
  const variants = variantsFor((variant) => {
    const file = packaged(variant);
    return file !== undefined && scoreOf(file) > 0;
  });
  if (variants.length === 0) {
    console.error("Cannot build for this processor: it lacks AVX2");
    return 1;
  }
  const gcc = await gccVersion();
  if (gcc === undefined || gcc < LEAST_GCC) {
    console.error(
      `Cannot build with ${gcc === undefined ? "this compiler" : `GCC ${gcc}`}: only GCC ${LEAST_GCC} and later make ` +
        "faster code than npm's. CXX and CC name another compiler",
    );
    return 1;
  }
  const workplace = await Deno.makeTempDir({ prefix: "inferd-native-" });
  const progress = stderrProgress();
  try {
    await buildLlamaCpp({
      folder: workplace,
      targets: variants.map((variant) => `ggml-cpu-${variant}`),
      progress,
      flags: () => [
        "-DGGML_BACKEND_DL=ON",
        "-DGGML_CPU_ALL_VARIANTS=ON",
        "-DGGML_NATIVE=OFF",
        // As in npm's build: its own thread pool.
        "-DGGML_OPENMP=OFF",
        "-DLLAMA_BUILD_COMMON=OFF",
        "-DLLAMA_BUILD_TESTS=OFF",
        "-DLLAMA_BUILD_TOOLS=OFF",
        "-DLLAMA_BUILD_EXAMPLES=OFF",
        // It must find npm's libggml-base.so by this exact name.
        "-DCMAKE_PLATFORM_NO_VERSIONED_SONAME=ON",
        "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
        "-DCMAKE_INSTALL_RPATH=$ORIGIN",
        ...["C", "CXX"].map((language) => `-DCMAKE_${language}_FLAGS=${ZERO_BY_VECTORS}`),
        "-DCMAKE_MODULE_LINKER_FLAGS=-s",
      ],
    });
    progress.clear();
    await fillFolder(
      folder,
      npms,
      variants.map((variant) => join(builtFolder(workplace), `libggml-cpu-${variant}.so`)),
    );
  } finally {
    progress.clear();
    await Deno.remove(workplace, { recursive: true });
  }
  console.log(`${folder} has npm's libraries with CPU code for ${variants.join(" and ")}, built by GCC ${gcc}`);
  console.log(`inferd serve --library-dir ${folder}`);
  return 0;
}

/** The folder on the command line. */
function folderFrom([given, ...more]: readonly string[]): string {
  if (more.length > 0 || given?.startsWith("-")) {
    throw new TypeError(`Unknown argument "${more[0] ?? given}"; the only one is the folder`);
  }
  if (given !== undefined) return resolve(given);
  const home = Deno.env.get("HOME");
  if (!home) throw new TypeError("Cannot choose a folder: HOME is not set. Name one");
  return join(home, ".inferd", "native");
}

if (import.meta.main) {
  try {
    const folder = folderFrom(Deno.args);
    if (Deno.build.target !== "x86_64-unknown-linux-gnu") {
      throw new TypeError(`Cannot build on ${Deno.build.target}: only on x86_64-unknown-linux-gnu it brings anything`);
    }
    Deno.exitCode = await build(folder);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof BuildError)) throw error;
    console.error(error.message);
    Deno.exitCode = error instanceof TypeError ? 2 : 1;
  }
}
