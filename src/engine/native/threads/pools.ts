/**
 * The threads that compute the steps of a context. Without pools of ours llama.cpp starts and ends its threads in every
 * step. Ours do not spin between steps: that time belongs to sampling, to the daemon and to its clients.
 */
import { cString, dataView, type Library, THREADPOOL_PARAM } from "../library.ts";

const CPU_DEVICE = 0;

/** Says on how many threads a context computes. */
export class ThreadPools {
  readonly #library: Library;
  readonly #context: NonNullable<Deno.PointerValue>;
  /** Only the calling thread; a step on it wakes none that then has nothing to do. */
  readonly #alone: Deno.PointerValue;
  readonly #all: Deno.PointerValue;
  #count: number;

  /**
   * @param library Has the threads.
   * @param context Computes.
   * @param most Threads there are, and that compute until something else is said.
   */
  constructor(library: Library, context: NonNullable<Deno.PointerValue>, most: number) {
    this.#library = library;
    this.#context = context;
    this.#count = most;
    this.#alone = newPool(library, 1);
    this.#all = most === 1 ? this.#alone : newPool(library, most);
    this.#attach();
  }

  /** From the next step on so many threads compute. */
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

/** `null`: this build of the library has none. */
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
