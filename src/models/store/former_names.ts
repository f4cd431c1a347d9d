/**
 * Journal of reassigned names, one JSON object per line, next to the manifests. Written before a name is reassigned, so
 * that garbage collection can report a blob's last name and keep it for a while.
 */
import { join } from "node:path";
import { isModelName, manifestsDir } from "./layout.ts";
import { isSha256 } from "../file/sha256.ts";
import { openLocked, writeAll } from "./store_files.ts";

const JOURNAL = ".former-names.ndjson";
/** Longer files were not written here and are ignored. */
const MAX_BYTES = 16 * 1024 * 1024;

export interface FormerName {
  readonly name: string;
  /** Blobs it referred to, in lower-case hex. */
  readonly blobs: readonly string[];
  /** When it was reassigned, in milliseconds. */
  readonly endedAt: number;
}

export interface LastName {
  readonly name: string;
  readonly endedAt: number;
}

/** Record that a name is about to be reassigned. The caller holds its lock. */
export async function rememberFormerName(root: string, former: Omit<FormerName, "endedAt">): Promise<void> {
  if (former.blobs.length === 0) return;
  const { name, blobs } = former;
  const line = JSON.stringify({
    name,
    blobs: blobs.map((hash) => `sha256:${hash}`),
    ended_at: new Date().toISOString(),
  });
  using journal = await openLocked(join(manifestsDir(root), JOURNAL));
  // Terminate an incomplete line left by a killed process.
  const begin = await journal.seek(0, Deno.SeekMode.End) === 0 ? "" : "\n";
  await writeAll(journal, `${begin}${line}\n`);
  await journal.sync();
}

/**
 * Last names of all blobs that lost one.
 *
 * @returns By blob.
 */
export async function readFormerNames(root: string): Promise<ReadonlyMap<string, LastName>> {
  const names = new Map<string, LastName>();
  for (const { name, blobs, endedAt } of parse(await readText(join(manifestsDir(root), JOURNAL)))) {
    for (const blob of blobs) {
      if ((names.get(blob)?.endedAt ?? 0) <= endedAt) names.set(blob, { name, endedAt });
    }
  }
  return names;
}

/**
 * Drop entries of blobs that no longer exist.
 *
 * @param isThere Whether a blob exists.
 */
export async function forgetFormerNames(root: string, isThere: (sha256: string) => boolean): Promise<void> {
  const path = join(manifestsDir(root), JOURNAL);
  // Nothing to drop; do not create the file.
  if (await readText(path) === "") return;
  using journal = await openLocked(path);
  // Read again under the lock: only now can no other process append.
  const kept = parse(await readText(path)).filter(({ blobs }) => blobs.some(isThere));
  if (kept.length === 0) return await Deno.remove(path);
  const text = kept.map(({ name, blobs, endedAt }) =>
    JSON.stringify({ name, blobs: blobs.map((hash) => `sha256:${hash}`), ended_at: new Date(endedAt).toISOString() })
  );
  await journal.truncate(0);
  await journal.seek(0, Deno.SeekMode.Start);
  await writeAll(journal, `${text.join("\n")}\n`);
}

async function readText(path: string): Promise<string> {
  try {
    const { isFile, size } = await Deno.stat(path);
    return isFile && size <= MAX_BYTES ? await Deno.readTextFile(path) : "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** Parses the journal, skipping incomplete lines. */
function parse(text: string): FormerName[] {
  return text.split("\n").flatMap((line): FormerName[] => {
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value !== "object" || value === null) return [];
      const { name, blobs, ended_at: ended } = value as Readonly<Record<string, unknown>>;
      const endedAt = typeof ended === "string" ? Date.parse(ended) : NaN;
      if (typeof name !== "string" || !isModelName(name) || !Array.isArray(blobs) || Number.isNaN(endedAt)) return [];
      const hashes = blobs.map((blob) => String(blob).replace(/^sha256:/, "")).filter(isSha256);
      return [{ name, blobs: hashes, endedAt }];
    } catch {
      return [];
    }
  });
}
