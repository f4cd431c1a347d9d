/**
 * A llama.cpp context that makes one vector, or one score, of each text: many texts in one step, each a sequence of its
 * own. Knows texts as tokens only; whose they are is `encode_scheduler.ts`'s business.
 */
import { attachThreads, Batch } from "./batch.ts";
import { CONTEXT_PARAM, dataView, type Library } from "./library.ts";
import { availableBytes } from "./memory.ts";
import { type Model, ModelError } from "./model.ts";
import { isEncoder, POOLING, type PoolingType } from "./purpose.ts";
import { ThreadGovernor } from "./threads.ts";

/** What the scheduler needs of an encoder; a test may stand in for it. */
export interface Encoder {
  /** Tokens one text may have. */
  readonly textTokens: number;
  /** Tokens of several texts that go well together; a longer text goes alone. */
  readonly stepTokens: number;
  /** Texts that go together at most. */
  readonly stepTexts: number;
  /** Numbers that come out for each text. */
  readonly width: number;
  /** What comes out for each text, none of them without tokens; valid until the next call. */
  encode(texts: readonly Int32Array[]): readonly Float32Array[];
}

/** How an encoder is to be made. */
export interface EncoderOptions {
  /** Tokens one text may have; absent: what the model was trained for, within limits. */
  readonly contextTokens?: number;
  /** Compute threads there may be at most. */
  readonly threads: number;
  readonly pooling: PoolingType;
  /** Called now and then during a step that takes long. */
  readonly onLong: () => void;
}

/**
 * On a processor more tokens in one step gain nothing beyond a point, while each of them looks at all others of the step,
 * also at those of other texts; an accelerator wants more to do at once.
 */
const STEP_TOKENS_CPU = 256;
const STEP_TOKENS_ACCELERATOR = 2048;
const STEP_TEXTS = 64;
/** From so many tokens on a step is large enough for every thread there is; below it is learned what is best. */
const MANY_TOKENS = 64;
/** A text is no longer than this unless it was asked for. */
const DEFAULT_TEXT_TOKENS = 8192;
/** Below this a default is not cut where memory is short. */
const LEAST_TEXT_TOKENS = 512;
/** Of the memory that is available, what the longest text may take, when it was not asked for, and when it was. */
const DEFAULT_MEMORY_SHARE = 0.25;
const MEMORY_SHARE = 0.9;
const FLOAT_BYTES = 4;
/** Bytes of weights times tokens: a step of more may take longer than silence may last. */
const LONG_STEP = 4e9;

/** A context for vectors or scores. */
export class EncoderContext implements Encoder {
  readonly #library: Library;
  readonly #model: Model;
  readonly #handle: NonNullable<Deno.PointerValue>;
  readonly #memory: Deno.PointerValue;
  readonly #batch: Batch;
  readonly #capacity: number;
  readonly #governor: ThreadGovernor;
  readonly #watch: Deno.UnsafeCallback<{ parameters: ["pointer"]; result: "bool" }>;
  readonly #outputs: Float32Array<ArrayBuffer>[] = [];
  readonly #mostThreads: number;
  #threads: number;

  readonly textTokens: number;
  readonly stepTokens: number;
  readonly stepTexts = STEP_TEXTS;
  readonly width: number;

