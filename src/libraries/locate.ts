/** Finds the packages of a way to compute on this machine. */
import { LIBRARY_VERSION } from "./library_files.ts";
import type { Candidate } from "./choice.ts";
import { fullName, librariesIn, type PackageName, packagesFolder } from "./packages.ts";

/** Where packages may be. */
export interface PackagePlaces {
  /** Deno's own, of each registry that it may have fetched from. */
  readonly denoFolders: readonly string[];
  /** Of this program. */
  readonly cacheDir?: string | undefined;
  /** Those that an executable made by `deno compile` carries: the folders of their libraries. */
  readonly embedded?: Readonly<Partial<Record<PackageName, string>>> | undefined;
  readonly exists: (path: string) => boolean;
}

/** The libraries of a way to compute. */
export interface LocatedLibraries {
  /** Has llama.cpp itself and what computes on the CPU. */
  readonly folder: string;
  /** Has the accelerator's library. */
  readonly acceleratorFolder: string;
}

/**
 * Find the packages of a candidate.
 *
 * @param candidate What is to be used.
 * @param places Where to look.
 * @returns Its folders; or the packages that are not here.
 */
export function locatePackages(
  { packages }: Candidate,
  places: PackagePlaces,
): LocatedLibraries | { readonly missing: readonly PackageName[] } {
  const folders = packages.map((name) => locatePackage(name, places));
  const missing = packages.filter((_, i) => folders[i] === undefined);
  const [folder, acceleratorFolder] = [folders[0], folders.at(-1)];
  if (folder === undefined || acceleratorFolder === undefined || missing.length > 0) return { missing };
  return { folder, acceleratorFolder };
}

/** The folder of the libraries of one package. What is there is whole: both caches move packages in when they are. */
function locatePackage(name: PackageName, places: PackagePlaces): string | undefined {
  const { denoFolders, cacheDir, embedded, exists } = places;
  const roots = [
    ...denoFolders.map((folder) => `${folder}/${fullName(name)}/${LIBRARY_VERSION}`),
    ...cacheDir === undefined ? [] : [`${packagesFolder(cacheDir)}/${name}`],
  ];
  return embedded?.[name] ?? roots.map((root) => librariesIn(root, name)).find(exists);
}
