/**
 * Pulls a model, in one or several files: from a URL to verified blobs and a manifest. At any time, a file at a blob's
 * path has been hashed as a whole and flushed to disk before.
 *
 * Lock of the name → blobs present and correct: manifest, done → per file: lock of the partial, resume or start →
 * structure, hash, name → fsync → rename → manifest.
 */
import { type Download, download, type DownloadOptions, structureError } from "./download.ts";
import { checkGgufSize, GgufError, type GgufHead } from "../file/gguf.ts";
import { blobPath, checkModelName, checkSha256 } from "../store/layout.ts";
import type { ModelSource } from "../store/manifest.ts";
import { type FileIdentity, identify } from "../file/model_file.ts";
import { type ClaimOptions, NameClaim } from "../store/name_claim.ts";
import { findPlaced, isPlaced, type PlacedBlob, putAside } from "../store/placed.ts";
import { dropPartial } from "./partial.ts";
import { checkModelUrl, shownUrl, sourceOfUrl } from "./reference.ts";
import { modelHash, partFault, partsFault, readShardName, shardFileName, shardPath } from "../file/shards.ts";
import { ModelStoreError, storeError } from "../store/store_error.ts";

export type { PullRetry, PullStage } from "./download.ts";

export interface PullSpec {
  /** Name in the store. */
  readonly name: string;
  /** URL of its file; for a split model any of its files with a conventional name. */
  readonly url: URL | string;
  /** Expected hash, lower-case hex; for split models see `modelHash`. Absent: accept any content. */
  readonly sha256?: string | undefined;
  /** Total of all files. */
  readonly sizeBytes?: number | undefined;
  readonly license?: string | null | undefined;
  /** For the manifest; default: derived from the URL. */
  readonly source?: ModelSource | undefined;
}

export interface PullOptions extends DownloadOptions, ClaimOptions {
  /** How to check an existing blob: by hash (the default), or only by size if it is hashed later anyway. */
  readonly check?: "hash" | "size" | undefined;
}

/** A stored file of a model. */
export interface StoredPart {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly path: string;
  /** Identity when this call hashed it; nothing if only the size was checked. */
  readonly verified: FileIdentity | undefined;
}

/** A model stored by a pull or an import. */
export interface StoredBlob {
  /** As the store spells it. */
  readonly name: string;
  /** Of the model; for split models see `modelHash`. */
  readonly sha256: string;
  /** Total of all files. */
  readonly sizeBytes: number;
  /** Of its first file. */
  readonly path: string;
  /** Its files, in order. */
  readonly parts: readonly StoredPart[];
  /** Bytes downloaded by this call. */
  readonly downloadedBytes: number;
}

/** Blobs in place, locked. */
interface PlacedModel extends Disposable {
  readonly blobs: readonly PlacedBlob[];
  readonly downloadedBytes: number;
}

/** State shared by the steps of a pull. */
interface Job {
  readonly root: string;
  readonly url: URL;
  readonly what: string;
  readonly spec: PullSpec;
  readonly options: PullOptions;
  readonly claim: NameClaim;
}

/**
 * Pull a model.
 *
 * @param store Root of the store, and `produced_by` of new manifests.
 * @throws {ModelStoreError} If it cannot be fetched.
 * @throws The signal's reason.
 */
export async function pull(
  store: { readonly root: string; readonly producedBy: string },
  spec: PullSpec,
  options: PullOptions = {},
): Promise<StoredBlob> {
  const { root } = store;
  const { name, sha256 } = spec;
  checkModelName(name);
  if (sha256 !== undefined) checkSha256(sha256);
  if (!URL.canParse(String(spec.url))) {
    throw new ModelStoreError("bad_reference", `Cannot pull "${name}": "${spec.url}" is not a URL`);
  }
  const url = new URL(spec.url);
  checkModelUrl(url);
  const what = `Cannot pull "${name}" from "${shownUrl(url)}"`;
  try {
    using claim = await NameClaim.take({ root, name, what }, options);
    if (sha256 !== undefined) await claim.allow({ sha256 });
    const first = readShardName(url.pathname) === undefined ? url : shardUrl(url, 1);
    const job: Job = { root, url: first, what, spec, options, claim };
    using placed = await findKnown(job) ?? await obtain(job);
    const source = spec.source ?? sourceOfUrl(url);
    await claim.keep({
      ...manifestParts(placed.blobs),
      license: spec.license ?? null,
      source,
      produced_by: store.producedBy,
      produced_at: new Date().toISOString(),
    }, () => options.onStage?.("manifest"));
    return await storedBlob(root, claim.name, placed);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw storeError(what, error);
  }
}

