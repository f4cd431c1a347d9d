/**
 * From a URL to a verified blob with a manifest. Whatever happens on the way, what lies where a blob is looked for was
 * hashed as a whole and was on the disk before it was put there.
 *
 * Lock of the name → blob there and right: manifest, done → lock of the partial → resume or start → verify → disk →
 * rename → manifest.
 */
import { delay } from "@std/async";
import type { LoadPhase } from "@inferd/client/protocol";
import { blobPath, checkModelName, checkSha256, partialDir } from "./layout.ts";
import { type Manifest, type ManifestV1, type ModelSource, readManifest, writeManifest } from "./manifest.ts";
import { createSha256, type FileIdentity, hashRest, identify } from "./model_file.ts";
import { dropPartial, Partial } from "./partial.ts";
import { checkModelUrl, shownUrl, sourceOfUrl } from "./reference.ts";
import { ModelStoreError, storeError } from "./store_error.ts";
import { nameLockPath, openLocked, openShared, quarantine } from "./store_files.ts";
import { BrokenTransferError, transfer } from "./transfer.ts";

const RETRIES = 5;
const BACKOFF_MS = 1000;
/** Nobody waits longer than this for a server that asks for patience, in milliseconds. */
const MAX_WAIT_MS = 60_000;
const STALL_MS = 60_000;
/** Progress is told after so many bytes, and so many milliseconds. */
const PROGRESS_BYTES = 32 * 1024 * 1024;
const PROGRESS_MS = 5000;

/** What to pull. */
export interface PullSpec {
  /** What the store calls it. */
  readonly name: string;
  readonly url: URL | string;
  /** Lower-case hex. Absent: whatever comes is taken, and its hash becomes the blob's. */
  readonly sha256?: string | undefined;
  readonly sizeBytes?: number | undefined;
  readonly license?: string | null | undefined;
  /** For the manifest; absent: read from the URL. */
  readonly source?: ModelSource | undefined;
}

/** Where a pull can be stopped by tests: the first piece has been written, before the comparison, … */
export type PullStage = "partial" | "verify" | "verified" | "renamed" | "manifest";

/** How to pull. */
export interface PullOptions {
  /** Told what takes time: `checking_local`, `download`, `verify`, `quarantine`. */
  readonly onPhase?: ((phase: LoadPhase) => void) | undefined;
  /** Told once if another process pulls the same. */
  readonly onWait?: (() => void) | undefined;
  /** Told before each further try. */
  readonly onRetry?: ((retry: PullRetry) => void) | undefined;
  /** Cancels; what has come so far is kept for the next time. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How a blob that is there already is looked at: read and hashed (the default), or by its size alone where somebody
   * hashes it afterwards anyway.
   */
  readonly check?: "hash" | "size" | undefined;
  /** Default: 60 000. */
  readonly stallMs?: number | undefined;
  /** Before the second try; doubles each time. Default: 1000. */
  readonly backoffMs?: number | undefined;
  /** For tests. */
  readonly onStage?: ((stage: PullStage) => unknown) | undefined;
}

/** A transfer that broke and is tried again. */
export interface PullRetry {
  /** 1 … 5. */
  readonly attempt: number;
  readonly attempts: number;
  /** Why, in one line. */
  readonly reason: string;
  readonly delayMs: number;
}

/** What a pull or an import put into the store. */
export interface StoredBlob {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly path: string;
  /** Bytes that came over the net this time. */
  readonly downloadedBytes: number;
  /** What the file was when it had been hashed by this call; nothing where only its size was looked at. */
  readonly verified: FileIdentity | undefined;
}

/** A blob in place, held until it is disposed. */
interface Placed extends Disposable {
  readonly sha256: string;
  readonly info: Deno.FileInfo;
  readonly hashed: boolean;
  readonly downloadedBytes: number;
}

/** What every part of a pull needs. */
interface Job {
  readonly root: string;
  readonly url: URL;
  readonly what: string;
  readonly spec: PullSpec;
  readonly options: PullOptions;
}

/**
 * Pull a model.
 *
 * @param store The store's root, and what its manifests say they were made by.
 * @param spec What.
 * @param options How.
 * @returns What is in the store now.
 * @throws {ModelStoreError} If it cannot be had.
 * @throws The signal's reason.
 */
