/** Where a user's own folders are, and what is said where nothing tells. Reads no file. */
import { isAbsolute } from "@std/path";
import type { Env } from "./flags.ts";
import { UsageError } from "./setting/usage_error.ts";

/** Variables that name folders; relative ones would mean another folder in every working directory. */
const FOLDERS = ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"] as const;

/**
 * The user's home folder.
 *
 * @param env The environment.
 * @returns It; nothing where it is not set.
 * @throws {UsageError} If it is not an absolute path.
 */
export function homeDirectory(env: Env): string | undefined {
  return absolute("HOME", env) || undefined;
}

/**
 * Refuse folders that depend on the working directory.
 *
 * @param env The environment.
 * @throws {UsageError} If a variable names one.
 */
export function checkFolders(env: Env): void {
  for (const name of FOLDERS) absolute(name, env);
}

function absolute(name: string, env: Env): string | undefined {
  const path = env(name);
  if (!path || isAbsolute(path)) return path;
  throw new UsageError(`${name} must be an absolute path, got ${JSON.stringify(path)}`);
}

/** What to say where a store is needed and nothing tells where it is. */
export const NO_STORE =
  "There is no folder for the model store: neither HOME nor MODELS_HOME is set; set one of them, or " +
  '"models_home" in the configuration file';
