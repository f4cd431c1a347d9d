/**
 * From a URL to verified blobs with a manifest: a model in one file, or in several. Whatever happens on the way, what
 * lies where a blob is looked for was hashed as a whole and was on the disk before it was put there.
 *
 * Lock of the name → blobs there and right: manifest, done → for each file: lock of the partial, resume or start →
 * structure, hash, name → disk → rename → manifest.
 */
import { type Download, download, type DownloadOptions, type PullStage, structureError } from "./download.ts";
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

/** What to pull. */
export interface PullSpec {
  /** What the store calls it. */
  readonly name: string;
  /** Of its file; of several, any one whose name says which it is. */
  readonly url: URL | string;
  /**
   * Lower-case hex; of several files see `modelHash`. Absent: whatever comes is taken, and its hash becomes the blob's.
   */
  readonly sha256?: string | undefined;
  /** Of all its files. */
  readonly sizeBytes?: number | undefined;
  readonly license?: string | null | undefined;
  /** For the manifest; absent: read from the URL. */
  readonly source?: ModelSource | undefined;
}

/** How to pull. */
export interface PullOptions extends DownloadOptions, ClaimOptions {
  /**
   * How an existing blob is checked: read and hashed (the default), or by its size alone where somebody
   * hashes it afterwards anyway.
   */
  readonly check?: "hash" | "size" | undefined;
}

/** One file of a model in the store. */
export interface StoredPart {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly path: string;
  /** What the file was when it had been hashed by this call; nothing where only its size was looked at. */
  readonly verified: FileIdentity | undefined;
}

/** What a pull or an import put into the store. */
export interface StoredBlob {
  /** As the store spells it. */
  readonly name: string;
  /** Of the model; of several files see `modelHash`. */
  readonly sha256: string;
  /** Of all its files. */
  readonly sizeBytes: number;
  /** Of its first file. */
  readonly path: string;
  /** Its files, in order. */
  readonly parts: readonly StoredPart[];
  /** Bytes that came over the net this time. */
  readonly downloadedBytes: number;
}

/** Blobs in place and held. */
interface PlacedModel extends Disposable {
  readonly blobs: readonly PlacedBlob[];
  readonly downloadedBytes: number;
}

/** What every part of a pull needs. */
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
 * @param store The store's root, and what its manifests say they were made by.
 * @param spec What.
 * @param options How.
 * @returns What is in the store now.
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
    const job: Job = { root, url: firstShard(url), what, spec, options, claim };
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

/** What a manifest says of blobs. */
export function manifestParts(blobs: readonly PlacedBlob[]): {
  blob: string;
  size_bytes: number;
  shards?: { blob: string; size_bytes: number }[];
} {
  const shards = blobs.map(({ sha256, info }) => ({ blob: `sha256:${sha256}`, size_bytes: info.size }));
  const [first = { blob: "", size_bytes: 0 }] = shards;
  return { ...first, ...(shards.length > 1 ? { shards } : {}) };
}

/** What is reported of a model that was put into the store. */
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

/** The address of the first file, where the name says that there are several. */
function firstShard(url: URL): URL {
  return readShardName(url.pathname) === undefined ? url : shardUrl(url, 1);
}

function shardUrl(url: URL, index: number): URL {
  const other = new URL(url);
  other.pathname = shardPath(url.pathname, index);
  return other;
}

/** What is there already, held: by the hash that was asked for, of which the name may say that it is several blobs. */
async function findKnown({ root, what, spec, options, claim }: Job): Promise<PlacedModel | undefined> {
  const { sha256, sizeBytes } = spec;
  if (sha256 === undefined) return undefined;
  const parts = claim.manifest?.parts ?? [];
  const isKnown = await modelHash(parts.map((part) => part.sha256)) === sha256;
  const wanted = isKnown ? parts : [{ sha256, sizeBytes: null }];
  const blobs: PlacedBlob[] = [];
  try {
    for (const part of wanted) {
      const size = wanted.length === 1 ? sizeBytes ?? part.sizeBytes : part.sizeBytes;
      const found = await findPlaced(root, part.sha256, { ...options, what, sizeBytes: size ?? undefined });
      if (found === undefined) break;
      blobs.push(found);
    }
    if (blobs.length === wanted.length) {
      // What a pull left that was killed when it had put the blob in place.
      await dropPartial(root, sha256);
      return { blobs, downloadedBytes: 0, [Symbol.dispose]: () => disposeAll(blobs) };
    }
  } catch (error) {
    disposeAll(blobs);
    throw error;
  }
  disposeAll(blobs);
  return undefined;
}

