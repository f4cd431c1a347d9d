/** A llama.cpp batch of tokens. Knows nothing about KV cache or output. */
import { BATCH_FIELD, dataView, type Library } from "./library.ts";
import { ModelError } from "./first_look.ts";

/** Tokens for one decode, in native memory. */
export class Batch {
  /** The `llama_batch` for native calls. */
  readonly struct: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #token: Int32Array;
  readonly #position: Int32Array;
  readonly #sequence: Int32Array[];
  readonly #output: Int8Array;
  #count = 0;

  constructor(library: Library, capacity: number) {
    this.struct = library.llama.llama_batch_init(capacity, 0, 1) as Uint8Array<ArrayBuffer>;
    this.#view = dataView(this.struct);
    const pointer = (field: number): bigint => this.#view.getBigUint64(field, true);
    this.#token = new Int32Array(memoryAt(pointer(BATCH_FIELD.token), capacity * 4));
    this.#position = new Int32Array(memoryAt(pointer(BATCH_FIELD.position), capacity * 4));
    this.#output = new Int8Array(memoryAt(pointer(BATCH_FIELD.output), capacity));
    new Int32Array(memoryAt(pointer(BATCH_FIELD.sequenceCount), capacity * 4)).fill(1);
    this.#sequence = Array.from(
      new BigUint64Array(memoryAt(pointer(BATCH_FIELD.sequence), capacity * 8)),
      (address) => new Int32Array(memoryAt(address, 4)),
    );
  }

  put(token: number, position: number, sequence: number, output: boolean): void {
    const index = this.#count++;
    this.#token[index] = token;
    this.#position[index] = position;
    (this.#sequence[index] as Int32Array)[0] = sequence;
    this.#output[index] = output ? 1 : 0;
  }

  /** Seals the batch for decoding; later tokens belong to the next one. Returns the number of tokens. */
  seal(): number {
    const count = this.#count;
    this.#count = 0;
    this.#view.setInt32(BATCH_FIELD.tokens, count, true);
    return count;
  }
}

function memoryAt(address: bigint, bytes: number): ArrayBuffer {
  const pointer = Deno.UnsafePointer.create(address);
  if (pointer === null) throw new ModelError("llama_batch_init returned a null pointer");
  return Deno.UnsafePointerView.getArrayBuffer(pointer, bytes);
}
