/**
 * Computes an embedding or a score for each text. Texts arrive tokenized; `encode_scheduler.ts` knows their requests.
 *
 * The threads of a step synchronise by spinning after every operation, hundreds of times. On a busy machine that is
 * many times slower than a single thread. Small models therefore run in lanes: parallel contexts of one thread each.
 */
import type { Library } from "../native/library.ts";
import { availableBytes, mebibytes } from "../native/memory.ts";
import { ModelError } from "../native/first_look.ts";
import type { Model } from "../native/model.ts";
import { isEncoder } from "./purpose.ts";
import { type LookIn, StepWatch, type WatchLimits } from "../native/step_watch.ts";
import { POOLING, type PoolingType, TextContext } from "../native/text_context.ts";
import { cpuMs, StepTimer, ThreadGovernor } from "../native/threads/governor.ts";
import { openFreeCores } from "../native/threads/free_cores.ts";

/** A single-threaded context that runs in parallel with others. */
export interface Lane {
  /** Encode non-empty texts. The outputs are valid until the next call; one call at a time. */
  encode(texts: readonly Int32Array[]): Promise<readonly Float32Array[]>;
}

/** The scheduler's view of an encoder; tests replace it. */
export interface Encoder {
  /** Maximum tokens of one text. */
  readonly textTokens: number;
  /** Maximum tokens of a batch; a longer text runs alone. */
  readonly stepTokens: number;
  /** Maximum texts of a batch. */
  readonly stepTexts: number;
  /** Length of the output vector of a text. */
  readonly width: number;
  /** Empty if lanes do not pay. */
  readonly lanes: readonly Lane[];
  /** Number of lanes with the throughput of all threads together. */
  readonly threads: number;
  /** Maximum tokens of a text in a lane. */
  readonly laneTokens: number;
  /**
   * Encode non-empty texts on all threads, while no lane runs. The outputs are valid until the next call.
   *
   * @throws {GivenUpError} If it was aborted.
   */
  encode(texts: readonly Int32Array[]): readonly Float32Array[];
}

export interface EncoderOptions {
  /** Maximum tokens of one text; absent: the trained context, within limits. */
  readonly contextTokens?: number;
  /** Maximum number of compute threads. */
  readonly threads: number;
  readonly pooling: PoolingType;
  /** Called periodically during long steps. */
  readonly lookIn: LookIn;
  /** See `StepWatchOptions`. */
  readonly limits?: WatchLimits;
}

/**
 * On a CPU, larger batches gain nothing beyond this point, and attention covers all tokens of the batch, also those of
 * other texts. Accelerators need larger ones.
 */
const STEP_TOKENS_CPU = 256;
const STEP_TOKENS_ACCELERATOR = 2048;
const STEP_TEXTS = 64;
/** Default maximum tokens of one text. */
const DEFAULT_TEXT_TOKENS = 8192;
/** A default is not lowered below this when memory is short. */
const LEAST_TEXT_TOKENS = 512;
/** Share of the available memory that the longest text may take, by default and if the length was configured. */
const DEFAULT_MEMORY_SHARE = 0.25;
const MEMORY_SHARE = 0.9;
const FLOAT_BYTES = 4;
/** Longer texts run on all threads. */
const LANE_TOKENS = 512;
/**
 * Maximum bytes of weights for lanes. At this size, one thread needs about a second for a lane's longest text; with
 * larger models a single text would take too long, and operations are large enough to be parallelised.
 */
const LANE_MODEL_BYTES = 80e6;
/** A second lane computes while the first waits for the main thread, which may take a moment on a busy CPU. */
const LANES_PER_THREAD = 2;
/** Each lane has its own memory. */
const MOST_LANES = 64;

export class ModelEncoder implements Encoder {
  readonly #model: Model;
  readonly #whole: TextContext;
  readonly #governor: ThreadGovernor;
  readonly #watch: StepWatch;

  readonly textTokens: number;
  readonly stepTokens: number;
  readonly stepTexts = STEP_TEXTS;
  readonly width: number;
  readonly lanes: readonly ContextLane[];
  readonly laneTokens: number;
  readonly threads: number;

