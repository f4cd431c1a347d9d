/**
 * The shared model store: what it holds, what is in use, what can go. Downloads are `pull.ts`'s, files of this machine
 * `import.ts`'s.
 *
 * A blob is in place only when it was verified and on the disk. Who serves one holds it (a shared `flock` on the blob
 * itself, which ends with the process); who removes one has to have it alone. A manifest refers to a blob; a blob that
 * none refers to and nobody holds is rubbish.
 */
import { dirname, join } from "@std/path";
import { type ImportedBlob, importFile, type ImportOptions } from "./import.ts";
import {
  blobPath,
  blobsDir,
  checkModelName,
  checkSha256,
  isSha256,
  manifestPath,
  manifestsDir,
  quarantineDir,
} from "./layout.ts";
import { type BrokenManifest, type Manifest, type ModelSource, readManifest, readManifests } from "./manifest.ts";
import { dropPartial } from "./partial.ts";
import { pull, type PullOptions, type PullSpec, type StoredBlob } from "./pull.ts";
import { ModelStoreError, storeError } from "./store_error.ts";
import { lockNameNow, openShared, removeEmptyDir, removeFile, tryOpenAlone, unlessMissing } from "./store_files.ts";

export { blobPath, isModelName, isSha256, modelsHome, type StoreMachine } from "./layout.ts";
export type { BrokenManifest, ModelSource } from "./manifest.ts";
export type { PullOptions, PullRetry, PullSpec, PullStage, StoredBlob } from "./pull.ts";
export type { ImportedBlob, ImportOptions } from "./import.ts";
export { ModelStoreError, type ModelStoreErrorCode } from "./store_error.ts";

/** Rubbish younger than this may still be wanted, in milliseconds: a download to go on with, a file to look at. */
const RUBBISH_MS = 7 * 24 * 60 * 60 * 1000;
const PARTIAL_PREFIX = ".partial-";

/** A model with a manifest. */
export interface StoredModel {
  readonly name: string;
  readonly sha256: string;
  /** Of the file, or as the manifest says where there is none; `null` where neither says. */
  readonly sizeBytes: number | null;
  /** Where the blob is or would be. */
  readonly path: string;
  readonly license: string | null;
  readonly source: ModelSource | null;
  readonly producedBy: string | null;
  readonly producedAt: string | null;
  /** Whether the blob is there and as long as the manifest says. */
  readonly present: boolean;
}

/** A blob that no manifest refers to. */
export interface LooseBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly path: string;
}

/** A download that is not whole. */
export interface UnfinishedBlob {
  readonly path: string;
  readonly sizeBytes: number;
}

/** What a store holds. */
export interface StoreListing {
  /** Sorted by name. `inUse`: somebody holds its blob at this moment. */
  readonly models: readonly (StoredModel & { readonly inUse: boolean })[];
  readonly loose: readonly (LooseBlob & { readonly inUse: boolean })[];
  readonly unfinished: readonly UnfinishedBlob[];
  /** Manifests that cannot be used. */
  readonly broken: readonly BrokenManifest[];
}

/** What `remove` did. */
export interface Removal {
  readonly name: string;
  /** Absent: the manifest did not say. */
  readonly sha256: string | undefined;
  /** What became of the blob; `referenced`: another manifest names it. */
  readonly blob: "removed" | "referenced" | "in_use" | "absent";
  readonly freedBytes: number;
}

/** How to clear away. */
export interface GcOptions {
  /** Only say what would go. */
  readonly dryRun?: boolean | undefined;
  /** Partials and quarantined files younger than this stay, in milliseconds. Default: 7 days. */
  readonly keepMs?: number | undefined;
}

/** Something that was, or would be, cleared away. */
export interface GcItem {
  readonly kind: "blob" | "partial" | "quarantine" | "temporary";
  readonly path: string;
  readonly sizeBytes: number;
}

/** What `gc` did. */
export interface GcResult {
  readonly items: readonly GcItem[];
  readonly freedBytes: number;
  /** Unreferenced blobs that somebody holds. */
  readonly inUse: readonly string[];
}

/** What a store is opened with. */
export interface StoreOptions {
  /** What its manifests say they were made by. Default: `inferd`. */
  readonly producedBy?: string;
}

/** A model store. Opening makes nothing and reads nothing; folders are made when something is put in. */
export class Store {
  readonly root: string;
  readonly producedBy: string;

  /**
   * @param root Its folder, absolute.
   * @param options What it is opened with.
   */
  constructor(root: string, options: StoreOptions = {}) {
    this.root = root;
    this.producedBy = options.producedBy ?? "inferd";
  }

  /**
   * Where the blob of a hash is or would be.
   *
   * @param sha256 Lower-case hex.
   * @returns The path.
   * @throws {ModelStoreError} If it is no SHA-256.
   */
  blobPath(sha256: string): string {
    checkSha256(sha256);
    return blobPath(this.root, sha256);
  }

