/**
 * A remote server with OpenAI's chat completions API: vLLM, llama-server, Ollama, LM Studio and hosted ones. Ready
 * immediately: failures show with requests, and the circuit breaker holds requests back while the server is down. Owns
 * the sequence of a request; its body, the answer and the connection belong to the other files of this folder.
 *
 * Example of a request: `toOpenAiRequest` writes the body → `ServerFields.attempt` drops unsupported fields →
 * `Exchange.post` sends it → `Exchange.messages` splits the response into messages → `Answer.take` parses each →
 * `Answer.end` checks completeness. After a refusal the attempt may offer a reduced body.
 */
import { isLarge, type LongText } from "@inferd/client/protocol";
import type { OpenAiBackendConfig } from "../../config/options.ts";
import { createHttpClient, proxyFor } from "./http_client.ts";
import type { Backend, BackendCapabilities, BackendNotice, BackendState } from "../../inference/backend.ts";
import { BackendUnavailableError } from "../../inference/errors.ts";
import type { BackendEvent } from "../../inference/events.ts";
import type { GenerationRequest } from "../../inference/request.ts";
import { type Pace, UNPACED } from "../../ndjson/pace.ts";
import { Answer } from "./answer.ts";
import { toBackendError, toFailure, UpstreamError } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import { type Attempt, ServerFields } from "./fields.ts";
import { largeBody } from "./large_body.ts";
import { toOpenAiRequest } from "./request.ts";
import { isBounded, parseJson } from "./values.ts";
import { turn } from "../../inference/turn.ts";

/** How much of an error body is read, in bytes. */
const MAX_FAILURE_BYTES = 64 * 1024;

/** Maximum number of chunks in a message, one per line. */
const MAX_LINES = 4096;

/** Chunks processed before yielding to other tasks. */
const CHUNKS_PER_TURN = 1024;

const DONE = /^\s*\[?DONE\]?\s*$/i;

export class OpenAiBackend implements Backend {
  readonly name: string;
  readonly #config: OpenAiBackendConfig;
  readonly #parallel: number;
  readonly #pace: Pace;
  readonly #now: () => number;
  readonly #key: string | undefined;
  readonly #endpoint: string;
  readonly #fields = new ServerFields();
  readonly #running = new Set<Exchange>();
  #state: BackendState = "loading";
  #headers = new Headers();
  #client: Deno.HttpClient | undefined;
  #notify: (notice: BackendNotice) => void = () => {};

  /**
   * @param options `parallel`: reported in capabilities. `pace`: how fast large requests are written; absent: at once.
   * `now`: monotonic clock in milliseconds; for tests.
   */
  constructor(
    config: OpenAiBackendConfig,
    options: { readonly parallel: number; readonly pace?: Pace; readonly now?: () => number },
  ) {
    this.name = config.name;
    this.#config = config;
    this.#parallel = options.parallel;
    this.#pace = options.pace ?? UNPACED;
    this.#now = options.now ?? ((): number => performance.now());
    // A key read from a file ends with a newline.
    this.#key = config.apiKey?.trim();
    this.#endpoint = endpointOf(config.baseUrl);
  }

  get state(): BackendState {
    return this.#state;
  }

