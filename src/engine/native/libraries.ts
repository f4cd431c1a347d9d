/**
 * From what is wanted to the folders of the native libraries: which packages that takes, where they are, and what to do
 * about those that are not here. Fetching is the daemon's: the engine asks for it and waits.
 */
import { chooseLibraries, type Unusable } from "../../libraries/choice.ts";
import { locatePackages, type PackagePlaces } from "../../libraries/locate.ts";
import type { Machine } from "../../libraries/machine.ts";
import { fullName, PACKAGE_SCOPE, type PackageName } from "../../libraries/packages.ts";
import { configuredRegistry, denoPackagesFolders } from "../../libraries/registry.ts";
import type { LibrarySource } from "./library.ts";
import { LIBRARY_VERSION, LibraryError, packagedFolder, platformPackage } from "../../libraries/library_files.ts";
import type { EngineConfig, EngineNeed } from "../ipc/messages.ts";

/** What is wanted. */
export type LibraryWish = Pick<EngineConfig, "accelerator" | "cacheDir" | "libraryDir">;

/** Has something fetched; says why not where it could not be. */
export type Fetch = (need: EngineNeed) => string | undefined;

/** What came of it. */
export interface Obtained {
  readonly source: LibrarySource;
  /** Better accelerators, and why they are not used. */
  readonly unusable: readonly Unusable[];
}

/**
 * Find the libraries; have fetched what is missing.
 *
 * @param wish What is wanted.
 * @param machine What there is.
 * @param fetch Has packages fetched.
 * @returns Where they are.
 * @throws {LibraryError} If what is wanted cannot be used here or cannot be fetched.
 */
export async function obtainLibraries(wish: LibraryWish, machine: Machine, fetch: Fetch): Promise<Obtained> {
  const { accelerator: setting = "auto", libraryDir } = wish;
  if (libraryDir !== undefined) return { source: { folder: libraryDir, own: true }, unusable: [] };
  const choice = chooseLibraries(setting, machine);
  const unusable = [...choice.unusable];
  const places = await packagePlaces(wish, machine);
  let failure: string | undefined;
  for (const candidate of choice.candidates) {
    const { accelerator, preload } = candidate;
    let found = locatePackages(candidate, places);
    if ("missing" in found) {
      failure = fetch({ packages: found.missing }) ?? undefined;
      if (failure === undefined) found = locatePackages(candidate, places);
    }
    if ("missing" in found) {
      failure ??= `${found.missing.map(fullName).join(" and ")} ${LIBRARY_VERSION} cannot be found`;
      unusable.push({ accelerator, reason: failure, hasDriver: true });
      continue;
    }
    const { folder, acceleratorFolder } = found;
    const own = false;
    if (accelerator === "cpu") return { source: { folder, own }, unusable };
    const library = { name: accelerator, folder: acceleratorFolder, preload, optional: setting === "auto" };
    return { source: { folder, own, accelerator: library }, unusable };
  }
  throw new LibraryError(failure ?? "There is no native library");
}

/** Where packages may be. */
async function packagePlaces({ cacheDir }: LibraryWish, machine: Machine): Promise<PackagePlaces> {
  const base = platformPackage(machine.os, machine.arch) as PackageName | undefined;
  const embedded = Deno.build.standalone && base !== undefined ? { [base]: await packagedFolder() } : undefined;
  return { denoFolders: denoFolders(machine, PACKAGE_SCOPE), cacheDir, embedded, exists: machine.exists };
}

/**
 * Where Deno keeps packages, as npm is configured.
 *
 * @param machine What decides.
 * @param scope The packages' scope; absent: they have none.
 */
export function denoFolders(machine: Machine, scope?: string): string[] {
  const { url: registry } = configuredRegistry({
    env: machine.env,
    read(path): string | undefined {
      const bytes = machine.read(path);
      return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
    },
  }, scope);
  return denoPackagesFolders(registry, machine);
}
