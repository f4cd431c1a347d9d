/**
 * The shared model store. Downloads are in `pull.ts`, imports in `import.ts`. A blob is put in place only after it is
 * verified and flushed to disk. A process that serves a blob holds a shared `flock` on it, which ends with the process;
 * removal takes the exclusive lock. Manifests refer to blobs; a blob that no manifest refers to and no process holds is
 * garbage.
 */
import { type BlobOutcome, dropBlob, entries, isHeld, look, type LooseBlob, looseBlob } from "./store/blobs.ts";
import { readFormerNames, rememberFormerName } from "./store/former_names.ts";
import { clearAway, type GcOptions, type GcResult } from "./gc.ts";
import { type ImportedBlob, importFile, type ImportOptions } from "./import.ts";
import { blobPath, checkModelName, checkSha256, manifestPath } from "./store/layout.ts";
import {
  type BrokenManifest,
  type Manifest,
  type ModelSource,
  readManifest,
  readManifests,
  referencedBlobs,
  spelledName,
} from "./store/manifest.ts";
import { lookAtPartial, type UnfinishedBlob } from "./transfer/partial.ts";
import { pull, type PullOptions, type PullSpec, type StoredBlob } from "./transfer/pull.ts";
import { modelHash } from "./file/shards.ts";
import { ModelStoreError, storeError } from "./store/store_error.ts";
import { lockNameNow, openShared, removeFile } from "./store/store_files.ts";

export { blobPath, isModelName, modelsHome, type StoreMachine } from "./store/layout.ts";
export type { BrokenManifest, ModelSource } from "./store/manifest.ts";
export type { BlobOutcome, LooseBlob } from "./store/blobs.ts";
export type { LastName } from "./store/former_names.ts";
export type { GcItem, GcOptions, GcResult } from "./gc.ts";
export type { TakenName } from "./store/name_claim.ts";
export type { UnfinishedBlob } from "./transfer/partial.ts";
export type { PullOptions, PullRetry, PullSpec, PullStage, StoredBlob, StoredPart } from "./transfer/pull.ts";
export type { ImportedBlob, ImportOptions } from "./import.ts";
export { ModelStoreError, type ModelStoreErrorCode } from "./store/store_error.ts";

export interface ModelBlob {
  readonly sha256: string;
  /** Size of the file, else as in the manifest; `null` if unknown. */
  readonly sizeBytes: number | null;
  /** Path, whether or not the file exists. */
  readonly path: string;
  /** Whether it exists with the size in the manifest. */
  readonly present: boolean;
}

/** A model with a manifest. */
export interface StoredModel {
  readonly name: string;
  /** For split models see `modelHash`. */
  readonly sha256: string;
  /** Total size; `null` if unknown. */
  readonly sizeBytes: number | null;
  /** Path of its first blob. */
  readonly path: string;
  /** Its blobs, in order; several for a split model. */
  readonly parts: readonly ModelBlob[];
  readonly license: string | null;
  readonly source: ModelSource | null;
  readonly producedBy: string | null;
  readonly producedAt: string | null;
  /** Whether all blobs are present. */
  readonly present: boolean;
}

export interface StoreListing {
  /** Sorted by name. `inUse`: some process holds its blobs. */
  readonly models: readonly (StoredModel & { readonly inUse: boolean })[];
  readonly loose: readonly (LooseBlob & { readonly inUse: boolean })[];
  readonly unfinished: readonly UnfinishedBlob[];
  /** Invalid manifests. */
  readonly broken: readonly BrokenManifest[];
}

export interface Removal {
  readonly name: string;
  /** Absent if the manifest did not state it. */
  readonly sha256: string | undefined;
  /**
   * What happened to its blobs; for several, the first of these values that applies to any. `referenced`: another model
   * uses it.
   */
  readonly blob: BlobOutcome;
  readonly freedBytes: number;
}

