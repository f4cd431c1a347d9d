/**
 * Reads GGUF headers: metadata, tensors and the required file size. Accepts what llama.cpp accepts, so that other files
 * are rejected before they are stored or loaded. Files may be hostile: no count or length in them determines memory use
 * or time. Tensor data is not read.
 */
import { type ByteSource, Cursor, EndOfSource } from "./gguf_cursor.ts";
import { GGUF_TYPE, TENSOR_BLOCKS } from "./gguf_types.ts";

/** Tensor types that llama.cpp no longer supports. */
const REMOVED_TYPES: ReadonlySet<number> = new Set([4, 5, 31, 32, 33, 36, 37, 38]);
/** Upper bound of plausible tensor types. */
const MAX_TYPE = 255;

export const GGUF_MAGIC = "GGUF";

const VERSIONS = [2, 3];
const DEFAULT_ALIGNMENT = 32;
/** Real headers, including vocabularies, take a few MiB. */
const MAX_HEAD_BYTES = 256 * 1024 * 1024;
/** Real models have dozens of keys and at most tens of thousands of tensors. */
const MAX_KEYS = 65_536;
const MAX_TENSORS = 200_000;
const MAX_KEY_BYTES = 65_535;
/** Total length of all keys, which are kept to detect duplicates. */
const MAX_ALL_KEY_BYTES = 4 * 1024 * 1024;
/** As in llama.cpp, including the terminating NUL. */
const MAX_TENSOR_NAME_BYTES = 64;
const MAX_DIMENSIONS = 4;
const MAX_STRING_BYTES = 1024 ** 3;
const MAX_ARRAY_VALUES = 1024 ** 3;
/** Longer strings are skipped; none of them is needed. */
const KEPT_STRING_BYTES = 128 * 1024;

/** The same for strings of keys that are not known here. */
const FACT_STRING_BYTES = 256;
/** Real models have dozens of scalars. */
const MAX_FACTS = 256;

/** Sizes of fixed-size value types, in bytes. */
const VALUE_BYTES: ReadonlyMap<number, number> = new Map([
  [GGUF_TYPE.uint8, 1],
  [GGUF_TYPE.int8, 1],
  [GGUF_TYPE.uint16, 2],
  [GGUF_TYPE.int16, 2],
  [GGUF_TYPE.uint32, 4],
  [GGUF_TYPE.int32, 4],
  [GGUF_TYPE.float32, 4],
  [GGUF_TYPE.bool, 1],
  [GGUF_TYPE.uint64, 8],
  [GGUF_TYPE.int64, 8],
  [GGUF_TYPE.float64, 8],
]);

/** Kind of defect; `cut`: truncated. */
export type GgufFault = "not_gguf" | "cut" | "damaged";

/** The file is not a complete GGUF file. The message follows a file name and a colon. */
export class GgufError extends Error {
  override readonly name = "GgufError";
  readonly fault: GgufFault;

