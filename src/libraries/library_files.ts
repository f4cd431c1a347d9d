/** Locates native libraries in npm's platform packages and maps file names to libraries. */

/** Pinned release of node-llama-cpp. */
export const LIBRARY_VERSION = "3.21.1";

/** The library cannot be used; the message is for the operator. */
export class LibraryError extends Error {
  override readonly name = "LibraryError";
}

/** Platform package of a machine, if there is one. */
export function platformPackage(os: string, arch: string): string | undefined {
  return ({
    "linux x86_64": "linux-x64",
    "linux aarch64": "linux-arm64",
    "darwin x86_64": "mac-x64",
    "darwin aarch64": "mac-arm64-metal",
    "windows x86_64": "win-x64",
    "windows aarch64": "win-arm64",
  } as Record<string, string>)[`${os} ${arch}`];
}

/**
 * Library folder of npm's package for this platform. The specifier is computed, so that Deno fetches no other package.
 */
export async function packagedFolder(): Promise<string> {
  const name = platformPackage(Deno.build.os, Deno.build.arch);
  if (name === undefined) {
    throw new LibraryError(`No native library is published for "${Deno.build.os} ${Deno.build.arch}"`);
  }
  const { getBinsDir } = await import(`npm:@node-llama-cpp/${name}@${LIBRARY_VERSION}`);
  return `${getBinsDir().binsDir}/${name}`;
}

/**
 * Whether a file is the library of this name. The name depends on the system and may include accelerator and release:
 * `libllama.v0.4.0.so`, `libllama.metal.v0.4.0.dylib`, `llama.dll`.
 */
export function isLibrary(file: string, library: string): boolean {
  return new RegExp(`^(lib)?${library}(\\.[a-z]+)?(\\.v[\\d.]+)?\\.(so|dylib|dll)$`).test(file);
}

export function findLibrary(folder: string, library: string): string | undefined {
  for (const { name } of Deno.readDirSync(folder)) if (isLibrary(name, library)) return `${folder}/${name}`;
  return undefined;
}
