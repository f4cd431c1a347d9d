/** Locates the packages of an accelerator on this machine. */
import { LIBRARY_VERSION } from "./library_files.ts";
import type { Candidate } from "./choice.ts";
import { fullName, librariesIn, type PackageName, packagesFolder } from "./packages.ts";

export interface PackagePlaces {
  /** Deno's npm cache, one folder per registry. */
  readonly denoFolders: readonly string[];
  /** This program's cache. */
  readonly cacheDir?: string | undefined;
  /** Library folders embedded in a compiled executable. */
  readonly embedded?: Readonly<Partial<Record<PackageName, string>>> | undefined;
  readonly exists: (path: string) => boolean;
}

export interface LocatedLibraries {
  /** Folder with llama.cpp and the CPU backends. */
  readonly folder: string;
  /** Folder with the accelerator's library. */
  readonly acceleratorFolder: string;
}

/** @returns Its folders, or the missing packages. */
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

/** Library folder of a package. If it exists it is complete, because both caches move finished packages into place. */
function locatePackage(name: PackageName, places: PackagePlaces): string | undefined {
  const { denoFolders, cacheDir, embedded, exists } = places;
  const roots = [
    ...denoFolders.map((folder) => `${folder}/${fullName(name)}/${LIBRARY_VERSION}`),
    ...cacheDir === undefined ? [] : [`${packagesFolder(cacheDir)}/${name}`],
  ];
  return embedded?.[name] ?? roots.map((root) => librariesIn(root, name)).find(exists);
}
