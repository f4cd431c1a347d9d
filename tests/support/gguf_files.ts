/** GGUF files made for tests: small ones of any length, and models cut into several files. */
import {
  fileHead,
  type GgufMetadata,
  headOfFile,
  padding,
  readMetadata,
  TENSOR_TYPE,
  tensorBytes,
  type TensorHead,
} from "../../bench/gguf.ts";
import { type GgufTensor, readGgufHead } from "../../src/models/file/gguf.ts";
import type { ByteSource } from "../../src/models/file/gguf_cursor.ts";

/** Bytes in memory as a source. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(position, buffer): Promise<number> {
      const part = bytes.subarray(position, position + buffer.length);
      buffer.set(part);
      return Promise.resolve(part.length);
    },
  };
}

/**
 * A whole GGUF file that is no other than those of the same seed; no engine can do anything with it.
 *
 * @param length How long it is; at least 200.
 * @param seed Decides on the tensor's bytes.
 */
export function modelBytes(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  bytes.set(headOfFile(length));
  return bytes;
}

/**
 * Cut a model into several files, as llama.cpp's gguf-split does.
 *
 * @param model The file; its tensors are of types that `bench/gguf.ts` writes.
 * @param count How many files.
 * @returns Their bytes, in order.
 */
export async function splitModel(model: Uint8Array, count: number): Promise<Uint8Array<ArrayBuffer>[]> {
  const { tensors, dataOffset } = await readGgufHead(bytesSource(model));
  const metadata = readMetadata(model);
  const each = Math.ceil(tensors.length / count);
  return Array.from({ length: count }, (_, index) => {
    const keys: GgufMetadata = new Map(index === 0 ? metadata : []);
    keys.set("split.no", { type: "uint16", value: index });
    keys.set("split.count", { type: "uint16", value: count });
    keys.set("split.tensors.count", { type: "int32", value: tensors.length });
    return fileOf(model, { keys, dataOffset, tensors: tensors.slice(index * each, (index + 1) * each) });
  });
}

/**
 * A model with further or other metadata.
 *
 * @param model The file; its tensors are of types that `bench/gguf.ts` writes.
 * @param more The metadata to set.
 */
export async function withMetadata(model: Uint8Array, more: GgufMetadata): Promise<Uint8Array<ArrayBuffer>> {
  const { tensors, dataOffset } = await readGgufHead(bytesSource(model));
  return fileOf(model, { keys: new Map([...readMetadata(model), ...more]), dataOffset, tensors });
}

function fileOf(model: Uint8Array, { keys, dataOffset, tensors }: {
  readonly keys: GgufMetadata;
  readonly dataOffset: number;
  readonly tensors: readonly GgufTensor[];
}): Uint8Array<ArrayBuffer> {
  const names = Object.keys(TENSOR_TYPE) as (keyof typeof TENSOR_TYPE)[];
  const heads = tensors.map(({ name, dimensions, type }): TensorHead => {
    const found = names.find((name) => TENSOR_TYPE[name] === type);
    if (found === undefined) throw new TypeError(`Tensor type ${type} cannot be written`);
    return { name, dimensions, type: found };
  });
  const parts = tensors.map(({ offset, bytes }) => model.subarray(dataOffset + offset, dataOffset + offset + bytes));
  return concatenate([fileHead(keys, heads), ...parts.flatMap((part, at) => [part, padded(heads[at])])]);
}

function padded(head: TensorHead | undefined): Uint8Array {
  return new Uint8Array(head === undefined ? 0 : padding(tensorBytes(head)));
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
