/**
 * The shared model store: what it holds, what is in use, what can be removed. Downloads are in `pull.ts`, imports in
 * `import.ts`. A blob is put in place only when it is verified and on the disk. A process that serves one holds a
 * shared `flock` on the blob, which ends with the process; removing one takes the exclusive lock. A manifest refers to
 * blobs; a blob that no manifest refers to and no process holds is garbage.
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

/** One blob of a model. */
export interface ModelBlob {
  readonly sha256: string;
  /** Of the file, or as the manifest says where there is none; `null` where neither says. */
  readonly sizeBytes: number | null;
  /** Where it is or would be. */
  readonly path: string;
  /** Whether it is there and as long as the manifest says. */
  readonly present: boolean;
}

/** A model with a manifest. */
export interface StoredModel {
  readonly name: string;
  /** Of several files see `modelHash`. */
  readonly sha256: string;
  /** Of all its files; `null` where that is not known. */
  readonly sizeBytes: number | null;
  /** Where its first blob is or would be. */
  readonly path: string;
  /** Its blobs, in order; more than one where it is a split model. */
  readonly parts: readonly ModelBlob[];
  readonly license: string | null;
  readonly source: ModelSource | null;
  readonly producedBy: string | null;
  readonly producedAt: string | null;
  /** Whether every blob is. */
  readonly present: boolean;
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
  /** What became of its blobs; of several the first of these that holds for any. `referenced`: another model has it. */
  readonly blob: BlobOutcome;
  readonly freedBytes: number;
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
   * Keep blobs from being removed while they are served. Held by the kernel, so a crash gives them back.
   *
   * @param hashes Lower-case hex.
   * @returns Gives them back when disposed.
   * @throws {ModelStoreError} If there is no such blob.
   */
  async hold(...hashes: readonly string[]): Promise<Disposable> {
    const files: Deno.FsFile[] = [];
    const letGo = (): void => files.forEach((file) => file.close());
    try {
      for (const path of hashes.map((hash) => this.blobPath(hash))) {
        const file = await openShared(path).catch((error) => {
          throw storeError(`Cannot hold "${path}"`, error);
        });
        if (file === undefined) throw new ModelStoreError("not_found", `The model store has no blob "${path}"`);
        files.push(file);
      }
    } catch (error) {
      letGo();
      throw error;
    }
    return { [Symbol.dispose]: letGo };
  }

  /**
   * Remove a model: its manifest, and its blobs if no other manifest refers to them and nobody holds them.
   *
   * @param name The model.
   * @returns What was removed.
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
        // Nobody said that these may go.
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
      // Somebody began to serve it in this moment.
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
   * Remove blobs that no manifest refers to, and abandoned partials and quarantined files. A blob whose
   * name was given to another model stays for a while.
   *
   * @param options Which, and whether really.
   * @returns What went.
   * @throws {ModelStoreError} If a manifest cannot be read: it may refer to any blob.
   */
  async gc(options: GcOptions = {}): Promise<GcResult> {
    try {
      return await clearAway(this.root, options);
    } catch (error) {
      throw storeError(`Cannot clear away in "${this.root}"`, error);
    }
  }

  /**
   * Download a model, or find that it is there.
   *
   * @param spec What.
   * @param options How.
   * @returns What is in the store now.
   * @throws {ModelStoreError} If it cannot be fetched.
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
