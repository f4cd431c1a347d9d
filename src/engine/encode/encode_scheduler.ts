/**
 * Chooses the texts of the next step. Requests take turns text by text, so that a long one does not block a short one.
 * All texts of a request are tokenized before the first is encoded, so that an invalid one fails early. Sees the native
 * library only as an `Encoder`.
 *
 * Few texts are encoded on all threads, one step at a time, while the caller waits. Many are spread over the encoder's
 * lanes, which run in parallel with each other and with this thread: each idle lane takes the next texts.
 */
import type { Encoder, Lane } from "./encoder.ts";
import type { EngineEvent } from "../ipc/messages.ts";
import { errorText } from "../../log/error_text.ts";

/** A text cannot be encoded; the message is for the caller. */
export class TextError extends Error {
  override readonly name: string = "TextError";
}

/** A text exceeds the model's context. */
export class TextTooLongError extends TextError {
  override readonly name = "TextTooLongError";
}

/** The texts of a request. */
export interface EncodeJob {
  readonly id: number;
  readonly count: number;
  /**
   * Tokenize a text: at least one token, at most what the encoder takes.
   *
   * @throws {TextError} If it has no tokens, or too many.
   */
  tokenize(index: number): Int32Array;
  /** Receives a text's output; the array is reused. */
  accept(index: number, output: Float32Array): void;
  /** Creates the final event once all outputs have arrived. */
  finish(tokens: number): EngineEvent;
}

/** Tokenization budget before each step, in milliseconds. */
const TOKENIZE_MS = 10;
/**
 * Interval, in milliseconds, at which a step returns to the caller to check for messages while lanes run: with a free
 * lane for new work, and without.
 */
const LOOK_MS = { free: 4, full: 250 };

interface Entry {
  readonly job: EncodeJob;
  readonly texts: Int32Array[];
  tokens: number;
  /** Texts put into a step. */
  begun: number;
  /** Texts encoded. */
  done: number;
}

/** A batch of texts, each with its request and index. */
interface Step {
  readonly texts: readonly Int32Array[];
  readonly places: readonly { readonly entry: Entry; readonly index: number }[];
}

/** Schedules an engine's embed and rerank requests. */
export class EncodeScheduler {
  readonly #encoder: Encoder;
  readonly #now: () => number;
  /** Requests that are neither finished nor cancelled. */
  readonly #live = new Set<Entry>();
  /** Requests with texts to tokenize, and requests with texts to encode; next in turn first. */
  readonly #reading: Entry[] = [];
  readonly #ready: Entry[] = [];
  readonly #free: Lane[];
  readonly #running = new Set<Promise<void>>();
  /** The step that runs on all threads. */
  #whole: Step | undefined;
  #events: EngineEvent[] = [];

  constructor(encoder: Encoder, options: { readonly now?: () => number } = {}) {
    this.#encoder = encoder;
    this.#free = [...encoder.lanes];
    this.#now = options.now ?? ((): number => performance.now());
  }

  get busy(): boolean {
    return this.#live.size > 0 || this.#running.size > 0 || this.#events.length > 0;
  }

  submit(job: EncodeJob): void {
    const entry = { job, texts: [], tokens: 0, begun: 0, done: 0 };
    this.#live.add(entry);
    this.#reading.push(entry);
  }

