/** The content of `blobs/`: which blobs and partials there are, which are in use, and how one is removed. */
import { dirname, join } from "@std/path";
import type { LastName } from "./former_names.ts";
import { blobPath, blobsDir } from "./layout.ts";
import { isSha256 } from "../file/sha256.ts";
import { readManifests } from "./manifest.ts";
import { removeEmptyDir, removeFile, tryOpenAlone, unlessMissing } from "./store_files.ts";

const PARTIAL_PREFIX = ".partial-";

/** Something in the folder of blobs. */
export type Entry =
  | { readonly kind: "blob"; readonly sha256: string }
  | { readonly kind: "partial"; readonly key: string; readonly dir: string };

/** A blob that no manifest refers to. */
export interface LooseBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly path: string;
  /** The name that stood for it before it was given to another model; absent: none is known. */
  readonly formerName?: LastName;
}

/** What became of a blob that was to go. */
export type BlobOutcome = "in_use" | "referenced" | "removed" | "absent";

/**
 * The content of the folder of blobs; files of others are left alone.
 *
 * @param root The store.
 * @returns Everything, sorted; empty if there is no store.
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
 * A blob that no manifest refers to.
 *
 * @param root The store.
 * @param sha256 Its hash.
 * @param former The names that blobs have lost.
 * @returns What is known of it; nothing where its file is not there.
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

/**
 * Remove a blob unless it is in use or a manifest refers to it at that moment.
 *
 * @param root The store.
 * @param sha256 Its hash.
 * @returns What became of it, and how many bytes are free now.
 */
export async function dropBlob(
  root: string,
  sha256: string,
): Promise<{ readonly outcome: BlobOutcome; readonly bytes: number }> {
  const path = blobPath(root, sha256);
  const file = await tryOpenAlone(path);
  if (file === undefined) return { outcome: "absent", bytes: 0 };
  if (file === "held") return { outcome: "in_use", bytes: 0 };
  try {
    // A pull holds the blob until its manifest is there: read again what refers to it.
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

/** What is at a path; nothing where nothing is. */
export async function look(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    unlessMissing(error);
    return undefined;
  }
}

/** The names in a folder, sorted; empty if there is no folder. */
export async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).sort();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotADirectory)) unlessMissing(error);
    return [];
  }
}
