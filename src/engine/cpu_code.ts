/**
 * The code that computes on the CPU. ggml has it once for each generation of processors, the variants, and takes the best
 * one that the machine can run. Of those with AVX2 and AVX-512 there are builds of our own beside npm's (`native/`): from
 * the same source, by a compiler that keeps the sums of a matrix product in registers. They belong to this program like
 * its modules, wherever it was loaded from, and are loaded from memory: the engine may not write files.
 */
import { findLibrary } from "./library_files.ts";

/** The variants that there is a build of our own of, the best first, as ggml rates them. */
export const OWN_VARIANTS = [
  "zen4",
  "cooperlake",
  "icelake",
  "cascadelake",
  "cannonlake",
  "skylakex",
  "alderlake",
  "haswell",
] as const;
/** The one with tiles (AMX) is better still, but only for quantized weights. There is no build of our own: see `native/`. */
const TILES = "sapphirerapids";
/** Those without AVX-512. */
const NARROW_VARIANTS: readonly string[] = ["alderlake", "haswell"];

/** How CPU code is chosen and loaded. */
export interface CpuOptions {
  /** Without AVX-512. */
  readonly narrow: boolean;
  /** There are quantized weights. */
  readonly quantized: boolean;
  /** Our own build, where there is one. */
  readonly own: boolean;
  /** Loads a library into ggml, and says whether it did. */
  readonly load: (path: string) => boolean;
}

/** Code that computes on the CPU. */
export interface CpuCode {
  readonly variant: string;
  /** It is our own build. */
  readonly own: boolean;
}

/**
 * Load the best CPU code for this machine.
 *
 * @param folder The native libraries.
 * @param options How.
 * @returns What was loaded; `undefined` if the folder has no variant that is known here and runs.
 */
export async function loadCpuCode(folder: string, options: CpuOptions): Promise<CpuCode | undefined> {
  const { narrow, quantized, load } = options;
  const variants = narrow ? NARROW_VARIANTS : [...quantized ? [TILES] : [], ...OWN_VARIANTS];
  for (const variant of variants) {
    const file = findLibrary(folder, `ggml-cpu-${variant}`);
    if (file === undefined || !runs(file)) continue;
    const own = options.own && variant !== TILES && await loadOwn(variant, load);
    if (own || load(file)) return { variant, own };
  }
  return undefined;
}

/**
 * Where the build of a variant is, in this program's sources.
 *
 * @param variant Its name.
 * @returns A library, compressed with gzip.
 */
export function ownBuildUrl(variant: string): URL {
  return new URL(`../../native/linux-x64/libggml-cpu-${variant}.so.gz`, import.meta.url);
}

/**
 * Read a build. In pieces: what passes through the heap of an engine stays part of the process.
 *
 * @param url Where it is.
 * @returns The library's bytes.
 */
export async function readBuild(url: URL): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const packed = url.protocol === "file:" ? (await Deno.open(url)).readable : await importBytes(url);
  return packed.pipeThrough(new DecompressionStream("gzip"));
}

/** An engine may not connect, but what belongs to its program comes by the same way as its modules. */
async function importBytes({ href }: URL): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const { default: bytes } = await import(href, { with: { type: "bytes" } });
  return new Blob([bytes]).stream();
}

/** Whether this machine can run the code in a library: ggml's own answer, before it loads one. */
function runs(file: string): boolean {
  try {
    const library = Deno.dlopen(file, { ggml_backend_score: { parameters: [], result: "i32" } } as const);
    const score = library.symbols.ggml_backend_score();
    library.close();
    return score > 0;
  } catch {
    return false; // ggml cannot load it either.
  }
}

/** Without it npm's does the same work, only slower; whoever runs the engine is told. */
async function loadOwn(variant: string, load: (path: string) => boolean): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return false;
  let reason = "the system's loader refused it";
  try {
    using file = new MemoryFile();
    for await (const bytes of await readBuild(ownBuildUrl(variant))) file.append(bytes);
    if (load(file.path)) return true;
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  console.error(`The "${variant}" code that comes with inferd cannot be loaded, npm's is slower: ${reason}`);
  return false;
}

/** A file that is nowhere but in memory, for as long as it takes to load it. */
class MemoryFile implements Disposable {
  readonly #libc = Deno.dlopen(
    "libc.so.6",
    {
      memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
      write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      close: { parameters: ["i32"], result: "i32" },
    } as const,
  );
  readonly #descriptor: number;

  /** @throws {Error} If the system has no such files. */
  constructor() {
    const CLOSE_ON_EXEC = 1;
    this.#descriptor = this.#libc.symbols.memfd_create(new TextEncoder().encode("inferd-cpu\0"), CLOSE_ON_EXEC);
    if (this.#descriptor < 0) throw new Error("the system has no files in memory");
  }

  /** @throws {Error} If there is no memory for it. */
  append(bytes: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < bytes.length;) {
      const written = Number(this.#libc.symbols.write(this.#descriptor, bytes.subarray(at), BigInt(bytes.length - at)));
      if (written <= 0) throw new Error("the system has no memory for it");
      at += written;
    }
  }

  get path(): string {
    return `/proc/self/fd/${this.#descriptor}`;
  }

  [Symbol.dispose](): void {
    this.#libc.symbols.close(this.#descriptor);
    this.#libc.close();
  }
}
