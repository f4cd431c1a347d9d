/**
 * Builds the CPU code in `native/` anew, from the source that node-llama-cpp's package carries (native/README.md says why
 * there is such code). Needs Linux on x86_64 with git, cmake and GCC 12 or later; takes some minutes.
 *
 * usage: deno task native [VARIANT...]
 */
import { gzipSync } from "node:zlib";
import { createHash } from "node:crypto";
import { join } from "@std/path";
import { buildLlamaCpp, builtFolder } from "../bench/llama_cpp.ts";
import { stderrProgress } from "../src/cli/progress.ts";
import { OWN_VARIANTS, ownBuildUrl } from "../src/engine/cpu_code.ts";
import { findLibrary, LIBRARY_VERSION, packagedFolder } from "../src/engine/library_files.ts";

/** What `builds.json` says of a variant. */
interface Build {
  /** The node-llama-cpp release whose source it was built from. */
  readonly release: string;
  readonly compiler: string;
  /** Of the library, as it is when unpacked. */
  readonly bytes: number;
  readonly sha256: string;
}

/** A product's sums are set to zero again and again; `rep stos`, GCC's usual way, takes as long as many multiplications. */
const ZERO_BY_VECTORS = "-mmemset-strategy=vector_loop:1024:noalign,libcall:-1:noalign";

const unknown = Deno.args.filter((arg) => !(OWN_VARIANTS as readonly string[]).includes(arg));
if (unknown.length > 0 || Deno.build.target !== "x86_64-unknown-linux-gnu") {
  console.error(
    unknown.length > 0
      ? `Unknown variant "${unknown[0]}"; there are ${OWN_VARIANTS.join(", ")}`
      : `The code is built on x86_64-unknown-linux-gnu, not on ${Deno.build.target}`,
  );
  Deno.exit(2);
}
const variants = Deno.args.length > 0 ? Deno.args : OWN_VARIANTS;
const listFile = new URL("builds.json", ownBuildUrl(""));
const folder = await Deno.makeTempDir({ prefix: "inferd-native-" });
const progress = stderrProgress();
try {
  await buildLlamaCpp({
    folder,
    targets: variants.map((variant) => `ggml-cpu-${variant}`),
    progress,
    flags: (source) => [
      "-DGGML_BACKEND_DL=ON",
      "-DGGML_CPU_ALL_VARIANTS=ON",
      "-DGGML_NATIVE=OFF",
      // As npm's: threads of its own, and no library that a machine may lack.
      "-DGGML_OPENMP=OFF",
      "-DLLAMA_BUILD_COMMON=OFF",
      "-DLLAMA_BUILD_TESTS=OFF",
      "-DLLAMA_BUILD_TOOLS=OFF",
      "-DLLAMA_BUILD_EXAMPLES=OFF",
      // It is to find npm's libggml-base.so, which is open already and has this very name.
      "-DCMAKE_PLATFORM_NO_VERSIONED_SONAME=ON",
      "-DCMAKE_SKIP_RPATH=ON",
      // The same bytes wherever it is built.
      ...["C", "CXX"].map((language) => `-DCMAKE_${language}_FLAGS=-ffile-prefix-map=${source}=. ${ZERO_BY_VECTORS}`),
      "-DCMAKE_MODULE_LINKER_FLAGS=-s",
    ],
  });
  progress.clear();
  const npms = await packagedFolder();
  const builds: Record<string, Build> = JSON.parse(await Deno.readTextFile(listFile));
  for (const variant of variants) {
    const bytes = Deno.readFileSync(join(builtFolder(folder), `libggml-cpu-${variant}.so`));
    const theirs = findLibrary(npms, `ggml-cpu-${variant}`);
    if (theirs === undefined) throw new Error(`npm has no "${variant}"`);
    const newer = needs(bytes).difference(needs(Deno.readFileSync(theirs)));
    if (newer.size > 0) throw new Error(`"${variant}" needs what npm's does not: ${[...newer].join(", ")}`);
    const compiler = textsOf(bytes).match(/GCC: [^\0]+/)?.[0] ?? "unknown";
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    Deno.writeFileSync(ownBuildUrl(variant), gzipSync(bytes, { level: 9 }));
    builds[variant] = { release: LIBRARY_VERSION, compiler, bytes: bytes.length, sha256 };
    Deno.writeTextFileSync(listFile, JSON.stringify(builds, null, 2) + "\n");
    console.log(`${variant}: ${bytes.length} bytes, ${compiler}, SHA-256 ${sha256}`);
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** The versions of the system's libraries that a library asks for. */
function needs(library: Uint8Array): Set<string> {
  return new Set(textsOf(library).match(/\b(GLIBC|GLIBCXX|CXXABI)_[\d.]+/g));
}

function textsOf(library: Uint8Array): string {
  return new TextDecoder("latin1").decode(library);
}
