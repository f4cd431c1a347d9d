/**
 * The part of the GGUF format the benchmark needs: reading metadata, and writing files. Values keep their types, so
 * that they can be written back unchanged. Knows nothing of what the keys mean.
 */
import { GGUF_TYPE, TENSOR_BLOCKS } from "../src/models/file/gguf_types.ts";

/** Type of a value. */
export type GgufType = keyof typeof GGUF_TYPE;

/** A scalar value; 64-bit integers are bigints. */
export type GgufScalar = number | bigint | boolean | string;

/** A metadata value with its type. */
export type GgufValue =
  | { readonly type: Exclude<GgufType, "array">; readonly value: GgufScalar }
  | { readonly type: "array"; readonly of: Exclude<GgufType, "array">; readonly value: readonly GgufScalar[] };

/** Metadata in file order. */
export type GgufMetadata = Map<string, GgufValue>;

/** Tensor types by their code in the file. */
export const TENSOR_TYPE = { f32: 0, f16: 1, q8_0: 8, i8: 24 } as const;

/** A tensor's entry in the file header. */
export interface TensorHead {
  readonly name: string;
  /** Fastest-changing dimension first. */
  readonly dimensions: readonly number[];
  readonly type: keyof typeof TENSOR_TYPE;
}

const MAGIC = 0x46554747; // "GGUF", little-endian
const VERSION = 3;
const ALIGNMENT = 32;
const TYPE_NAMES = new Map<number, GgufType>(
  (Object.keys(GGUF_TYPE) as GgufType[]).map((name) => [GGUF_TYPE[name], name]),
);

/**
 * Read the metadata of a GGUF file.
 *
 * @param bytes The file, or at least its metadata.
 * @returns The metadata.
 * @throws {TypeError} If it is not a GGUF file of version 2 or 3.
 * @throws {RangeError} If the bytes end too early.
 */
export function readMetadata(bytes: Uint8Array): GgufMetadata {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  let at = 0;
  const skip = (length: number): number => {
    at += length;
    return at - length;
  };
  const length = (): number => Number(view.getBigUint64(skip(8), true));
  const readers: { readonly [Type in Exclude<GgufType, "array">]: () => GgufScalar } = {
    uint8: () => view.getUint8(skip(1)),
    int8: () => view.getInt8(skip(1)),
    uint16: () => view.getUint16(skip(2), true),
    int16: () => view.getInt16(skip(2), true),
    uint32: () => view.getUint32(skip(4), true),
    int32: () => view.getInt32(skip(4), true),
    float32: () => view.getFloat32(skip(4), true),
    bool: () => view.getUint8(skip(1)) !== 0,
    string: () => {
      const count = length();
      if (count > bytes.length - at) throw new RangeError(`A string of ${count} bytes goes beyond the end`);
      return decoder.decode(bytes.subarray(skip(count), at));
    },
    uint64: () => view.getBigUint64(skip(8), true),
    int64: () => view.getBigInt64(skip(8), true),
    float64: () => view.getFloat64(skip(8), true),
  };
  const type = (): GgufType => {
    const number = view.getUint32(skip(4), true);
    const name = TYPE_NAMES.get(number);
    if (name === undefined) throw new TypeError(`Unknown GGUF value type ${number}`);
    return name;
  };

  if (bytes.length < 8 || view.getUint32(skip(4), true) !== MAGIC) throw new TypeError("Not a GGUF file");
  const version = view.getUint32(skip(4), true);
  if (version !== 2 && version !== 3) throw new TypeError(`GGUF version ${version} is not known`);
  skip(8); // number of tensors
  const metadata: GgufMetadata = new Map();
  for (let left = length(); left > 0; left--) {
    const key = readers.string() as string;
    const kind = type();
    if (kind !== "array") {
      metadata.set(key, { type: kind, value: readers[kind]() });
      continue;
    }
    const of = type();
    if (of === "array") throw new TypeError(`"${key}" is an array of arrays`);
    metadata.set(key, { type: "array", of, value: Array.from({ length: length() }, readers[of]) });
  }
  return metadata;
}

/**
 * Size of a tensor in the file, without padding.
 *
 * @param tensor The tensor.
 * @returns The size in bytes.
 */
export function tensorBytes(tensor: TensorHead): number {
  const { values, bytes } = TENSOR_BLOCKS.get(TENSOR_TYPE[tensor.type]) ?? { values: 1, bytes: NaN };
  return tensor.dimensions.reduce((product, size) => product * size, 1) / values * bytes;
}

