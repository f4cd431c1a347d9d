/**
 * Manifests map names to blobs. Other tools write them too, with more or fewer fields, so only the blob is required,
 * and manifests of others are left as they are.
 */
import { join } from "node:path";
import { isModelName, manifestPath, manifestsDir } from "./layout.ts";
import { isSha256 } from "../file/sha256.ts";
import { ensureDir, FILE_MODE, unlessMissing, writeAll } from "./store_files.ts";
import { storeError } from "./store_error.ts";

const SUFFIX = ".json";
/** Longer files are not manifests. */
const MAX_BYTES = 1024 * 1024;

/** Origin of a model; fields that do not apply are `null`. */
export interface ModelSource {
  /** `huggingface`, `ollama`, `lmstudio`, `file`, or the host of a URL. */
  readonly registry: string | null;
  readonly repo: string | null;
  readonly revision: string | null;
  readonly filename: string | null;
}

/** One file of a split model, as written by this program. */
export interface ManifestShard {
  /** `sha256:` and 64 lower-case hex digits. */
  readonly blob: string;
  readonly size_bytes: number;
}

/** A manifest as written by this program. */
export interface ManifestV1 {
  readonly schema_version: 1;
  readonly name: string;
  readonly format: "gguf";
  /** `sha256:` and 64 lower-case hex digits; of a split model's first file. */
  readonly blob: string;
  readonly size_bytes: number;
  /** All files of a split model, in order, including the first. */
  readonly shards?: readonly ManifestShard[];
  readonly license: string | null;
  readonly source: ModelSource;
  readonly produced_by: string;
  /** RFC 3339, UTC. */
  readonly produced_at: string;
}

/** One blob of a model. */
export interface ManifestPart {
  readonly sha256: string;
  /** `null` if the manifest does not say. */
  readonly sizeBytes: number | null;
}

/** A parsed manifest, whoever wrote it. */
export interface Manifest {
  readonly name: string;
  /** Its blobs, in order; several for a split model. */
  readonly parts: readonly [ManifestPart, ...ManifestPart[]];
  readonly license: string | null;
  readonly source: ModelSource | null;
  readonly producedBy: string | null;
  readonly producedAt: string | null;
}

export interface BrokenManifest {
  readonly name: string;
  readonly path: string;
  /** Reason, on one line. */
  readonly reason: string;
}

export interface Manifests {
  readonly good: readonly Manifest[];
  readonly broken: readonly BrokenManifest[];
  /** Every SHA-256 that occurs anywhere in them, including invalid manifests and unknown fields. */
  readonly referenced: ReadonlySet<string>;
}

