/**
 * Checks model files before an engine gets them: they exist, are complete GGUF files, belong to one model, and have the
 * configured hash.
 */
import { describeModel, metadataOf, type ModelDescription } from "./description.ts";
import { checkGgufSize, GgufError, type GgufFault, type GgufHead, type GgufScalar, readGgufHead } from "./gguf.ts";
import { fileSource } from "./gguf_cursor.ts";
import { createSha256, hashRest } from "./sha256.ts";
import { modelHash, partFault, partsFault, readShardName, shardFileName, shardPaths } from "./shards.ts";
import { errorText } from "../../log/error_text.ts";

/** Kind of defect; `split`: the wrong part of a split model, `hash`: a different SHA-256. */
export type ModelFileFault = GgufFault | "missing" | "unreadable" | "split" | "hash" | "changed";

/** The file cannot be used; the message names it and the reason. */
export class ModelFileError extends Error {
  override readonly name = "ModelFileError";
  readonly fault: ModelFileFault;
  readonly path: string;
  /** Reason, phrased to follow the file's name. */
  readonly reason: string;

  constructor(path: string, fault: ModelFileFault, reason: string, options: { readonly cause?: unknown } = {}) {
    super(`Cannot load model "${path}": ${reason}`, options);
    this.fault = fault;
    this.path = path;
    this.reason = reason;
  }
}

/** Identifies a version of a file without reading it. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number | null;
  readonly size: number;
  readonly mtimeMs: number;
  /** Changes even if the file is renamed away and back. */
  readonly ctimeMs: number;
}

export interface ModelFile {
  readonly path: string;
  readonly identity: FileIdentity;
  /** About the model, from the headers of all its files; the first file has it. */
  readonly about?: ModelAbout;
}

/** What headers say about a model. */
export interface ModelAbout {
  readonly description: ModelDescription;
  readonly metadata: Readonly<Record<string, GgufScalar>>;
}

/**
 * Check a model's files by their headers: each a complete GGUF file, and together one model.
 *
 * @param path The file, or any file of a split model with a conventional name.
 * @param parts Paths of all files, in order; default: next to `path`, with llama.cpp's names.
 * @returns The files, in order.
 * @throws {ModelFileError} If one is missing, unreadable, not a regular file, not GGUF, truncated, damaged, or belongs
 * to another model.
 */
export async function checkModel(path: string, parts?: readonly string[]): Promise<readonly ModelFile[]> {
  const given = await openHead(parts?.[0] ?? path);
  const { split } = given.head;
  if (split === undefined) {
    if (parts !== undefined && parts.length > 1) {
      throw new ModelFileError(path, "split", "it is a whole model, not the first of several");
    }
    if (given.head.tensors.length === 0) throw new ModelFileError(path, "damaged", "it has no tensors, only metadata");
    return filesOf([given]);
  }
  const { count } = split;
  const paths = parts ?? siblings(path, split);
  if (paths.length !== count) {
    const reason = `it is file ${split.index + 1} of ${count} of a split model, and ${paths.length} are known`;
    throw new ModelFileError(path, "split", reason);
  }
  const files: (ModelFile & { readonly head: GgufHead })[] = [];
  for (const [index, one] of paths.entries()) {
    const file = one === given.path ? given : await openPart(one, index, count);
    const fault = partFault(file.head, { index, count, tensors: split.tensors });
    if (fault !== undefined) throw new ModelFileError(one, "split", fault);
    files.push(file);
  }
  const fault = partsFault(files.map(({ head }) => head));
  if (fault !== undefined) throw new ModelFileError(path, "split", fault);
  return filesOf(files);
}

/** Drops what was only needed for the check. */
function filesOf(files: readonly (ModelFile & { readonly head: GgufHead })[]): ModelFile[] {
  return files.map(({ path, identity, head }, index) => ({
    path,
    identity,
    ...(index > 0
      ? {}
      : { about: { description: describeModel(files.map(({ head }) => head)), metadata: metadataOf(head) } }),
  }));
}

/** Paths of a split model's files, derived from the name of one. */
function siblings(path: string, { index, count }: NonNullable<GgufHead["split"]>): string[] {
  const name = readShardName(path);
  if (name?.index === index + 1 && name.count === count) return shardPaths(path);
  throw new ModelFileError(
    path,
    "split",
    `it is file ${index + 1} of ${count} of a split model; put all ${count} into one folder, each under its own name ` +
      `("${shardFileName("NAME", index + 1, count)}"), or join them (llama-gguf-split --merge)`,
  );
}

async function openPart(path: string, index: number, count: number): Promise<ModelFile & { readonly head: GgufHead }> {
  try {
    return await openHead(path);
  } catch (error) {
    if (!(error instanceof ModelFileError) || error.fault !== "missing") throw error;
    const reason = `no such file; the model is split, and this is file ${index + 1} of ${count}`;
    throw new ModelFileError(path, "missing", reason, { cause: error.cause });
  }
}

