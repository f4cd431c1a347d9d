/**
 * Where the built-in model is: beside this program, or, when the program was loaded from elsewhere (a registry), in a
 * cache folder that it is fetched into once.
 */
import { fromFileUrl, join } from "@std/path";
import type { LoadPhase } from "@inferd/client/protocol";
import { checkModelFile, createSha256, ModelFileError, verifyModelFile } from "./model_file.ts";

/** What the built-in model hashes to. */
export const BUILT_IN_SHA256 = "5e8af1a3d5caceb318d9cc27a5f0644f49d212f9a8e3e0ea4fd74a8d1e02806f";
/** Its size in bytes: nothing longer is fetched. */
const BUILT_IN_BYTES = 5_729_120;
const DIRECTORY_MODE = 0o700;

/** Where the built-in model is in this program's sources. */
export const BUILT_IN_URL: URL = new URL("../../models/inferd-tiny.gguf", import.meta.url);

/** How the built-in model is found. */
export interface BuiltInOptions {
  /** Where a fetched model is kept. */
  readonly cacheDir: string;
  /** For tests; absent: in this program's sources. */
  readonly url?: URL;
  /** Told what takes time. */
  readonly onPhase?: (phase: LoadPhase) => void;
  readonly signal?: AbortSignal;
}

/**
 * Where the built-in model is, or would be once it is fetched.
 *
 * @param cacheDir Where a fetched model is kept.
 * @param url Where it is in this program's sources.
 */
export function builtInModelFile(cacheDir: string, url: URL = BUILT_IN_URL): string {
  return url.protocol === "file:"
    ? fromFileUrl(url)
    : join(cacheDir, `inferd-tiny-${BUILT_IN_SHA256.slice(0, 12)}.gguf`);
}

/**
 * Find the built-in model; fetch it if it is not on a disk yet.
 *
 * @param options Where to look and to put it.
 * @returns The path of the file.
 * @throws {ModelFileError} If it cannot be fetched, or what came is something else.
 */
export async function builtInModelPath(options: BuiltInOptions): Promise<string> {
  const { cacheDir, url = BUILT_IN_URL } = options;
  const path = builtInModelFile(cacheDir, url);
  if (url.protocol === "file:" || await isCached(path, options)) return path;
  try {
    Deno.mkdirSync(cacheDir, { recursive: true, mode: DIRECTORY_MODE });
    const partial = await Deno.makeTempFile({ dir: cacheDir, prefix: "inferd-tiny-", suffix: ".partial" });
    try {
      await download(url, partial, options);
      await Deno.rename(partial, path);
    } catch (error) {
      await Deno.remove(partial);
      throw error;
    }
    return path;
  } catch (error) {
    options.signal?.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    throw new ModelFileError(`Cannot fetch the built-in model from "${url}": ${reason}`, { cause: error });
  }
}

/** What is in the cache is hashed every time: it is small, and anything may have happened to it. */
async function isCached(path: string, options: BuiltInOptions): Promise<boolean> {
  try {
    await checkModelFile(path);
    options.onPhase?.({ phase: "verify", path });
    const { signal } = options;
    await verifyModelFile(path, { sha256: BUILT_IN_SHA256, ...(signal === undefined ? {} : { signal }) });
    return true;
  } catch (error) {
    if (error instanceof ModelFileError) return false;
    throw error;
  }
}

async function download(url: URL, path: string, options: BuiltInOptions): Promise<void> {
  const { signal } = options;
  const tell = (bytes: number): void =>
    options.onPhase?.({
      phase: "download",
      downloaded_bytes: bytes,
      total_bytes: BUILT_IN_BYTES,
      source_url: url.href,
    });
  tell(0);
  const response = await fetch(url, signal === undefined ? {} : { signal });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status}`);
  }
  using file = await Deno.open(path, { write: true });
  const hash = await createSha256();
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > BUILT_IN_BYTES) throw new Error(`what comes is longer than ${BUILT_IN_BYTES} bytes`);
    hash.update(chunk);
    for (let written = 0; written < chunk.length;) written += await file.write(chunk.subarray(written));
  }
  tell(bytes);
  const actual = hash.digest("hex");
  if (actual !== BUILT_IN_SHA256) throw new Error(`the SHA-256 of what came is ${actual}, not ${BUILT_IN_SHA256}`);
  await file.sync();
}
