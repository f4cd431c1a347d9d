/** Paths of the shared model store. Other tools use the same layout, so it must not change. Touches no files. */
import { isSha256 } from "../file/sha256.ts";
import { join, resolve } from "node:path";
import { ModelStoreError } from "./store_error.ts";

/** Maximum length of a model name, in ASCII characters. */
export const NAME_MAX_BYTES = 128;
export const NAME = /^(?!\.)(?!.*\.\.)[A-Za-z0-9._-]+$/;

/** Environment and platform, injectable for tests. */
export interface StoreMachine {
  readonly env: (name: string) => string | undefined;
  /** `Deno.build.os`. */
  readonly platform: string;
}

/**
 * Default location of the shared model store.
 *
 * @param machine Provides `MODELS_HOME`, `XDG_DATA_HOME`, `HOME`, `LOCALAPPDATA` and the platform.
 * @returns An absolute path; nothing if no variable locates the user's data.
 */
export function modelsHome(machine: StoreMachine): string | undefined {
  const { env, platform } = machine;
  const own = env("MODELS_HOME");
  if (own) return resolve(own);
  const below = (folder: string | undefined, ...parts: string[]): string | undefined =>
    folder ? resolve(folder, ...parts) : undefined;
  if (platform === "windows") {
    return below(env("LOCALAPPDATA"), "models") ?? below(env("USERPROFILE"), "AppData", "Local", "models");
  }
  if (platform === "darwin") return below(env("HOME"), "Library", "Application Support", "models");
  return below(env("XDG_DATA_HOME"), "models") ?? below(env("HOME"), ".local", "share", "models");
}

/** Whether a model name is valid: at most 128 of `[A-Za-z0-9._-]`, no leading dot, no `..`. */
export function isModelName(name: string): boolean {
  return name.length <= NAME_MAX_BYTES && NAME.test(name);
}

/** @throws {ModelStoreError} If the name is invalid. */
export function checkModelName(name: string): void {
  if (isModelName(name)) return;
  throw new ModelStoreError(
    "bad_name",
    `A model cannot be named "${name}": a name is at most ${NAME_MAX_BYTES} letters, digits, dots, dashes and ` +
      'underscores, without a leading dot and without ".."',
  );
}

/** @throws {ModelStoreError} If it is not 64 lower-case hex digits. */
export function checkSha256(text: string): void {
  if (isSha256(text)) return;
  throw new ModelStoreError("bad_name", `"${text}" is not a SHA-256: that is 64 lower-case hex digits`);
}

export function blobsDir(root: string): string {
  return join(root, "blobs", "sha256");
}

export function blobDir(root: string, sha256: string): string {
  return join(blobsDir(root), sha256.slice(0, 2), sha256);
}

/** @param sha256 Lower-case hex. */
export function blobPath(root: string, sha256: string): string {
  return join(blobDir(root, sha256), "data");
}

/** Folder of an unfinished blob. */
export function partialDir(root: string, key: string): string {
  return join(blobsDir(root), key.slice(0, 2), `.partial-${key}`);
}

/** Data file of an unfinished blob in the folder `dir`. */
export function partialDataPath(dir: string): string {
  return join(dir, "data.tmp");
}

export function manifestsDir(root: string): string {
  return join(root, "manifests");
}

export function manifestPath(root: string, name: string): string {
  return join(manifestsDir(root), `${name}.json`);
}

/** Folder of lock files and of the quarantine. */
export function locksDir(root: string): string {
  return join(root, "locks");
}

/** Folder for files whose hash did not match. */
export function quarantineDir(root: string): string {
  return join(locksDir(root), "quarantine");
}
