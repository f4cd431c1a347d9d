/** SHA-256, incrementally. */
import type { Hash } from "node:crypto";

/** Read at a time while hashing, in bytes: small enough to be still in the processor's cache when it is hashed. */
const CHUNK_BYTES = 256 * 1024;

const SHA256 = /^[0-9a-f]{64}$/;

/** A running SHA-256. Loaded when it is needed: it costs memory and time. */
export async function createSha256(): Promise<Hash> {
  return (await import("node:crypto")).createHash("sha256");
}

/**
 * Hash what is left of an open file. While one piece is hashed, the next one is read.
 *
 * @param file Read from its current position to its end.
 * @param hash Gets the bytes.
 * @param signal Gives up the work.
 * @returns How many bytes there were.
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

/** Whether a text is a SHA-256 as it is written here: 64 lower-case hex digits. */
export function isSha256(text: string): boolean {
  return SHA256.test(text);
}
