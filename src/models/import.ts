/**
 * Imports a local model into the store: checks and hashes it, then hard-links it if the file system allows, otherwise
 * copies it (as a reflink if possible) and hashes the copy.
 */
import { dirname, join } from "node:path";
import type { LoadPhase } from "@inferd/client/protocol";
import { checkModelName, checkSha256, partialDir } from "./store/layout.ts";
import type { ModelSource } from "./store/manifest.ts";
import {
  checkModel,
  type FileIdentity,
  hashModelFile,
  identify,
  ModelFileError,
  sameBytes,
  sameFile,
} from "./file/model_file.ts";
import { type ClaimOptions, NameClaim } from "./store/name_claim.ts";
import { LINK, moveToBlob, Partial } from "./transfer/partial.ts";
import { findPlaced, type PlacedBlob } from "./store/placed.ts";
import { manifestParts, type StoredBlob, storedBlob } from "./transfer/pull.ts";
import { nameOfModelFile } from "./transfer/reference.ts";
import { modelHash } from "./file/shards.ts";
import { isDiskFull, ModelStoreError, type ModelStoreErrorCode, storeError } from "./store/store_error.ts";
import { FILE_MODE } from "./store/store_files.ts";

export interface ImportOptions extends ClaimOptions {
  /** Name in the store; default: derived from the file's name. */
  readonly name?: string | undefined;
  /** Expected SHA-256, lower-case hex. */
  readonly sha256?: string | undefined;
  readonly license?: string | null | undefined;
  readonly source?: ModelSource | undefined;
  /** Remove the source files afterwards. */
  readonly move?: boolean | undefined;
  /** `false`: always copy, so that later writes to the original cannot change the blob. Default: true. */
  readonly link?: boolean | undefined;
  /** Called when a phase that takes time begins: `verify`, `checking_local`. */
  readonly onPhase?: ((phase: LoadPhase) => void) | undefined;
}

/** How the file got into the store: already present, hard-linked or copied. */
export type ImportedHow = "present" | "linked" | "copied";

export interface ImportedBlob extends StoredBlob {
  /** For split models, the last of these values that applies to any file. */
  readonly how: ImportedHow;
}

interface Job {
  readonly root: string;
  readonly what: string;
  /** Symbolic links resolved, because linking a link would not link the file. */
  readonly file: string;
  readonly sha256: string;
  readonly identity: FileIdentity;
  readonly options: ImportOptions;
}

type ImportedFile = PlacedBlob & { readonly how: ImportedHow };

/**
 * Import a model.
 *
 * @param store As for `pull`.
 * @param path The file; for a split model any of its files, next to the others.
 * @throws {ModelStoreError} If it cannot be imported, or is not a model.
 * @throws The signal's reason.
 */
export async function importFile(
  store: { readonly root: string; readonly producedBy: string },
  path: string,
  options: ImportOptions = {},
): Promise<ImportedBlob> {
  const { root } = store;
  const { name = nameOfModelFile(path), signal, move = false } = options;
  checkModelName(name);
  if (options.sha256 !== undefined) checkSha256(options.sha256);
  const what = `Cannot import "${path}"`;
  const placed: ImportedFile[] = [];
  using locks = new DisposableStack();
  try {
    const files = await checkModel(path);
    using claim = await NameClaim.take({ root, name, what }, options);
    const jobs: Job[] = [];
    for (const { path, identity } of files) {
      jobs.push({ root, what, options, identity, ...await hash({ path, identity, what }, options) });
    }
    const sha256 = await modelHash(jobs.map((job) => job.sha256));
    if (options.sha256 !== undefined && sha256 !== options.sha256) {
      throw new ModelStoreError("mismatch", `${what}: its SHA-256 is ${sha256}, not ${options.sha256}`);
    }
    await claim.allow({ sha256 });
    for (const job of jobs) placed.push(locks.use(await place(job)));
    await claim.keep({
      ...manifestParts(placed),
      license: options.license ?? null,
      source: options.source ?? {
        registry: "file",
        repo: null,
        revision: null,
        filename: path.split(/[/\\]/).at(-1) ?? null,
      },
      produced_by: store.producedBy,
      produced_at: new Date().toISOString(),
    });
    const stored = await storedBlob(root, claim.name, { blobs: placed, downloadedBytes: 0 });
    if (move) await removeSources(jobs, stored);
    const how = (["copied", "linked"] as const).find((how) => placed.some((one) => one.how === how)) ?? "present";
    return { ...stored, how };
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof ModelFileError ? importError(what, path, error) : storeError(what, error);
  }
}