  /**
   * @throws {ModelError} If there is not enough memory for a text of that size.
   */
  constructor(library: Library, model: Model, options: EncoderOptions) {
    this.#library = library;
    this.#model = model;
    const { llama } = library;
    const { pooling, threads } = options;
    // What only its last token tells can be decoded portion by portion.
    const inPortions = !isEncoder(model) && (pooling === POOLING.last || pooling === POOLING.rank);
    this.stepTokens = model.accelerator === "cpu" ? STEP_TOKENS_CPU : STEP_TOKENS_ACCELERATOR;
    this.textTokens = textTokensOf(model, options, inPortions);
    this.#capacity = inPortions ? this.stepTokens : Math.max(this.stepTokens, this.textTokens);
    this.width = pooling === POOLING.rank ? 1 : model.vectorSize;

    const params = llama.llama_context_default_params();
    const view = dataView(params);
    view.setUint32(CONTEXT_PARAM.contextCells, Math.max(this.#capacity, this.textTokens), true);
    view.setUint32(CONTEXT_PARAM.batch, this.#capacity, true);
    view.setUint32(CONTEXT_PARAM.microBatch, this.#capacity, true);
    view.setUint32(CONTEXT_PARAM.sequences, STEP_TEXTS, true);
    view.setInt32(CONTEXT_PARAM.threads, threads, true);
    view.setInt32(CONTEXT_PARAM.threadsBatch, threads, true);
    view.setInt32(CONTEXT_PARAM.pooling, pooling, true);
    view.setUint8(CONTEXT_PARAM.embeddings, 1);
    view.setUint8(CONTEXT_PARAM.unified, 1);
    const handle = llama.llama_init_from_model(model.handle, params);
    if (handle === null) {
      throw new ModelError(
        `Cannot make a context of ${this.textTokens} tokens: ${library.takeError() ?? "there is not enough memory"}`,
      );
    }
    this.#handle = handle;
    this.#memory = llama.llama_get_memory(handle);
    this.#batch = new Batch(library, this.#capacity);
    for (let i = 0; i < STEP_TEXTS; i++) this.#outputs.push(new Float32Array(this.width));
    this.#threads = this.#mostThreads = threads;
    this.#governor = new ThreadGovernor(threads, threads);
    attachThreads(library, handle, threads);
    this.#watch = new Deno.UnsafeCallback({ parameters: ["pointer"], result: "bool" }, () => {
      options.onLong();
      return false;
    });
  }

  encode(texts: readonly Int32Array[]): readonly Float32Array[] {
    const { llama } = this.#library;
    if (this.#memory !== null) llama.llama_memory_clear(this.#memory, false);
    const [first] = texts;
    if (first !== undefined && texts.length === 1 && first.length > this.#capacity) this.#encodePortions(first);
    else {
      for (let sequence = 0; sequence < texts.length; sequence++) {
        const text = texts[sequence] as Int32Array;
        for (let at = 0; at < text.length; at++) this.#batch.put(text[at] as number, at, sequence, true);
      }
      this.#compute();
    }
    return texts.map((_, sequence) => this.#read(sequence));
  }

  #encodePortions(text: Int32Array): void {
    for (let from = 0; from < text.length; from += this.#capacity) {
      const end = Math.min(text.length, from + this.#capacity);
      for (let at = from; at < end; at++) this.#batch.put(text[at] as number, at, 0, true);
      this.#compute();
    }
  }

  #compute(): void {
    const { llama } = this.#library;
    const tokens = this.#batch.seal();
    const many = tokens >= MANY_TOKENS;
    const threads = many ? this.#mostThreads : this.#governor.choose(tokens);
    if (threads !== this.#threads) {
      this.#threads = threads;
      llama.llama_set_n_threads(this.#handle, threads, threads);
    }
    const long = tokens * this.#model.bytes > LONG_STEP;
    const started = performance.now();
    if (long) llama.llama_set_abort_callback(this.#handle, this.#watch.pointer, null);
    const run = this.#model.encoderOnly ? llama.llama_encode : llama.llama_decode;
    const status = run(this.#handle, this.#batch.struct);
    if (long) llama.llama_set_abort_callback(this.#handle, null, null);
    if (status !== 0) throw new Error(`llama_decode failed with status ${status}`);
    if (!many) this.#governor.learn(tokens, performance.now() - started);
  }

  #read(sequence: number): Float32Array {
    const output = this.#outputs[sequence] as Float32Array<ArrayBuffer>;
    const pointer = this.#library.llama.llama_get_embeddings_seq(this.#handle, sequence);
    if (pointer === null) throw new Error("The model made nothing of a text");
    this.#library.copy(output, pointer);
    for (const value of output) if (!Number.isFinite(value)) throw new Error("The model made a number of no value");
    return output;
  }
}

/** Tokens one text may have: what memory allows, for a text that is computed at once keeps a row for each of them. */
function textTokensOf(model: Model, { contextTokens }: EncoderOptions, inPortions: boolean): number {
  // Positions the model has never seen are of no use to it, and some models have no more.
  const most = isEncoder(model) ? model.trainedContextTokens : Infinity;
  const perToken = (inPortions ? 0 : model.vocabularySize * FLOAT_BYTES) + model.bytesPerToken;
  const fits = (tokens: number, share: number): boolean => tokens * perToken <= availableBytes() * share;
  if (contextTokens === undefined) {
    let tokens = Math.min(model.trainedContextTokens, DEFAULT_TEXT_TOKENS);
    while (tokens > LEAST_TEXT_TOKENS && !fits(tokens, DEFAULT_MEMORY_SHARE)) tokens = Math.ceil(tokens / 2);
    return tokens;
  }
  const tokens = Math.min(contextTokens, most);
  if (fits(tokens, MEMORY_SHARE)) return tokens;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 0x100000)} MiB`;
  throw new ModelError(
    `There is not enough memory for a context of ${tokens} tokens: it takes ${mebibytes(tokens * perToken)}, ` +
      `available are ${mebibytes(availableBytes())}`,
  );
}

/**
 * The direction of a vector.
 *
 * @param vector Any numbers; not changed.
 * @param target Takes the first of them, brought to unit length; all zero stays zero.
 */
export function normalizeInto(vector: Float32Array, target: Float32Array): void {
  let sum = 0;
  for (let i = 0; i < target.length; i++) sum += (vector[i] as number) ** 2;
  const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
  for (let i = 0; i < target.length; i++) target[i] = (vector[i] as number) * scale;
}