  constructor(fault: GgufFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

export interface GgufTensor {
  readonly name: string;
  /** `ggml_type`. */
  readonly type: number;
  /** Fastest-changing dimension first. */
  readonly dimensions: readonly number[];
  /** Offset from the start of the tensor data. */
  readonly offset: number;
  /** Size without padding; 0 for unknown types. */
  readonly bytes: number;
}

/** Position of a file in a split model. */
export interface GgufSplit {
  /** Zero-based. */
  readonly index: number;
  /** At least 2. */
  readonly count: number;
  /** Tensors of all parts; absent if not stated. */
  readonly tensors?: number;
}

export type GgufScalar = string | number | boolean;

export interface GgufHead {
  readonly version: number;
  /** `general.architecture`, if present. */
  readonly architecture?: string;
  /** Absent if the file is a whole model. */
  readonly split?: GgufSplit;
  /** Scalars that describe the model, by key; not those of its vocabulary. */
  readonly facts: ReadonlyMap<string, GgufScalar>;
  readonly tensors: readonly GgufTensor[];
  readonly dataOffset: number;
  /** Minimum size of the file. */
  readonly requiredBytes: number;
  /** The same, including padding after the last tensor, which not every writer adds. */
  readonly paddedBytes: number;
}

/**
 * Read the header of a file. Whether the tensor data is complete is checked by {@linkcode checkGgufSize}.
 *
 * @throws {GgufError} If it is not a GGUF file, ends within its header, or is invalid.
 */
export async function readGgufHead(source: ByteSource): Promise<GgufHead> {
  try {
    return await new HeadReader(source).read();
  } catch (error) {
    if (!(error instanceof EndOfSource)) throw error;
    throw new GgufError("cut", `it is truncated: it ends within its header, after ${source.size} bytes`);
  }
}

/**
 * Check that a file is long enough for its tensors.
 *
 * @param size Its size in bytes.
 * @throws {GgufError} If it is too short.
 */
export function checkGgufSize({ requiredBytes }: GgufHead, size: number): void {
  if (size >= requiredBytes) return;
  throw new GgufError("cut", `it is truncated: ${size} of its ${requiredBytes} bytes are there`);
}

class HeadReader {
  readonly #cursor: Cursor;
  readonly #size: number;
  /** Values of the requested keys. */
  readonly #values = new Map<string, GgufScalar>();
  #alignment = DEFAULT_ALIGNMENT;

  constructor(source: ByteSource) {
    this.#cursor = new Cursor(source);
    this.#size = source.size;
  }

  async read(): Promise<GgufHead> {
    const cursor = this.#cursor;
    if (this.#size < GGUF_MAGIC.length || await cursor.text(GGUF_MAGIC.length) !== GGUF_MAGIC) {
      throw new GgufError("not_gguf", "it is not a GGUF file");
    }
    const version = await cursor.u32();
    if (!VERSIONS.includes(version)) {
      const swapped = version !== 0 && version % 0x10000 === 0;
      throw damaged(
        swapped ? "it is in big-endian byte order" : `its format version is ${version}, supported are 2 and 3`,
      );
    }
    const tensorCount = await cursor.u64();
    const keyCount = await cursor.u64();
    if (tensorCount > MAX_TENSORS) throw damaged(`it says that it has ${tensorCount} tensors`);
    if (keyCount > MAX_KEYS) throw damaged(`it says that it has ${keyCount} metadata keys`);
    await this.#readKeys(keyCount);
    const tensors = await this.#readTensors(tensorCount);
    const end = cursor.position;
    const dataOffset = tensorCount === 0 ? end : this.#pad(end);
    const last = tensors.at(-1);
    const used = last === undefined ? 0 : last.offset + last.bytes;
    const architecture = this.#values.get("general.architecture");
    const split = this.#split();
    return {
      version,
      ...(typeof architecture === "string" ? { architecture } : {}),
      ...(split === undefined ? {} : { split }),
      facts: this.#values,
      tensors,
      dataOffset,
      requiredBytes: dataOffset + used,
      paddedBytes: dataOffset + this.#pad(used),
    };
  }

  async #readKeys(count: number): Promise<void> {
    const cursor = this.#cursor;
    const seen = new Set<string>();
    let keyBytes = 0;
    for (let index = 0; index < count; index++) {
      const length = await cursor.u64();
      keyBytes += length;
      if (length === 0) throw damaged(`metadata key ${index} is empty`);
      if (length > MAX_KEY_BYTES) throw damaged(`metadata key ${index} has ${length} bytes`);
      if (keyBytes > MAX_ALL_KEY_BYTES) throw damaged(`its metadata keys take more than ${MAX_ALL_KEY_BYTES} bytes`);
      const key = await cursor.text(length);
      if (seen.has(key)) throw damaged(`metadata key ${shown(key)} occurs twice`);
      seen.add(key);
      await this.#readValue(key, await cursor.u32());
      if (cursor.position > MAX_HEAD_BYTES) throw damaged(`its header is longer than ${MAX_HEAD_BYTES} bytes`);
    }
  }

  async #readValue(key: string, type: number): Promise<void> {
    const cursor = this.#cursor;
    if (key === "general.alignment") {
      const value = type === GGUF_TYPE.uint32 ? await cursor.u32() : undefined;
      if (value === undefined || value === 0 || (value & (value - 1)) !== 0) {
        throw damaged(`its alignment is ${value ?? "not a 32-bit number"}, not a power of two`);
      }
      this.#alignment = value >>> 0;
      return;
    }
    if (type === GGUF_TYPE.array) return await this.#skipArray(key);
    if (type === GGUF_TYPE.string) {
      const length = await cursor.u64();
      if (length > MAX_STRING_BYTES) throw damaged(`the value of ${shown(key)} has ${length} bytes`);
      const most = KEPT.has(key) ? KEPT_STRING_BYTES : FACT_STRING_BYTES;
      if (length > most || !this.#isKept(key)) return cursor.skip(length);
      this.#values.set(key, await cursor.text(length));
      return;
    }
    const bytes = VALUE_BYTES.get(type);
    if (bytes === undefined) throw damaged(`the value of ${shown(key)} is of type ${type}, which does not exist`);
    if (!this.#isKept(key)) return cursor.skip(bytes);
    this.#values.set(key, scalarOf(type, await cursor.bytes(bytes)));
  }

  #isKept(key: string): boolean {
    return KEPT.has(key) || DESCRIBING.test(key) && this.#values.size < MAX_FACTS;
  }

  async #skipArray(key: string): Promise<void> {
    const cursor = this.#cursor;
    const type = await cursor.u32();
    const count = await cursor.u64();
    if (count > MAX_ARRAY_VALUES) throw damaged(`${shown(key)} has ${count} values`);
    const bytes = VALUE_BYTES.get(type);
    if (bytes !== undefined) return cursor.skip(count * bytes);
    if (type !== GGUF_TYPE.string) throw damaged(`the values of ${shown(key)} are of type ${type}`);
    const fine = await cursor.skipStrings(count, { most: MAX_STRING_BYTES, until: MAX_HEAD_BYTES });
    if (!fine) throw damaged(`the values of ${shown(key)} are longer than a header can be`);
  }

