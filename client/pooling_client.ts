/**
 * The implementation of a client: chooses the surface of a request, and owns the lifetime of everything started through
 * it.
 */
import { type Admin, SocketAdmin } from "./admin.ts";
import type { Cancellable } from "./answer.ts";
import type { Tool } from "./blocks.ts";
import type { Client } from "./client.ts";
import { ClientClosedError } from "./errors/errors.ts";
import { type Codec, Exchange, type ExchangeContext } from "./wire/exchange.ts";
import { v1Codec } from "./wire/frames.ts";
import { V2Codec } from "./wire/frames_v2.ts";
import { ActiveGeneration } from "./active_generation.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Gate } from "./gate.ts";
import type { GenerateRequest } from "./generation.ts";
import type { Generation } from "./generation_events.ts";
import { type GenerateV2Fields, isV2 } from "./generation_v2.ts";
import { checkKeys } from "./known_keys.ts";
import {
  EMBED_KEYS,
  GENERATE_KEYS,
  OBJECT_KEYS,
  OBJECT_REQUEST_KEYS,
  REQUEST_KEYS,
  RERANK_KEYS,
  RUN_TOOLS_KEYS,
  TOKENIZE_KEYS,
  TOKENIZER_KEYS,
} from "./option_keys.ts";
import { type ObjectOptions, type ObjectRequest, parseObject } from "./object.ts";
import type { Endpoint, UnixEndpoint } from "./endpoints.ts";
import {
  checkCount,
  type OpenTransport,
  type RequestOptions,
  type SurfaceName,
  timeoutOr,
  type WaitOptions,
} from "./options.ts";
import { Pool } from "./wire/pool.ts";
import {
  embedCodec,
  type EmbedInput,
  type EmbedOptions,
  type EmbedResult,
  rerankCodec,
  type RerankOptions,
  type RerankResult,
} from "./retrieval.ts";
import type { AnySchema, InferSchema } from "./standard_schema.ts";
import { validateWith } from "./validation.ts";
import type { ClientStatus, StatusHub } from "./status.ts";
import {
  countCodec,
  detokenizeCodec,
  piecesCodec,
  type PromptRequest,
  templateCodec,
  tokenizeCodec,
  type TokenizeOptions,
  type TokenizerOptions,
} from "./tokenizer.ts";
import { ActiveToolRun, type ToolRunRequest, type ToolTable } from "./tool_run.ts";
import type { RunToolsOptions, ToolRun } from "./tools.ts";

/** The parts of a client. */
export interface ClientParts {
  /** Existing pools. */
  readonly pools: Map<SurfaceName, Pool>;
  readonly endpointOf: (surface: SurfaceName) => Endpoint;
  readonly locateAdmin: () => UnixEndpoint;
  readonly hub: StatusHub;
  readonly gate: Gate;
  /** Defaults of requests. */
  readonly defaults: { readonly maxRetries: number; readonly timeoutMs: number };
  readonly transport: OpenTransport | undefined;
}

/** Lends connections to the requests it starts, and keeps track of them. */
export class PoolingClient implements Client {
  readonly endpoint: string;
  readonly admin: Admin;
  readonly closed: Promise<void>;
  readonly #pools: Map<SurfaceName, Pool>;
  readonly #parts: ClientParts;
  readonly #running = new Set<Cancellable>();
  readonly #closing = new AbortController();
  #state: "open" | "draining" | "closed" = "open";
  #resolveClosed!: () => void;

