/**
 * Imports a model from this machine into the store: checks and hashes it, then links it where the file system allows,
 * else copies it (as a reflink where possible) and hashes the copy.
 */
import { dirname, join } from "@std/path";
import type { LoadPhase } from "@inferd/client/protocol";
import { checkModelName, checkSha256, partialDir } from "./store/layout.ts";
import type { ModelSource } from "./store/manifest.ts";
import { checkModel, type FileIdentity, hashModelFile, identify, ModelFileError, sameFile } from "./file/model_file.ts";
import { type ClaimOptions, NameClaim } from "./store/name_claim.ts";
import { moveToBlob, Partial } from "./transfer/partial.ts";
import { findPlaced, type PlacedBlob } from "./store/placed.ts";
import { manifestParts, type StoredBlob, storedBlob } from "./transfer/pull.ts";
import { nameOfModelFile } from "./transfer/reference.ts";
import { modelHash } from "./file/shards.ts";
import { isDiskFull, ModelStoreError, type ModelStoreErrorCode, storeError } from "./store/store_error.ts";
import { FILE_MODE } from "./store/store_files.ts";

const LINK = "data.link";

/** How to import. */
export interface ImportOptions extends ClaimOptions {
  /** What the store calls it; absent: made from the file's name. */
  readonly name?: string | undefined;
  /** What it must hash to, in lower-case hex. */
  readonly sha256?: string | undefined;
  readonly license?: string | null | undefined;
  readonly source?: ModelSource | undefined;
  /** Remove the files when they are in the store. */
  readonly move?: boolean | undefined;
  /** `false`: always make a copy, which writing to the original file cannot change. Default: true. */
  readonly link?: boolean | undefined;
  /** Told what takes time: `verify`, `checking_local`. */
  readonly onPhase?: ((phase: LoadPhase) => void) | undefined;
}

/** How a file came into the store: it was there already, is the same file under a second name, or a copy. */
export type ImportedHow = "present" | "linked" | "copied";

/** What came of an import. */
export interface ImportedBlob extends StoredBlob {
  /** Of several files the last of these that happened to any. */
  readonly how: ImportedHow;
}

/** A file that is to become a blob. */
interface Job {
  readonly root: string;
  readonly what: string;
  /** Not a link: a link to a link would be no second name of the file. */
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
 * @param path The file; of a split model any one of its files, with the others next to it.
 * @param options How.
 * @returns What is in the store now.
 * @throws {ModelStoreError} If it cannot be had, or is no model.
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
    for (const job of jobs) placed.push(await place(job));
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
  } finally {
    for (const one of placed) one[Symbol.dispose]();
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
  // Of several files, not always the one that was named.
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

/** Those that are not the blobs themselves. */
async function removeSources(jobs: readonly Job[], { parts }: StoredBlob): Promise<void> {
  for (const [index, { file }] of jobs.entries()) {
    const blob = parts[index]?.path;
    if (blob !== undefined && file !== await Deno.realPath(blob)) await Deno.remove(file);
  }
}

/** Have the blob in place and held. */
async function place(job: Job): Promise<ImportedFile> {
  const { root, what, file, sha256, identity, options } = job;
  const { signal, onWait, onPhase } = options;
  const look = { what, sizeBytes: identity.size, signal, onPhase };
  const present = async (): Promise<ImportedFile | undefined> => {
    const found = await findPlaced(root, sha256, look);
    return found === undefined ? undefined : withHow(found, "present");
  };
  const before = await present();
  if (before !== undefined) return before;
  const dir = partialDir(root, sha256);
  let how: ImportedHow;
  {
    // Held, so that no pull of the same works in this folder meanwhile.
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
  return withHow({ ...placed, hashed: true, [Symbol.dispose]: () => placed[Symbol.dispose]() }, how);
}

function withHow(found: PlacedBlob, how: ImportedHow): ImportedFile {
  return { ...found, how, [Symbol.dispose]: () => found[Symbol.dispose]() };
}

/** Give the file a second name. Not every file system can, not across two of them, and not for files of others. */
async function link(file: string, target: string): Promise<boolean> {
  try {
    await Deno.link(file, target);
    return true;
  } catch (error) {
    if (isDiskFull(error)) throw error;
    return false;
  }
}

/** What got the second name must be what was hashed. */
async function checkLink(path: string, { what, identity }: Job): Promise<void> {
  const now = identify(await Deno.stat(path));
  // The time of the last change of the inode moves with the link itself.
  const same = now.dev === identity.dev && now.ino === identity.ino && now.size === identity.size &&
    now.mtimeMs === identity.mtimeMs;
  if (!same) throw changed(what);
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
