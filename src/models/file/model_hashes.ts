/** Hashes of model files, each computed once as long as the file does not change, also across starts. */
import { HashCache } from "./hash_cache.ts";
import {
  type FileIdentity,
  type HashedFile,
  hashModelFile,
  lookAtModelFile,
  ModelFileError,
  sameBytes,
} from "./model_file.ts";
import { modelHash } from "./shards.ts";

/** What hashes are kept with. */
export interface ModelHashesOptions {
  /** Where they are kept for the next start; absent: nowhere. */
  readonly cachePath?: string;
  /** For tests. */
  readonly hash?: (path: string, signal: AbortSignal) => Promise<HashedFile>;
}

/** A file to hash. */
export interface FileToHash {
  readonly path: string;
  /** What it has to be; absent: whatever is there. */
  readonly identity?: FileIdentity;
}

/** Hashes model files, one after the other: each keeps a disk busy. */
export class ModelHashes {
  readonly #hash: (path: string, signal: AbortSignal) => Promise<HashedFile>;
  readonly #cache: HashCache | undefined;
  /** By what tells one state of a file from another. */
  readonly #known = new Map<string, Promise<string>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ModelHashesOptions = {}) {
    this.#hash = options.hash ?? hashModelFile;
    this.#cache = options.cachePath === undefined ? undefined : new HashCache(options.cachePath);
  }

  /** Make what is needed to keep hashes, while that may be done. */
  prepare(): void {
    this.#cache?.prepare();
  }

  /**
   * Hash the files of a model, or remember what they hashed to.
   *
   * @param files The files, in order.
   * @param options `signal` gives up; `onWork` is called if a file has to be read.
   * @returns Lower-case hex: of the only file, or of several together.
   * @throws {ModelFileError} If one cannot be read, is not what it has to be, or changes while it is read.
   * @throws The signal's reason.
   */
  async sha256(
    files: readonly FileToHash[],
    options: { readonly signal: AbortSignal; readonly onWork?: () => void },
  ): Promise<string> {
    const hashes: string[] = [];
    for (const { path, identity } of files) hashes.push(await this.file(path, { ...options, identity }));
    return await modelHash(hashes);
  }

  /**
   * Hash a file, or remember what it hashed to.
   *
   * @param path The file.
   * @param options As for `sha256`, and what the file has to be.
   * @returns Lower-case hex.
   * @throws As `sha256`.
   */
  async file(
    path: string,
    options: {
      readonly signal: AbortSignal;
      readonly onWork?: (() => void) | undefined;
      readonly identity?: FileIdentity | undefined;
    },
  ): Promise<string> {
    const now = await lookAtModelFile(path);
    if (options.identity !== undefined && !sameBytes(options.identity, now)) {
      throw new ModelFileError(path, "changed", "it was replaced or written to after it was loaded");
    }
    const key = [now.dev, now.ino, now.size, now.mtimeMs, now.ctimeMs].join(":");
    let hashed = this.#known.get(key);
    if (hashed === undefined) {
      const kept = this.#cache?.get(now);
      if (kept === undefined) options.onWork?.();
      hashed = kept === undefined ? this.#last.then(() => this.#hashNow(path, options.signal)) : Promise.resolve(kept);
      this.#last = hashed.catch(() => {});
      this.#known.set(key, hashed);
      hashed.catch(() => this.#known.delete(key));
    }
    return await hashed;
  }

  async #hashNow(path: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const begunAt = Date.now();
    const { sha256, identity, changed } = await this.#hash(path, signal);
    if (changed) throw new ModelFileError(path, "changed", "it changed while its SHA-256 was computed");
    this.#cache?.put(identity, { sha256, begunAt });
    return sha256;
  }
}