/** Manifest fields of these blobs. */
export function manifestParts(blobs: readonly PlacedBlob[]): {
  blob: string;
  size_bytes: number;
  shards?: { blob: string; size_bytes: number }[];
} {
  const shards = blobs.map(({ sha256, info }) => ({ blob: `sha256:${sha256}`, size_bytes: info.size }));
  const [first = { blob: "", size_bytes: 0 }] = shards;
  return { ...first, ...(shards.length > 1 ? { shards } : {}) };
}

export async function storedBlob(
  root: string,
  name: string,
  { blobs, downloadedBytes }: Pick<PlacedModel, "blobs" | "downloadedBytes">,
): Promise<StoredBlob> {
  const parts = blobs.map(({ sha256, info, hashed }): StoredPart => ({
    sha256,
    sizeBytes: info.size,
    path: blobPath(root, sha256),
    verified: hashed ? identify(info) : undefined,
  }));
  return {
    name,
    sha256: await modelHash(parts.map(({ sha256 }) => sha256)),
    sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    path: parts[0]?.path ?? "",
    parts,
    downloadedBytes,
  };
}

function shardUrl(url: URL, index: number): URL {
  const other = new URL(url);
  other.pathname = shardPath(url.pathname, index);
  return other;
}

/**
 * Locks blobs that are already present, found by the requested hash; the manifest of the name tells if there are
 * several.
 */
async function findKnown({ root, what, spec, options, claim }: Job): Promise<PlacedModel | undefined> {
  const { sha256, sizeBytes } = spec;
  if (sha256 === undefined) return undefined;
  const parts = claim.manifest?.parts ?? [];
  const isKnown = await modelHash(parts.map((part) => part.sha256)) === sha256;
  const wanted = isKnown ? parts : [{ sha256, sizeBytes: null }];
  const blobs: PlacedBlob[] = [];
  using locks = new DisposableStack();
  for (const part of wanted) {
    const size = wanted.length === 1 ? sizeBytes ?? part.sizeBytes : part.sizeBytes;
    const found = locks.use(await findPlaced(root, part.sha256, { ...options, what, sizeBytes: size ?? undefined }));
    if (found === undefined) return undefined;
    blobs.push(found);
  }
  // Left by a pull that was killed after the blob was in place.
  await dropPartial(root, sha256);
  const held = locks.move();
  return { blobs, downloadedBytes: 0, [Symbol.dispose]: () => held.dispose() };
}

/**
 * Fetch all files, and put them in place once all are verified.
 *
 * @param always Fetch even if the blob seems to be present.
 */
async function obtain(job: Job, always = false): Promise<PlacedModel> {
  const { sha256 } = job.spec;
  const downloads: Download[] = [];
  const blobs: PlacedBlob[] = [];
  using locks = new DisposableStack();
  try {
    const first = locks.use(await fetchFirst(job, always));
    // Another process finished while this one waited.
    if (first === undefined) return await findKnown(job) ?? await obtain(job, true);
    downloads.push(first);
    const head = await checkStructure(job, first);
    const count = head.split?.count ?? 1;
    if (head.split !== undefined) checkSplit(job, head.split);
    const heads = [head];
    for (let index = 1; index < count; index++) {
      const next = locks.use(await fetchFile(job, { url: shardUrl(job.url, index + 1) }));
      if (next === undefined) throw new Error("A file that is always needed was not fetched");
      downloads.push(next);
      heads.push(await checkStructure(job, next));
      const fault = partFault(heads[index] ?? head, { index, count, tensors: head.split?.tensors });
      if (fault !== undefined) throw splitError(job, `what came as file ${index + 1} of ${count}: ${fault}`);
    }
    const fault = count === 1 ? undefined : partsFault(heads);
    if (fault !== undefined) throw splitError(job, fault);
    for (const one of downloads) await checkHash(job, one, count === 1 ? sha256 : undefined);
    const actual = await modelHash(downloads.map((one) => one.sha256));
    if (sha256 !== undefined && actual !== sha256) await refuseSet(job, downloads, actual);
    checkTotal(job, downloads);
    await job.claim.allow({ sha256: actual });
    for (const one of downloads) blobs.push(locks.use(await settle(job, one)));
    const downloadedBytes = downloads.reduce((sum, one) => sum + one.downloadedBytes, 0);
    const held = locks.move();
    return { blobs, downloadedBytes, [Symbol.dispose]: () => held.dispose() };
  } catch (error) {
    // Parts that do not match will not match next time, so discard them.
    const useless = error instanceof ModelStoreError && (error.code === "split" || error.code === "size");
    if (useless) { for (const { partial } of downloads) await partial.remove(); }
    throw error;
  }
}

