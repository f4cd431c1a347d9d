/**
 * One llama.cpp context that makes a vector, or a score, of each text: many texts in one step, each a sequence of its
 * own. Which texts go into a step, and on how many threads it is computed, is `encoder.ts`'s business.
 */
import { applyToContext, useAdapters } from "./settings.ts";
import { Batch } from "./batch.ts";
import { CONTEXT_PARAM, dataView, type Library } from "./library.ts";
import { ModelError } from "./first_look.ts";
import type { Model } from "./model.ts";
import type { StepWatch } from "./step_watch.ts";
import { ThreadPools } from "./threads/pools.ts";

/** The numbers of `llama_pooling_type`. */
export const POOLING = { mean: 1, cls: 2, last: 3, rank: 4 } as const;

/** How token vectors become one. */
export type PoolingType = typeof POOLING[keyof typeof POOLING];

/** What was computed is worth nothing to anybody any more. */
export class GivenUpError extends Error {
  override readonly name = "GivenUpError";
}

/** What the native library returns then. */
const STATUS_GIVEN_UP = 2;

/** How a context is to be made. */
export interface TextContextOptions {
  /** Tokens one text may have. */
  readonly textTokens: number;
  /** Tokens that are computed at once. */
  readonly capacity: number;
  /** Texts that are computed at once. */
  readonly texts: number;
  readonly threads: number;
  readonly pooling: PoolingType;
  /** Numbers that come out for a text. */
  readonly width: number;
}

/** A context for vectors or scores. */
export class TextContext {
  readonly #library: Library;
  readonly #handle: NonNullable<Deno.PointerValue>;
  readonly #memory: Deno.PointerValue;
  readonly #batch: Batch;
  readonly #encoderOnly: boolean;
  readonly #outputs: Float32Array<ArrayBuffer>[];
  readonly #threads: ThreadPools;

  /** Tokens that are computed at once. */
  readonly capacity: number;

  /**
   * @throws {ModelError} If there is not enough memory for a text of that size.
   */
  constructor(library: Library, model: Model, options: TextContextOptions) {
    this.#library = library;
    this.#encoderOnly = model.encoderOnly;
    this.capacity = options.capacity;
    const { llama } = library;
    const { textTokens, capacity, texts, threads, pooling } = options;
    const params = llama.llama_context_default_params();
    const view = dataView(params);
    applyToContext(params, model.settings);
    view.setUint32(CONTEXT_PARAM.contextCells, Math.max(capacity, textTokens), true);
    view.setUint32(CONTEXT_PARAM.batch, capacity, true);
    view.setUint32(CONTEXT_PARAM.microBatch, capacity, true);
    view.setUint32(CONTEXT_PARAM.sequences, texts, true);
    view.setInt32(CONTEXT_PARAM.threads, threads, true);
    view.setInt32(CONTEXT_PARAM.threadsBatch, threads, true);
    view.setInt32(CONTEXT_PARAM.pooling, pooling, true);
    view.setUint8(CONTEXT_PARAM.embeddings, 1);
    view.setUint8(CONTEXT_PARAM.unified, 1);
    const handle = llama.llama_init_from_model(model.handle, params);
    if (handle === null) {
      throw new ModelError(
        `Cannot make a context of ${textTokens} tokens: ${library.takeError() ?? "there is not enough memory"}`,
      );
    }
    if (!useAdapters(library, handle, model.adapters)) throw new ModelError("The LoRA adapters cannot be used with it");
    this.#handle = handle;
    this.#memory = llama.llama_get_memory(handle);
    this.#batch = new Batch(library, capacity);
    this.#outputs = Array.from({ length: texts }, () => new Float32Array(options.width));
    this.#threads = new ThreadPools(library, handle, threads);
  }

  /** Forget what was computed before; where nothing is kept, that costs nothing. */
  clear(): void {
    if (this.#memory !== null) this.#library.llama.llama_memory_clear(this.#memory, false);
  }

  /** Put a text, or a part of one, into the next step. */
  put(text: Int32Array, { sequence, from = 0, end = text.length }: {
    readonly sequence: number;
    readonly from?: number;
    readonly end?: number;
  }): void {
    for (let at = from; at < end; at++) this.#batch.put(text[at] as number, at, sequence, true);
  }

  /**
   * Compute what was put; on how many threads counts from now on.
   *
   * @param watch Looks in meanwhile.
   * @throws {GivenUpError} If it was given up.
   */
  compute(threads: number, watch?: StepWatch): void {
    const { llama } = this.#library;
    const tokens = this.#batch.seal();
    this.#threads.use(threads);
    const run = this.#encoderOnly ? llama.llama_encode : llama.llama_decode;
    const compute = (): number => run(this.#handle, this.#batch.struct);
    this.#check(watch?.run(this.#library, this.#handle, { tokens, compute }) ?? compute());
  }

  /** Compute what was put on a thread that is not the caller's. Nothing may be put until it is over. */
  async computeBeside(): Promise<void> {
    const { llama } = this.#library;
    this.#batch.seal();
    const run = this.#encoderOnly ? llama.llama_encode_beside : llama.llama_decode_beside;
    this.#check(await run(this.#handle, this.#batch.struct));
  }

  /** What came out for the first texts; valid until the next step. */
  read(texts: number): readonly Float32Array[] {
    return this.#outputs.slice(0, texts).map((output, sequence) => {
      const pointer = this.#library.llama.llama_get_embeddings_seq(this.#handle, sequence);
      if (pointer === null) throw new Error("The model made nothing of a text");
      this.#library.copy(output, pointer);
      for (const value of output) {
        if (!Number.isFinite(value)) throw new Error("The model's output has NaN or infinite values");
      }
      return output;
    });
  }

  #check(status: number): void {
    if (status === STATUS_GIVEN_UP) throw new GivenUpError("The step was given up");
    if (status !== 0) throw new Error(`llama_decode failed with status ${status}`);
  }
}
