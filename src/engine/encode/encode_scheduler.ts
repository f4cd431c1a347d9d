/**
 * Which texts are encoded in the next step. Requests take turns, text by text, so that a long one never makes a short
 * one wait for all of it. A request's texts all become tokens before the first of them is encoded: what is wrong with one
 * of them is found before any work. Knows the native library only as an `Encoder`.
 *
 * Few texts are encoded on all threads, one step at a time, while the caller waits. More are spread over the encoder's
 * lanes, which compute in parallel with each other and with this thread: each takes the next texts as soon as it has none.
 */
import type { Encoder, Lane } from "./encoder.ts";
import type { EngineEvent } from "../ipc/messages.ts";

/** A text that cannot be encoded; the message is for the caller. */
export class TextError extends Error {
  override readonly name: string = "TextError";
}

/** A text is longer than the model's context. */
export class TextTooLongError extends TextError {
  override readonly name = "TextTooLongError";
}

/** Texts that want to be encoded. */
export interface EncodeJob {
  readonly id: number;
  readonly count: number;
  /**
   * The tokens of a text; at least one, and no more than the encoder takes.
   *
   * @throws {TextError} If there are none, or too many.
   */
  tokenize(index: number): Int32Array;
  /** What came out for a text; not to be kept. */
  accept(index: number, output: Float32Array): void;
  /** All came out. */
  finish(tokens: number): EngineEvent;
}

/** Time for making texts tokens, in milliseconds, before each step. */
const TOKENIZE_MS = 10;
/** While lanes compute, how often a step ends to let the caller look for messages, in milliseconds: with a lane free
 * for what they bring, and with none. */
const LOOK_MS = { free: 4, full: 250 };

interface Entry {
  readonly job: EncodeJob;
  readonly texts: Int32Array[];
  tokens: number;
  /** Texts that have been put into a step. */
  begun: number;
  /** Texts that came out. */
  done: number;
}

/** What is encoded together: texts, each with the request it is of and its place there. */
interface Step {
  readonly texts: readonly Int32Array[];
  readonly places: readonly { readonly entry: Entry; readonly index: number }[];
}

/** The requests of an engine that encodes. */
export class EncodeScheduler {
  readonly #encoder: Encoder;
  readonly #now: () => number;
  /** Every request that nobody has cancelled and that has not ended. */
  readonly #live = new Set<Entry>();
  /** Requests whose texts are not all tokens yet, and those with texts to be begun; the next in turn first. */
  readonly #reading: Entry[] = [];
  readonly #ready: Entry[] = [];
  readonly #free: Lane[];
  readonly #running = new Set<Promise<void>>();
  /** What is computed on all threads. */
  #whole: Step | undefined;
  #events: EngineEvent[] = [];

  constructor(encoder: Encoder, options: { readonly now?: () => number } = {}) {
    this.#encoder = encoder;
    this.#free = [...encoder.lanes];
    this.#now = options.now ?? ((): number => performance.now());
  }

  /** Whether a step would do anything. */
  get busy(): boolean {
    return this.#live.size > 0 || this.#running.size > 0 || this.#events.length > 0;
  }

  /** Take a request. */
  submit(job: EncodeJob): void {
    const entry = { job, texts: [], tokens: 0, begun: 0, done: 0 };
    this.#live.add(entry);
    this.#reading.push(entry);
  }

  /** Forget a request. */
  cancel(id: number): void {
    for (const entry of this.#live) if (entry.job.id === id) this.#forget(entry);
  }

  /** Whether nothing that is computed on all threads now is worth going on with when these requests are cancelled. */
  abandons(ids: ReadonlySet<number>): boolean {
    for (const id of ids) this.cancel(id);
    return this.#whole !== undefined && !this.#whole.places.some(({ entry }) => this.#live.has(entry));
  }

  /** Go on: encode one batch, or see to it that all lanes compute and wait for one. Returns what happened. */
  async step(): Promise<EngineEvent[]> {
    this.#read();
    this.#start();
    if (this.#running.size > 0 && this.#events.length === 0) await this.#look();
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Wait until nothing is computed any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Make texts tokens, one of each request in turn, for as long as there is time. */
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
        // With a text for each of them, threads are better off apart; a long one is worth waiting for all of them.
        if (alone) this.#encode(this.#take(stepTokens));
        return;
      }
      const share = Math.ceil(waiting.tokens / this.#free.length);
      const lane = this.#free.pop();
      if (lane === undefined) return;
      this.#encodeIn(lane, this.#take(Math.min(stepTokens, share)));
    }
  }

  /** The text whose turn it is. */
  #next(): Int32Array | undefined {
    const [entry] = this.#ready;
    return entry?.texts[entry.begun];
  }

  /** What is not begun; no more is counted than keeps all lanes busy. */
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

  /** The next texts, one of each request in turn; the first of them however long it is. */
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
      // Aborted or not: report it to the requests that remain.
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
    const message = error instanceof Error ? error.message : String(error);
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

  /** Until a lane is done, or it is time to look for messages, or there are texts to be made tokens. */
  async #look(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const ms = this.#reading.length > 0 ? 0 : this.#free.length > 0 ? LOOK_MS.free : LOOK_MS.full;
    const timer = setTimeout(resolve, ms);
    await Promise.race([promise, ...this.#running]);
    clearTimeout(timer);
  }
}
