/**
 * Split models (`x-00001-of-00003.gguf`, as written by llama.cpp's gguf-split): file names, and the hash over all
 * parts. Touches no files; a header tells whether a file really is a part.
 */
import type { GgufHead } from "./gguf.ts";
import { createSha256 } from "./sha256.ts";

const SHARD = /^(.+)-(\d{5})-of-(\d{5})(\.gguf)$/i;

export interface ShardName {
  /** Path before the numbers, including folders. */
  readonly prefix: string;
  /** One-based. */
  readonly index: number;
  /** At least 2. */
  readonly count: number;
}

/**
 * Parse the name of a shard.
 *
 * @param path A path, or the path of a URL.
 * @returns The parts of the name; nothing if it is not a valid shard name, such as `x-00002-of-00001.gguf`.
 */
export function readShardName(path: string): ShardName | undefined {
  const [, prefix, index, count] = SHARD.exec(path) ?? [];
  if (prefix === undefined || Number(count) < 2 || Number(index) < 1 || Number(index) > Number(count)) return undefined;
  return { prefix, index: Number(index), count: Number(count) };
}

/**
 * File name of a shard, as in llama.cpp.
 *
 * @param prefix Text before the numbers.
 * @param index One-based.
 * @returns `prefix-00001-of-00003.gguf`.
 */
export function shardFileName(prefix: string, index: number, count: number): string {
  return `${prefix}-${digits(index)}-of-${digits(count)}.gguf`;
}

/** @param index One-based. */
export function shardPath(path: string, index: number): string {
  return path.replace(SHARD, (_, prefix, __, count, suffix) => `${prefix}-${digits(index)}-of-${count}${suffix}`);
}

function digits(number: number): string {
  return String(number).padStart(5, "0");
}

/**
 * Paths of all shards of a model, in order.
 *
 * @returns The paths; only the given one if its name is not a shard's.
 */
export function shardPaths(path: string): string[] {
  const name = readShardName(path);
  if (name === undefined) return [path];
  return Array.from({ length: name.count }, (_, index) => shardPath(path, index + 1));
}

export interface ExpectedPart {
  /** Zero-based. */
  readonly index: number;
  readonly count: number;
  /** Tensors of all parts, as stated by the first; absent if it does not say. */
  readonly tensors?: number | undefined;
}

/**
 * Check that a file is the expected shard.
 *
 * @param expected The expected position.
 * @returns The reason if it is not.
 */
export function partFault({ split }: GgufHead, { index, count, tensors }: ExpectedPart): string | undefined {
  const place = `file ${index + 1} of ${count}`;
  if (split === undefined) return `it should be ${place} of a split model, but is a model by itself`;
  if (split.index !== index || split.count !== count) {
    return `it should be ${place}, but is file ${split.index + 1} of ${split.count} of a split model`;
  }
  return (split.tensors ?? tensors) === tensors ? undefined : `it is ${place} of another model`;
}

/**
 * Check that valid shards form one model.
 *
 * @param heads Their headers, in order.
 * @returns The reason if they do not.
 */
export function partsFault(heads: readonly GgufHead[]): string | undefined {
  const tensors = heads.reduce((sum, head) => sum + head.tensors.length, 0);
  const expected = heads[0]?.split?.tensors ?? tensors;
  if (tensors === expected) return undefined;
  return `its ${heads.length} files have ${tensors} tensors together, they should have ${expected}`;
}

/**
 * Hash of a model: of its only file, or the SHA-256 over the hashes of its files, each in hex with a newline
 * (`sha256sum x-*.gguf | cut -c -64 | sha256sum`).
 *
 * @param hashes Hashes of the files, in order, in lower-case hex.
 * @returns Lower-case hex.
 */
export async function modelHash(hashes: readonly string[]): Promise<string> {
  const [only] = hashes;
  if (only !== undefined && hashes.length === 1) return only;
  return (await createSha256()).update(hashes.map((hash) => `${hash}\n`).join("")).digest("hex");
}
