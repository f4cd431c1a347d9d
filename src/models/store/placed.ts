/** Finds and locks blobs; moves those whose content does not match their hash to quarantine. */
import type { LoadPhase } from "@inferd/client/protocol";
import { blobPath } from "./layout.ts";
import { createSha256, hashRest } from "../file/sha256.ts";
import { ModelStoreError } from "./store_error.ts";
import { look } from "./blobs.ts";
import { openShared, quarantine } from "./store_files.ts";

export interface FindOptions {
  /** Start of error messages. */
  readonly what: string;
  /** Expected size, if known. */
  readonly sizeBytes?: number | undefined;
  /** Hash the file (the default), or only compare its size if that is known. */
  readonly check?: "hash" | "size" | undefined;
  readonly onPhase?: ((phase: LoadPhase) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A blob, locked until disposal. */
export interface PlacedBlob extends Disposable {
  readonly sha256: string;
  readonly info: Deno.FileInfo;
  /** Whether this call hashed it. */
  readonly hashed: boolean;
}

/**
 * Find and lock a blob. A wrong one is quarantined.
 *
 * @returns The blob, if present and correct.
 * @throws {ModelStoreError} If the hash is correct but the size is not the expected one.
 */
export async function findPlaced(root: string, sha256: string, options: FindOptions): Promise<PlacedBlob | undefined> {
  const { sizeBytes, check = "hash", signal, onPhase } = options;
  const path = blobPath(root, sha256);
  using lock = new DisposableStack();
  const file = lock.use(await openShared(path, { signal }));
  if (file === undefined) return undefined;
  const info = await file.stat();
  const found = (hashed: boolean): PlacedBlob => {
    lock.move();
    return { sha256, info, hashed, [Symbol.dispose]: () => file.close() };
  };
  onPhase?.({ phase: "checking_local", path });
  if (check === "size" && sizeBytes === info.size) return found(false);
  onPhase?.({ phase: "verify", path });
  const hash = await createSha256();
  await hashRest(file, hash, signal);
  const actual = hash.digest("hex");
  if (actual !== sha256) {
    await putAside(root, { path, expected: sha256, actual }, onPhase);
    return undefined;
  }
  if (sizeBytes === undefined || sizeBytes === info.size) return found(true);
  throw new ModelStoreError(
    "size",
    `${options.what}: the blob with this SHA-256 is ${info.size} bytes long, not ${sizeBytes}`,
  );
}

/** Quarantine a file with the wrong hash. */
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

/** Whether a blob exists, correct or not. */
export async function isPlaced(root: string, sha256: string): Promise<boolean> {
  return (await look(blobPath(root, sha256)))?.isFile ?? false;
}