export interface StoreOptions {
  /** `produced_by` of new manifests. Default: `inferd`. */
  readonly producedBy?: string;
}

/** A model store. Opening it touches no files; folders are created on the first write. */
export class Store {
  readonly root: string;
  readonly producedBy: string;

  /** @param root Absolute path of its folder. */
  constructor(root: string, options: StoreOptions = {}) {
    this.root = root;
    this.producedBy = options.producedBy ?? "inferd";
  }

  /**
   * Path of a blob, whether or not it exists.
   *
   * @param sha256 Lower-case hex.
   * @throws {ModelStoreError} If it is not a SHA-256.
   */
  blobPath(sha256: string): string {
    checkSha256(sha256);
    return blobPath(this.root, sha256);
  }

  /**
   * Look up a model.
   *
   * @throws {ModelStoreError} If the name is invalid, or its manifest is.
   */
  async find(name: string): Promise<StoredModel | undefined> {
    checkModelName(name);
    const spelled = spelledName(this.root, name);
    const manifest = readManifest(this.root, spelled);
    if (manifest === undefined) return undefined;
    if ("reason" in manifest) {
      const path = manifestPath(this.root, spelled);
      throw new ModelStoreError("broken_manifest", `Cannot use manifest "${path}": ${manifest.reason}`);
    }
    return await this.#stored(manifest);
  }

  /**
   * List the store's contents. Locks each blob briefly to see whether it is in use.
   *
   * @throws {ModelStoreError} If it cannot be read.
   */
  async list(): Promise<StoreListing> {
    try {
      const { good, broken, referenced } = await readManifests(this.root);
      const models = [];
      for (const manifest of good) {
        const model = await this.#stored(manifest);
        models.push({ ...model, inUse: await someHeld(model.parts) });
      }
      const loose = [];
      const unfinished = [];
      const former = await readFormerNames(this.root);
      for (const entry of await entries(this.root)) {
        if (entry.kind === "partial") {
          const found = await lookAtPartial(entry.dir);
          if (found !== undefined) unfinished.push(found);
        } else if (!referenced.has(entry.sha256)) {
          const blob = await looseBlob(this.root, entry.sha256, former);
          if (blob !== undefined) loose.push({ ...blob, inUse: await isHeld(blob.path) });
        }
      }
      return { models, loose, unfinished, broken };
    } catch (error) {
      throw storeError(`Cannot list the models in "${this.root}"`, error);
    }
  }

  /**
   * Lock blobs against removal while they are served. The kernel holds the locks, so a crash releases them.
   *
   * @param hashes Lower-case hex.
   * @returns Releases the locks on disposal.
   * @throws {ModelStoreError} If a blob does not exist.
   */
  async hold(...hashes: readonly string[]): Promise<Disposable> {
    using locks = new DisposableStack();
    for (const path of hashes.map((hash) => this.blobPath(hash))) {
      const file = await openShared(path).catch((error) => {
        throw storeError(`Cannot hold "${path}"`, error);
      });
      if (file === undefined) throw new ModelStoreError("not_found", `The model store has no blob "${path}"`);
      locks.use(file);
    }
    return locks.move();
  }

