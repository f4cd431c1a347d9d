/**
 * An unfinished download: its data, running SHA-256, and the server's validator of its version. Owned by one process at
 * a time; the lock is on the data file and moves with it when it becomes the blob.
 */
import type { Hash } from "node:crypto";
import { dirname, join } from "node:path";
import { GGUF_MAGIC, type GgufHead, readGgufHead } from "../file/gguf.ts";
import { fileSource } from "../file/gguf_cursor.ts";
import { blobPath, partialDataPath, partialDir } from "../store/layout.ts";
import { createSha256, hashRest } from "../file/sha256.ts";
import {
  ensureDir,
  FILE_MODE,
  isStillAt,
  openLocked,
  removeEmptyDir,
  removeFile,
  tryOpenAlone,
  unlessMissing,
  type WaitOptions,
} from "../store/store_files.ts";

/** fsync interval in bytes, so that little is left to flush at the end. */
const SYNC_BYTES = 64 * 1024 * 1024;
const STATE = "state.json";
/** What an import links or copies before it moves it to the blob's path. */
export const LINK = "data.link";

/** Identifies the version that the partial belongs to. */
export interface PartialState {
  /** Hash of the URL, which may contain secrets, or of the expected content. */
  readonly source: string;
  readonly name: string;
  /** Strong ETag or Last-Modified, for `If-Range`. */
  readonly validator: string | null;
  readonly totalBytes: number | null;
}

/** An unfinished download. Disposal releases the lock and keeps the file. */
export class Partial implements Disposable {
  readonly path: string;
  readonly #dir: string;
  readonly #file: Deno.FsFile;
  #hash: Hash;
  #bytes = 0;
  #state: PartialState | undefined;
  /** A second handle, because writes on the same one would wait for `sync`. */
  readonly #syncer: Deno.FsFile;
  #syncing: Promise<void> | undefined;
  #syncedBytes = 0;

  private constructor(dir: string, files: { readonly file: Deno.FsFile; readonly syncer: Deno.FsFile }, hash: Hash) {
    this.#dir = dir;
    this.path = partialDataPath(dir);
    this.#file = files.file;
    this.#syncer = files.syncer;
    this.#hash = hash;
  }

  /**
   * Open and lock a partial, creating it if necessary.
   *
   * @param options How to wait while another process holds it.
   */
  static async open(dir: string, options: WaitOptions): Promise<Partial> {
    using opened = new DisposableStack();
    const file = opened.use(await openLocked(partialDataPath(dir), options));
    const syncer = opened.use(await Deno.open(partialDataPath(dir)));
    const partial = new Partial(dir, { file, syncer }, await createSha256());
    opened.move();
    return partial;
  }

  /** Bytes received, all of them hashed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Version it belongs to; nothing while it is empty. */
  get state(): PartialState | undefined {
    return this.#state;
  }

