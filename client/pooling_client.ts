/**
 * The one implementation of a client: which surface a request goes to, and the lifetime of what was started through it.
 */
import { type Admin, adminAt } from "./admin.ts";
import type { AnswerContext, Cancellable } from "./answer.ts";
import type { Tool } from "./blocks.ts";
import type { Client } from "./client.ts";
import { ClientClosedError } from "./errors/errors.ts";
import { type Codec, Exchange } from "./wire/exchange.ts";
import { v1Codec } from "./wire/frames.ts";
import { V2Codec } from "./wire/frames_v2.ts";
import { ActiveGeneration, type GenerateRequest, type Generation } from "./generation.ts";
import { type GenerateV2Fields, type GenerateV2Request, type GenerationV2, isV2 } from "./generation_v2.ts";
import { type ObjectOptions, type ObjectRequest, parseObject } from "./object.ts";
import type { Endpoint, UnixEndpoint } from "./endpoints.ts";
import type { CancelOptions, SurfaceName } from "./options.ts";
import { Pool } from "./wire/pool.ts";
import {
  embedCodec,
  type EmbedOptions,
  type EmbedResult,
  rerankCodec,
  type RerankOptions,
  type RerankResult,
} from "./retrieval.ts";
import type { FromSchema, JsonSchema } from "./schema.ts";
import {
  countCodec,
  detokenizeCodec,
  type PromptRequest,
  templateCodec,
  tokenizeCodec,
  type TokenizeOptions,
  type TokenizerOptions,
} from "./tokenizer.ts";
import { ActiveToolRun, type ToolTable } from "./tool_run.ts";
import type { RunToolsOptions, ToolRun } from "./tools.ts";

/** What a client is made of. */
export interface ClientParts {
  /** The pools that stand already. */
  readonly pools: Map<SurfaceName, Pool>;
  readonly endpointOf: (surface: SurfaceName) => Endpoint;
  readonly locateAdmin: () => UnixEndpoint;
}

/** Lends connections to whatever it starts, and keeps track of that. */
export class PoolingClient implements Client {
  readonly endpoint: string;
  readonly admin: Admin;
  readonly closed: Promise<void>;
  readonly #pools: Map<SurfaceName, Pool>;
  readonly #endpointOf: (surface: SurfaceName) => Endpoint;
  readonly #running = new Set<Cancellable>();
  readonly #closing = new AbortController();
  #state: "open" | "draining" | "closed" = "open";
  #resolveClosed!: () => void;

