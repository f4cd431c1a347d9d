/**
 * A cache of model hashes across starts: a file with the same inode, size and times is the same file. A small JSON
 * file; one that cannot be read or written is ignored.
 */
import { dirname, join } from "@std/path";
import type { FileIdentity } from "./model_file.ts";
import { isSha256 } from "./sha256.ts";

const VERSION = 1;
/** More models than this are not served from one machine; the ones hashed last stay. */
const MOST_ENTRIES = 256;
/** Nothing longer was written here. */
const MAX_BYTES = 1024 * 1024;
/** A file written this short a time ago may be written again without its times changing, in milliseconds. */
const SETTLED_MS = 100;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** What is kept of a file. Not its device: that may have another number after the next boot. */
interface Entry {
  readonly ino: number;
  readonly size: number;
  readonly mtime_ms: number;
  readonly ctime_ms: number;
  readonly sha256: string;
}

/**
 * Where a daemon keeps what its model files hash to.
 *
 * @param options The daemon's options.
 * @returns The path.
 */
export function hashCachePath(
  { cacheDir, runtimeDir }: { readonly cacheDir?: string; readonly runtimeDir: string },
): string {
  return join(cacheDir ?? runtimeDir, "model-hashes.json");
}

/** Whether a daemon has a model whose hash is worth keeping: no operator has configured it, and it is not built in. */
export function keepsHashes({ backends }: { readonly backends: readonly HashedBackend[] }): boolean {
  return backends.some(({ kind, modelPath, source, modelSha256, stored }) =>
    kind === "llamacpp" && (modelPath !== undefined || source !== undefined) &&
    (modelSha256 === undefined || stored === "name")
  );
}

/** What says of a backend whether its model is hashed; other kinds have none of it. */
interface HashedBackend {
  readonly kind: string;
  readonly modelPath?: string;
  readonly source?: unknown;
  readonly modelSha256?: string;
  readonly stored?: "name" | "hash";
}

/** Hashes from earlier starts. */
export class HashCache {
  readonly #path: string;
  #entries: Entry[] | undefined;

  /** @param path Its file. */
  constructor(path: string) {
    this.#path = path;
  }

  /** The files that are written, for permissions. */
  static files(path: string): readonly string[] {
    return [path, `${path}.tmp`];
  }

  /** Make the folder: what writes later may not be allowed to. */
  prepare(): void {
    try {
      Deno.mkdirSync(dirname(this.#path), { recursive: true, mode: DIRECTORY_MODE });
    } catch {
      // Then there is none.
    }
  }

  /**
   * What a file hashed to.
   *
   * @param identity The file.
   * @returns Lower-case hex; nothing where it is not known.
   */
  get(identity: FileIdentity): string | undefined {
    return this.#load().find((entry) => isOf(entry, identity))?.sha256;
  }

  /**
   * Keep what a file hashed to.
   *
   * @param identity The file, before it was read.
   * @param hashed Lower-case hex, and when reading began.
   */
  put(identity: FileIdentity, { sha256, begunAt }: { readonly sha256: string; readonly begunAt: number }): void {
    const { ino, size, mtimeMs, ctimeMs } = identity;
    if (ino === null || begunAt - Math.max(mtimeMs, ctimeMs) < SETTLED_MS) return;
    // Another daemon may have written meanwhile.
    this.#entries = undefined;
    const others = this.#load().filter((entry) => !isOf(entry, identity)).slice(1 - MOST_ENTRIES);
    this.#entries = [...others, { ino, size, mtime_ms: mtimeMs, ctime_ms: ctimeMs, sha256 }];
    const [, temporary = ""] = HashCache.files(this.#path);
    try {
      Deno.writeTextFileSync(temporary, JSON.stringify({ version: VERSION, files: this.#entries }), {
        mode: FILE_MODE,
      });
      Deno.renameSync(temporary, this.#path);
    } catch {
      // It is hashed again the next time.
    }
  }

  #load(): Entry[] {
    return this.#entries ??= read(this.#path);
  }
}

function isOf(entry: Entry, { ino, size, mtimeMs, ctimeMs }: FileIdentity): boolean {
  return entry.ino === ino && entry.size === size && entry.mtime_ms === mtimeMs && entry.ctime_ms === ctimeMs;
}

function read(path: string): Entry[] {
  try {
    const { isFile, size } = Deno.statSync(path);
    if (!isFile || size > MAX_BYTES) return [];
    const value: unknown = JSON.parse(Deno.readTextFileSync(path));
    const { version, files } = (value ?? {}) as { readonly version?: unknown; readonly files?: unknown };
    return version === VERSION && Array.isArray(files) ? files.filter(isEntry) : [];
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null) return false;
  const { sha256, ...numbers } = value as Readonly<Record<string, unknown>>;
  return typeof sha256 === "string" && isSha256(sha256) &&
    ["ino", "size", "mtime_ms", "ctime_ms"].every((key) => typeof numbers[key] === "number");
}
