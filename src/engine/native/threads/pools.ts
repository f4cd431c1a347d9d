/**
 * Thread pools of a context. Without them llama.cpp starts and ends its threads in every step. These do not spin
 * between steps: that time belongs to sampling, the daemon and its clients.
 */
import { cString, dataView, type Library, THREADPOOL_PARAM } from "../library.ts";

const CPU_DEVICE = 0;

/** Sets the thread count of a context. */
export class ThreadPools {
  readonly #library: Library;
  readonly #context: NonNullable<Deno.PointerValue>;
  /** Only the calling thread, so that no idle one is woken. */
  readonly #alone: Deno.PointerValue;
  readonly #all: Deno.PointerValue;
  #count: number;

  /** @param most Maximum and initial number of threads. */
  constructor(library: Library, context: NonNullable<Deno.PointerValue>, most: number) {
    this.#library = library;
    this.#context = context;
    this.#count = most;
    this.#alone = newPool(library, 1);
    this.#all = most === 1 ? this.#alone : newPool(library, most);
    this.#attach();
  }

  /** Sets the thread count from the next step on. */
  use(count: number): void {
    if (count === this.#count) return;
    this.#count = count;
    this.#library.llama.llama_set_n_threads(this.#context, count, count);
    this.#attach();
  }

  #attach(): void {
    const pool = this.#count === 1 ? this.#alone : this.#all;
    if (pool !== null) this.#library.llama.llama_attach_threadpool(this.#context, pool, pool);
  }
}

/** `null` if this build has no thread pools. */
function newPool({ ggml, base }: Library, threads: number): Deno.PointerValue {
  const cpu = ggml.ggml_backend_dev_by_type(CPU_DEVICE);
  const create = base.ggml_backend_reg_get_proc_address(
    base.ggml_backend_dev_backend_reg(cpu),
    cString("ggml_threadpool_new"),
  );
  if (create === null) return null;
  const params = new Uint8Array(THREADPOOL_PARAM.size);
  base.ggml_threadpool_params_init(params, threads);
  dataView(params).setUint32(THREADPOOL_PARAM.poll, 0, true);
  return new Deno.UnsafeFnPointer(
    create as Deno.PointerObject<{ parameters: ["buffer"]; result: "pointer" }>,
    { parameters: ["buffer"], result: "pointer" },
  ).call(params);
}
