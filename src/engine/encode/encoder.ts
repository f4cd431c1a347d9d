/**
 * Makes a vector, or a score, of each text. Knows texts as tokens only; whose they are is `encode_scheduler.ts`'s
 * business.
 *
 * Threads of one step wait for each other spinning after every operation, hundreds of times: on a machine where others
 * work too, that is many times slower than one thread alone. So models that are small enough compute in lanes: contexts
 * of one thread each, in parallel.
 */
import type { Library } from "../native/library.ts";
import { availableBytes } from "../native/memory.ts";
import { ModelError } from "../native/first_look.ts";
import type { Model } from "../native/model.ts";
import { isEncoder } from "./purpose.ts";
import { type LookIn, StepWatch, type WatchLimits } from "../native/step_watch.ts";
import { POOLING, type PoolingType, TextContext } from "../native/text_context.ts";
import { StepTimer, ThreadGovernor } from "../native/threads/governor.ts";

/** A context of one thread, in parallel with others. */
export interface Lane {
  /** What comes out for each text, none of them without tokens; valid until the next call. One call at a time. */
  encode(texts: readonly Int32Array[]): Promise<readonly Float32Array[]>;
}

/** What the scheduler needs of an encoder; tests replace it. */
export interface Encoder {
  /** Tokens one text may have. */
  readonly textTokens: number;
  /** Tokens of several texts that go well together; a longer text goes alone. */
  readonly stepTokens: number;
  /** Texts that go together at most. */
  readonly stepTexts: number;
  /** Numbers that come out for each text. */
  readonly width: number;
  /** None where they do not pay. */
  readonly lanes: readonly Lane[];
  /** Lanes that are worth as much as all threads together. */
  readonly threads: number;
  /** Tokens a text in a lane may have. */
  readonly laneTokens: number;
  /**
   * Encode on all threads, while no lane does anything. What comes out for each text, none of them without tokens; valid
   * until the next call.
   *
   * @throws {GivenUpError} If it was given up.
   */
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
  readonly lookIn: LookIn;
  /** As in `StepWatchOptions`. */
  readonly limits?: WatchLimits;
}

/**
 * On a processor more tokens in one step gain nothing beyond a point, while each of them looks at all others of the step,
 * also at those of other texts; an accelerator wants more to do at once.
 */
const STEP_TOKENS_CPU = 256;
const STEP_TOKENS_ACCELERATOR = 2048;
const STEP_TEXTS = 64;
/** The longest text, unless the configuration says otherwise. */
const DEFAULT_TEXT_TOKENS = 8192;
/** Below this a default is not cut where memory is short. */
const LEAST_TEXT_TOKENS = 512;
/** Of the memory that is available, what the longest text may take, when it was not asked for, and when it was. */
const DEFAULT_MEMORY_SHARE = 0.25;
const MEMORY_SHARE = 0.9;
const FLOAT_BYTES = 4;
/** A longer text is worth all threads. */
const LANE_TOKENS = 512;
/**
 * Bytes of weights. With this many, one thread needs about a second for a lane's longest text: with more, somebody who asks
 * for a single text would wait too long, and the operations are large enough to be shared by threads.
 */
const LANE_MODEL_BYTES = 80e6;
/** While one that is done waits for more, which takes the main thread a moment on a busy processor, another computes. */
const LANES_PER_THREAD = 2;
/** Each lane has memory of its own. */
const MOST_LANES = 64;

/** Contexts for vectors or scores. */
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

  /**
   * @throws {ModelError} If there is not enough memory for a text of that size.
   */
  constructor(library: Library, model: Model, options: EncoderOptions) {
    this.#model = model;
    const { pooling, threads } = options;
    this.threads = threads;
    // What only its last token tells can be decoded portion by portion.
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
    this.#governor = new ThreadGovernor(threads, () => threads);
    const { lookIn, limits = {} } = options;
    this.#watch = new StepWatch({ model, lookIn, limits });
  }

  /** Warm up: encode this many tokens in every lane, which loads pages and compiles hot code. */
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

/** A context of one thread. */
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

/** Whether a thread can compute a text alone: the model reads it as a whole, keeps nothing, and is not too large. */
function paysInLanes(model: Model): boolean {
  return model.accelerator === "cpu" && isEncoder(model) && model.bytes <= LANE_MODEL_BYTES;
}

/** Tokens one text may have: what memory allows, for a text that is computed at once keeps a row for each of them. */
function textTokensOf(model: Model, { contextTokens }: EncoderOptions, inPortions: boolean): number {
  // Models are not trained on later positions, and some cannot address them.
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
