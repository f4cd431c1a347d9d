/**
 * A llama.cpp context that embeds or scores texts: many texts per batch, each a sequence. `encoder.ts` decides which
 * texts go into a batch and on how many threads.
 */
import { applyToContext, openContext, useAdapters } from "./settings.ts";
import { Batch } from "./batch.ts";
import { CONTEXT_PARAM, dataView, type Library } from "./library.ts";
import { ModelError } from "./first_look.ts";
import type { Model } from "./model.ts";
import type { StepWatch } from "./step_watch.ts";
import { ThreadPools } from "./threads/pools.ts";

/** `llama_pooling_type`. */
export const POOLING = { mean: 1, cls: 2, last: 3, rank: 4 } as const;

export type PoolingType = typeof POOLING[keyof typeof POOLING];

/** The computation was aborted because nobody needs the result. */
export class GivenUpError extends Error {
  override readonly name = "GivenUpError";
}

/** Return value of an aborted decode. */
const STATUS_GIVEN_UP = 2;

export interface TextContextOptions {
  /** Maximum tokens of one text. */
  readonly textTokens: number;
  /** Maximum tokens of a batch. */
  readonly capacity: number;
  /** Maximum texts of a batch. */
  readonly texts: number;
  readonly threads: number;
  readonly pooling: PoolingType;
  /** Length of the output vector of a text. */
  readonly width: number;
}

/** A context for embeddings or scores. */
export class TextContext {
  readonly #library: Library;
  readonly #handle: NonNullable<Deno.PointerValue>;
  readonly #memory: Deno.PointerValue;
  readonly #batch: Batch;
  readonly #encoderOnly: boolean;
  readonly #outputs: Float32Array<ArrayBuffer>[];
  readonly #threads: ThreadPools;

  /** Maximum tokens of a batch. */
  readonly capacity: number;

  /** @throws {ModelError} If there is not enough memory for a text of that size. */
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
    const handle = openContext(library, model, params);
    if (handle === null) {
      throw new ModelError(
        `Cannot make a context of ${textTokens} tokens: ${library.takeError() ?? "there is not enough memory"}`,
      );
    }
    useAdapters(library, handle, model.adapters);
    this.#handle = handle;
    this.#memory = llama.llama_get_memory(handle);
    this.#batch = new Batch(library, capacity);
    this.#outputs = Array.from({ length: texts }, () => new Float32Array(options.width));
    this.#threads = new ThreadPools(library, handle, threads);
  }

  /** Clears the KV cache, if the model has one. */
  clear(): void {
    if (this.#memory !== null) this.#library.llama.llama_memory_clear(this.#memory, false);
  }

  /** Puts a text, or part of one, into the next batch. */
  put(text: Int32Array, { sequence, from = 0, end = text.length }: {
    readonly sequence: number;
    readonly from?: number;
    readonly end?: number;
  }): void {
    for (let at = from; at < end; at++) this.#batch.put(text[at] as number, at, sequence, true);
  }

  /**
   * Compute the batch on this many threads.
   *
   * @throws {GivenUpError} If it was aborted.
   */
  compute(threads: number, watch?: StepWatch): void {
    const { llama } = this.#library;
    const tokens = this.#batch.seal();
    this.#threads.use(threads);
    const run = this.#encoderOnly ? llama.llama_encode : llama.llama_decode;
    const compute = (): number => run(this.#handle, this.#batch.struct);
    this.#check(watch?.run(this.#library, this.#handle, { tokens, compute }) ?? compute());
  }

  /** Compute the batch on another thread. Nothing may be put until it is done. */
  async computeBeside(): Promise<void> {
    const { llama } = this.#library;
    this.#batch.seal();
    const run = this.#encoderOnly ? llama.llama_encode_beside : llama.llama_decode_beside;
    this.#check(await run(this.#handle, this.#batch.struct));
  }

  /** Outputs of the first texts; valid until the next step. */
  read(texts: number): readonly Float32Array[] {
    return this.#outputs.slice(0, texts).map((output, sequence) => {
      const pointer = this.#library.llama.llama_get_embeddings_seq(this.#handle, sequence);
      if (pointer === null) throw new Error("The model returned no output for a text");
      this.#library.copy(output, pointer);
      for (const value of output) {
        if (!Number.isFinite(value)) throw new Error("The model's output has NaN or infinite values");
      }
      return output;
    });
  }

  #check(status: number): void {
    if (status === STATUS_GIVEN_UP) throw new GivenUpError("The step was aborted");
    if (status !== 0) throw new Error(`llama_decode failed with status ${status}`);
  }
}
