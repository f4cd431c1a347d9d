/**
 * Resolves the folders of the native libraries: which packages are needed, where they are, and fetching missing ones.
 * The daemon fetches; the engine asks for it and waits.
 */
import { chooseLibraries, type Unusable } from "../../libraries/choice.ts";
import { locatePackages, type PackagePlaces } from "../../libraries/locate.ts";
import type { Machine } from "../../libraries/machine.ts";
import { fullName, PACKAGE_SCOPE, type PackageName } from "../../libraries/packages.ts";
import { configuredRegistry, denoPackagesFolders } from "../../libraries/registry.ts";
import type { LibrarySource } from "./library.ts";
import { LIBRARY_VERSION, LibraryError, packagedFolder, platformPackage } from "../../libraries/library_files.ts";
import type { EngineConfig, EngineNeed } from "../ipc/messages.ts";

/** The configured accelerator and folders. */
export type LibraryWish = Pick<EngineConfig, "accelerator" | "cacheDir" | "libraryDir">;

/** Fetches packages; returns the reason if that fails. */
export type Fetch = (need: EngineNeed) => string | undefined;

export interface Obtained {
  readonly source: LibrarySource;
  /** Better accelerators that cannot be used, with reasons. */
  readonly unusable: readonly Unusable[];
}

/**
 * Locate the native libraries, fetching missing packages.
 *
 * @throws {LibraryError} If the configured accelerator is unusable or cannot be fetched.
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

async function packagePlaces({ cacheDir }: LibraryWish, machine: Machine): Promise<PackagePlaces> {
  const base = platformPackage(machine.os, machine.arch) as PackageName | undefined;
  const embedded = Deno.build.standalone && base !== undefined ? { [base]: await packagedFolder() } : undefined;
  return { denoFolders: denoFolders(machine, PACKAGE_SCOPE), cacheDir, embedded, exists: machine.exists };
}

/**
 * Package folders of Deno's npm cache.
 *
 * @param scope npm scope of the packages, if any.
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