  /**
   * Remove a model: its manifest, and its blobs unless another manifest refers to them or a process holds them.
   *
   * @throws {ModelStoreError} `not_found`, `in_use` (nothing was removed), `busy` (it is being pulled).
   */
  async remove(name: string): Promise<Removal> {
    checkModelName(name);
    try {
      if (readManifest(this.root, spelledName(this.root, name)) === undefined) throw noSuchModel(name);
      const { lock, spelled } = await lockNameNow(this.root, name, () => spelledName(this.root, name));
      using _lock = lock;
      const manifest = readManifest(this.root, spelled);
      if (manifest === undefined) throw noSuchModel(name);
      if ("reason" in manifest) {
        // Keep its blobs: removing them was not requested.
        await rememberFormerName(this.root, { name: spelled, blobs: referencedBlobs(this.root, spelled) });
        await removeFile(manifestPath(this.root, spelled));
        return { name: spelled, sha256: undefined, blob: "absent", freedBytes: 0 };
      }
      const blobs = manifest.parts.map(({ sha256 }) => sha256);
      const { good } = await readManifests(this.root);
      const others = new Set(
        good.flatMap((other) => other.name === spelled ? [] : other.parts.map((one) => one.sha256)),
      );
      const own = blobs.filter((sha256) => !others.has(sha256));
      if (await someHeld(own.map((sha256) => ({ path: blobPath(this.root, sha256) })))) {
        throw new ModelStoreError("in_use", `Model "${spelled}" is in use: a running daemon serves it`);
      }
      await removeFile(manifestPath(this.root, spelled));
      const dropped = [];
      for (const sha256 of blobs) {
        const isShared = others.has(sha256);
        dropped.push({
          sha256,
          ...isShared ? { outcome: "referenced", bytes: 0 } as const : await dropBlob(this.root, sha256),
        });
      }
      // A process began to serve it just now.
      const left = dropped.filter(({ outcome }) => outcome === "in_use").map(({ sha256 }) => sha256);
      await rememberFormerName(this.root, { name: spelled, blobs: left });
      const outcomes = dropped.map(({ outcome }) => outcome);
      return {
        name: spelled,
        sha256: await modelHash(blobs),
        blob: (["in_use", "referenced", "removed"] as const).find((one) => outcomes.includes(one)) ?? "absent",
        freedBytes: dropped.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    } catch (error) {
      throw storeError(`Cannot remove model "${name}"`, error);
    }
  }

  /**
   * Remove unreferenced blobs, abandoned partials and quarantined files. A blob whose name was reassigned stays for a
   * while.
   *
   * @throws {ModelStoreError} If a manifest cannot be read, as it may refer to any blob.
   */
  async gc(options: GcOptions = {}): Promise<GcResult> {
    try {
      return await clearAway(this.root, options);
    } catch (error) {
      throw storeError(`Cannot collect garbage in "${this.root}"`, error);
    }
  }

  /**
   * Download a model, unless it is present.
   *
   * @throws {ModelStoreError} If it cannot be fetched.
   * @throws The signal's reason.
   */
  async pull(spec: PullSpec, options: PullOptions = {}): Promise<StoredBlob> {
    return await pull(this, spec, options);
  }

  /**
   * @throws {ModelStoreError} If it cannot be imported, or is not a model.
   * @throws The signal's reason.
   */
  async importFile(path: string, options: ImportOptions = {}): Promise<ImportedBlob> {
    return await importFile(this, path, options);
  }

  async #stored(manifest: Manifest): Promise<StoredModel> {
    const { parts: blobs, ...rest } = manifest;
    const parts: ModelBlob[] = [];
    for (const { sha256, sizeBytes } of blobs) {
      const path = blobPath(this.root, sha256);
      const info = await look(path);
      const present = info !== undefined && info.isFile && info.size > 0 && (sizeBytes ?? info.size) === info.size;
      parts.push({ sha256, sizeBytes: info?.size ?? sizeBytes, path, present });
    }
    const sizes = parts.map(({ sizeBytes }) => sizeBytes);
    return {
      ...rest,
      sha256: await modelHash(parts.map(({ sha256 }) => sha256)),
      sizeBytes: sizes.reduce((sum, size) => sum === null || size === null ? null : sum + size, 0),
      path: blobPath(this.root, blobs[0].sha256),
      parts,
      present: parts.every(({ present }) => present),
    };
  }
}

function noSuchModel(name: string): ModelStoreError {
  return new ModelStoreError("not_found", `There is no model "${name}" in the store`);
}

async function someHeld(blobs: readonly { readonly path: string }[]): Promise<boolean> {
  for (const { path } of blobs) if (await isHeld(path)) return true;
  return false;
}