/**
 * Build the header of a GGUF file. The tensors' data follows immediately, in this order, each padded with {@linkcode
 * padding}.
 *
 * @param metadata The metadata.
 * @param tensors The tensors that follow.
 * @returns The bytes, padded.
 */
export function fileHead(metadata: GgufMetadata, tensors: readonly TensorHead[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writer.number("uint32", MAGIC);
  writer.number("uint32", VERSION);
  writer.number("uint64", BigInt(tensors.length));
  writer.number("uint64", BigInt(metadata.size));
  for (const [key, entry] of metadata) {
    writer.scalar("string", key);
    writer.number("uint32", GGUF_TYPE[entry.type]);
    if (entry.type !== "array") {
      writer.scalar(entry.type, entry.value);
      continue;
    }
    writer.number("uint32", GGUF_TYPE[entry.of]);
    writer.number("uint64", BigInt(entry.value.length));
    for (const value of entry.value) writer.scalar(entry.of, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    writer.scalar("string", tensor.name);
    writer.number("uint32", tensor.dimensions.length);
    for (const size of tensor.dimensions) writer.number("uint64", BigInt(size));
    writer.number("uint32", TENSOR_TYPE[tensor.type]);
    writer.number("uint64", BigInt(offset));
    const bytes = tensorBytes(tensor);
    offset += bytes + padding(bytes);
  }
  return writer.finish();
}

/**
 * Build the header of a file with a single tensor and no usable model.
 *
 * @param bytes Size of the whole file, including this header.
 * @returns The header.
 */
export function headOfFile(bytes: number): Uint8Array<ArrayBuffer> {
  const keys: GgufMetadata = new Map([["general.architecture", { type: "string", value: "test" }]]);
  const head = (size: number): Uint8Array<ArrayBuffer> =>
    fileHead(keys, [{ name: "weights", dimensions: [size], type: "i8" }]);
  return head(bytes - head(1).length);
}

/**
 * Number of zero bytes that follow data of a given size.
 *
 * @param bytes The size of the data.
 * @returns The size of the padding.
 */
export function padding(bytes: number): number {
  return (ALIGNMENT - bytes % ALIGNMENT) % ALIGNMENT;
}

/** A growing buffer. */
class Writer {
  #bytes = new Uint8Array(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #encoder = new TextEncoder();

  number(type: Exclude<GgufType, "array" | "string" | "bool">, value: number | bigint): void {
    const at = this.#reserve(8);
    switch (type) {
      case "uint8":
        this.#view.setUint8(at, Number(value));
        this.#at += 1;
        break;
      case "int8":
        this.#view.setInt8(at, Number(value));
        this.#at += 1;
        break;
      case "uint16":
        this.#view.setUint16(at, Number(value), true);
        this.#at += 2;
        break;
      case "int16":
        this.#view.setInt16(at, Number(value), true);
        this.#at += 2;
        break;
      case "uint32":
        this.#view.setUint32(at, Number(value), true);
        this.#at += 4;
        break;
      case "int32":
        this.#view.setInt32(at, Number(value), true);
        this.#at += 4;
        break;
      case "float32":
        this.#view.setFloat32(at, Number(value), true);
        this.#at += 4;
        break;
      case "uint64":
        this.#view.setBigUint64(at, BigInt(value), true);
        this.#at += 8;
        break;
      case "int64":
        this.#view.setBigInt64(at, BigInt(value), true);
        this.#at += 8;
        break;
      case "float64":
        this.#view.setFloat64(at, Number(value), true);
        this.#at += 8;
        break;
    }
  }

  scalar(type: Exclude<GgufType, "array">, value: GgufScalar): void {
    if (type === "string") {
      const text = this.#encoder.encode(String(value));
      this.number("uint64", BigInt(text.length));
      const at = this.#reserve(text.length);
      this.#bytes.set(text, at);
      this.#at += text.length;
    } else if (type === "bool") {
      this.number("uint8", value ? 1 : 0);
    } else {
      this.number(type, value as number | bigint);
    }
  }

  finish(): Uint8Array<ArrayBuffer> {
    this.#reserve(ALIGNMENT);
    return this.#bytes.slice(0, this.#at + padding(this.#at));
  }

  /** Reserve space and return its offset. */
  #reserve(bytes: number): number {
    if (this.#at + bytes > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return this.#at;
  }
}
