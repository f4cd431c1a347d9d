/**
 * Locates the built-in models: next to the program, or, when the program was loaded from a registry, in a cache folder
 * into which they are downloaded once.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LoadPhase } from "@inferd/client/protocol";
import { checkModel, ModelFileError, verifyModel } from "./file/model_file.ts";
import { createSha256 } from "./file/sha256.ts";
import { errorText } from "../log/error_text.ts";

/** The built-in generative model. */
export const BUILT_IN_MODEL = "inferd-tiny" as const;

export interface BuiltIn {
  /** URL in the program's sources. */
  readonly url: URL;
  readonly sha256: string;
  /** Expected size; longer downloads are aborted. */
  readonly bytes: number;
}

export const BUILT_INS = {
  [BUILT_IN_MODEL]: {
    url: new URL("../../models/inferd-tiny.gguf", import.meta.url),
    sha256: "5e8af1a3d5caceb318d9cc27a5f0644f49d212f9a8e3e0ea4fd74a8d1e02806f",
    bytes: 5_729_120,
  },
  "inferd-tiny-embed": {
    url: new URL("../../models/inferd-tiny-embed.gguf", import.meta.url),
    sha256: "f97a517f4dbaa3330e90e96779fcf8915a52072ebf0b03a3ceeb21cbe1e67b2b",
    bytes: 2_050_976,
  },
  "inferd-tiny-rerank": {
    url: new URL("../../models/inferd-tiny-rerank.gguf", import.meta.url),
    sha256: "dbd381e2b95d64b09fc6fd8eed5e12ee35d696169fb373554278c0e9641d1769",
    bytes: 2_084_800,
  },
} as const satisfies Readonly<Record<string, BuiltIn>>;

export type BuiltInName = keyof typeof BUILT_INS;

export class BuiltInError extends Error {
  override readonly name = "BuiltInError";
}

export function isBuiltIn(name: string): name is BuiltInName {
  return Object.hasOwn(BUILT_INS, name);
}

const DIRECTORY_MODE = 0o700;

export interface BuiltInOptions {
  /** Default: the generative model. */
  readonly name?: BuiltInName;
  readonly cacheDir: string;
  /** Overrides the URL, for tests. */
  readonly url?: URL;
  /** Called when a phase that takes time begins. */
  readonly onPhase?: (phase: LoadPhase) => void;
  readonly signal?: AbortSignal;
}

/** Path of a built-in model, whether or not it is downloaded yet. */
export function builtInModelFile(options: Pick<BuiltInOptions, "name" | "cacheDir" | "url">): string {
  const { name = BUILT_IN_MODEL, cacheDir } = options;
  const { sha256, url: ownUrl } = BUILT_INS[name];
  const { url = ownUrl } = options;
  return url.protocol === "file:" ? fileURLToPath(url) : join(cacheDir, `${name}-${sha256.slice(0, 12)}.gguf`);
}

/**
 * Locate a built-in model; download it if necessary.
 *
 * @throws {BuiltInError} If it cannot be fetched, or the download is something else.
 */
export async function builtInModelPath(options: BuiltInOptions): Promise<string> {
  const { name = BUILT_IN_MODEL, cacheDir } = options;
  const { url = BUILT_INS[name].url } = options;
  const path = builtInModelFile(options);
  if (url.protocol === "file:" || await isCached(path, options)) return path;
  try {
    Deno.mkdirSync(cacheDir, { recursive: true, mode: DIRECTORY_MODE });
    const partial = await Deno.makeTempFile({ dir: cacheDir, prefix: `${name}-`, suffix: ".partial" });
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
    throw new BuiltInError(`Cannot fetch the built-in model from "${url}": ${errorText(error)}`, { cause: error });
  }
}

/** The cached file is small, so it is hashed every time. */
async function isCached(path: string, options: BuiltInOptions): Promise<boolean> {
  try {
    const files = await checkModel(path);
    options.onPhase?.({ phase: "verify", path });
    const { signal } = options;
    const { sha256 } = BUILT_INS[options.name ?? BUILT_IN_MODEL];
    await verifyModel(files, { sha256, ...(signal === undefined ? {} : { signal }) });
    return true;
  } catch (error) {
    if (error instanceof ModelFileError) return false;
    throw error;
  }
}

async function download(url: URL, path: string, options: BuiltInOptions): Promise<void> {
  const { signal, name = BUILT_IN_MODEL } = options;
  const expected = BUILT_INS[name];
  const tell = (bytes: number): void =>
    options.onPhase?.({
      phase: "download",
      downloaded_bytes: bytes,
      total_bytes: expected.bytes,
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
    if (bytes > expected.bytes) throw new Error(`the response is longer than ${expected.bytes} bytes`);
    hash.update(chunk);
    for (let written = 0; written < chunk.length;) written += await file.write(chunk.subarray(written));
  }
  tell(bytes);
  const actual = hash.digest("hex");
  if (actual !== expected.sha256) throw new Error(`the SHA-256 of the download is ${actual}, not ${expected.sha256}`);
  await file.sync();
}
