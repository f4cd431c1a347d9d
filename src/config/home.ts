/** Folders of the user. Reads no files. */
import { isAbsolute } from "node:path";
import type { Env } from "./flags.ts";
import { UsageError } from "./setting/usage_error.ts";

/** Variables that must be absolute paths, as relative ones depend on the working directory. */
const FOLDERS = ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"] as const;

/** @throws {UsageError} If it is not an absolute path. */
export function homeDirectory(env: Env): string | undefined {
  return absolute("HOME", env) || undefined;
}

/** @throws {UsageError} If a folder variable is a relative path. */
export function checkFolders(env: Env): void {
  for (const name of FOLDERS) absolute(name, env);
}

function absolute(name: string, env: Env): string | undefined {
  const path = env(name);
  if (!path || isAbsolute(path)) return path;
  throw new UsageError(`${name} must be an absolute path, got ${JSON.stringify(path)}`);
}

export const NO_STORE =
  "There is no folder for the model store: neither HOME nor MODELS_HOME is set; set one of them, or " +
  '"models_home" in the configuration file';