  cancel(id: number): void {
    for (const entry of this.#live) if (entry.job.id === id) this.#forget(entry);
  }

  /** Whether cancelling these requests makes the step on all threads useless. */
  abandons(ids: ReadonlySet<number>): boolean {
    for (const id of ids) this.cancel(id);
    return this.#whole !== undefined && !this.#whole.places.some(({ entry }) => this.#live.has(entry));
  }

  /** Encode one batch, or keep the lanes busy and wait for one. Returns the events. */
  async step(): Promise<EngineEvent[]> {
    this.#read();
    this.#start();
    if (this.#running.size > 0 && this.#events.length === 0) await this.#look();
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Wait until no lane is running. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Tokenize texts round robin within the budget. */
  #read(): void {
    const until = this.#now() + TOKENIZE_MS;
    for (let entry = this.#reading.shift(); entry !== undefined; entry = this.#reading.shift()) {
      const { job, texts } = entry;
      try {
        const text = job.tokenize(texts.length);
        entry.tokens += text.length;
        texts.push(text);
        (texts.length < job.count ? this.#reading : this.#ready).push(entry);
      } catch (error) {
        if (!(error instanceof TextError)) throw error;
        this.#forget(entry);
        const code = error instanceof TextTooLongError ? "context_length" : "invalid_request";
        this.#events.push({ id: job.id, error: code, message: error.message });
      }
      if (this.#now() >= until) return;
    }
  }

  #start(): void {
    const { lanes, laneTokens, stepTokens, threads } = this.#encoder;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const alone = this.#running.size === 0;
      const waiting = this.#waiting();
      if (next.length > laneTokens || (alone && waiting.texts < threads) || lanes.length === 0) {
        // With at least one text per thread, lanes are faster. A long text runs on all threads, once the lanes are
        // idle.
        if (alone) this.#encode(this.#take(stepTokens));
        return;
      }
      const share = Math.ceil(waiting.tokens / this.#free.length);
      const lane = this.#free.pop();
      if (lane === undefined) return;
      this.#encodeIn(lane, this.#take(Math.min(stepTokens, share)));
    }
  }

  #next(): Int32Array | undefined {
    const [entry] = this.#ready;
    return entry?.texts[entry.begun];
  }

  /** Texts and tokens waiting; counts only up to what fills all lanes. */
  #waiting(): { readonly texts: number; readonly tokens: number } {
    const enough = this.#encoder.lanes.length * this.#encoder.stepTokens;
    let texts = 0;
    let tokens = 0;
    for (const entry of this.#ready) {
      for (let index = entry.begun; index < entry.texts.length && tokens < enough; index++) {
        tokens += (entry.texts[index] as Int32Array).length;
        texts++;
      }
    }
    return { texts, tokens };
  }

  /** Takes the next texts, round robin; the first one whatever its length. */
  #take(room: number): Step {
    const texts: Int32Array[] = [];
    const places: { entry: Entry; index: number }[] = [];
    for (let text = this.#next(); text !== undefined && texts.length < this.#encoder.stepTexts; text = this.#next()) {
      if (texts.length > 0 && text.length > room) break;
      const entry = this.#ready.shift() as Entry;
      texts.push(text);
      places.push({ entry, index: entry.begun++ });
      room -= text.length;
      if (entry.begun < entry.texts.length) this.#ready.push(entry);
    }
    return { texts, places };
  }

  #encode(step: Step): void {
    this.#whole = step;
    try {
      this.#accept(step, this.#encoder.encode(step.texts));
    } catch (error) {
      // Aborted or not, report it to the remaining requests.
      this.#fail(step, error);
    } finally {
      this.#whole = undefined;
    }
  }

  #encodeIn(lane: Lane, step: Step): void {
    const running = lane.encode(step.texts)
      .then((outputs) => this.#accept(step, outputs))
      .catch((error) => this.#fail(step, error))
      .finally(() => {
        this.#free.push(lane);
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  #accept({ places }: Step, outputs: readonly Float32Array[]): void {
    places.forEach(({ entry, index }, at) => {
      if (!this.#live.has(entry)) return;
      entry.job.accept(index, outputs[at] as Float32Array);
      if (++entry.done < entry.texts.length) return;
      this.#live.delete(entry);
      this.#events.push(entry.job.finish(entry.tokens));
    });
  }

  #fail({ places }: Step, error: unknown): void {
    const message = errorText(error);
    for (const entry of new Set(places.map(({ entry }) => entry))) {
      if (!this.#live.has(entry)) continue;
      this.#forget(entry);
      this.#events.push({ id: entry.job.id, error: "internal", message });
    }
  }

  #forget(entry: Entry): void {
    this.#live.delete(entry);
    for (const queue of [this.#reading, this.#ready]) {
      const at = queue.indexOf(entry);
      if (at >= 0) queue.splice(at, 1);
    }
  }

  /** Waits until a lane is done, it is time to check for messages, or there are texts to tokenize. */
  async #look(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const ms = this.#reading.length > 0 ? 0 : this.#free.length > 0 ? LOOK_MS.free : LOOK_MS.full;
    const timer = setTimeout(resolve, ms);
    await Promise.race([promise, ...this.#running]);
    clearTimeout(timer);
  }
}
