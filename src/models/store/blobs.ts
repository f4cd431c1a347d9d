/** The `blobs/` folder: lists blobs and partials, tells which are in use, and removes them. */
import { dirname, join } from "node:path";
import type { LastName } from "./former_names.ts";
import { blobPath, blobsDir } from "./layout.ts";
import { isSha256 } from "../file/sha256.ts";
import { readManifests } from "./manifest.ts";
import { removeEmptyDir, removeFile, tryOpenAlone, unlessMissing } from "./store_files.ts";

const PARTIAL_PREFIX = ".partial-";

export type Entry =
  | { readonly kind: "blob"; readonly sha256: string }
  | { readonly kind: "partial"; readonly key: string; readonly dir: string };

/** A blob that no manifest refers to. */
export interface LooseBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly path: string;
  /** The last name before it was reassigned, if known. */
  readonly formerName?: LastName;
}

export type BlobOutcome = "in_use" | "referenced" | "removed" | "absent";

/**
 * List the blobs folder, ignoring unknown files.
 *
 * @returns Entries, sorted; empty if there is no store.
 */
export async function entries(root: string): Promise<Entry[]> {
  const found: Entry[] = [];
  const all = blobsDir(root);
  for (const prefix of await namesIn(all)) {
    for (const name of await namesIn(join(all, prefix))) {
      const dir = join(all, prefix, name);
      const key = name.slice(PARTIAL_PREFIX.length);
      if (isSha256(name) && name.startsWith(prefix)) found.push({ kind: "blob", sha256: name });
      else if (name.startsWith(PARTIAL_PREFIX) && isSha256(key)) found.push({ kind: "partial", key, dir });
    }
  }
  return found;
}

/**
 * Describe an unreferenced blob.
 *
 * @param former Names that blobs have lost.
 * @returns The blob; nothing if its file does not exist.
 */
export async function looseBlob(
  root: string,
  sha256: string,
  former: ReadonlyMap<string, LastName>,
): Promise<LooseBlob | undefined> {
  const path = blobPath(root, sha256);
  const sizeBytes = (await look(path))?.size;
  if (sizeBytes === undefined) return undefined;
  const formerName = former.get(sha256);
  return { sha256, sizeBytes, path, ...(formerName === undefined ? {} : { formerName }) };
}

/** Remove a blob unless it is in use or referenced at that moment. */
export async function dropBlob(
  root: string,
  sha256: string,
): Promise<{ readonly outcome: BlobOutcome; readonly bytes: number }> {
  const path = blobPath(root, sha256);
  const file = await tryOpenAlone(path);
  if (file === undefined) return { outcome: "absent", bytes: 0 };
  if (file === "held") return { outcome: "in_use", bytes: 0 };
  try {
    // A pull locks the blob until its manifest is written, so read references again.
    if ((await readManifests(root)).referenced.has(sha256)) return { outcome: "referenced", bytes: 0 };
    const { size } = await file.stat();
    await removeFile(path);
    await removeEmptyDir(dirname(path));
    await removeEmptyDir(dirname(dirname(path)));
    return { outcome: "removed", bytes: size };
  } finally {
    file.close();
  }
}

/** Whether a process holds a lock on a file. */
export async function isHeld(path: string): Promise<boolean> {
  const file = await tryOpenAlone(path);
  if (file === "held") return true;
  file?.close();
  return false;
}

/** File info, if the path exists. */
export async function look(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    unlessMissing(error);
    return undefined;
  }
}

/** Sorted names in a folder; empty if it does not exist. */
export async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).sort();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotADirectory)) unlessMissing(error);
    return [];
  }
}