  /** @throws {ModelError} If there is not enough memory for a text of that size. */
  constructor(library: Library, model: Model, options: EncoderOptions) {
    this.#model = model;
    const { pooling, threads } = options;
    this.threads = threads;
    // If only the last token is pooled, a text can be decoded in chunks.
    const inPortions = !isEncoder(model) && (pooling === POOLING.last || pooling === POOLING.rank);
    this.stepTokens = model.accelerator === "cpu" ? STEP_TOKENS_CPU : STEP_TOKENS_ACCELERATOR;
    this.textTokens = textTokensOf(model, options, inPortions);
    this.laneTokens = Math.min(LANE_TOKENS, this.textTokens);
    this.width = pooling === POOLING.rank ? 1 : model.vectorSize;
    const context = (
      tokens: { readonly textTokens: number; readonly capacity: number },
      threads: number,
    ): TextContext =>
      new TextContext(library, model, { ...tokens, texts: STEP_TEXTS, threads, pooling, width: this.width });
    const capacity = inPortions ? this.stepTokens : Math.max(this.stepTokens, this.textTokens);
    this.#whole = context({ textTokens: this.textTokens, capacity }, threads);
    const lanes = threads > 1 && paysInLanes(model) ? Math.min(threads * LANES_PER_THREAD, MOST_LANES) : 0;
    const ofLane = { textTokens: this.laneTokens, capacity: Math.max(this.stepTokens, this.laneTokens) };
    this.lanes = Array.from({ length: lanes }, () => new ContextLane(context(ofLane, 1)));
    this.#governor = new ThreadGovernor(threads, () => threads, { free: openFreeCores(cpuMs) });
    const { lookIn, limits = {} } = options;
    this.#watch = new StepWatch({ model, lookIn, limits });
  }

  /** Warm up: encodes this many tokens in every lane, to page in weights and compile hot code. */
  warmUp(tokens: number): void {
    this.encode([new Int32Array(tokens)]);
    for (const lane of this.lanes) lane.warmUp(Math.min(tokens, this.laneTokens));
  }

  encode(texts: readonly Int32Array[]): readonly Float32Array[] {
    this.#whole.clear();
    const [first] = texts;
    if (first !== undefined && texts.length === 1 && first.length > this.#whole.capacity) this.#encodePortions(first);
    else {
      texts.forEach((text, sequence) => this.#whole.put(text, { sequence }));
      this.#compute(texts.reduce((sum, { length }) => sum + length, 0));
    }
    return this.#whole.read(texts.length);
  }

  #encodePortions(text: Int32Array): void {
    for (let from = 0; from < text.length; from += this.#whole.capacity) {
      const end = Math.min(text.length, from + this.#whole.capacity);
      this.#whole.put(text, { sequence: 0, from, end });
      this.#compute(end - from);
    }
  }

  #compute(tokens: number): void {
    const threads = this.#governor.choose(tokens);
    const timer = new StepTimer({ cores: this.#governor.asksForCores });
    this.#whole.compute(threads, this.#watch);
    this.#governor.learn(tokens, timer.stop());
  }
}

class ContextLane implements Lane {
  readonly #context: TextContext;

  constructor(context: TextContext) {
    this.#context = context;
  }

  async encode(texts: readonly Int32Array[]): Promise<readonly Float32Array[]> {
    texts.forEach((text, sequence) => this.#context.put(text, { sequence }));
    await this.#context.computeBeside();
    return this.#context.read(texts.length);
  }

  warmUp(tokens: number): void {
    this.#context.put(new Int32Array(tokens), { sequence: 0 });
    this.#context.compute(1);
  }
}

/** Whether a single thread can encode a text alone: the model is an encoder without KV cache, and small. */
function paysInLanes(model: Model): boolean {
  return model.accelerator === "cpu" && isEncoder(model) && model.bytes <= LANE_MODEL_BYTES;
}

/** Maximum tokens of one text. Memory limits it: a text computed in one batch needs an output row per token. */
function textTokensOf(model: Model, { contextTokens }: EncoderOptions, inPortions: boolean): number {
  // Later positions are untrained, and some models cannot address them.
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
  throw new ModelError(
    `There is not enough memory for a context of ${tokens} tokens: it takes ${mebibytes(tokens * perToken)}, ` +
      `but only ${mebibytes(availableBytes())} is available`,
  );
}

/**
 * Normalise a vector to unit length, after truncation to the target's length.
 *
 * @param vector The vector; unchanged.
 * @param target Receives the result; an all-zero vector stays zero.
 */
export function normalizeInto(vector: Float32Array, target: Float32Array): void {
  let sum = 0;
  for (let i = 0; i < target.length; i++) sum += (vector[i] as number) ** 2;
  const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
  for (let i = 0; i < target.length; i++) target[i] = (vector[i] as number) * scale;
}
