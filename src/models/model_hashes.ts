/** What model files hash to, each hashed once for as long as it stays what it is. */
import { type HashedFile, hashModelFile, lookAtModelFile, ModelFileError } from "./model_file.ts";

/** What is put in for tests. */
export interface ModelHashesOptions {
  readonly hash?: (path: string, signal: AbortSignal) => Promise<HashedFile>;
}

/** Hashes model files, one after the other: each keeps a disk busy. */
export class ModelHashes {
  readonly #hash: (path: string, signal: AbortSignal) => Promise<HashedFile>;
  /** By device, inode, size and time of the last change. */
  readonly #known = new Map<string, Promise<string>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ModelHashesOptions = {}) {
    this.#hash = options.hash ?? hashModelFile;
  }

  /**
   * Hash a file, or remember what it hashed to.
   *
   * @param path The file.
   * @param options `signal` gives up; `onWork` is told if the file has to be read.
   * @returns Lower-case hex of the SHA-256.
   * @throws {ModelFileError} If it cannot be read, or changes while it is.
   * @throws The signal's reason.
   */
  async sha256(
    path: string,
    options: { readonly signal: AbortSignal; readonly onWork?: () => void },
  ): Promise<string> {
    const { dev, ino, size, mtimeMs } = await lookAtModelFile(path);
    const key = [dev, ino, size, mtimeMs].join(":");
    let hashed = this.#known.get(key);
    if (hashed === undefined) {
      options.onWork?.();
      hashed = this.#last.then(() => this.#hashNow(path, options.signal));
      this.#last = hashed.catch(() => {});
      this.#known.set(key, hashed);
      hashed.catch(() => this.#known.delete(key));
    }
    return await hashed;
  }

  async #hashNow(path: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const { sha256, changed } = await this.#hash(path, signal);
    if (changed) throw new ModelFileError(`Cannot identify model "${path}": it changed while its SHA-256 was computed`);
    return sha256;
  }
}
