/**
 * Which texts are encoded in the next step. Requests take turns, text by text, so that a long one never makes a short
 * one wait for all of it. A request's texts all become tokens before the first of them is encoded: what is wrong with one
 * of them is found before any work. Knows the native library only as an `Encoder`.
 */
import type { Encoder } from "./encoder.ts";
import type { EngineEvent } from "./messages.ts";

/** A text that cannot be encoded; the message is for the caller. */
export class TextError extends Error {
  override readonly name = "TextError";
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

interface Entry {
  readonly job: EncodeJob;
  readonly texts: Int32Array[];
  tokens: number;
  /** Texts that have been put into a step. */
  begun: number;
  /** Texts that came out. */
  done: number;
}

/** The requests of an engine that encodes. */
export class EncodeScheduler {
  readonly #encoder: Encoder;
  readonly #now: () => number;
  /** Requests whose texts are not all tokens yet, and those whose are; the next in turn first. */
  readonly #reading: Entry[] = [];
  readonly #ready: Entry[] = [];

  constructor(encoder: Encoder, options: { readonly now?: () => number } = {}) {
    this.#encoder = encoder;
    this.#now = options.now ?? ((): number => performance.now());
  }

  /** Whether a step would do anything. */
  get busy(): boolean {
    return this.#reading.length > 0 || this.#ready.length > 0;
  }

  /** Take a request. */
  submit(job: EncodeJob): void {
    this.#reading.push({ job, texts: [], tokens: 0, begun: 0, done: 0 });
  }

  /** Forget a request. */
  cancel(id: number): void {
    for (const queue of [this.#reading, this.#ready]) {
      const at = queue.findIndex((entry) => entry.job.id === id);
      if (at >= 0) queue.splice(at, 1);
    }
  }

  /** Encode one batch; returns what happened. */
  step(): EngineEvent[] {
    const events: EngineEvent[] = [];
    this.#read(events);
    const entries: Entry[] = [];
    const indexes: number[] = [];
    const texts: Int32Array[] = [];
    for (let room = this.#encoder.stepTokens; texts.length < this.#encoder.stepTexts;) {
      const entry = this.#ready[0];
      const text = entry?.texts[entry.begun];
      if (entry === undefined || text === undefined || (texts.length > 0 && text.length > room)) break;
      this.#ready.shift();
      texts.push(text);
      entries.push(entry);
      indexes.push(entry.begun++);
      room -= text.length;
      if (entry.begun < entry.texts.length) this.#ready.push(entry);
    }
    if (texts.length > 0) this.#encode(texts, { entries, indexes, events });
    return events;
  }

  /** Make texts tokens, one of each request in turn, for as long as there is time. */
  #read(events: EngineEvent[]): void {
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
        events.push({ id: job.id, error: "invalid_request", message: error.message });
      }
      if (this.#now() >= until) return;
    }
  }

  #encode(
    texts: readonly Int32Array[],
    { entries, indexes, events }: {
      readonly entries: readonly Entry[];
      readonly indexes: readonly number[];
      readonly events: EngineEvent[];
    },
  ): void {
    let outputs: readonly Float32Array[];
    try {
      outputs = this.#encoder.encode(texts);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      for (const { job: { id } } of new Set(entries)) {
        this.cancel(id);
        events.push({ id, error: "internal", message });
      }
      return;
    }
    for (let i = 0; i < outputs.length; i++) {
      const entry = entries[i] as Entry;
      entry.job.accept(indexes[i] as number, outputs[i] as Float32Array);
      if (++entry.done === entry.texts.length) events.push(entry.job.finish(entry.tokens));
    }
  }
}