/** Moves a verified file to its blob's path, unless one is present. */
async function settle({ root, options, what }: Job, { partial, sha256 }: Download): Promise<PlacedBlob> {
  // Only now is the hash known, so it may have been present all along.
  const found = await findPlaced(root, sha256, { ...options, what, check: "hash" });
  if (found !== undefined) {
    await partial.remove();
    return found;
  }
  await partial.sync();
  await options.onStage?.("verified");
  const info = await partial.moveToBlob(root, sha256);
  await options.onStage?.("renamed");
  await partial.remove();
  // The lock belongs to the partial and is released with it.
  return { sha256, info, hashed: true, [Symbol.dispose]: () => {} };
}

/** Downloads the only or first file; nothing if another process has put it in place meanwhile. */
async function fetchFirst(job: Job, always: boolean): Promise<Download | undefined> {
  const { root, url, spec: { sha256, sizeBytes }, claim } = job;
  const several = readShardName(url.pathname) !== undefined;
  const known = claim.manifest?.parts.length === 1 && claim.manifest.parts[0].sha256 === sha256
    ? claim.manifest.parts[0].sizeBytes ?? undefined
    : undefined;
  return await fetchFile(job, {
    url,
    // A combined hash does not identify any single file.
    ...(several ? {} : { sha256, key: sha256, sizeBytes: sizeBytes ?? known }),
    onHead: (first) => claim.allow({ first: { sha256: first.sha256, sizeBytes: first.totalBytes } }),
  }, async () => always || sha256 === undefined || !await isPlaced(root, sha256));
}

async function fetchFile(
  { root, what, options, claim }: Job,
  file: Omit<Parameters<typeof download>[0], "root" | "what" | "name">,
  isNeeded?: () => Promise<boolean>,
): Promise<Download | undefined> {
  return await download({ root, what, name: claim.name, ...file }, options, isNeeded);
}

/** Checks that the download is a complete GGUF file; removes it otherwise. */
async function checkStructure({ what }: Job, { partial }: Download): Promise<GgufHead> {
  try {
    const head = await partial.readHead();
    checkGgufSize(head, partial.bytes);
    if (head.tensors.length > 0 || head.split !== undefined) return head;
    throw new GgufError("damaged", "it has no tensors, only metadata");
  } catch (error) {
    if (!(error instanceof GgufError)) throw error;
    await partial.remove();
    throw structureError(what, error);
  }
}

/** A split model is accepted only if the file name tells the names of the others. */
function checkSplit(job: Job, { index, count }: NonNullable<GgufHead["split"]>): void {
  const name = readShardName(job.url.pathname);
  if (index === 0 && name?.count === count) return;
  throw splitError(
    job,
    `it is file ${index + 1} of ${count} of a split model, and its name does not tell where the others are; give the ` +
      `address of a file called ${shardFileName("NAME", index + 1, count)}`,
  );
}

function splitError({ what }: Job, reason: string): ModelStoreError {
  return new ModelStoreError("split", `${what}: ${reason}`);
}

/** Checks the hash of a file; quarantines it on a mismatch. */
async function checkHash({ root, what, options }: Job, one: Download, sha256: string | undefined): Promise<void> {
  const expected = sha256 ?? one.named;
  if (expected === undefined || one.sha256 === expected) return;
  const files = { path: one.partial.path, expected, actual: one.sha256 };
  const quarantined = await putAside(root, files, options.onPhase);
  await one.partial.remove();
  throw new ModelStoreError(
    "mismatch",
    `${what}: the SHA-256 of the download is ${one.sha256}, not ${expected}; it was moved to "${quarantined}"`,
  );
}

/** Rejects files with a wrong combined hash; which of them is wrong is unknown. */
async function refuseSet(
  { root, what, spec, options }: Job,
  downloads: readonly Download[],
  actual: string,
): Promise<never> {
  const { sha256 = "" } = spec;
  for (const { partial, sha256: own } of downloads) {
    await putAside(root, { path: partial.path, expected: sha256, actual: own }, options.onPhase);
    await partial.remove();
  }
  const own = downloads[0]?.sha256 === sha256 ? "that of the first file alone, " : "";
  throw new ModelStoreError(
    "mismatch",
    `${what}: the SHA-256 of its ${downloads.length} files together is ${actual}, not ${own}${sha256}; they were moved ` +
      "to the quarantine",
  );
}

function checkTotal({ what, spec: { sizeBytes } }: Job, downloads: readonly Download[]): void {
  const total = downloads.reduce((sum, { partial }) => sum + partial.bytes, 0);
  if (sizeBytes === undefined || total === sizeBytes) return;
  throw new ModelStoreError("size", `${what}: what came is ${total} bytes long, not ${sizeBytes}`);
}