  get capabilities(): BackendCapabilities | undefined {
    if (this.#state !== "ready") return undefined;
    return {
      v1: true,
      v2: true,
      // Only the server knows what its model supports; it refuses the rest.
      vision: true,
      audio: true,
      tools: true,
      thinking: true,
      embed: false,
      rerank: false,
      accelerator: "remote",
      gpuLayers: 0,
      model: this.#config.model,
      contextTokens: 0,
      parallel: this.#parallel,
    };
  }

  // deno-lint-ignore require-await
  async start(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#headers = this.#makeHeaders();
    this.#notify = notify;
    const proxy = proxyFor(this.#config);
    if (this.#config.proxy !== undefined && proxy === undefined) this.#log("remote_proxy_unused", {});
    this.#client = createHttpClient({ ...(proxy === undefined ? {} : { proxy }), keepAlive: false });
    this.#state = "ready";
    const { capabilities } = this;
    if (capabilities !== undefined) notify({ type: "ready", capabilities });
  }

  async *generate(request: GenerationRequest<LongText>, signal: AbortSignal): AsyncGenerator<BackendEvent> {
    signal.throwIfAborted();
    if (this.#state !== "ready") throw new BackendUnavailableError(`Backend "${this.name}" is ${this.#state}`);
    const attempt = this.#fields.attempt(request, toOpenAiRequest(request, this.#config.model));
    await using exchange = this.#open(signal);
    for (;;) {
      const answer = new Answer(request, this.name);
      try {
        yield* this.#ask(exchange, attempt, answer);
        return;
      } catch (error) {
        if (!(error instanceof UpstreamError)) throw error;
        // An answer that has begun was computed and is not requested again.
        if (answer.begun || !attempt.refused(error.failure)) {
          throw toBackendError(error.failure, { name: this.name, secret: this.#key });
        }
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#state = "stopped";
    for (const exchange of this.#running) {
      exchange.cut(new BackendUnavailableError(`Backend "${this.name}" is stopped`));
    }
    this.#client?.close();
    this.#client = undefined;
    return Promise.resolve();
  }

  #makeHeaders(): Headers {
    const headers = new Headers({ "content-type": "application/json", accept: "text/event-stream" });
    try {
      if (this.#key !== undefined) headers.set("authorization", `Bearer ${this.#key}`);
    } catch {
      // The original error would contain the key.
      throw new BackendUnavailableError(`The key of backend "${this.name}" has characters that no header can hold`);
    }
    return headers;
  }

  #open(signal: AbortSignal): Exchange {
    if (this.#client === undefined) throw new Error(`Backend "${this.name}" has not been started`);
    const exchange = new Exchange(signal, {
      client: this.#client,
      backend: this.name,
      timeoutMs: this.#config.timeoutSecs * 1000,
      onBroken: (error) => this.#log("remote_broken", { reason: reasonOf(error) }),
      onEnd: () => this.#running.delete(exchange),
      now: this.#now,
    });
    this.#running.add(exchange);
    return exchange;
  }

  /**
   * Send the reduced request and read its answer.
   *
   * @throws {UpstreamError} If the server reports a failure.
   */
  async *#ask(exchange: Exchange, attempt: Attempt, answer: Answer): AsyncGenerator<BackendEvent> {
    const body = isLarge(attempt.body) ? await largeBody(attempt.body, this.#pace) : JSON.stringify(attempt.body);
    const response = await exchange.post(this.#endpoint, { headers: this.#headers, body });
    if (!response.ok) {
      const text = await exchange.beginning(MAX_FAILURE_BYTES);
      throw new UpstreamError(
        toFailure(parseJson(text) ?? (text.trimStart().startsWith("<") ? {} : text), response.status),
      );
    }
    let complete = false;
    let known = false;
    reading: for await (const messages of exchange.messages()) {
      for (const { type, data } of messages) {
        if (type === "error") throw new UpstreamError(toFailure(parseJson(data) ?? data));
        // A ping.
        if (type === "other" && !/[{[]/.test(data)) continue;
        const { chunks, isLast } = this.#chunks(data);
        for (const [index, chunk] of chunks.entries()) {
          if (index % CHUNKS_PER_TURN === CHUNKS_PER_TURN - 1) await turn();
          const before = answer.length;
          const events = answer.take(chunk);
          if (answer.length > before) exchange.progressed();
          if (!known && answer.begun) this.#learn(attempt);
          known ||= answer.begun;
          yield* events;
        }
        exchange.mayEnd = answer.ended;
        complete ||= isLast || type === "whole";
        if (!isLast) continue;
        await exchange.finish();
        break reading;
      }
    }
    const events = answer.end({ complete });
    if (!known) this.#learn(attempt);
    yield* events;
  }

  #learn(attempt: Attempt): void {
    if (this.#fields.learn(attempt)) {
      this.#log("remote_refuses_fields", { fields: this.#fields.refused.join(", ") }, "info");
    }
  }

  /**
   * The chunks in a message: usually one, from some servers several (one per line, or in a list), or the end marker.
   */
  #chunks(data: string): { readonly chunks: readonly unknown[]; readonly isLast: boolean } {
    if (!isBounded(data)) throw this.#unreadable("JSON with too many values or levels");
    const whole = parseJson(data);
    const lines = whole === undefined ? data.split("\n", MAX_LINES + 1) : [];
    if (lines.length > MAX_LINES) throw this.#unreadable("something that is no JSON");
    const isLast = whole === undefined ? DONE.test(lines.at(-1) ?? "") : whole === "[DONE]";
    if (isLast) lines.pop();
    const chunks = whole === undefined ? lines.map((line) => this.#parse(line)) : isLast ? [] : [whole];
    return { chunks: chunks.flat().filter((chunk) => chunk !== null), isLast };
  }

  #parse(line: string): unknown {
    const value = parseJson(line);
    if (value === undefined) throw this.#unreadable("something that is no JSON");
    return value;
  }

  #unreadable(what: string): BackendUnavailableError {
    return new BackendUnavailableError(`Backend "${this.name}" sent ${what}`);
  }

  #log(msg: string, fields: Record<string, unknown>, level: "info" | "warn" = "warn"): void {
    this.#notify({ type: "log", level, msg, fields: { backend: this.name, ...fields } });
  }
}

/** Endpoint URL; a query in the base URL is kept after the path. */
function endpointOf(baseUrl: string): string {
  const question = baseUrl.search(/[?#]|$/);
  return `${baseUrl.slice(0, question).replace(/\/+$/, "")}/chat/completions${baseUrl.slice(question)}`;
}

/** The cause's message, without the URL, which may contain a key. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause ?? error : error;
  return String(cause).replace(/ for url \([^)]*\)/, "");
}