/** @returns The manifest, or why it is invalid. */
export function parseManifest(name: string, text: string): Manifest | { readonly reason: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { reason: "it is not JSON" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { reason: "it is not a JSON object" };
  const fields = value as Readonly<Record<string, unknown>>;
  const { blob, size_bytes: size } = fields;
  const sha256 = typeof blob === "string" && blob.startsWith("sha256:") ? blob.slice("sha256:".length) : "";
  if (!isSha256(sha256)) return { reason: '"blob" is not "sha256:" and 64 lower-case hex digits' };
  if (size !== undefined && size !== null && !(Number.isSafeInteger(size) && Number(size) > 0)) {
    return { reason: '"size_bytes" is not a whole number above 0' };
  }
  return {
    name,
    parts: readShards(fields.shards, sha256) ?? [{ sha256, sizeBytes: typeof size === "number" ? size : null }],
    license: textOrNull(fields.license),
    source: readSource(fields.source),
    producedBy: textOrNull(fields.produced_by),
    producedAt: textOrNull(fields.produced_at),
  };
}

/** @returns The manifest, why it is invalid, or nothing if there is none. */
export function readManifest(root: string, name: string): Manifest | { readonly reason: string } | undefined {
  const text = readText(manifestPath(root, name));
  return typeof text === "string" ? parseManifest(name, text) : text;
}

/**
 * Every SHA-256 that occurs in the manifest of a name, valid or not.
 *
 * @returns Lower-case hex.
 */
export function referencedBlobs(root: string, name: string): string[] {
  const text = readText(manifestPath(root, name));
  return typeof text === "string" ? [...hashesIn(text)] : [];
}

function hashesIn(text: string): Set<string> {
  return new Set([...text.matchAll(/[0-9a-f]{64}/gi)].map(([hash]) => hash.toLowerCase()));
}

/**
 * List the names in a store.
 *
 * @returns Sorted; empty if there is no store.
 */
export function manifestNames(root: string): string[] {
  const dir = manifestsDir(root);
  try {
    return [...Deno.readDirSync(dir)].map(({ name }) => name).filter((file) => file.endsWith(SUFFIX))
      .map((file) => file.slice(0, -SUFFIX.length)).filter(isModelName).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw storeError(`Cannot read "${dir}"`, error);
  }
}

/**
 * The store's spelling of a name. Since some file systems ignore case, no two names differ only in case.
 *
 * @returns The name itself if it exists, else one that differs only in case, else the name as written.
 */
export function spelledName(root: string, name: string): string {
  const names = manifestNames(root);
  if (names.includes(name)) return name;
  return names.find((other) => other.toLowerCase() === name.toLowerCase()) ?? name;
}

/**
 * Read all manifests.
 *
 * @returns Sorted by name.
 * @throws {ModelStoreError} If one cannot be read at all, since its references are then unknown.
 */
export async function readManifests(root: string): Promise<Manifests> {
  const good: Manifest[] = [];
  const broken: BrokenManifest[] = [];
  const referenced = new Set<string>();
  const dir = manifestsDir(root);
  for (const file of await fileNames(dir)) {
    if (!file.endsWith(SUFFIX) || file.startsWith(".")) continue;
    const name = file.slice(0, -SUFFIX.length);
    const path = join(dir, file);
    const text = readText(path);
    if (text === undefined) continue;
    if (typeof text !== "string") {
      broken.push({ name, path, reason: text.reason });
      continue;
    }
    for (const hash of hashesIn(text)) referenced.add(hash);
    const manifest = isModelName(name) ? parseManifest(name, text) : { reason: "no model can have this name" };
    if ("reason" in manifest) broken.push({ name, path, reason: manifest.reason });
    else good.push(manifest);
  }
  return { good, broken, referenced };
}

/**
 * Write a manifest atomically. The caller holds the lock of the name.
 *
 * @param beforeRename Called after the temporary file is written.
 */
export async function writeManifest(
  root: string,
  manifest: ManifestV1,
  beforeRename: () => unknown = () => {},
): Promise<void> {
  const dir = manifestsDir(root);
  await ensureDir(dir);
  const path = manifestPath(root, manifest.name);
  // A fixed name, so that a killed process leaves at most one file, which the next one overwrites.
  const temporary = join(dir, `.${manifest.name}.tmp`);
  {
    using file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: FILE_MODE });
    await writeAll(file, `${JSON.stringify(manifest, null, 2)}\n`);
    await file.sync();
  }
  await beforeRename();
  await Deno.rename(temporary, path);
}

/** Sorted names in a folder; empty if it does not exist. */
async function fileNames(dir: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(dir)) names.push(name);
  } catch (error) {
    unlessMissing(error);
  }
  return names.sort();
}

function readText(path: string): string | { readonly reason: string } | undefined {
  try {
    const { isFile, size } = Deno.statSync(path);
    if (!isFile) return { reason: "it is not a regular file" };
    if (size > MAX_BYTES) return { reason: `it is longer than ${MAX_BYTES} bytes` };
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw storeError(`Cannot read "${path}"`, error);
  }
}

/** Files of a split model; `undefined` if the field is absent, or means something else to another tool. */
function readShards(value: unknown, first: string): Manifest["parts"] | undefined {
  if (!Array.isArray(value)) return undefined;
  const parts = value.map((shard: unknown): ManifestPart | undefined => {
    const { blob, size_bytes: size } = (shard ?? {}) as Readonly<Record<string, unknown>>;
    const sha256 = typeof blob === "string" ? blob.replace(/^sha256:/, "") : "";
    if (!isSha256(sha256)) return undefined;
    return { sha256, sizeBytes: Number.isSafeInteger(size) && Number(size) > 0 ? Number(size) : null };
  });
  const [head, ...others] = parts;
  if (head?.sha256 !== first || others.length === 0 || others.includes(undefined)) return undefined;
  return [head, ...others as ManifestPart[]];
}

function readSource(value: unknown): ModelSource | null {
  if (typeof value !== "object" || value === null) return null;
  const { registry, repo, revision, filename } = value as Readonly<Record<string, unknown>>;
  return {
    registry: textOrNull(registry),
    repo: textOrNull(repo),
    revision: textOrNull(revision),
    filename: textOrNull(filename),
  };
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