async function openHead(path: string): Promise<ModelFile & { readonly head: GgufHead }> {
  using file = await openModel(path);
  const identity = identify(await file.stat());
  try {
    const head = await readGgufHead(fileSource(file, identity.size));
    checkGgufSize(head, identity.size);
    return { path, identity, head };
  } catch (error) {
    if (!(error instanceof GgufError)) throw error;
    throw new ModelFileError(path, error.fault, error.message, { cause: error });
  }
}

export interface VerifyOptions {
  /** Expected hash in lower-case hex; for split models see `modelHash`. */
  readonly sha256: string;
  /** Expected hashes of the single files, if known. */
  readonly parts?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Returns the hash of a file; default: read it. */
  readonly known?: (path: string) => Promise<string>;
}

/**
 * Verify the hash of a model's files.
 *
 * @throws {ModelFileError} If the hash differs, or a file cannot be read or changes meanwhile.
 */
export async function verifyModel(files: readonly ModelFile[], options: VerifyOptions): Promise<void> {
  const hashes: string[] = [];
  const { known, parts, signal } = options;
  for (const [index, file] of files.entries()) {
    const { path } = file;
    const sha256 = known === undefined ? await hashUnchanged(file, signal) : await known(path);
    const expected = parts?.[index] ?? (files.length === 1 ? options.sha256 : sha256);
    if (sha256 !== expected) throw wrongHash(path, sha256, expected);
    hashes.push(sha256);
  }
  const actual = await modelHash(hashes);
  if (actual === options.sha256) return;
  const path = files[0]?.path ?? "";
  if (hashes[0] !== options.sha256) throw wrongHash(path, actual, options.sha256);
  const reason = `the configured SHA-256 is that of its first file alone; that of all ${files.length} is ${actual}`;
  throw new ModelFileError(path, "hash", reason);
}

async function hashUnchanged({ path, identity: before }: ModelFile, signal: AbortSignal | undefined): Promise<string> {
  const { sha256, identity, changed } = await hashModelFile(path, signal);
  if (!changed && sameFile(before, identity)) return sha256;
  throw new ModelFileError(path, "changed", "it changed while its SHA-256 was computed");
}

function wrongHash(path: string, actual: string, expected: string): ModelFileError {
  return new ModelFileError(path, "hash", `its SHA-256 is ${actual}, the configured one is ${expected}`);
}

export interface HashedFile {
  /** Lower-case hex. */
  readonly sha256: string;
  /** Identity before reading. */
  readonly identity: FileIdentity;
  /** Whether the file changed while being read. */
  readonly changed: boolean;
}

/** @throws {ModelFileError} If the file cannot be read. */
export async function hashModelFile(path: string, signal?: AbortSignal): Promise<HashedFile> {
  using file = await openModel(path);
  const identity = identify(await file.stat());
  const hash = await createSha256();
  await hashRest(file, hash, signal);
  const changed = !sameFile(identity, identify(await file.stat()));
  return { sha256: hash.digest("hex"), identity, changed };
}

export async function lookAtModelFile(path: string): Promise<FileIdentity> {
  using file = await openModel(path);
  return identify(await file.stat());
}

/** Whether both identities denote the same bytes, as far as the file system can tell. */
export function sameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one.dev === other.dev && one.ino === other.ino && one.size === other.size &&
    one.mtimeMs === other.mtimeMs && one.ctimeMs === other.ctimeMs;
}

/** The same, ignoring renames and changes of permissions. */
export function sameBytes(one: FileIdentity, other: FileIdentity): boolean {
  return sameFile({ ...one, ctimeMs: 0 }, { ...other, ctimeMs: 0 });
}

async function openModel(path: string): Promise<Deno.FsFile> {
  try {
    // Stat before opening: opening a FIFO would block until there is a writer.
    const info = await Deno.stat(path);
    if (info.isDirectory) throw new ModelFileError(path, "unreadable", "it is a directory");
    if (!info.isFile) throw new ModelFileError(path, "unreadable", "it is not a regular file");
    return await Deno.open(path, { read: true });
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    const fault = error instanceof Deno.errors.NotFound ? "missing" : "unreadable";
    throw new ModelFileError(path, fault, reasonOf(error), { cause: error });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) return "Deno was not given --allow-read for it";
  return errorText(error);
}

export function identify(info: Deno.FileInfo): FileIdentity {
  return {
    dev: info.dev,
    ino: info.ino,
    size: info.size,
    mtimeMs: info.mtime?.getTime() ?? 0,
    ctimeMs: info.ctime?.getTime() ?? 0,
  };
}
