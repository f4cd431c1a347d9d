/** Where the native libraries are: npm's package of the platform, and which of its files is which library. */

/** The node-llama-cpp release whose libraries are used. */
export const LIBRARY_VERSION = "3.21.1";

/** The library cannot be used; the message is for the operator. */
export class LibraryError extends Error {
  override readonly name = "LibraryError";
}

/** The platform package for a machine, or `undefined` where there is none. */
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

/** The folder of the libraries that npm has for this platform. The specifier is computed, so that only that package is fetched. */
export async function packagedFolder(): Promise<string> {
  const name = platformPackage(Deno.build.os, Deno.build.arch);
  if (name === undefined) {
    throw new LibraryError(`No native library is published for "${Deno.build.os} ${Deno.build.arch}"`);
  }
  const { getBinsDir } = await import(`npm:@node-llama-cpp/${name}@${LIBRARY_VERSION}`);
  return `${getBinsDir().binsDir}/${name}`;
}

/**
 * Whether a file is the library of this name. It differs by system, and may carry accelerator and release:
 * `libllama.v0.4.0.so`, `libllama.metal.v0.4.0.dylib`, `llama.dll`.
 */
export function isLibrary(file: string, library: string): boolean {
  return new RegExp(`^(lib)?${library}(\\.[a-z]+)?(\\.v[\\d.]+)?\\.(so|dylib|dll)$`).test(file);
}

/** The file of a library in a folder. */
export function findLibrary(folder: string, library: string): string | undefined {
  for (const { name } of Deno.readDirSync(folder)) if (isLibrary(name, library)) return `${folder}/${name}`;
  return undefined;
}
