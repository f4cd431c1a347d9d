/** Incremental SHA-256. */
import type { Hash } from "node:crypto";

/** Chunk size in bytes: small enough to stay in the CPU cache between reading and hashing. */
const CHUNK_BYTES = 256 * 1024;

const SHA256 = /^[0-9a-f]{64}$/;

/** An incremental SHA-256. The module is imported on demand, because it costs memory and time. */
export async function createSha256(): Promise<Hash> {
  return (await import("node:crypto")).createHash("sha256");
}

/**
 * Hash the rest of an open file. Reads the next chunk while hashing the current one.
 *
 * @param file Read from its current position to its end.
 * @returns The number of bytes.
 * @throws The signal's reason.
 */
export async function hashRest(file: Deno.FsFile, hash: Hash, signal?: AbortSignal): Promise<number> {
  let [current, next] = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
  let total = 0;
  for (let read = await file.read(current); read !== null;) {
    signal?.throwIfAborted();
    const reading = file.read(next);
    hash.update(current.subarray(0, read));
    total += read;
    read = await reading;
    [current, next] = [next, current];
  }
  return total;
}

/** Whether a text is a SHA-256 in 64 lower-case hex digits. */
export function isSha256(text: string): boolean {
  return SHA256.test(text);
}
