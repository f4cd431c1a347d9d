/**
 * What every context needs: the batch that its tokens are put into, and the threads that compute. Knows nothing of KV
 * cache or output.
 */
import { BATCH_FIELD, cString, dataView, type Library, THREADPOOL_PARAM } from "./library.ts";
import { ModelError } from "./model.ts";

const CPU_DEVICE = 0;

/** Tokens for one decode, in native memory. */
export class Batch {
  /** To be given to the native library. */
  readonly struct: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #token: Int32Array;
  readonly #position: Int32Array;
  readonly #sequence: Int32Array[];
  readonly #output: Int8Array;
  #count = 0;

  /**
   * @param library Makes it.
   * @param capacity Tokens it holds at most.
   */
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

  /** Add a token. */
  put(token: number, position: number, sequence: number, output: boolean): void {
    const index = this.#count++;
    this.#token[index] = token;
    this.#position[index] = position;
    (this.#sequence[index] as Int32Array)[0] = sequence;
    this.#output[index] = output ? 1 : 0;
  }

  /** Make it ready to be decoded; what is put from then on belongs to the next. Returns how many tokens it has. */
  seal(): number {
    const count = this.#count;
    this.#count = 0;
    this.#view.setInt32(BATCH_FIELD.tokens, count, true);
    return count;
  }
}

/**
 * Without a pool of ours llama.cpp starts and ends its threads in every step. Ours do not spin between steps: that
 * time belongs to sampling, to the daemon and to its clients.
 */
export function attachThreads(
  { ggml, base, llama }: Library,
  context: NonNullable<Deno.PointerValue>,
  count: number,
): void {
  if (count < 2) return;
  const cpu = ggml.ggml_backend_dev_by_type(CPU_DEVICE);
  const create = base.ggml_backend_reg_get_proc_address(
    base.ggml_backend_dev_backend_reg(cpu),
    cString("ggml_threadpool_new"),
  );
  if (create === null) return;
  const params = new Uint8Array(THREADPOOL_PARAM.size);
  base.ggml_threadpool_params_init(params, count);
  dataView(params).setUint32(THREADPOOL_PARAM.poll, 0, true);
  const pool = new Deno.UnsafeFnPointer(
    create as Deno.PointerObject<{ parameters: ["buffer"]; result: "pointer" }>,
    { parameters: ["buffer"], result: "pointer" },
  ).call(params);
  llama.llama_attach_threadpool(context, pool, pool);
}

function memoryAt(address: bigint, bytes: number): ArrayBuffer {
  const pointer = Deno.UnsafePointer.create(address);
  if (pointer === null) throw new ModelError("The native library made a batch without memory");
  return Deno.UnsafePointerView.getArrayBuffer(pointer, bytes);
}
