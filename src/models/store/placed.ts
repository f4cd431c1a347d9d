/** Blobs in their places: found, locked and, where the content does not match the name, moved to quarantine. */
import type { LoadPhase } from "@inferd/client/protocol";
import { blobPath } from "./layout.ts";
import { createSha256, hashRest } from "../file/sha256.ts";
import { ModelStoreError } from "./store_error.ts";
import { openShared, quarantine } from "./store_files.ts";

/** How to look at a blob that is there. */
export interface FindOptions {
  /** What messages begin with. */
  readonly what: string;
  /** Its expected length; absent: not known. */
  readonly sizeBytes?: number | undefined;
  /** Read and hash it (the default), or look at its size alone where that is known. */
  readonly check?: "hash" | "size" | undefined;
  readonly onPhase?: ((phase: LoadPhase) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A blob in place, held until it is disposed. */
export interface PlacedBlob extends Disposable {
  readonly sha256: string;
  readonly info: Deno.FileInfo;
  /** Whether it was hashed when it was placed or found. */
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
export async function findPlaced(root: string, sha256: string, options: FindOptions): Promise<PlacedBlob | undefined> {
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
    if (actual === sha256) {
      if (sizeBytes === undefined || sizeBytes === info.size) return { ...found, hashed: true };
      throw new ModelStoreError(
        "size",
        `${options.what}: what has this SHA-256 is ${info.size} bytes long, not ${sizeBytes}`,
      );
    }
    await putAside(root, { path, expected: sha256, actual }, onPhase);
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return undefined;
}

/**
 * Put a file aside that hashed to something else.
 *
 * @param root The store.
 * @param file The file, and both hashes.
 * @param onPhase Told.
 * @returns Where it is now.
 */
export async function putAside(
  root: string,
  { path, expected, actual }: { readonly path: string; readonly expected: string; readonly actual: string },
  onPhase: FindOptions["onPhase"],
): Promise<string> {
  const target = await quarantine(root, path);
  onPhase?.({
    phase: "quarantine",
    path,
    expected_sha256: expected,
    actual_sha256: actual,
    quarantine_path: target,
  });
  return target;
}

/** Whether a blob is there, right or not. */
export async function isPlaced(root: string, sha256: string): Promise<boolean> {
  try {
    return (await Deno.stat(blobPath(root, sha256))).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
