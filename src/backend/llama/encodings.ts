/**
 * The embed, rerank and tokenizer requests in progress on an engine: each a promise, cancelled when its client
 * disconnects. The engine's lifecycle belongs to `llama.ts`.
 */
import type { LongText } from "@inferd/client/protocol";
import type { EngineEvent, ToEngine } from "../../engine/ipc/messages.ts";
import type {
  EmbedAnswer,
  EmbedRequest,
  RerankAnswer,
  RerankRequest,
  TokenizerAnswer,
  TokenizerRequest,
} from "../../inference/request.ts";
import { type Pace, UNPACED } from "../../ndjson/pace.ts";
import { type GenerationsOptions, toError } from "./generations.ts";

export interface EncodingsOptions extends GenerationsOptions {
  /** The model's name, part of every answer. */
  readonly model: string;
  /** How fast long answers of the tokenizer are made. Default: as fast as possible. */
  readonly pace?: Pace;
}

type Ending = Extract<
  EngineEvent,
  { vectors: unknown } | { scores: unknown } | { answer: unknown } | { error: unknown }
>;

interface Pending {
  /** Takes a part of an answer that has more. */
  readonly part: (event: Ending) => void;
  readonly settle: (event: Ending) => void;
  readonly fail: (error: unknown) => void;
  /** Removes the listener from the request's signal. */
  readonly release: () => void;
}

const FLOAT_BYTES = 4;
/** Tokens that the engine detokenizes at once: it writes an answer between two steps. */
const MAX_DETOKENIZED = 2048;
/** What a part of a long answer takes, of the engine and of this process, in milliseconds. */
const PART_MS = { tokens: 0.5, pieces: 2 };
/** The running request that an answer is for. */
const OWN = 1;

export class Encodings {
  readonly #options: EncodingsOptions;
  readonly #pace: Pace;
  readonly #pending = new Map<number, Pending>();

  constructor(options: EncodingsOptions) {
    this.#options = options;
    this.#pace = options.pace ?? UNPACED;
  }

  get waiting(): boolean {
    return this.#pending.size > 0;
  }

  /** @throws {InvalidRequestError} If the model cannot encode these texts. */
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

  /** @throws {InvalidRequestError} If the model cannot score these texts. */
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

  /** @throws {InvalidRequestError} If the model cannot serve it. */
  tokenizer(request: TokenizerRequest<LongText>, signal: AbortSignal): Promise<TokenizerAnswer> {
    return request.type === "detokenize" && request.tokens.length > MAX_DETOKENIZED
      ? this.#detokenized(request, signal)
      : this.#tokenizer(request, signal);
  }

  async #detokenized(
    { tokens, pieces: inPieces }: Extract<TokenizerRequest, { type: "detokenize" }>,
    signal: AbortSignal,
  ): Promise<TokenizerAnswer> {
    const all: (readonly number[])[] = [];
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let text = "";
    for (let from = 0; from < tokens.length; from += MAX_DETOKENIZED) {
      if (from > 0) await this.#pace.rest(PART_MS.pieces, OWN);
      const part = {
        type: "detokenize",
        tokens: tokens.slice(from, from + MAX_DETOKENIZED),
        pieces: true,
        from,
      } as const;
      const answer = await this.#tokenizer(part, signal);
      if (!("pieces" in answer)) throw new Error("The engine's answer has no pieces");
      if (inPieces) all.push(...answer.pieces);
      else text += decoder.decode(Uint8Array.from(answer.pieces.flat()), { stream: true });
    }
    return inPieces ? { pieces: all } : { text: text + decoder.decode() };
  }

  #tokenizer(request: TokenizerRequest<LongText>, signal: AbortSignal): Promise<TokenizerAnswer> {
    const tokens: number[] = [];
    return this.#ask({
      message: (id) => ({ op: "tokenizer", id, request }),
      signal,
      onPart: (event) => {
        if ("answer" in event && "tokens" in event.answer) tokens.push(...event.answer.tokens);
      },
      answer: (event) => {
        if (!("answer" in event)) return undefined;
        if (tokens.length === 0 || !("tokens" in event.answer)) return event.answer;
        tokens.push(...event.answer.tokens);
        return { tokens };
      },
    });
  }

  /** Deliver an event to its request; events of finished requests are ignored. */
  deliver(event: EngineEvent): void {
    if ("answer" in event && event.left !== undefined) return this.#pending.get(event.id)?.part(event);
    if ("vectors" in event || "scores" in event || "answer" in event || "error" in event) {
      this.#forget(event.id)?.settle(event);
    }
  }

  /** Fail all requests: the engine is gone. */
  failAll(error: Error): void {
    for (const id of [...this.#pending.keys()]) this.#forget(id)?.fail(error);
  }

  /** Asks for the next part of an answer, if it is still wanted after a rest. */
  async #askMore(id: number): Promise<void> {
    await this.#pace.rest(PART_MS.tokens, OWN);
    if (this.#pending.has(id)) this.#options.send({ op: "more", id });
  }

  #ask<T>({ message, signal, answer, onPart }: {
    readonly message: (id: number) => ToEngine<LongText>;
    readonly signal: AbortSignal;
    readonly answer: (event: Exclude<Ending, { error: unknown }>) => T | undefined;
    /** Called for the parts of an answer but the last. */
    readonly onPart?: (event: Ending) => void;
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
      part: (event) => {
        onPart?.(event);
        void this.#askMore(id);
      },
      settle: (event) => {
        if ("error" in event) return reject(toError(event));
        const value = answer(event);
        if (value === undefined) reject(new Error("Engine failed: its answer does not match the request"));
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
 * Decodes vectors into views of one buffer. The engine's float encoding is little-endian, as on every platform with a
 * native library.
 */
function toVectors(base64: string, dimensions: number): Float32Array[] {
  const bytes = Uint8Array.fromBase64(base64);
  const step = dimensions * FLOAT_BYTES;
  return Array.from(
    { length: bytes.length / step },
    (_, index) => new Float32Array(bytes.buffer, index * step, dimensions),
  );
}