  /**
   * Look a model up.
   *
   * @param name Its name.
   * @returns What is known of it, or nothing where the store has no such name.
   * @throws {ModelStoreError} If the name cannot be one, or the manifest cannot be used.
   */
  async find(name: string): Promise<StoredModel | undefined> {
    checkModelName(name);
    const manifest = await readManifest(this.root, name);
    if (manifest === undefined) return undefined;
    if ("reason" in manifest) {
      const path = manifestPath(this.root, name);
      throw new ModelStoreError("broken_manifest", `Cannot use manifest "${path}": ${manifest.reason}`);
    }
    return await this.#stored(manifest);
  }

  /**
   * What the store holds. Locks each blob for a moment to see whether it is in use.
   *
   * @returns Everything, empty where there is no store yet.
   * @throws {ModelStoreError} If it cannot be read.
   */
  async list(): Promise<StoreListing> {
    try {
      const { good, broken, referenced } = await readManifests(this.root);
      const models = [];
      for (const manifest of good) {
        const model = await this.#stored(manifest);
        models.push({ ...model, inUse: model.present && await isHeld(model.path) });
      }
      const loose = [];
      const unfinished = [];
      for (const entry of await this.#entries()) {
        if (entry.kind === "partial") {
          const path = join(entry.dir, "data.tmp");
          const sizeBytes = (await look(path))?.size;
          if (sizeBytes !== undefined) unfinished.push({ path, sizeBytes });
        } else if (!referenced.has(entry.sha256)) {
          const path = blobPath(this.root, entry.sha256);
          const sizeBytes = (await look(path))?.size;
          if (sizeBytes === undefined) continue;
          loose.push({ sha256: entry.sha256, sizeBytes, path, inUse: await isHeld(path) });
        }
      }
      return { models, loose, unfinished, broken };
    } catch (error) {
      throw storeError(`Cannot list the models in "${this.root}"`, error);
    }
  }

  /**
   * Keep a blob from being removed while it is served. Held by the kernel, so a crash gives it back.
   *
   * @param sha256 Lower-case hex.
   * @returns Gives it back when disposed.
   * @throws {ModelStoreError} If there is no such blob.
   */
  async hold(sha256: string): Promise<Disposable> {
    const path = this.blobPath(sha256);
    const file = await openShared(path).catch((error) => {
      throw storeError(`Cannot hold "${path}"`, error);
    });
    if (file === undefined) throw new ModelStoreError("not_found", `The model store has no blob "${path}"`);
    return { [Symbol.dispose]: () => file.close() };
  }

  /**
   * Remove a model: its manifest, and its blob if no other manifest refers to that and nobody holds it.
   *
   * @param name The model.
   * @returns What was removed.
   * @throws {ModelStoreError} `not_found`, `in_use` (nothing was removed), `busy` (it is being pulled).
   */
  async remove(name: string): Promise<Removal> {
    checkModelName(name);
    try {
      const manifest = await readManifest(this.root, name);
      if (manifest === undefined) throw new ModelStoreError("not_found", `There is no model "${name}" in the store`);
      using _lock = await lockNameNow(this.root, name);
      if ("reason" in manifest) {
        await removeFile(manifestPath(this.root, name));
        return { name, sha256: undefined, blob: "absent", freedBytes: 0 };
      }
      const { sha256 } = manifest;
      const { good } = await readManifests(this.root);
      const shared = good.some((other) => other.name !== name && other.sha256 === sha256);
      if (!shared && await isHeld(blobPath(this.root, sha256))) {
        throw new ModelStoreError("in_use", `Model "${name}" is in use`);
      }
      await removeFile(manifestPath(this.root, name));
      const dropped = await this.#dropBlob(sha256);
      return { name, sha256, blob: dropped.outcome, freedBytes: dropped.bytes };
    } catch (error) {
      throw storeError(`Cannot remove model "${name}"`, error);
    }
  }