  /**
   * @param endpoint Where it was connected to first.
   * @param parts What it is made of.
   */
  constructor(endpoint: string, parts: ClientParts) {
    this.endpoint = endpoint;
    this.admin = adminAt(parts.locateAdmin, this.#closing.signal);
    this.#pools = parts.pools;
    this.#endpointOf = parts.endpointOf;
    this.closed = new Promise((resolve) => this.#resolveClosed = resolve);
  }

  generate(request: string | GenerateRequest, options?: CancelOptions): Generation;
  generate<const Tools extends readonly Tool[]>(
    request: GenerateV2Request<Tools>,
    options?: CancelOptions,
  ): GenerationV2<Tools>;
  generate<const Tools extends readonly Tool[]>(
    request: GenerateRequest | GenerateV2Fields<Tools>,
    options?: CancelOptions,
  ): Generation | GenerationV2<Tools>;
  generate(
    request: string | GenerateRequest | GenerateV2Fields,
    options: CancelOptions = {},
  ): Generation | GenerationV2 {
    this.#expectOpen("generate");
    const context = this.#context(options);
    const full = conversation(request);
    if (isV2(full)) return this.#generateV2(full as GenerateV2Fields, context);
    const pool = this.#pool("infer");
    return this.#keep(new ActiveGeneration(v1Codec(full as GenerateRequest), { ...context, pool }));
  }

  async generateObject<const Schema extends JsonSchema>(
    request: string | ObjectRequest,
    options: ObjectOptions<Schema>,
  ): Promise<FromSchema<Schema>> {
    this.#expectOpen("generate");
    const context = this.#context(options);
    const { schema } = options;
    // A partial value is useless.
    const answer = await this.#generateV2({ ...conversation(request), schema, stream: false }, context).result();
    return parseObject(answer) as FromSchema<Schema>;
  }

  runTools<const Tools extends readonly Tool[]>(
    request: string | GenerateV2Fields,
    tools: ToolTable,
    options: RunToolsOptions = {},
  ): ToolRun<Tools> {
    this.#expectOpen("run tools");
    const context = this.#context(options);
    const run = new ActiveToolRun(conversation(request), tools, {
      ...options,
      ...context,
      generate: (step, signal) => this.#generateV2(step, { ...context, signal }),
    });
    // Its tools are those of the request, which only the caller knows the types of.
    return this.#keep(run) as unknown as ToolRun<Tools>;
  }

  async embed(input: string | readonly string[], options: EmbedOptions = {}): Promise<EmbedResult> {
    this.#expectOpen("embed");
    const context = this.#context(options);
    const codec = embedCodec(typeof input === "string" ? [input] : [...input], options);
    return await this.#keep(new Exchange(codec, { ...context, pool: this.#pool("embed") })).result();
  }

  async rerank(query: string, documents: readonly string[], options: RerankOptions = {}): Promise<RerankResult> {
    this.#expectOpen("rerank");
    const context = this.#context(options);
    const codec = rerankCodec(query, [...documents], options);
    return await this.#keep(new Exchange(codec, { ...context, pool: this.#pool("rerank") })).result();
  }

  async tokenize(text: string, options: TokenizeOptions = {}): Promise<readonly number[]> {
    return await this.#ask("tokenize", tokenizeCodec(text, options), options);
  }

  async detokenize(tokens: readonly number[], options: TokenizerOptions = {}): Promise<string> {
    return await this.#ask("detokenize", detokenizeCodec(tokens, options), options);
  }

  async countTokens(request: string | PromptRequest, options: TokenizerOptions = {}): Promise<number> {
    return await this.#ask("count tokens", countCodec(conversation(request), options), options);
  }

  async applyTemplate(request: string | PromptRequest, options: TokenizerOptions = {}): Promise<string> {
    return await this.#ask("apply a template", templateCodec(conversation(request), options), options);
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
      this.#resolveClosed();
    }
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #generateV2<Tools extends readonly Tool[]>(
    request: GenerateV2Fields<Tools>,
    context: AnswerContext,
  ): GenerationV2<Tools> {
    return this.#keep(new ActiveGeneration(new V2Codec(request), { ...context, pool: this.#pool("v2") }));
  }

  async #ask<Result>(what: string, codec: Codec<Result, Result>, options: CancelOptions): Promise<Result> {
    this.#expectOpen(what);
    const context = this.#context(options);
    return await this.#keep(new Exchange(codec, { ...context, pool: this.#pool("v2") })).result();
  }

  #expectOpen(what: string): void {
    if (this.#state !== "open") throw new ClientClosedError(`Cannot ${what}: the client is ${this.#state}`);
  }

  #context({ signal }: CancelOptions): AnswerContext {
    return {
      signal,
      call: new Error(),
      onSettled: (settled) => {
        this.#running.delete(settled);
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
      pool = new Pool(this.#endpointOf(surface));
      this.#pools.set(surface, pool);
    }
    return pool;
  }

  #closeWhenDrained(): void {
    if (this.#state === "draining" && this.#running.size === 0) void this.close();
  }
}

function conversation<Request extends { readonly messages: readonly unknown[] }>(
  request: string | Request,
): Request | { readonly messages: readonly [{ readonly role: "user"; readonly content: string }] } {
  if (typeof request === "string") return { messages: [{ role: "user", content: request }] };
  // Callers without types may try; a later error would not say what is wrong.
  if (!Array.isArray(request?.messages)) {
    throw new TypeError('Cannot ask: the request must be a prompt, or an object whose "messages" is an array');
  }
  return request;
}