const FAULT_CODES: Readonly<Record<ModelFileError["fault"], ModelStoreErrorCode>> = {
  not_gguf: "not_gguf",
  cut: "cut",
  damaged: "damaged",
  missing: "not_found",
  split: "split",
  unreadable: "io",
  hash: "mismatch",
  changed: "io",
};

function importError(what: string, path: string, error: ModelFileError): ModelStoreError {
  // For a split model it may be a different file than the given one.
  const which = error.path === path ? "" : `"${error.path}": `;
  return new ModelStoreError(FAULT_CODES[error.fault], `${what}: ${which}${error.reason}`, { cause: error });
}

async function hash(
  { path, identity, what }: { readonly path: string; readonly identity: FileIdentity; readonly what: string },
  { signal, onPhase }: ImportOptions,
): Promise<{ readonly file: string; readonly sha256: string }> {
  const file = await Deno.realPath(path);
  onPhase?.({ phase: "verify", path: file });
  const hashed = await hashModelFile(file, signal);
  if (hashed.changed || !sameFile(hashed.identity, identity)) throw changed(what);
  return { file, sha256: hashed.sha256 };
}

/** Removes source files, except those that are the blobs themselves. */
async function removeSources(jobs: readonly Job[], { parts }: StoredBlob): Promise<void> {
  for (const [index, { file }] of jobs.entries()) {
    const blob = parts[index]?.path;
    if (blob !== undefined && file !== await Deno.realPath(blob)) await Deno.remove(file);
  }
}

/** Puts the blob in place and locks it. */
async function place(job: Job): Promise<ImportedFile> {
  const { root, what, file, sha256, identity, options } = job;
  const { signal, onWait, onPhase } = options;
  const look = { what, sizeBytes: identity.size, signal, onPhase };
  const present = async (): Promise<ImportedFile | undefined> => {
    const found = await findPlaced(root, sha256, look);
    return found && { ...found, how: "present" };
  };
  const before = await present();
  if (before !== undefined) return before;
  const dir = partialDir(root, sha256);
  let how: ImportedHow;
  {
    // Locked, so that no pull of the same file uses this folder.
    using partial = await Partial.open(dir, { signal, onWait });
    const meanwhile = await present();
    if (meanwhile !== undefined) {
      await partial.remove();
      return meanwhile;
    }
    const temporary = join(dirname(partial.path), LINK);
    await Deno.remove(temporary).catch(() => {});
    try {
      how = options.link !== false && await link(file, temporary) ? "linked" : "copied";
      if (how === "linked") await checkLink(temporary, job);
      else await copy(temporary, job);
      signal?.throwIfAborted();
      await moveToBlob(temporary, root, sha256);
    } finally {
      await partial.remove();
    }
  }
  const placed = await findPlaced(root, sha256, { ...look, check: "size", onPhase: undefined });
  if (placed === undefined) throw new ModelStoreError("io", `${what}: the blob was removed meanwhile`);
  return { ...placed, hashed: true, how };
}

/** Hard-links the file. Fails on some file systems, across file systems, and for files of other users. */
async function link(file: string, target: string): Promise<boolean> {
  try {
    await Deno.link(file, target);
    return true;
  } catch (error) {
    if (isDiskFull(error)) throw error;
    return false;
  }
}

/** Checks that the linked file is the one that was hashed. */
async function checkLink(path: string, { what, identity }: Job): Promise<void> {
  const now = identify(await Deno.stat(path));
  // The ctime changes with the link itself.
  if (!sameBytes(now, identity)) throw changed(what);
}

async function copy(target: string, { what, file, sha256, options }: Job): Promise<void> {
  await Deno.copyFile(file, target);
  await Deno.chmod(target, FILE_MODE).catch(() => {});
  options.onPhase?.({ phase: "verify", path: target });
  const copied = await hashModelFile(target, options.signal);
  if (copied.changed || copied.sha256 !== sha256) throw changed(what);
  using written = await Deno.open(target, { read: true, write: true });
  await written.sync();
}

function changed(what: string): ModelStoreError {
  return new ModelStoreError("io", `${what}: it changed while it was read`);
}