  constructor(endpoint: string, parts: ClientParts) {
    this.endpoint = endpoint;
    this.admin = new SocketAdmin(parts.locateAdmin, this.#closing.signal);
    this.#pools = parts.pools;
    this.#parts = parts;
    this.closed = new Promise((resolve) => this.#resolveClosed = resolve);
  }

  generate<const Tools extends readonly Tool[]>(
    request: string | GenerateRequest | GenerateV2Fields<Tools>,
    options: RequestOptions = {},
  ): Generation<Tools> {
    this.#expectOpen("generate");
    checkKeys("generate", options, REQUEST_KEYS, { names: GENERATE_KEYS, place: "the request, next to messages" });
    const context = this.#context(options);
    const full = conversation(request);
    checkKeys("generate", full as typeof full & GenerateV2Fields & GenerateRequest, GENERATE_KEYS, ELSEWHERE);
    if (isV2(full as GenerateV2Fields)) return this.#generateV2(full as GenerateV2Fields<Tools>, context);
    const pool = this.#pool("infer");
    return this.#keep(
      new ActiveGeneration(v1Codec(full as GenerateRequest), { ...context, pool }) as unknown as
        & Generation<Tools>
        & Cancellable,
    );
  }

  async generateObject<const Schema extends AnySchema>(
    request: string | ObjectRequest,
    options: ObjectOptions<Schema>,
  ): Promise<InferSchema<Schema>> {
    this.#expectOpen("generate");
    checkKeys("generate", options, OBJECT_KEYS);
    checkKeys("generate", conversation(request) as ObjectRequest, OBJECT_REQUEST_KEYS, ELSEWHERE);
    const context = this.#context(options);
    const { schema } = options;
    // A partial value is useless.
    const answer = await this.#generateV2({ ...conversation(request), schema, stream: false }, context).result();
    return await validateWith(schema, parseObject(answer)) as InferSchema<Schema>;
  }

  runTools<const Tools extends readonly Tool[]>(
    request: string | ToolRunRequest,
    tools: ToolTable,
    options: RunToolsOptions = {},
  ): ToolRun<Tools> {
    this.#expectOpen("run tools");
    checkKeys("run tools", options, RUN_TOOLS_KEYS);
    const context = this.#context(options);
    const run = new ActiveToolRun(conversation(request), tools, {
      ...options,
      ...context,
      generate: (step, signal) => this.#generateV2(step, { ...context, signal, timeoutMs: Infinity }),
    });
    // Its tools are those of the request, which only the caller knows the types of.
    return this.#keep(run) as unknown as ToolRun<Tools>;
  }

  async embed(input: string | readonly EmbedInput[], options: EmbedOptions = {}): Promise<EmbedResult> {
    this.#expectOpen("embed");
    checkKeys("embed", options, EMBED_KEYS);
    const context = this.#context(options);
    const codec = embedCodec(typeof input === "string" ? [input] : [...input], options);
    return await this.#keep(new Exchange(codec, { ...context, pool: this.#pool("embed") })).result();
  }

  async rerank(query: string, documents: readonly string[], options: RerankOptions = {}): Promise<RerankResult> {
    this.#expectOpen("rerank");
    checkKeys("rerank", options, RERANK_KEYS);
    const context = this.#context(options);
    const codec = rerankCodec(query, [...documents], options);
    return await this.#keep(new Exchange(codec, { ...context, pool: this.#pool("rerank") })).result();
  }

  async tokenize(text: string, options: TokenizeOptions = {}): Promise<readonly number[]> {
    checkKeys("tokenize", options, TOKENIZE_KEYS);
    return await this.#ask("tokenize", tokenizeCodec(text, options), options);
  }

  async detokenize(tokens: readonly number[], options: TokenizerOptions = {}): Promise<string> {
    checkKeys("detokenize", options, TOKENIZER_KEYS);
    return await this.#ask("detokenize", detokenizeCodec(tokens, options), options);
  }

  async tokenBytes(tokens: readonly number[], options: TokenizerOptions = {}): Promise<readonly Uint8Array[]> {
    checkKeys("detokenize", options, TOKENIZER_KEYS);
    return await this.#ask("detokenize", piecesCodec(tokens, options), options);
  }

  async countTokens(request: string | PromptRequest, options: TokenizerOptions = {}): Promise<number> {
    return await this.#ask("count tokens", countCodec(conversation(request), options), options);
  }

  async applyTemplate(request: string | PromptRequest, options: TokenizerOptions = {}): Promise<string> {
    return await this.#ask("apply a template", templateCodec(conversation(request), options), options);
  }

  async models(options: WaitOptions = {}): Promise<readonly Capabilities[]> {
    this.#expectOpen("list models");
    return (await this.admin.capabilities(options)).filter(({ model }) => model !== undefined);
  }

  status(): AsyncIterable<ClientStatus> {
    const { hub } = this.#parts;
    const closed = (): boolean => this.#state === "closed";
    return {
      [Symbol.asyncIterator]: () => {
        const events = hub.follow();
        return closed() ? { next: () => Promise.resolve({ done: true, value: undefined }) } : events;
      },
    };
  }

  drain(): Promise<void> {
    if (this.#state === "open") this.#state = "draining";
    this.#closeWhenDrained();
    return this.closed;
  }

  close(): Promise<void> {
    if (this.#state !== "closed") {
      this.#state = "closed";
      this.#closing.abort();
      for (const pool of this.#pools.values()) pool.close();
      for (const answer of this.#running) answer.cancel(new ClientClosedError("The client was closed"));
      this.#parts.hub.tell({ type: "closed" });
      this.#resolveClosed();
    }
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #generateV2<Tools extends readonly Tool[]>(
    request: GenerateV2Fields<Tools>,
    context: Omit<ExchangeContext, "pool">,
  ): Generation<Tools> {
    const codec = new V2Codec(request);
    const running = new ActiveGeneration(codec, { ...context, pool: this.#pool("v2") });
    return this.#keep(running as unknown as Generation<Tools> & Cancellable);
  }

  async #ask<Result>(what: string, codec: Codec<Result, Result>, options: RequestOptions): Promise<Result> {
    this.#expectOpen(what);
    const context = this.#context(options);
    return await this.#keep(new Exchange(codec, { ...context, pool: this.#pool("v2") })).result();
  }

  #expectOpen(what: string): void {
    if (this.#state !== "open") throw new ClientClosedError(`Cannot ${what}: the client is ${this.#state}`);
  }

  #context({ signal, timeoutMs, maxRetries }: RequestOptions): Omit<ExchangeContext, "pool"> {
    const { defaults, gate, hub } = this.#parts;
    if (maxRetries !== undefined) checkCount("maxRetries", maxRetries, 0);
    const start = performance.now();
    return {
      signal,
      gate,
      hub,
      timeoutMs: timeoutOr(timeoutMs, defaults.timeoutMs),
      maxRetries: maxRetries ?? defaults.maxRetries,
      call: new Error(),
      onSettled: (settled, error) => {
        this.#running.delete(settled);
        gate.leave(settled);
        if (settled instanceof Exchange) {
          const ms = performance.now() - start;
          hub.tell({ type: "settled", id: settled.id, ms, ...(error === undefined ? {} : { error }) });
        }
        this.#closeWhenDrained();
      },
    };
  }

  #keep<Running extends Cancellable>(answer: Running): Running {
    if (!answer.over) this.#running.add(answer);
    return answer;
  }

  #pool(surface: SurfaceName): Pool {
    let pool = this.#pools.get(surface);
    if (pool === undefined) {
      const { hub, transport, endpointOf } = this.#parts;
      pool = new Pool(endpointOf(surface), { hub, transport });
      this.#pools.set(surface, pool);
    }
    return pool;
  }

  #closeWhenDrained(): void {
    if (this.#state === "draining" && this.#running.size === 0) void this.close();
  }
}

/** Options of a call that are passed in the wrong argument by mistake. */
const ELSEWHERE = { names: REQUEST_KEYS, place: "the second argument" } as const;

function conversation<Request extends { readonly messages: readonly unknown[] }>(
  request: string | Request,
): Request | { readonly messages: readonly [{ readonly role: "user"; readonly content: string }] } {
  if (typeof request === "string") return { messages: [{ role: "user", content: request }] };
  // Callers without types may omit it; a later error would be unclear.
  if (!Array.isArray(request?.messages)) {
    throw new TypeError('Cannot ask: the request must be a prompt, or an object whose "messages" is an array');
  }
  return request;
}
