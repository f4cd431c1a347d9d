/**
 * A server elsewhere that speaks OpenAI's chat completions: vLLM, llama-server, Ollama, LM Studio and the hosted ones.
 * Ready at once: whether the server answers shows with the requests, and the breaker keeps them away while it does not.
 * Owns the course of a request; its words, the answer's and the connection have rooms of their own beside this one.
 *
 * Example of a request: `toOpenAiRequest` writes the body → `Exchange.post` sends it → `Exchange.events` cuts the
 * response into events → `Answer.take` reads each → `Answer.end` tells whether that was all.
 */
import type { OpenAiBackendConfig } from "../config/options.ts";
import {
  type Backend,
  type BackendCapabilities,
  type BackendEvent,
  type BackendNotice,
  type BackendState,
  BackendUnavailableError,
  type GenerationRequest,
} from "./backend.ts";
import { Answer } from "./openai_answer.ts";
import { toFailure, toUpstreamError, type Upstream } from "./openai_errors.ts";
import { Exchange } from "./openai_exchange.ts";
import { type OpenAiRequest, toOpenAiRequest } from "./openai_request.ts";

/** How much of a failure's body is read, in bytes. */
const MAX_FAILURE_BYTES = 64 * 1024;

/** What the end of a stream looks like. */
const DONE = "[DONE]";

/** Passes requests on. */
export class OpenAiBackend implements Backend {
  readonly name: string;
  readonly #config: OpenAiBackendConfig;
  readonly #parallel: number;
  readonly #key: string | undefined;
  readonly #endpoint: string;
  readonly #upstream: Upstream;
  readonly #running = new Set<Exchange>();
  #state: BackendState = "loading";
  #headers = new Headers();
  #notify: (notice: BackendNotice) => void = () => {};
  /** Whether the server takes fields that are not OpenAI's; unknown until it has taken or refused some. */
  #takesCourtesies: boolean | undefined;

  /** @param options `parallel`: told to clients in `capabilities`. */
  constructor(config: OpenAiBackendConfig, options: { readonly parallel: number }) {
    this.name = config.name;
    this.#config = config;
    this.#parallel = options.parallel;
    // What comes out of a file ends with a newline.
    this.#key = config.apiKey?.trim();
    this.#endpoint = endpointOf(config.baseUrl);
    this.#upstream = { name: config.name, secret: this.#key };
  }

  get state(): BackendState {
    return this.#state;
  }

  get capabilities(): BackendCapabilities | undefined {
    if (this.#state !== "ready") return undefined;
    return {
      v1: true,
      v2: true,
      // What the model behind it takes, the server alone knows; it refuses the rest.
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
    this.#state = "ready";
    const { capabilities } = this;
    if (capabilities !== undefined) notify({ type: "ready", capabilities });
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<BackendEvent> {
    signal.throwIfAborted();
    if (this.#state !== "ready") throw new BackendUnavailableError(`Backend "${this.name}" is ${this.#state}`);
    const wanted = toOpenAiRequest(request, this.#config.model);
    const answer = new Answer(request, this.#upstream);
    await using exchange = this.#open(signal);
    const response = await this.#ask(exchange, wanted);
    // Some servers take no notice of `stream`.
    if (response.headers.get("content-type")?.toLowerCase().startsWith("application/json")) {
      yield* answer.take(this.#parse(await exchange.text()));
    } else {
      yield* this.#read(exchange, answer);
    }
    yield* answer.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#state = "stopped";
    for (const exchange of this.#running) {
      exchange.cut(new BackendUnavailableError(`Backend "${this.name}" is stopped`));
    }
    return Promise.resolve();
  }

  #makeHeaders(): Headers {
    const headers = new Headers({ "content-type": "application/json", accept: "text/event-stream" });
    try {
      if (this.#key !== undefined) headers.set("authorization", `Bearer ${this.#key}`);
    } catch {
      // The error repeats the key.
      throw new BackendUnavailableError(`The key of backend "${this.name}" has characters that no header can hold`);
    }
    return headers;
  }

  #open(signal: AbortSignal): Exchange {
    const exchange = new Exchange(signal, {
      backend: this.name,
      timeoutMs: this.#config.timeoutSecs * 1000,
      onBroken: (error) => this.#log("remote_broken", { reason: reasonOf(error) }),
      onEnd: () => this.#running.delete(exchange),
    });
    this.#running.add(exchange);
    return exchange;
  }

  /**
   * @returns A response that is an answer.
   * @throws What else it is.
   */
  async #ask(exchange: Exchange, { body, courtesies }: OpenAiRequest): Promise<Response> {
    const post = (fields: Readonly<Record<string, unknown>>): Promise<Response> =>
      exchange.post(this.#endpoint, {
        headers: this.#headers,
        body: JSON.stringify(fields),
      });
    let response = await post(this.#takesCourtesies === false ? body : { ...body, ...courtesies });
    if (response.ok) this.#takesCourtesies ??= true;
    // Until the server is known: was it for the courtesies? A request that was refused has computed nothing.
    if (this.#takesCourtesies === undefined && (response.status === 400 || response.status === 422)) {
      response = await post(body);
      if (response.ok) this.#learnRefusal();
    }
    if (response.ok) return response;
    const text = await exchange.text({ cutTo: MAX_FAILURE_BYTES });
    throw toUpstreamError(toFailure(parse(text), response.status), this.#upstream);
  }

  #learnRefusal(): void {
    this.#takesCourtesies = false;
    this.#log("remote_takes_no_extra_fields", {}, "info");
  }

  async *#read(exchange: Exchange, answer: Answer): AsyncGenerator<BackendEvent> {
    for await (const events of exchange.events()) {
      for (const { data } of events) {
        if (data.trim() === DONE) return await exchange.finish();
        yield* answer.take(this.#parse(data));
      }
    }
  }

  #parse(text: string): unknown {
    const value = parse(text);
    if (value === undefined) throw new BackendUnavailableError(`Backend "${this.name}" sent something that is no JSON`);
    return value;
  }

  #log(msg: string, fields: Record<string, unknown>, level: "info" | "warn" = "warn"): void {
    this.#notify({ type: "log", level, msg, fields: { backend: this.name, ...fields } });
  }
}

/** Where to ask; what follows a `?` in the base stays behind the path. */
function endpointOf(baseUrl: string): string {
  const question = baseUrl.search(/[?#]|$/);
  return `${baseUrl.slice(0, question).replace(/\/+$/, "")}/chat/completions${baseUrl.slice(question)}`;
}

/** The reason is in the cause, which also repeats the whole URL: there may be a key in it. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause ?? error : error;
  return String(cause).replace(/ for url \([^)]*\)/, "");
}

/** Undefined where it is no JSON, which no JSON is. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
