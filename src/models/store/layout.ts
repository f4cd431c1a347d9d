/**
 * The paths of the shared model store. Other tools use the same layout, so nothing here may change. Touches no file.
 */
import { isSha256 } from "../file/sha256.ts";
import { join, resolve } from "@std/path";
import { ModelStoreError } from "./store_error.ts";

/** The longest name of a model, in bytes, which are characters. */
export const NAME_MAX_BYTES = 128;
/** What the name of a model is made of. */
export const NAME = /^(?!\.)(?!.*\.\.)[A-Za-z0-9._-]+$/;

/** What the machine says, passed in so that tests can say otherwise. */
export interface StoreMachine {
  readonly env: (name: string) => string | undefined;
  /** `Deno.build.os`. */
  readonly platform: string;
}

/**
 * Where the shared model store is when the configuration does not say.
 *
 * @param machine What decides: `MODELS_HOME`, `XDG_DATA_HOME`, `HOME`, `LOCALAPPDATA` and the platform.
 * @returns An absolute path; nothing where no variable says where a user's data is.
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

/** Whether a model can have this name: at most 128 of `[A-Za-z0-9._-]`, no leading dot, no `..`. */
export function isModelName(name: string): boolean {
  return name.length <= NAME_MAX_BYTES && NAME.test(name);
}

/** @throws {ModelStoreError} If no model can have this name. */
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

/** The folder of all blobs. */
export function blobsDir(root: string): string {
  return join(root, "blobs", "sha256");
}

/** The folder of one blob. */
export function blobDir(root: string, sha256: string): string {
  return join(blobsDir(root), sha256.slice(0, 2), sha256);
}

/**
 * Where the store keeps what has this hash.
 *
 * @param root The store.
 * @param sha256 Lower-case hex.
 * @returns The file, whether it is there or not.
 */
export function blobPath(root: string, sha256: string): string {
  return join(blobDir(root, sha256), "data");
}

/** The folder of what is on its way to becoming this blob. */
export function partialDir(root: string, key: string): string {
  return join(blobsDir(root), key.slice(0, 2), `.partial-${key}`);
}

/** What has come so far of a blob that is on its way, in the folder `dir`. */
export function partialDataPath(dir: string): string {
  return join(dir, "data.tmp");
}

/** The folder of all manifests. */
export function manifestsDir(root: string): string {
  return join(root, "manifests");
}

/** The manifest of one name. */
export function manifestPath(root: string, name: string): string {
  return join(manifestsDir(root), `${name}.json`);
}

/** The folder of the locks, which also holds the quarantine. */
export function locksDir(root: string): string {
  return join(root, "locks");
}

/** Where files go whose hash was another than the one asked for. */
export function quarantineDir(root: string): string {
  return join(locksDir(root), "quarantine");
}