export async function pull(
  store: { readonly root: string; readonly producedBy: string },
  spec: PullSpec,
  options: PullOptions = {},
): Promise<StoredBlob> {
  const { root } = store;
  const { name, sha256, sizeBytes } = spec;
  checkModelName(name);
  if (sha256 !== undefined) checkSha256(sha256);
  if (!URL.canParse(String(spec.url))) {
    throw new ModelStoreError("bad_reference", `Cannot pull "${name}": "${spec.url}" is not a URL`);
  }
  const url = new URL(spec.url);
  checkModelUrl(url);
  const what = `Cannot pull "${name}" from "${shownUrl(url)}"`;
  const job: Job = { root, url, what, spec, options };
  const { signal, onWait } = options;
  try {
    using _lock = await openLocked(nameLockPath(root, name), { signal, onWait });
    const known = await readManifest(root, name);
    const expected = sizeBytes ??
      (known !== undefined && !("reason" in known) && known.sha256 === sha256
        ? known.sizeBytes ?? undefined
        : undefined);
    using placed = await place(job, expected);
    await keepManifest(root, known, {
      schema_version: 1,
      name,
      format: "gguf",
      blob: `sha256:${placed.sha256}`,
      size_bytes: placed.info.size,
      license: spec.license ?? null,
      source: spec.source ?? sourceOfUrl(url),
      produced_by: store.producedBy,
      produced_at: new Date().toISOString(),
    }, () => options.onStage?.("manifest"));
    return {
      name,
      sha256: placed.sha256,
      sizeBytes: placed.info.size,
      path: blobPath(root, placed.sha256),
      downloadedBytes: placed.downloadedBytes,
      verified: placed.hashed ? identify(placed.info) : undefined,
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw storeError(what, error);
  }
}

/**
 * Write a manifest unless the one that is there says the same: others may have put more into it.
 *
 * @param root The store.
 * @param known What is there.
 * @param manifest What to write.
 * @param beforeRename For tests.
 */
export async function keepManifest(
  root: string,
  known: Manifest | { readonly reason: string } | undefined,
  manifest: ManifestV1,
  beforeRename?: () => unknown,
): Promise<void> {
  const same = known !== undefined && !("reason" in known) && manifest.blob === `sha256:${known.sha256}` &&
    (known.sizeBytes ?? manifest.size_bytes) === manifest.size_bytes;
  if (!same) await writeManifest(root, manifest, beforeRename);
}

/** Have the blob in place and held. */
async function place(job: Job, expectedBytes: number | undefined): Promise<Placed> {
  const { root, url, spec, options } = job;
  const { sha256 } = spec;
  const { signal, onWait } = options;
  const key = sha256 ?? (await createSha256()).update(url.href).digest("hex");
  while (true) {
    if (sha256 !== undefined) {
      const found = await findPlaced(root, sha256, { ...options, what: job.what, sizeBytes: expectedBytes });
      if (found !== undefined) {
        await dropPartial(root, key);
        return { ...found, [Symbol.dispose]: () => found[Symbol.dispose](), downloadedBytes: 0 };
      }
    }
    const partial = await Partial.open(partialDir(root, key), { signal, onWait });
    let kept = false;
    try {
      // Somebody else may have finished while this one waited.
      if (sha256 !== undefined && await isThere(blobPath(root, sha256))) {
        await partial.remove();
        continue;
      }
      const placed = await download(job, partial);
      kept = placed.partial === partial;
      return placed;
    } finally {
      if (!kept) partial[Symbol.dispose]();
    }
  }
}

/** Fetch into the partial, verify, and put it in place. */
async function download(
  job: Job,
  partial: Partial,
): Promise<Placed & { readonly partial: Partial | undefined }> {
  const { root, url, what, spec, options } = job;
  const { signal, onPhase, onStage } = options;
  if (await partial.leftBytes() > 0) onPhase?.({ phase: "checking_local", path: partial.path });
  await partial.recover(url, signal);
  const { named, downloadedBytes } = await fetchAll(job, partial);
  onPhase?.({ phase: "verify", path: partial.path });
  await onStage?.("verify");
  if (!await partial.isGguf()) {
    await partial.remove();
    throw new ModelStoreError("not_gguf", `${what}: what came is not a GGUF file`);
  }
  const actual = partial.digest();
  const sha256 = spec.sha256 ?? named ?? actual;
  if (!await sameHash(actual, sha256)) {
    const quarantined = await quarantine(root, partial.path);
    onPhase?.({
      phase: "quarantine",
      path: partial.path,
      expected_sha256: sha256,
      actual_sha256: actual,
      quarantine_path: quarantined,
    });
    await partial.remove();
    throw new ModelStoreError(
      "mismatch",
      `${what}: the SHA-256 of what came is ${actual}, not ${sha256}; it was moved to "${quarantined}"`,
    );
  }
  if (spec.sha256 === undefined) {
    // Only now it is known that it may have been there all the time.
    const found = await findPlaced(root, sha256, { ...options, what, check: "hash", sizeBytes: undefined });
    if (found !== undefined) {
      await partial.remove();
      return { ...found, [Symbol.dispose]: () => found[Symbol.dispose](), downloadedBytes, partial: undefined };
    }
  }
  await partial.sync();
  await onStage?.("verified");
  const info = await partial.moveToBlob(root, sha256);
  await onStage?.("renamed");
  await partial.remove();
  return { sha256, info, hashed: true, downloadedBytes, partial, [Symbol.dispose]: () => partial[Symbol.dispose]() };
}

/** What came of fetching. */
interface Fetched {
  /** The hash that the server named, if it did. */
  readonly named: string | undefined;
  readonly downloadedBytes: number;
}

/** Fetch what is missing, as often as it takes. */
async function fetchAll(job: Job, partial: Partial): Promise<Fetched> {
  const { url, what, spec, options } = job;
  const { signal, onStage, stallMs = STALL_MS, backoffMs = BACKOFF_MS } = options;
  const progress = new DownloadProgress(job, partial);
  let named: string | undefined;
  let failures = 0;
  let mark = partial.bytes;
  let downloadedBytes = 0;
  const onBytes = async (bytes: number): Promise<void> => {
    downloadedBytes += bytes;
    progress.bytes();
    if (onStage === undefined || downloadedBytes > bytes) return;
    await onStage("partial");
  };
  progress.tell();
  while (partial.state?.totalBytes !== partial.bytes || partial.bytes === 0) {
    try {
      await transfer(partial, {
        url,
        what,
        sizeBytes: spec.sizeBytes,
        stallMs,
        signal,
        onBytes,
        onNamedSha256: (sha256) => named = sha256,
      });
      break;
    } catch (error) {
      if (error instanceof ModelStoreError && error.code === "size") await partial.remove();
      signal?.throwIfAborted();
      if (!(error instanceof BrokenTransferError)) throw error;
      if (partial.bytes - mark >= PROGRESS_BYTES) failures = 0;
      mark = partial.bytes;
      failures++;
      if (failures > RETRIES) {
        throw new ModelStoreError(error.code, `${what}: ${error.message} (tried ${failures} times)`, {
          cause: error,
          ...(error.status === undefined ? {} : { status: error.status }),
        });
      }
      const delayMs = Math.min(MAX_WAIT_MS, Math.max(backoffMs * 2 ** (failures - 1), error.retryAfterMs ?? 0));
      options.onRetry?.({ attempt: failures, attempts: RETRIES, reason: error.message, delayMs });
      await delay(delayMs, signal === undefined ? {} : { signal });
    }
  }
  progress.tell();
  return { named, downloadedBytes };
}

/** Says how far a download is, not too often. */
class DownloadProgress {
  readonly #job: Job;
  readonly #partial: Partial;
  #toldBytes = 0;
  #toldAt = 0;

  constructor(job: Job, partial: Partial) {
    this.#job = job;
    this.#partial = partial;
  }

  bytes(): void {
    const far = Math.abs(this.#partial.bytes - this.#toldBytes) >= PROGRESS_BYTES;
    if (far || performance.now() - this.#toldAt >= PROGRESS_MS) this.tell();
  }

  tell(): void {
    const { spec, options, url } = this.#job;
    this.#toldBytes = this.#partial.bytes;
    this.#toldAt = performance.now();
    options.onPhase?.({
      phase: "download",
      downloaded_bytes: this.#toldBytes,
      total_bytes: spec.sizeBytes ?? this.#partial.state?.totalBytes ?? null,
      source_url: shownUrl(url),
    });
  }
}

/** How to look at a blob that is there. */
export interface FindOptions extends Pick<PullOptions, "onPhase" | "signal" | "check"> {
  readonly what: string;
  readonly sizeBytes: number | undefined;
}

/** A blob that was there already, held until it is disposed. */
export interface FoundBlob extends Disposable {
  readonly sha256: string;
  readonly info: Deno.FileInfo;
  readonly hashed: boolean;
}

/**
 * Hold a blob if it is there and right. One that is wrong goes to quarantine.
 *
 * @param root The store.
 * @param sha256 What it should be.
 * @param options How to look.
 * @returns It, or nothing.
 * @throws {ModelStoreError} If it is right but not as long as it should be.
 */
export async function findPlaced(root: string, sha256: string, options: FindOptions): Promise<FoundBlob | undefined> {
  const { sizeBytes, check = "hash", signal, onPhase } = options;
  const path = blobPath(root, sha256);
  const file = await openShared(path, { signal });
  if (file === undefined) return undefined;
  try {
    const info = await file.stat();
    const found = { sha256, info, [Symbol.dispose]: () => file.close() };
    onPhase?.({ phase: "checking_local", path });
    if (check === "size" && sizeBytes === info.size) return { ...found, hashed: false };
    onPhase?.({ phase: "verify", path });
    const hash = await createSha256();
    await hashRest(file, hash, signal);
    const actual = hash.digest("hex");
    if (await sameHash(actual, sha256)) {
      if (sizeBytes === undefined || sizeBytes === info.size) return { ...found, hashed: true };
      throw new ModelStoreError(
        "size",
        `${options.what}: what has this SHA-256 is ${info.size} bytes long, not ${sizeBytes}`,
      );
    }
    const quarantined = await quarantine(root, path);
    onPhase?.({
      phase: "quarantine",
      path,
      expected_sha256: sha256,
      actual_sha256: actual,
      quarantine_path: quarantined,
    });
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return undefined;
}

/** In a time that does not depend on where they differ. */
export async function sameHash(one: string, other: string): Promise<boolean> {
  const { Buffer } = await import("node:buffer");
  const { timingSafeEqual } = await import("node:crypto");
  const [left, right] = [Buffer.from(one, "hex"), Buffer.from(other, "hex")];
  return left.length === right.length && timingSafeEqual(left, right);
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
