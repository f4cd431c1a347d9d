/**
 * A llama.cpp context: KV cache for several sequences, one batch, and its logits. Sequences are numbers here;
 * `scheduler.ts` maps them to requests.
 */
import { Batch } from "./batch.ts";
import { CONTEXT_PARAM, dataView, type Library } from "./library.ts";
import { memoryLayouts } from "./memory.ts";
import { ModelError } from "./first_look.ts";
import type { Model } from "./model.ts";
import { type LookIn, StepWatch, type WatchLimits } from "./step_watch.ts";
import { ThreadPools } from "./threads/pools.ts";
import { cpuMs, StepTimer, ThreadGovernor } from "./threads/governor.ts";
import { openFreeCores } from "./threads/free_cores.ts";
import { applyToContext, openContext, useAdapters } from "./settings.ts";

/** Maximum tokens of a step. */
export const BATCH_TOKENS = 512;

/**
 * Outcome of a decode. `full`: no room for the batch, nothing was done; `aborted`: part of the batch may be in the KV
 * cache.
 */
export type DecodeOutcome = "done" | "full" | "aborted";

/** The scheduler's view of a context; tests replace it. */
export interface Decoder {
  /** Size of the KV cache in tokens, over all sequences. */
  readonly cells: number;
  /** Whether each sequence has separate cells; its tokens in a batch are then computed separately. */
  readonly apart: boolean;
  /** Sharing fewer tokens than this of a sequence with `held` tokens takes longer than decoding them again. */
  worthCopying(held: number): number;
  /** Put a token into the next batch. Tokens with `output` get a row of logits, in the order they were put. */
  put(token: number, position: number, sequence: number, output: boolean): void;
  /** Notifies the thread governor of a new request. */
  beginRequest(): void;
  /** Decode the batch and clear it. */
  decode(): DecodeOutcome;
  /** Logits of a row of the last decode; valid until the next. */
  logits(row: number): Float32Array;
  /** Keep only the first `length` tokens of a sequence. False: it had to be cleared. */
  truncate(sequence: number, length: number): boolean;
  /** Share the first `length` tokens of a sequence, which has `held`, with an empty one. */
  copy(from: number, to: number, tokens: { readonly length: number; readonly held: number }): void;
}

export interface ContextOptions {
  /** Maximum tokens of one request. */
  readonly contextTokens: number;
  /** Number of sequences for requests. */
  readonly parallel: number;
  /** Cells of each additional kept sequence. */
  readonly kept: readonly number[];
  /** Logits rows for drafts, besides one per request; absent: none. */
  readonly guesses?: number;
  /** Maximum number of compute threads. */
  readonly threads: number;
  readonly memoryBytes: number;
  /** Called periodically during long steps. */
  readonly lookIn: LookIn;
  /** See `StepWatchOptions`. */
  readonly limits?: WatchLimits;
}

/**
 * Steps that read this many bytes of weights, tokens times model size, start with all threads: they benefit from them.
 */
const LARGE_STEP_BYTES = 0x4000000;

/**
 * llama.cpp places its intermediate results behind the list of outputs, four bytes each. Only after whole cache lines do
 * they begin at one, and with AMX a prompt takes up to 1.45 times as long where they do not.
 */
const OUTPUTS_PER_LINE = 16;

/** Minimum tokens worth sharing; with shared cells that costs nothing. */
const WORTH_COPYING = 16;
/** Separate cells are copied: about this many in the time it takes to decode one token. */
const COPIED_PER_TOKEN = 256;
/** Cells that hold tokens are copied through a buffer of at most this size. */
const COPY_BYTES = 0x20000000;
/** It is kept during so many decodes: requests that share a prefix often start in consecutive steps. */
const COPIED_DECODES = 3;

/** Return values of `llama_decode`. */
const STATUS = { done: 0, full: 1, aborted: 2 } as const;

export class Context implements Decoder {
  readonly #library: Library;
  readonly #handle: NonNullable<Deno.PointerValue>;
  readonly #memory: NonNullable<Deno.PointerValue>;
  readonly #batch: Batch;
  readonly #rows: Float32Array[] = [];
  readonly #governor: ThreadGovernor;
  readonly #accelerated: boolean;
  readonly #watch: StepWatch;
  readonly #threads: ThreadPools;

