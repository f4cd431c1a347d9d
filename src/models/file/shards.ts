/**
 * Split models (`x-00001-of-00003.gguf` and so on, as llama.cpp's gguf-split makes them): their file names, and the
 * one hash that identifies all parts. Touches no file; whether a file really is a part is read from its header.
 */
import type { GgufHead } from "./gguf.ts";
import { createSha256 } from "./sha256.ts";

const SHARD = /^(.+)-(\d{5})-of-(\d{5})(\.gguf)$/i;

/** What the name of a file of several says. */
export interface ShardName {
  /** Before the numbers, folders included. */
  readonly prefix: string;
  /** From 1. */
  readonly index: number;
  /** At least 2. */
  readonly count: number;
}

/**
 * Read the name of a file of several.
 *
 * @param path A path, or the path of a URL.
 * @returns What it says; nothing where it cannot be such a name, as `x-00002-of-00001.gguf`.
 */
export function readShardName(path: string): ShardName | undefined {
  const [, prefix, index, count] = SHARD.exec(path) ?? [];
  if (prefix === undefined || Number(count) < 2 || Number(index) < 1 || Number(index) > Number(count)) return undefined;
  return { prefix, index: Number(index), count: Number(count) };
}

/**
 * What llama.cpp calls a file of several.
 *
 * @param prefix Before the numbers.
 * @param index Which, from 1.
 * @param count Of how many.
 * @returns `prefix-00001-of-00003.gguf`.
 */
export function shardFileName(prefix: string, index: number, count: number): string {
  return `${prefix}-${digits(index)}-of-${digits(count)}.gguf`;
}

/**
 * The path of another file of the same model.
 *
 * @param path The path of one.
 * @param index Which, from 1.
 * @returns Its path.
 */
export function shardPath(path: string, index: number): string {
  return path.replace(SHARD, (_, prefix, __, count, suffix) => `${prefix}-${digits(index)}-of-${count}${suffix}`);
}

function digits(number: number): string {
  return String(number).padStart(5, "0");
}

/**
 * Every file of the model that a file's name makes it a part of, in order.
 *
 * @param path The path of one of them.
 * @returns The paths; the path alone where its name is not that of a part.
 */
export function shardPaths(path: string): string[] {
  const name = readShardName(path);
  if (name === undefined) return [path];
  return Array.from({ length: name.count }, (_, index) => shardPath(path, index + 1));
}

/** Which part a file should be. */
export interface ExpectedPart {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** Tensors of all parts, as the first says; absent: it does not. */
  readonly tensors?: number | undefined;
}

/**
 * Why a file is not the part that it should be.
 *
 * @param head What it says of itself.
 * @param expected Which part it should be.
 * @returns The reason; nothing where it is that part.
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
 * Why parts that are each valid do not make one model.
 *
 * @param heads What the files say of themselves, in order.
 * @returns The reason; nothing where they are.
 */
export function partsFault(heads: readonly GgufHead[]): string | undefined {
  const tensors = heads.reduce((sum, head) => sum + head.tensors.length, 0);
  const expected = heads[0]?.split?.tensors ?? tensors;
  if (tensors === expected) return undefined;
  return `its ${heads.length} files have ${tensors} tensors together, they should have ${expected}`;
}

/**
 * The hash of a model: of its file, or of several: then it is the SHA-256 of their hashes, each as hex with a newline
 * behind it (`sha256sum x-*.gguf | cut -c -64 | sha256sum`).
 *
 * @param hashes Of the files, in order, in lower-case hex.
 * @returns Lower-case hex.
 */
export async function modelHash(hashes: readonly string[]): Promise<string> {
  const [only] = hashes;
  if (only !== undefined && hashes.length === 1) return only;
  return (await createSha256()).update(hashes.map((hash) => `${hash}\n`).join("")).digest("hex");
}
