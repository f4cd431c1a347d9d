/**
 * A model file before an engine gets it: it is there, it is a GGUF file, it has the hash that was configured.
 * What is inside is the engine's matter.
 */
import type { Hash } from "node:crypto";

/** Read at a time while hashing, in bytes: small enough to be still in the processor's cache when it is hashed. */
const CHUNK_BYTES = 256 * 1024;
const GGUF_MAGIC = "GGUF";

/** The file cannot be used; the message names it and says why. */
export class ModelFileError extends Error {
  override readonly name = "ModelFileError";
}

/** What tells one state of a file from another without reading it. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number | null;
  readonly size: number;
  readonly mtimeMs: number;
  /** Moves also when the file is renamed away and back. */
  readonly ctimeMs: number;
}

/**
 * Look whether a file can be a model.
 *
 * @param path The file.
 * @returns What it is now.
 * @throws {ModelFileError} If it is missing, unreadable, no regular file or no GGUF file.
 */
export async function checkModelFile(path: string): Promise<FileIdentity> {
  using file = await openModel(path);
  const magic = new Uint8Array(GGUF_MAGIC.length);
  const read = await file.read(magic);
  if (read !== magic.length || new TextDecoder().decode(magic) !== GGUF_MAGIC) {
    throw new ModelFileError(`Cannot load model "${path}": it is not a GGUF file`);
  }
  return identify(await file.stat());
}

/**
 * Hash a model file and compare.
 *
 * @param path The file.
 * @param options The expected SHA-256 in lower-case hex, and what gives up the work.
 * @returns What the file was while it was hashed.
 * @throws {ModelFileError} If the hash is another, or the file cannot be read.
 */
export async function verifyModelFile(
  path: string,
  options: { readonly sha256: string; readonly signal?: AbortSignal },
): Promise<FileIdentity> {
  const { sha256, identity, changed } = await hashModelFile(path, options.signal);
  if (sha256 !== options.sha256) {
    throw new ModelFileError(
      `Cannot load model "${path}": its SHA-256 is ${sha256}, the configured one is ${options.sha256}`,
    );
  }
  if (changed) {
    throw new ModelFileError(`Cannot load model "${path}": it changed while its SHA-256 was computed`);
  }
  return identity;
}

/** What a file hashed to. */
export interface HashedFile {
  /** Lower-case hex. */
  readonly sha256: string;
  /** What the file was before it was read. */
  readonly identity: FileIdentity;
  /** Whether it was another one after it was read. */
  readonly changed: boolean;
}

/**
 * Hash a model file.
 *
 * @param path The file.
 * @param signal Gives up the work.
 * @returns What came of it.
 * @throws {ModelFileError} If the file cannot be read.
 */
export async function hashModelFile(path: string, signal?: AbortSignal): Promise<HashedFile> {
  using file = await openModel(path);
  const identity = identify(await file.stat());
  const hash = await createSha256();
  await hashRest(file, hash, signal);
  const changed = !sameFile(identity, identify(await file.stat()));
  return { sha256: hash.digest("hex"), identity, changed };
}

/**
 * Hash what is left of an open file. While one piece is hashed, the next one is read.
 *
 * @param file Read from where it stands to its end.
 * @param hash Gets the bytes.
 * @param signal Gives up the work.
 * @returns How many bytes there were.
 * @throws The signal's reason.
 */
export async function hashRest(file: Deno.FsFile, hash: Hash, signal?: AbortSignal): Promise<number> {
  let [current, next] = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
  let total = 0;
  for (let read = await file.read(current); read !== null;) {
    signal?.throwIfAborted();
    const reading = file.read(next);
    hash.update(current.subarray(0, read));
    total += read;
    read = await reading;
    [current, next] = [next, current];
  }
  return total;
}

/** What a model file is now. */
export async function lookAtModelFile(path: string): Promise<FileIdentity> {
  using file = await openModel(path);
  return identify(await file.stat());
}

/** A running SHA-256. Loaded when it is needed: few models have a configured hash, and it costs memory and time. */
export async function createSha256(): Promise<Hash> {
  return (await import("node:crypto")).createHash("sha256");
}

/** Whether two looks saw the same bytes, as far as the file system can tell. */
export function sameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one.dev === other.dev && one.ino === other.ino && one.size === other.size &&
    one.mtimeMs === other.mtimeMs && one.ctimeMs === other.ctimeMs;
}

async function openModel(path: string): Promise<Deno.FsFile> {
  try {
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    const info = await Deno.stat(path);
    if (info.isDirectory) throw new ModelFileError(`Cannot load model "${path}": it is a directory`);
    if (!info.isFile) throw new ModelFileError(`Cannot load model "${path}": it is not a regular file`);
    return await Deno.open(path, { read: true });
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    throw new ModelFileError(`Cannot load model "${path}": ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) return "Deno was not given --allow-read for it";
  return error instanceof Error ? error.message : String(error);
}

/** What tells this state of a file from another. */
export function identify(info: Deno.FileInfo): FileIdentity {
  return {
    dev: info.dev,
    ino: info.ino,
    size: info.size,
    mtimeMs: info.mtime?.getTime() ?? 0,
    ctimeMs: info.ctime?.getTime() ?? 0,
  };
}