  async #readTensors(count: number): Promise<GgufTensor[]> {
    const tensors: GgufTensor[] = [];
    const seen = new Set<string>();
    /** Expected offset of the next tensor; unknown after one of an unknown type. */
    let next: number | undefined = 0;
    for (let index = 0; index < count; index++) {
      const tensor = await this.#readTensor(index);
      const { name, offset, bytes, type } = tensor;
      if (seen.has(name)) throw damaged(`tensor ${shown(name)} occurs twice`);
      seen.add(name);
      const previous = tensors.at(-1);
      const wrong = next === undefined
        ? offset < (previous?.offset ?? 0) || offset % this.#alignment !== 0
        : offset !== next;
      if (wrong) throw damaged(`tensor ${shown(name)} begins at ${offset}, where another one is`);
      next = TENSOR_BLOCKS.has(type) ? offset + this.#pad(bytes) : undefined;
      if (!Number.isSafeInteger(next ?? offset)) throw damaged(`tensor ${shown(name)} is larger than a file can be`);
      tensors.push(tensor);
    }
    return tensors;
  }

  async #readTensor(index: number): Promise<GgufTensor> {
    const cursor = this.#cursor;
    const length = await cursor.u64();
    if (length === 0) throw damaged(`tensor ${index} has no name`);
    if (length >= MAX_TENSOR_NAME_BYTES) throw damaged(`the name of tensor ${index} has ${length} bytes`);
    const name = await cursor.text(length);
    const rank = await cursor.u32();
    if (rank > MAX_DIMENSIONS) throw damaged(`tensor ${shown(name)} has ${rank} dimensions`);
    const dimensions: number[] = [];
    for (let dimension = 0; dimension < rank; dimension++) {
      const size = await cursor.u64();
      if (size === 0) throw damaged(`tensor ${shown(name)} has a dimension of 0`);
      dimensions.push(size);
    }
    const type = await cursor.u32();
    const offset = await cursor.u64();
    if (REMOVED_TYPES.has(type)) {
      throw damaged(`tensor ${shown(name)} is of type ${type}, which is no longer supported`);
    }
    if (type > MAX_TYPE) throw damaged(`tensor ${shown(name)} is of type ${type}, which does not exist`);
    const block = TENSOR_BLOCKS.get(type);
    // It may be a newer type, since other programs share the store.
    if (block === undefined) return { name, type, dimensions, offset, bytes: 0 };
    const [row = 1] = dimensions;
    if (row % block.values !== 0) {
      throw damaged(`tensor ${shown(name)} has rows of ${row} values, its type has blocks of ${block.values}`);
    }
    const values = dimensions.reduce((product, size) => product * size, 1);
    return { name, type, dimensions, offset, bytes: values / block.values * block.bytes };
  }

  #split(): GgufSplit | undefined {
    const number = (key: string): number | undefined => {
      const value = this.#values.get(key);
      return typeof value === "number" ? value : undefined;
    };
    const count = number("split.count") ?? 0;
    if (count < 2) return undefined;
    const index = number("split.no") ?? 0;
    if (index >= count) throw damaged(`it says that it is file ${index + 1} of ${count}`);
    const tensors = number("split.tensors.count");
    return { index, count, ...(tensors === undefined ? {} : { tensors }) };
  }

  #pad(bytes: number): number {
    return Math.ceil(bytes / this.#alignment) * this.#alignment;
  }
}

/** Metadata keys to keep. */
const KEPT: ReadonlySet<string> = new Set([
  "general.architecture",
  "split.no",
  "split.count",
  "split.tensors.count",
  "general.name",
  "general.license",
  "general.file_type",
  "tokenizer.chat_template",
]);
/** The same for keys prefixed with the architecture and others that describe the model, up to a limit. */
const DESCRIBING = /^(?!tokenizer\.)[\w-]+\.[\w.-]+$|^tokenizer\.ggml\.(?:model|pre|add_\w+|\w+_token_id)$/;

function scalarOf(type: number, bytes: Uint8Array): GgufScalar {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (type) {
    case GGUF_TYPE.bool:
      return view.getUint8(0) !== 0;
    case GGUF_TYPE.float32:
      return view.getFloat32(0, true);
    case GGUF_TYPE.float64:
      return view.getFloat64(0, true);
    case GGUF_TYPE.int8:
      return view.getInt8(0);
    case GGUF_TYPE.int16:
      return view.getInt16(0, true);
    case GGUF_TYPE.int32:
      return view.getInt32(0, true);
    case GGUF_TYPE.int64:
      return Number(view.getBigInt64(0, true));
    default:
      return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
  }
}

function damaged(reason: string): GgufError {
  return new GgufError("damaged", `it is damaged: ${reason}`);
}

/** Quotes a name from the file for a single-line message. */
function shown(name: string): string {
  const text = JSON.stringify(name.length > 64 ? `${name.slice(0, 61)}...` : name);
  return text.replaceAll(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, "?");
}