/**
 * Fetch every file, and put them in place when all are right.
 *
 * @param job What.
 * @param always Fetch also what seems to be there.
 */
async function obtain(job: Job, always = false): Promise<PlacedModel> {
  const { sha256 } = job.spec;
  const downloads: Download[] = [];
  const blobs: PlacedBlob[] = [];
  try {
    const first = await fetchFirst(job, always);
    // Another process has finished while this one waited.
    if (first === undefined) return await findKnown(job) ?? await obtain(job, true);
    downloads.push(first);
    const head = await checkStructure(job, first);
    const count = head.split?.count ?? 1;
    if (head.split !== undefined) checkSplit(job, head.split);
    const heads = [head];
    for (let index = 1; index < count; index++) {
      const next = await fetchFile(job, { url: shardUrl(job.url, index + 1) });
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
    for (const one of downloads) blobs.push(await settle(job, one));
    const downloadedBytes = downloads.reduce((sum, one) => sum + one.downloadedBytes, 0);
    const held = [...blobs, ...downloads];
    return { blobs, downloadedBytes, [Symbol.dispose]: () => disposeAll(held) };
  } catch (error) {
    // Parts that do not make one model will not do so the next time.
    const useless = error instanceof ModelStoreError && (error.code === "split" || error.code === "size");
    if (useless) { for (const { partial } of downloads) await partial.remove(); }
    disposeAll([...blobs, ...downloads]);
    throw error;
  }
}

/** Put a file that is right where its blob is looked for, unless one is there. */
async function settle({ root, options, what }: Job, { partial, sha256 }: Download): Promise<PlacedBlob> {
  // Only now it is known that it may have been there all the time.
  const found = await findPlaced(root, sha256, { ...options, what, check: "hash" });
  if (found !== undefined) {
    await partial.remove();
    return found;
  }
  await partial.sync();
  await stage(options, "verified");
  const info = await partial.moveToBlob(root, sha256);
  await stage(options, "renamed");
  await partial.remove();
  // The lock is the partial's, and is given back with it.
  return { sha256, info, hashed: true, [Symbol.dispose]: () => {} };
}

async function stage({ onStage }: PullOptions, name: PullStage): Promise<void> {
  await onStage?.(name);
}

/** The only file, or the first of several; nothing where another process has put it in place meanwhile. */
async function fetchFirst(job: Job, always: boolean): Promise<Download | undefined> {
  const { root, url, spec: { sha256, sizeBytes }, claim } = job;
  const several = readShardName(url.pathname) !== undefined;
  const known = claim.manifest?.parts.length === 1 && claim.manifest.parts[0].sha256 === sha256
    ? claim.manifest.parts[0].sizeBytes ?? undefined
    : undefined;
  return await fetchFile(job, {
    url,
    // The hash of several files is that of none.
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

/** Whether what came is a whole GGUF file; anything else is removed. */
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

/** A file of several is taken where its name tells the names of the others. */
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

/** Whether a file has the hash that it should have; one that has not is put aside. */
async function checkHash({ root, what, options }: Job, one: Download, sha256: string | undefined): Promise<void> {
  const expected = sha256 ?? one.named;
  if (expected === undefined || one.sha256 === expected) return;
  const quarantined = await putAside(root, {
    path: one.partial.path,
    expected,
    actual: one.sha256,
  }, options.onPhase);
  await one.partial.remove();
  throw new ModelStoreError(
    "mismatch",
    `${what}: the SHA-256 of what came is ${one.sha256}, not ${expected}; it was moved to "${quarantined}"`,
  );
}

/** Several files with a wrong combined hash: which of them is wrong is not known. */
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

function disposeAll(list: readonly Disposable[]): void {
  for (const one of list) one[Symbol.dispose]();
}