  readonly cells: number;
  readonly apart: boolean;
  readonly #contextTokens: number;
  /** Whether the tokens that a sequence holds can be copied without its empty cells. */
  readonly #copiesHeld: boolean;
  /** What {@linkcode copy} copied last. */
  #copied:
    | { readonly from: number; readonly held: number; readonly bytes: Uint8Array<ArrayBuffer>; decodes: number }
    | undefined;

  /** @throws {ModelError} If it cannot be created, or the model does not generate token by token. */
  constructor(library: Library, model: Model, options: ContextOptions) {
    this.#library = library;
    const { llama } = library;
    const { handle, apart } = createContext(library, model, options);
    this.#handle = handle;
    this.apart = apart;
    this.#contextTokens = options.contextTokens;
    // With sliding-window attention, llama.cpp leaves out tokens that only the end of the sequence does not see.
    this.#copiesHeld = llama.llama_model_n_swa(model.handle) === 0;
    const memory = llama.llama_get_memory(this.#handle);
    if (memory === null) throw new ModelError("The model does not generate text token by token");
    this.#memory = memory;
    this.cells = llama.llama_n_ctx(this.#handle);

    this.#batch = new Batch(library, BATCH_TOKENS);
    const { parallel, guesses = 0 } = options;
    const rowCount = Math.max(parallel, Math.min(parallel + guesses, options.contextTokens));
    if (rowCount > parallel) this.#reserve(rowCount);
    // The maximum number of rows is reserved above, so the buffer does not move.
    const logits = llama.llama_get_logits(this.#handle);
    if (logits === null) throw new ModelError("The model has no output to sample from");
    const width = model.vocabularySize;
    const rows = Deno.UnsafePointerView.getArrayBuffer(logits, rowCount * width * 4);
    for (let row = 0; row < rowCount; row++) this.#rows.push(new Float32Array(rows, row * width * 4, width));
    this.#accelerated = model.accelerator !== "cpu";
    this.#governor = new ThreadGovernor(
      options.threads,
      (tokens) => model.bytes * tokens < LARGE_STEP_BYTES ? 1 : options.threads,
      { free: openFreeCores(cpuMs) },
    );
    this.#threads = new ThreadPools(library, this.#handle, options.threads);
    const { lookIn, limits = {} } = options;
    this.#watch = new StepWatch({ model, lookIn, limits });
  }

  put(token: number, position: number, sequence: number, output: boolean): void {
    this.#batch.put(token, position, sequence, output);
  }

  beginRequest(): void {
    this.#governor.beginRequest();
  }

  decode(): DecodeOutcome {
    const { llama } = this.#library;
    if (this.#copied !== undefined && ++this.#copied.decodes > COPIED_DECODES) this.#copied = undefined;
    const tokens = this.#batch.seal();
    this.#threads.use(this.#governor.choose(tokens));
    const timer = new StepTimer({ cores: !this.#accelerated && this.#governor.asksForCores });
    const compute = (): number => {
      const status = llama.llama_decode(this.#handle, this.#batch.struct);
      // Synchronises: waits until the rows are complete and in order.
      if (status === STATUS.done) llama.llama_get_logits(this.#handle);
      return status;
    };
    const status = this.#watch.run(this.#library, this.#handle, { tokens, compute });
    if (status === STATUS.full) return "full";
    if (status === STATUS.aborted) return "aborted";
    if (status !== STATUS.done) throw new Error(`llama_decode failed with status ${status}`);
    this.#governor.learn(tokens, timer.stop());
    return "done";
  }

  logits(row: number): Float32Array {
    return this.#rows[row] as Float32Array;
  }

  truncate(sequence: number, length: number): boolean {
    if (this.#copied?.from === sequence && length < this.#copied.held) this.#copied = undefined;
    if (this.#library.llama.llama_memory_seq_rm(this.#memory, sequence, length, -1)) return true;
    this.#library.llama.llama_memory_seq_rm(this.#memory, sequence, -1, -1);
    return false;
  }

  worthCopying(held: number): number {
    if (!this.apart) return WORTH_COPYING;
    return Math.max(WORTH_COPYING, Math.ceil(this.#cellsToCopy(held) / COPIED_PER_TOKEN));
  }

  copy(from: number, to: number, { length, held }: { readonly length: number; readonly held: number }): void {
    const { llama } = this.#library;
    if (!this.apart || !this.#copyHeld(from, to, { length, held })) {
      llama.llama_memory_seq_cp(this.#memory, from, to, -1, -1);
    }
    llama.llama_memory_seq_rm(this.#memory, to, length, -1);
  }

  /** Separate cells are copied all, or those that hold tokens are read and written. */
  #cellsToCopy(held: number): number {
    return this.#copiesHeld ? Math.min(2 * held, this.#contextTokens) : this.#contextTokens;
  }

  /** @returns Whether it was copied. */
  #copyHeld(from: number, to: number, { length, held }: { readonly length: number; readonly held: number }): boolean {
    if (this.#cellsToCopy(held) === this.#contextTokens) return false;
    const { llama } = this.#library;
    if (this.#copied?.from !== from || this.#copied.held < length) {
      const size = Number(llama.llama_state_seq_get_size(this.#handle, from));
      if (size > COPY_BYTES) return false;
      const bytes = new Uint8Array(size);
      if (Number(llama.llama_state_seq_get_data(this.#handle, bytes, BigInt(size), from)) !== size) return false;
      this.#copied = { from, held, bytes, decodes: 0 };
    }
    const { bytes } = this.#copied;
    if (llama.llama_state_seq_set_data(this.#handle, bytes, BigInt(bytes.length), to) > 0n) return true;
    llama.llama_memory_seq_rm(this.#memory, to, -1, -1);
    return false;
  }

  /** Clears all sequences. */
  clear(): void {
    this.#copied = undefined;
    this.#library.llama.llama_memory_clear(this.#memory, false);
  }

  /** llama.cpp reserves one row per sequence; more are allocated on first use. */
  #reserve(rows: number): void {
    const { llama } = this.#library;
    for (let at = 0; at < rows; at++) this.#batch.put(0, at, 0, true);
    this.#batch.seal();
    const status = llama.llama_decode(this.#handle, this.#batch.struct);
    if (status !== STATUS.done) throw new ModelError(`The model cannot be decoded (status ${status})`);
    this.clear();
  }
}

/**
 * Outputs to reserve.
 *
 * @param needed The most outputs of a step.
 * @returns At least as many.
 */
export function outputsOf(needed: number): number {
  return Math.ceil(needed / OUTPUTS_PER_LINE) * OUTPUTS_PER_LINE;
}

/** Creates a context with the first memory layout that fits. */
function createContext(
  library: Library,
  model: Model,
  options: ContextOptions,
): { readonly handle: NonNullable<Deno.PointerValue>; readonly apart: boolean } {
  const { llama } = library;
  const params = llama.llama_context_default_params();
  const view = dataView(params);
  view.setUint32(CONTEXT_PARAM.batch, BATCH_TOKENS, true);
  view.setUint32(CONTEXT_PARAM.microBatch, BATCH_TOKENS, true);
  applyToContext(params, model.settings);
  const sequences = options.parallel + options.kept.length;
  view.setUint32(CONTEXT_PARAM.sequences, sequences, true);
  view.setUint32(
    CONTEXT_PARAM.outputsMax,
    outputsOf(Math.max(sequences, options.parallel + (options.guesses ?? 0))),
    true,
  );
  view.setInt32(CONTEXT_PARAM.threads, options.threads, true);
  view.setInt32(CONTEXT_PARAM.threadsBatch, options.threads, true);
  for (const { cells, apart } of memoryLayouts(model, options)) {
    view.setUint8(CONTEXT_PARAM.unified, apart ? 0 : 1);
    view.setUint32(CONTEXT_PARAM.contextCells, cells, true);
    const handle = openContext(library, model, params);
    if (handle === null) continue;
    useAdapters(library, handle, model.adapters);
    return { handle, apart };
  }
  const refusal = library.takeError() ?? "there is not enough memory";
  throw new ModelError(`Cannot make a context of ${options.contextTokens} tokens: ${refusal}`);
}
