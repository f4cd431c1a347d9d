/** Hashes model files, each only once while it does not change, also across starts. */
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

export interface ModelHashesOptions {
  /** File to cache hashes in; absent: no persistent cache. */
  readonly cachePath?: string;
  /** Overrides hashing, for tests. */
  readonly hash?: (path: string, signal: AbortSignal) => Promise<HashedFile>;
}

export interface FileToHash {
  readonly path: string;
  /** Required identity; absent: any. */
  readonly identity?: FileIdentity;
}

/** Hashes model files sequentially: one already saturates a disk. */
export class ModelHashes {
  readonly #hash: (path: string, signal: AbortSignal) => Promise<HashedFile>;
  readonly #cache: HashCache | undefined;
  readonly #known = new Map<string, Promise<string>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ModelHashesOptions = {}) {
    this.#hash = options.hash ?? hashModelFile;
    this.#cache = options.cachePath === undefined ? undefined : new HashCache(options.cachePath);
  }

  /** Creates the cache folder while that is still permitted. */
  prepare(): void {
    this.#cache?.prepare();
  }

  /**
   * Hash of a model's files, cached if possible.
   *
   * @param files The files, in order.
   * @param options `signal` cancels; `onWork` is called if a file has to be read.
   * @returns Lower-case hex; for several files see `modelHash`.
   * @throws {ModelFileError} If one cannot be read, is not the expected version, or changes while being read.
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
   * Hash of a single file, cached if possible.
   *
   * @param options As for `sha256`, and the required identity.
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