  /** Bytes left by an earlier run, before anything is read. */
  async leftBytes(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  /**
   * Hash what an earlier run left, so that this one can resume; start over if its origin is unknown.
   *
   * @param source Expected `PartialState.source`.
   * @param immutable Whether the content behind `source` never changes.
   */
  async recover(source: string, signal: AbortSignal | undefined, immutable = false): Promise<void> {
    const state = await readState(this.#dir);
    const left = await this.leftBytes();
    const whole = state?.totalBytes === left;
    const known = state !== undefined && state.source === source && (immutable || state.validator !== null || whole);
    if (left === 0 || !known || (state.totalBytes !== null && left > state.totalBytes)) return await this.restart();
    await this.#file.seek(0, Deno.SeekMode.Start);
    this.#bytes = await hashRest(this.#file, this.#hash, signal);
    this.#state = state;
  }

  /** Discards the data. */
  async restart(): Promise<void> {
    this.#bytes = 0;
    this.#syncedBytes = 0;
    this.#state = undefined;
    this.#hash = await createSha256();
    await this.#file.truncate(0);
    await this.#file.seek(0, Deno.SeekMode.Start);
  }

  /** Records the version that the data belongs to. */
  async begin(state: PartialState): Promise<void> {
    await Deno.writeTextFile(join(this.#dir, STATE), JSON.stringify(state), { mode: FILE_MODE });
    this.#state = state;
  }

  /** Records completion, for servers that did not state the length. */
  async complete(): Promise<void> {
    if (this.#state !== undefined) await this.begin({ ...this.#state, totalBytes: this.#bytes });
  }

  /**
   * Append bytes; hashing and writing overlap.
   *
   * @param bytes Must not be modified until this resolves.
   */
  async append(bytes: Uint8Array): Promise<void> {
    const writing = this.#write(bytes);
    this.#hash.update(bytes);
    await writing;
    this.#bytes += bytes.length;
    if (this.#syncing !== undefined || this.#bytes - this.#syncedBytes < SYNC_BYTES) return;
    this.#syncedBytes = this.#bytes;
    // A failure recurs at the end, where it is awaited.
    this.#syncing = this.#syncer.syncData().catch(() => {}).then(() => this.#syncing = undefined);
  }

  /** SHA-256 of all bytes in lower-case hex. Nothing can be appended afterwards. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  /** Whether the data so far begins with the GGUF magic. */
  async beginsAsGguf(): Promise<boolean> {
    const magic = new TextEncoder().encode(GGUF_MAGIC);
    const begin = new Uint8Array(Math.min(magic.length, this.#bytes));
    await fileSource(this.#syncer, this.#bytes).read(0, begin);
    return begin.every((byte, index) => byte === magic[index]);
  }

  /** @throws {GgufError} If it is not GGUF, damaged, or incomplete. */
  async readHead(): Promise<GgufHead> {
    return await readGgufHead(fileSource(this.#syncer, this.#bytes));
  }

  async sync(): Promise<void> {
    await this.#syncing;
    await this.#file.sync();
  }

  /** Move to the blob's path. The lock stays, so the blob cannot be removed before disposal. */
  async moveToBlob(root: string, sha256: string): Promise<Deno.FileInfo> {
    await moveToBlob(this.path, root, sha256);
    return await this.#file.stat();
  }

  /** Removes the folder of the partial. */
  async remove(): Promise<void> {
    await clear(this.#dir, this.#file);
  }

  [Symbol.dispose](): void {
    this.#syncer.close();
    this.#file.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.length;) written += await this.#file.write(bytes.subarray(written));
  }
}

async function readState(dir: string): Promise<PartialState | undefined> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(join(dir, STATE)));
    if (typeof value !== "object" || value === null) return undefined;
    const { source, name, validator, totalBytes } = value as Readonly<Record<string, unknown>>;
    if (typeof source !== "string") return undefined;
    return {
      source,
      name: typeof name === "string" ? name : "",
      validator: typeof validator === "string" ? validator : null,
      totalBytes: typeof totalBytes === "number" ? totalBytes : null,
    };
  } catch (error) {
    if (!(error instanceof SyntaxError)) unlessMissing(error);
    return undefined;
  }
}

/** An unfinished download, as seen by other processes. */
export interface UnfinishedBlob {
  readonly path: string;
  readonly sizeBytes: number;
  /** Model name, if recorded. */
  readonly name?: string;
  /** Expected size, if known. */
  readonly totalBytes?: number;
}

/** Inspect a partial without locking it. */
export async function lookAtPartial(dir: string): Promise<UnfinishedBlob | undefined> {
  const path = partialDataPath(dir);
  try {
    const { size } = await Deno.stat(path);
    const { name = "", totalBytes = null } = await readState(dir) ?? {};
    return {
      path,
      sizeBytes: size,
      ...(name === "" ? {} : { name }),
      ...(totalBytes === null ? {} : { totalBytes }),
    };
  } catch (error) {
    unlessMissing(error);
    return undefined;
  }
}

/** Move a verified file to the blob's path. */
export async function moveToBlob(path: string, root: string, sha256: string): Promise<void> {
  const target = blobPath(root, sha256);
  for (let attempt = 0;; attempt++) {
    await ensureDir(dirname(target));
    try {
      await Deno.rename(path, target);
      break;
    } catch (error) {
      // The empty folder was removed in between.
      if (attempt > 2 || !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  await syncDir(dirname(target));
}

/** fsync of the folder makes the rename durable. Not supported everywhere; only matters at a power failure. */
async function syncDir(path: string): Promise<void> {
  try {
    using dir = await Deno.open(path);
    await dir.sync();
  } catch {
    // The next pull finds the partial, or nothing.
  }
}

/**
 * Removes the files and the folder of a partial, but not the data of another process: once `file` has become the blob,
 * others may begin anew.
 */
async function clear(dir: string, file: Deno.FsFile | undefined): Promise<void> {
  for (const name of [STATE, LINK]) await removeFile(join(dir, name));
  const data = partialDataPath(dir);
  if (file !== undefined && await isStillAt(file, data)) await removeFile(data);
  await removeEmptyDir(dir);
  await removeEmptyDir(dirname(dir));
}

/** Remove the partial of a blob unless it is in use. */
export async function dropPartial(root: string, key: string): Promise<boolean> {
  const dir = partialDir(root, key);
  const file = await tryOpenAlone(partialDataPath(dir));
  if (file === "held") return false;
  try {
    await clear(dir, file);
    return true;
  } finally {
    file?.close();
  }
}