  /**
   * Clear away blobs that no manifest refers to, partials and quarantined files that nobody came back for.
   *
   * @param options Which, and whether really.
   * @returns What went.
   * @throws {ModelStoreError} If a manifest cannot be read: it may refer to any blob.
   */
  async gc(options: GcOptions = {}): Promise<GcResult> {
    const { dryRun = false, keepMs = RUBBISH_MS } = options;
    const items: GcItem[] = [];
    const inUse: string[] = [];
    const isOld = (info: Deno.FileInfo): boolean => Date.now() - (info.mtime?.getTime() ?? 0) >= keepMs;
    try {
      const { referenced } = await readManifests(this.root);
      for (const entry of await this.#entries()) {
        if (entry.kind === "partial") {
          const data = join(entry.dir, "data.tmp");
          const info = await look(data) ?? await look(entry.dir);
          if (info === undefined || !isOld(info)) continue;
          if (dryRun ? await isHeld(data) : !await dropPartial(this.root, entry.key)) continue;
          items.push({ kind: "partial", path: data, sizeBytes: info.isFile ? info.size : 0 });
          continue;
        }
        const path = blobPath(this.root, entry.sha256);
        const info = await look(path);
        if (info === undefined || referenced.has(entry.sha256)) continue;
        const outcome = !dryRun
          ? (await this.#dropBlob(entry.sha256)).outcome
          : await isHeld(path)
          ? "in_use"
          : "removed";
        if (outcome === "in_use") inUse.push(entry.sha256);
        if (outcome === "removed") items.push({ kind: "blob", path, sizeBytes: info.size });
      }
      const single = [
        { kind: "quarantine", dir: quarantineDir(this.root), is: (file: string) => file.endsWith(".bin") },
        { kind: "temporary", dir: manifestsDir(this.root), is: (file: string) => /^\..*\.tmp$/.test(file) },
      ] as const;
      for (const { kind, dir, is } of single) {
        for (const file of await namesIn(dir)) {
          const path = join(dir, file);
          const info = is(file) ? await look(path) : undefined;
          if (info === undefined || !info.isFile || !isOld(info)) continue;
          if (!dryRun) await removeFile(path);
          items.push({ kind, path, sizeBytes: info.size });
        }
      }
    } catch (error) {
      throw storeError(`Cannot clear away in "${this.root}"`, error);
    }
    return { items, freedBytes: items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), inUse };
  }

  /**
   * Download a model, or find that it is there.
   *
   * @param spec What.
   * @param options How.
   * @returns What is in the store now.
   * @throws {ModelStoreError} If it cannot be had.
   * @throws The signal's reason.
   */
  async pull(spec: PullSpec, options: PullOptions = {}): Promise<StoredBlob> {
    return await pull(this, spec, options);
  }

  /**
   * Put a file of this machine into the store.
   *
   * @param path The file.
   * @param options How.
   * @returns What is in the store now.
   * @throws {ModelStoreError} If it cannot be had, or is no model.
   * @throws The signal's reason.
   */
  async importFile(path: string, options: ImportOptions = {}): Promise<ImportedBlob> {
    return await importFile(this, path, options);
  }

  async #stored(manifest: Manifest): Promise<StoredModel> {
    const path = blobPath(this.root, manifest.sha256);
    const info = await look(path);
    const present = info !== undefined && info.isFile && info.size > 0 &&
      (manifest.sizeBytes ?? info.size) === info.size;
    return { ...manifest, sizeBytes: info?.size ?? manifest.sizeBytes, path, present };
  }

  /** Remove a blob that nobody holds and no manifest refers to at that moment. */
  async #dropBlob(sha256: string): Promise<{ readonly outcome: Removal["blob"]; readonly bytes: number }> {
    const path = blobPath(this.root, sha256);
    const file = await tryOpenAlone(path);
    if (file === undefined) return { outcome: "absent", bytes: 0 };
    if (file === "held") return { outcome: "in_use", bytes: 0 };
    try {
      // A pull holds the blob until its manifest is there: read again what refers to it.
      if ((await readManifests(this.root)).referenced.has(sha256)) return { outcome: "referenced", bytes: 0 };
      const { size } = await file.stat();
      await removeFile(path);
      await removeEmptyDir(dirname(path));
      await removeEmptyDir(dirname(dirname(path)));
      return { outcome: "removed", bytes: size };
    } finally {
      file.close();
    }
  }

  /** What lies under `blobs/sha256`; what is none of the store's is left alone. */
  async #entries(): Promise<Entry[]> {
    const entries: Entry[] = [];
    const root = blobsDir(this.root);
    for (const prefix of await namesIn(root)) {
      for (const name of await namesIn(join(root, prefix))) {
        const dir = join(root, prefix, name);
        const key = name.slice(PARTIAL_PREFIX.length);
        if (isSha256(name) && name.startsWith(prefix)) entries.push({ kind: "blob", sha256: name });
        else if (name.startsWith(PARTIAL_PREFIX) && isSha256(key)) entries.push({ kind: "partial", key, dir });
      }
    }
    return entries;
  }
}

type Entry =
  | { readonly kind: "blob"; readonly sha256: string }
  | { readonly kind: "partial"; readonly key: string; readonly dir: string };

async function isHeld(path: string): Promise<boolean> {
  const file = await tryOpenAlone(path);
  if (file === "held") return true;
  file?.close();
  return false;
}

async function look(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    unlessMissing(error);
    return undefined;
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).sort();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotADirectory)) unlessMissing(error);
    return [];
  }
}
