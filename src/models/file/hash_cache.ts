/**
 * Cache of model hashes across starts: a file with the same inode, size and times is the same file. A small JSON file,
 * ignored if it cannot be read or written.
 */
import { dirname, join } from "node:path";
import type { FileIdentity } from "./model_file.ts";
import { isSha256 } from "./sha256.ts";

const VERSION = 1;
/** More than one machine serves; the most recently hashed entries stay. */
const MOST_ENTRIES = 256;
/** Larger files were not written here. */
const MAX_BYTES = 1024 * 1024;
/** A file modified more recently than this, in milliseconds, may change again without changing its times. */
const SETTLED_MS = 100;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** Cached facts about a file. Excludes the device number, which may change at boot. */
interface Entry {
  readonly ino: number;
  readonly size: number;
  readonly mtime_ms: number;
  readonly ctime_ms: number;
  readonly sha256: string;
}

export function hashCachePath(
  { cacheDir, runtimeDir }: { readonly cacheDir?: string; readonly runtimeDir: string },
): string {
  return join(cacheDir ?? runtimeDir, "model-hashes.json");
}

/** Whether a daemon has a model whose hash should be cached: it is neither configured nor built in. */
export function keepsHashes({ backends }: { readonly backends: readonly HashedBackend[] }): boolean {
  const isKept = ({ modelPath, source, modelSha256, stored }: HashedModel): boolean =>
    (modelPath !== undefined || source !== undefined) && (modelSha256 === undefined || stored === "name");
  // Of a draft nobody asks what it hashes to, unless the store knows.
  const isDraftKept = ({ source, modelSha256, stored }: HashedModel): boolean =>
    stored === "name" || source !== undefined && modelSha256 === undefined;
  return backends.some((backend) =>
    backend.kind === "llamacpp" && (isKept(backend) || backend.draft !== undefined && isDraftKept(backend.draft))
  );
}

/** The backend options that decide whether its models are hashed. */
interface HashedBackend extends HashedModel {
  readonly kind: string;
  readonly draft?: HashedModel;
}

interface HashedModel {
  readonly modelPath?: string;
  readonly source?: unknown;
  readonly modelSha256?: string;
  readonly stored?: "name" | "hash";
}

export class HashCache {
  readonly #path: string;
  #entries: Entry[] | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Files that are written, for permissions. */
  static files(path: string): readonly string[] {
    return [path, `${path}.tmp`];
  }

  /** Creates the folder while that is still permitted. */
  prepare(): void {
    try {
      Deno.mkdirSync(dirname(this.#path), { recursive: true, mode: DIRECTORY_MODE });
    } catch {
      // Works without a cache then.
    }
  }

  /** @returns Lower-case hex, if cached. */
  get(identity: FileIdentity): string | undefined {
    return this.#load().find((entry) => isOf(entry, identity))?.sha256;
  }

  /**
   * Store a hash.
   *
   * @param identity The file, as it was before reading.
   * @param hashed Lower-case hex, and the time at which reading began.
   */
  put(identity: FileIdentity, { sha256, begunAt }: { readonly sha256: string; readonly begunAt: number }): void {
    const { ino, size, mtimeMs, ctimeMs } = identity;
    if (ino === null || begunAt - Math.max(mtimeMs, ctimeMs) < SETTLED_MS) return;
    // Another daemon may have written in the meantime.
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
      // Not cached: the file is hashed again next time.
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
