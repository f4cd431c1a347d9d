/**
 * The embed, rerank and tokenizer requests that an engine is working on: each a promise, cancelled when its caller goes.
 * Which engine that is, and whether it lives, is up to `llama.ts`.
 */
import type { EngineEvent, ToEngine } from "../../engine/ipc/messages.ts";
import type {
  EmbedAnswer,
  EmbedRequest,
  RerankAnswer,
  RerankRequest,
  TokenizerAnswer,
  TokenizerRequest,
} from "../../inference/request.ts";
import { type GenerationsOptions, toError } from "./generations.ts";

/** How requests reach the engine. */
export interface EncodingsOptions extends GenerationsOptions {
  /** Told in every answer. */
  readonly model: string;
}

type Ending = Extract<
  EngineEvent,
  { vectors: unknown } | { scores: unknown } | { answer: unknown } | { error: unknown }
>;

interface Pending {
  readonly settle: (event: Ending) => void;
  readonly fail: (error: unknown) => void;
  /** Stops listening to the request's signal. */
  readonly release: () => void;
}

const FLOAT_BYTES = 4;

/** The requests of one backend. */
export class Encodings {
  readonly #options: EncodingsOptions;
  readonly #pending = new Map<number, Pending>();

  constructor(options: EncodingsOptions) {
    this.#options = options;
  }

  /** Whether requests wait for the engine. */
  get waiting(): boolean {
    return this.#pending.size > 0;
  }

  /**
   * Ask for vectors.
   *
   * @throws {InvalidRequestError} If the model cannot encode these texts.
   */
  embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer> {
    return this.#ask({
      message: (id) => ({ op: "embed", id, request }),
      signal,
      answer: (event) => {
        if (!("vectors" in event)) return undefined;
        const { dimensions, tokens: inputTokens } = event;
        return { vectors: toVectors(event.vectors, dimensions), dimensions, model: this.#options.model, inputTokens };
      },
    });
  }

  /**
   * Ask for scores.
   *
   * @throws {InvalidRequestError} If the model cannot read these texts.
   */
  rerank(request: RerankRequest, signal: AbortSignal): Promise<RerankAnswer> {
    return this.#ask({
      message: (id) => ({ op: "rerank", id, request }),
      signal,
      answer: (event) => {
        if (!("scores" in event)) return undefined;
        return { scores: event.scores, model: this.#options.model, inputTokens: event.tokens };
      },
    });
  }

  /**
   * Ask the tokenizer or the chat template.
   *
   * @throws {InvalidRequestError} If the model cannot take it.
   */
  tokenizer(request: TokenizerRequest, signal: AbortSignal): Promise<TokenizerAnswer> {
    return this.#ask({
      message: (id) => ({ op: "tokenizer", id, request }),
      signal,
      answer: (event) => "answer" in event ? event.answer : undefined,
    });
  }

  /** Something happened to a request; what is said of one that is gone is ignored. */
  deliver(event: EngineEvent): void {
    if ("vectors" in event || "scores" in event || "answer" in event || "error" in event) {
      this.#forget(event.id)?.settle(event);
    }
  }

  /** The engine is gone. */
  failAll(error: Error): void {
    for (const id of [...this.#pending.keys()]) this.#forget(id)?.fail(error);
  }

  #ask<T>({ message, signal, answer }: {
    readonly message: (id: number) => ToEngine;
    readonly signal: AbortSignal;
    readonly answer: (event: Exclude<Ending, { error: unknown }>) => T | undefined;
  }): Promise<T> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const { send, onBusy, nextId } = this.#options;
    const id = nextId();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const abort = (): void => {
      if (this.#forget(id) === undefined) return;
      send({ op: "cancel", id });
      reject(signal.reason);
    };
    this.#pending.set(id, {
      settle: (event) => {
        if ("error" in event) return reject(toError(event.error, event.message));
        const value = answer(event);
        if (value === undefined) reject(new Error("Engine failed: it answered something else than was asked"));
        else resolve(value);
      },
      fail: reject,
      release: () => signal.removeEventListener("abort", abort),
    });
    signal.addEventListener("abort", abort);
    send(message(id));
    if (this.#pending.size === 1) onBusy(true);
    return promise;
  }

  #forget(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.release();
    if (this.#pending.size === 0) this.#options.onBusy(false);
    return pending;
  }
}

/**
 * Vectors from how the engine sends them; they share their memory. Every platform with a native library stores floats
 * as they are sent.
 */
function toVectors(base64: string, dimensions: number): Float32Array[] {
  const bytes = Uint8Array.fromBase64(base64);
  const step = dimensions * FLOAT_BYTES;
  return Array.from(
    { length: bytes.length / step },
    (_, index) => new Float32Array(bytes.buffer, index * step, dimensions),
  );
}
