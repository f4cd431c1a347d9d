/**
 * An unfinished download: the file, its running SHA-256, and the server's validator of the version it belongs to. One
 * process at a time has it; the lock is on the file itself and moves with it when it becomes the blob.
 */
import type { Hash } from "node:crypto";
import { dirname, join } from "@std/path";
import { GGUF_MAGIC, type GgufHead, readGgufHead } from "../file/gguf.ts";
import { fileSource } from "../file/gguf_cursor.ts";
import { blobPath, partialDataPath, partialDir } from "../store/layout.ts";
import { createSha256, hashRest } from "../file/sha256.ts";
import {
  ensureDir,
  FILE_MODE,
  openLocked,
  removeEmptyDir,
  tryOpenAlone,
  unlessMissing,
  type WaitOptions,
} from "../store/store_files.ts";

/** Flushed to the disk after this many bytes, so that little is left to flush at the end. */
const SYNC_BYTES = 64 * 1024 * 1024;
const STATE = "state.json";

/** Which version of what the partial is a part of. */
export interface PartialState {
  /** The hash of its address, which itself may contain secrets; or of its expected content. */
  readonly source: string;
  /** What it is to be called. */
  readonly name: string;
  /** A strong ETag or a Last-Modified, as `If-Range` takes it. */
  readonly validator: string | null;
  readonly totalBytes: number | null;
}

/** A download that is not whole yet. Disposal gives it to others and leaves the file. */
export class Partial implements Disposable {
  readonly path: string;
  readonly #dir: string;
  readonly #file: Deno.FsFile;
  #hash: Hash;
  #bytes = 0;
  #state: PartialState | undefined;
  /** The same file: on one handle a write would wait for a `sync`. */
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
   * Take the partial of a blob, made if there is none.
   *
   * @param dir Its folder.
   * @param options How to wait while another process holds it.
   */
  static async open(dir: string, options: WaitOptions): Promise<Partial> {
    const file = await openLocked(partialDataPath(dir), options);
    try {
      return new Partial(dir, { file, syncer: await Deno.open(partialDataPath(dir)) }, await createSha256());
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Bytes that are there, all of them hashed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What it is a part of; nothing while it is empty. */
  get state(): PartialState | undefined {
    return this.#state;
  }

  /** How much an earlier run left, before anything is read. */
  async leftBytes(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  /**
   * Hash what an earlier run left, so that this one can resume; start over if its origin is not known.
   *
   * @param source What `PartialState.source` must be.
   * @param signal Gives up.
   * @param immutable What that source names never changes.
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

  /** Throw away what is there. */
  async restart(): Promise<void> {
    this.#bytes = 0;
    this.#syncedBytes = 0;
    this.#state = undefined;
    this.#hash = await createSha256();
    await this.#file.truncate(0);
    await this.#file.seek(0, Deno.SeekMode.Start);
  }

  /** Remember what the bytes that are there, or are about to come, are a part of. */
  async begin(state: PartialState): Promise<void> {
    await Deno.writeTextFile(join(this.#dir, STATE), JSON.stringify(state), { mode: FILE_MODE });
    this.#state = state;
  }

  /** Remember that it is whole, where no server has said so beforehand. */
  async complete(): Promise<void> {
    if (this.#state !== undefined) await this.begin({ ...this.#state, totalBytes: this.#bytes });
  }

  /**
   * Add bytes: they are hashed while they are written.
   *
   * @param bytes Not to be touched before this resolves.
   */
  async append(bytes: Uint8Array): Promise<void> {
    const writing = this.#write(bytes);
    this.#hash.update(bytes);
    await writing;
    this.#bytes += bytes.length;
    if (this.#syncing !== undefined || this.#bytes - this.#syncedBytes < SYNC_BYTES) return;
    this.#syncedBytes = this.#bytes;
    // An error here comes again at the end, where it is awaited.
    this.#syncing = this.#syncer.syncData().catch(() => {}).then(() => this.#syncing = undefined);
  }

  /** The SHA-256 of everything that came, in lower-case hex. Nothing can come any more. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  /** Whether it can be a GGUF file, as far as its first bytes tell. */
  async beginsAsGguf(): Promise<boolean> {
    const magic = new TextEncoder().encode(GGUF_MAGIC);
    const begin = new Uint8Array(Math.min(magic.length, this.#bytes));
    await fileSource(this.#syncer, this.#bytes).read(0, begin);
    return begin.every((byte, index) => byte === magic[index]);
  }

  /**
   * What the file says of itself, as far as it is there.
   *
   * @throws {GgufError} If it is no GGUF file, damaged, or ends within its head.
   */
  async readHead(): Promise<GgufHead> {
    return await readGgufHead(fileSource(this.#syncer, this.#bytes));
  }

  /** Onto the disk, not only into its cache. */
  async sync(): Promise<void> {
    await this.#syncing;
    await this.#file.sync();
  }

  /**
   * Become the blob. The lock goes along, so nobody removes it before it is disposed.
   *
   * @param root The store.
   * @param sha256 What it was found to be.
   * @returns What the file is now.
   */
  async moveToBlob(root: string, sha256: string): Promise<Deno.FileInfo> {
    await moveToBlob(this.path, root, sha256);
    return await this.#file.stat();
  }

  /** Remove what was needed on the way. */
  async remove(): Promise<void> {
    await Deno.remove(this.#dir, { recursive: true }).catch(unlessMissing);
    await removeEmptyDir(dirname(this.#dir));
  }

  [Symbol.dispose](): void {
    this.#syncer.close();
    this.#file.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.length;) written += await this.#file.write(bytes.subarray(written));
  }
}

/** What a partial's folder says of it. */
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

/** A download that is not whole, as others see it. */
export interface UnfinishedBlob {
  readonly path: string;
  readonly sizeBytes: number;
  /** What it is to be called; absent: it does not say. */
  readonly name?: string;
  /** Its expected length; absent: not known. */
  readonly totalBytes?: number;
}

/**
 * Look at a partial without taking it.
 *
 * @param dir Its folder.
 * @returns What there is; nothing where there is none.
 */
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

/**
 * Rename a verified file to where its blob is looked for.
 *
 * @param path The file.
 * @param root The store.
 * @param sha256 Its hash.
 */
export async function moveToBlob(path: string, root: string, sha256: string): Promise<void> {
  const target = blobPath(root, sha256);
  for (let attempt = 0;; attempt++) {
    await ensureDir(dirname(target));
    try {
      await Deno.rename(path, target);
      break;
    } catch (error) {
      // The empty folder was cleared away in between.
      if (attempt > 2 || !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  await syncDir(dirname(target));
}

/** A rename is on the disk when its folder is. Not every system can; it only matters when the power fails. */
async function syncDir(path: string): Promise<void> {
  try {
    using dir = await Deno.open(path);
    await dir.sync();
  } catch {
    // The next pull finds the partial, or nothing.
  }
}

/**
 * Remove the partial of a blob unless it is in use.
 *
 * @param root The store.
 * @param key Whose.
 * @returns Whether it is gone.
 */
export async function dropPartial(root: string, key: string): Promise<boolean> {
  const dir = partialDir(root, key);
  const file = await tryOpenAlone(partialDataPath(dir));
  if (file === "held") return false;
  try {
    await Deno.remove(dir, { recursive: true }).catch(unlessMissing);
    await removeEmptyDir(dirname(dir));
    return true;
  } finally {
    file?.close();
  }
}
