/** Reads configuration from disk: the configuration file, and API keys, which are never in it. */
import { dirname, join, resolve } from "node:path";
import { defined } from "../inference/objects.ts";
import { errorText } from "../log/error_text.ts";
import { readHuggingFaceToken } from "../models/transfer/access.ts";
import type { Env } from "./flags.ts";
import { homeDirectory } from "./home.ts";
import type { ConfigFile } from "./file.ts";
import type { DaemonOptions } from "./options.ts";
import type { SettingValues } from "./schema.ts";
import { UsageError } from "./setting/usage_error.ts";

export interface LoadedConfig {
  readonly path: string;
  readonly content: ConfigFile;
  /** Resolves a path in the file: relative to the file's folder, `~/` to home. */
  place(path: string): string;
}

const MOST_KEY_BYTES = 64 * 1024;

/** Path of the file, whether or not it exists, and whether it must; `undefined` if no path is known. */
export function configPath(values: SettingValues, env: Env): { path: string; required: boolean } | undefined {
  const home = homeDirectory(env);
  if (values.config !== undefined) return { path: resolve(values.config), required: true };
  return home ? { path: join(home, ".inferd", "config.json"), required: false } : undefined;
}

/**
 * Load the configuration file, if there is one.
 *
 * @returns Its content; `undefined` if there is none and none was named.
 * @throws {UsageError} If it cannot be read, or is invalid.
 */
export async function loadConfig(values: SettingValues, env: Env): Promise<LoadedConfig | undefined> {
  const found = configPath(values, env);
  if (found === undefined) return undefined;
  const { path, required } = found;
  let source: string;
  try {
    regularFileSize(path);
    source = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && !required) return undefined;
    throw new UsageError(`Cannot read "${path}": ${reasonOf(error)}`);
  }
  const { parseConfigFile } = await import("./file.ts");
  const content = parseConfigFile(source, path);
  const home = homeDirectory(env);
  return {
    path,
    content,
    place: (given) => home && given.startsWith("~/") ? join(home, given.slice(2)) : resolve(dirname(path), given),
  };
}

/** @throws {UsageError} If a key is missing: keys are in files, or in variables that the operator names. */
export function withKeys(options: DaemonOptions, env: Env): DaemonOptions {
  const { apiKey, apiKeyFile, huggingFace } = options;
  return {
    ...options,
    ...(huggingFace && { huggingFace: { ...huggingFace, ...defined({ token: readHuggingFaceToken(env) }) } }),
    ...(apiKey !== undefined || apiKeyFile === undefined ? {} : { apiKey: readKey(apiKeyFile) }),
    backends: options.backends.map((backend) => {
      if (backend.kind !== "openai-compat" || backend.apiKeyEnv === undefined) return backend;
      const key = env(backend.apiKeyEnv);
      if (key) return { ...backend, apiKey: key };
      throw new UsageError(`Backend "${backend.name}" takes its key from ${backend.apiKeyEnv}, which is not set`);
    }),
  };
}

/**
 * @param path File that holds only the key.
 * @throws {UsageError} If there is none.
 */
export function readKey(path: string): string {
  let text: string;
  try {
    const size = regularFileSize(path);
    if (size > MOST_KEY_BYTES) throw new Error(`it has ${size} bytes, at most ${MOST_KEY_BYTES} are allowed`);
    text = Deno.readTextFileSync(path).trim();
  } catch (error) {
    throw new UsageError(`Cannot read the API key from "${path}": ${reasonOf(error)}`);
  }
  if (text === "") throw new UsageError(`Cannot read the API key from "${path}": it is empty`);
  return text;
}

/**
 * Look at a file before it is opened: opening a FIFO waits for somebody who writes to it, and everybody waits with it.
 *
 * @param path The file, or a link to it.
 * @returns Its length in bytes.
 * @throws {Error} If it cannot be looked at, or is not a regular file.
 */
export function regularFileSize(path: string): number {
  const { isFile, size } = Deno.statSync(path);
  if (!isFile) throw new Error("it is not a regular file");
  return size;
}

/** Information of a path, without following links; `undefined` if nothing exists there. */
export function look(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.NotCapable) return "this process was not given the permission, --allow-read";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return errorText(error);
}
