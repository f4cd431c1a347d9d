/**
 * A file that is on this machine already, into the store: hashed, then linked where the file system allows it, else
 * copied (without a second copy of the bytes where the file system can do that) and hashed again.
 */
import { dirname, join } from "@std/path";
import type { LoadPhase } from "@inferd/client/protocol";
import { blobPath, checkModelName, checkSha256, partialDir } from "./layout.ts";
import { type ModelSource, readManifest } from "./manifest.ts";
import { checkModelFile, hashModelFile, identify, ModelFileError } from "./model_file.ts";
import { moveToBlob, Partial } from "./partial.ts";
import { findPlaced, keepManifest, sameHash, type StoredBlob } from "./pull.ts";
import { nameOfModelFile, refuseSplit } from "./reference.ts";
import { isDiskFull, ModelStoreError, storeError } from "./store_error.ts";
import { FILE_MODE, nameLockPath, openLocked } from "./store_files.ts";

const LINK = "data.link";

/** How to import. */
export interface ImportOptions {
  /** What the store calls it; absent: made from the file's name. */
  readonly name?: string | undefined;
  /** What it must hash to, in lower-case hex. */
  readonly sha256?: string | undefined;
  readonly license?: string | null | undefined;
  readonly source?: ModelSource | undefined;
  /** Remove the file when it is in the store. */
  readonly move?: boolean | undefined;
  /** `false`: always a copy of its own, which nobody changes by writing to the file. Default: true. */
  readonly link?: boolean | undefined;
  /** Told what takes time: `verify`, `checking_local`. */
  readonly onPhase?: ((phase: LoadPhase) => void) | undefined;
  /** Told once if another process works on the same. */
  readonly onWait?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What came of an import. */
export interface ImportedBlob extends StoredBlob {
  /** Whether it was there already, is the same file under a second name, or a copy. */
  readonly how: "present" | "linked" | "copied";
}

/**
 * Import a file.
 *
 * @param store As for `pull`.
 * @param path The file.
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
  const { name = nameOfModelFile(path), signal, onWait, onPhase } = options;
  checkModelName(name);
  if (options.sha256 !== undefined) checkSha256(options.sha256);
  refuseSplit(path);
  const what = `Cannot import "${path}"`;
  try {
    // A link to a link would be no second name of the file.
    const file = await Deno.realPath(path);
    await checkGguf(file, what);
    using _lock = await openLocked(nameLockPath(root, name), { signal, onWait });
    const known = await readManifest(root, name);
    onPhase?.({ phase: "verify", path: file });
    const hashed = await hashModelFile(file, signal);
    if (hashed.changed) throw changed(what);
    const { sha256, identity } = hashed;
    if (options.sha256 !== undefined && !await sameHash(sha256, options.sha256)) {
      throw new ModelStoreError("mismatch", `${what}: its SHA-256 is ${sha256}, not ${options.sha256}`);
    }
    using placed = await place({ root, what, file, sha256, identity, options });
    await keepManifest(root, known, {
      schema_version: 1,
      name,
      format: "gguf",
      blob: `sha256:${sha256}`,
      size_bytes: identity.size,
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
    const target = blobPath(root, sha256);
    if (options.move === true && file !== await Deno.realPath(target)) await Deno.remove(file);
    return {
      name,
      sha256,
      sizeBytes: identity.size,
      path: target,
      downloadedBytes: 0,
      verified: identify(await Deno.stat(target)),
      how: placed.how,
    };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Deno.errors.NotFound) {
      throw new ModelStoreError("not_found", `${what}: no such file`, { cause: error });
    }
    throw storeError(what, error);
  }
}

interface Job {
  readonly root: string;
  readonly what: string;
  readonly file: string;
  readonly sha256: string;
  readonly identity: ReturnType<typeof identify>;
  readonly options: ImportOptions;
}

/** Have the blob in place and held. */
async function place(job: Job): Promise<Disposable & { readonly how: ImportedBlob["how"] }> {
  const { root, what, file, sha256, identity, options } = job;
  const { signal, onWait, onPhase } = options;
  const look = { what, sizeBytes: identity.size, signal, onPhase };
  const present = async (): Promise<Disposable & { readonly how: "present" } | undefined> => {
    const found = await findPlaced(root, sha256, look);
    return found === undefined ? undefined : { how: "present", [Symbol.dispose]: () => found[Symbol.dispose]() };
  };
  const before = await present();
  if (before !== undefined) return before;
  const dir = partialDir(root, sha256);
  let how: "linked" | "copied";
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
  return { how, [Symbol.dispose]: () => placed[Symbol.dispose]() };
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
  if (copied.changed || !await sameHash(copied.sha256, sha256)) throw changed(what);
  using written = await Deno.open(target, { read: true, write: true });
  await written.sync();
}

async function checkGguf(path: string, what: string): Promise<void> {
  try {
    await checkModelFile(path);
  } catch (error) {
    if (!(error instanceof ModelFileError) || error.cause !== undefined) throw error;
    throw new ModelStoreError("not_gguf", `${what}: it is not a GGUF file`, { cause: error });
  }
}

function changed(what: string): ModelStoreError {
  return new ModelStoreError("io", `${what}: it changed while it was read`);
}
