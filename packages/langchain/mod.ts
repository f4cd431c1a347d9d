/**
 * Models of inferd for LangChain.js: chat, embeddings and reranking, through a client of the daemon.
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 * import { ChatInferd } from "@inferd/langchain";
 *
 * export async function ask(question: string): Promise<string> {
 *   await using client = await connect();
 *   return (await new ChatInferd({ client }).invoke(question)).text;
 * }
 * ```
 *
 * @module
 */
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { DocumentInterface } from "@langchain/core/documents";
import { Embeddings } from "@langchain/core/embeddings";
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BaseChatModelParams,
  type BindToolsInput,
} from "@langchain/core/language_models/chat_models";
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";
import { BaseDocumentCompressor } from "@langchain/core/retrievers/document_compressors";
import type { Runnable } from "@langchain/core/runnables";
import type {
  Client,
  EmbedOptions,
  GenerateV2Fields,
  GenerationEvent,
  RerankOptions,
  SamplingOptions,
} from "@inferd/client";
import { requestOf, toolOf } from "./request.ts";

/**
 * What a {@linkcode ChatInferd} is made of, and what holds for each of its calls.
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 * import type { ChatInferdFields } from "@inferd/langchain";
 *
 * export const repeatable = (client: Client): ChatInferdFields => ({ client, temperature: 0, seed: 7 });
 * ```
 */
export interface ChatInferdFields extends BaseChatModelParams, Omit<SamplingOptions, "stop"> {
  /** A connected client. Closing it is the caller's business. */
  readonly client: Client;
  /** A backend or a model it serves; without it the daemon chooses. */
  readonly model?: string | undefined;
  /** Asks for a reasoning trace. */
  readonly thinking?: boolean | undefined;
}

/**
 * What one call may say.
 *
 * @example
 * ```ts
 * import type { ChatInferdCallOptions } from "@inferd/langchain";
 *
 * export const short: Partial<ChatInferdCallOptions> = { stop: ["\n"], timeout: 10_000 };
 * ```
 */
export type ChatInferdCallOptions = BaseChatModelCallOptions & {
  /** What the model may call, as the client has it. */
  readonly tools?: GenerateV2Fields["tools"];
};

/**
 * A chat model.
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 * import { ChatInferd } from "@inferd/langchain";
 *
 * export const cool = (client: Client) => new ChatInferd({ client, temperature: 0 });
 * ```
 */
export class ChatInferd extends BaseChatModel<ChatInferdCallOptions, AIMessageChunk> {
  readonly #client: Client;
  readonly #fields: Omit<GenerateV2Fields, "messages">;

  /** @param fields The client, and what holds for every call. */
  constructor({ client, model, thinking, ...fields }: ChatInferdFields) {
    super({ maxRetries: 0, ...fields });
    this.#client = client;
    const { temperature, topP, topK, minP, maxTokens, seed, presencePenalty, frequencyPenalty, repeatPenalty } = fields;
    const penalties = { presencePenalty, frequencyPenalty, repeatPenalty };
    this.#fields = { model, thinking: thinking ?? false, temperature, topP, topK, minP, maxTokens, seed, ...penalties };
  }

  /** What LangChain calls this kind of model. */
  override _llmType(): string {
    return "inferd";
  }

  /** The same model with tools. */
  override bindTools(
    tools: BindToolsInput[],
    kwargs: Partial<ChatInferdCallOptions> = {},
  ): Runnable<Parameters<this["invoke"]>[0], AIMessageChunk, ChatInferdCallOptions> {
    return this.withConfig({ ...kwargs, tools: tools.map(toolOf) } as Partial<ChatInferdCallOptions>);
  }

  /** The same model, with answers that follow a schema. */
  override withStructuredOutput: BaseChatModel["withStructuredOutput"] = (...args) => {
    // LangChain asks for a call; it has to come.
    const bindTools: this["bindTools"] = (tools) => this.bindTools(tools, { tool_choice: "any" });
    return Reflect.apply(super.withStructuredOutput, Object.assign(Object.create(this), { bindTools }), args);
  };

  /** The whole answer. */
  override async _generate(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    run?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    let whole: ChatGenerationChunk | undefined;
    for await (const chunk of this._streamResponseChunks(messages, options, run)) {
      whole = whole === undefined ? chunk : whole.concat(chunk);
    }
    return { generations: whole === undefined ? [] : [whole] };
  }

  /** The answer in pieces. */
  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    run?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const request = { ...this.#fields, ...requestOf(messages, options) };
    let calls = 0;
    for await (const event of this.#client.generate(request, { signal: options.signal, timeoutMs: options.timeout })) {
      if (event.type === "progress") continue;
      const message = messageOf(event, calls);
      if (event.type === "tool_use") calls++;
      const chunk = new ChatGenerationChunk({ message, text: message.text });
      yield chunk;
      await run?.handleLLMNewToken(chunk.text, undefined, undefined, undefined, undefined, { chunk });
    }
  }
}

function messageOf(event: Exclude<GenerationEvent, { type: "progress" }>, index: number): AIMessageChunk {
  switch (event.type) {
    case "text":
      return new AIMessageChunk({ content: event.text });
    case "thinking":
      return new AIMessageChunk({ content: "", additional_kwargs: { reasoning_content: event.text } });
    case "tool_use": {
      const call = { id: event.toolCallId, name: event.name, args: JSON.stringify(event.input), index };
      return new AIMessageChunk({ content: "", tool_call_chunks: [{ type: "tool_call_chunk", ...call }] });
    }
    case "done": {
      const { promptTokens, completionTokens, cachedTokens = 0 } = event.usage;
      const [input_tokens, output_tokens] = [promptTokens, completionTokens];
      const input_token_details = { cache_read: cachedTokens };
      const total_tokens = input_tokens + output_tokens;
      return Object.assign(new AIMessageChunk({ content: "" }), {
        usage_metadata: { input_tokens, output_tokens, total_tokens, input_token_details },
        response_metadata: { finish_reason: event.stopReason, backend: event.backend },
      });
    }
  }
}

/**
 * Embeddings.
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 * import { InferdEmbeddings } from "@inferd/langchain";
 *
 * export const vectors = (client: Client, text: string) => new InferdEmbeddings({ client }).embedQuery(text);
 * ```
 */
export class InferdEmbeddings extends Embeddings {
  readonly #client: Client;
  readonly #options: EmbedOptions;

  /** @param fields The client, and what `embed()` of it takes. */
  constructor({ client, ...options }: EmbedOptions & { readonly client: Client }) {
    super({ maxRetries: 0 });
    this.#client = client;
    this.#options = options;
  }

  /** The vectors of documents. */
  override async embedDocuments(documents: string[]): Promise<number[][]> {
    if (documents.length === 0) return [];
    const { embeddings } = await this.#client.embed(documents, { task: "retrieval_document", ...this.#options });
    return embeddings.map((vector) => [...vector]);
  }

  /** The vector of a query. */
  override async embedQuery(query: string): Promise<number[]> {
    const { embeddings } = await this.#client.embed([query], { task: "retrieval_query", ...this.#options });
    return [...embeddings[0] ?? []];
  }
}

/**
 * Puts documents into the order of their relevance, as a compressor of a retriever.
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 * import { InferdReranker } from "@inferd/langchain";
 *
 * export const best = (client: Client) => new InferdReranker({ client, topN: 3 });
 * ```
 */
export class InferdReranker extends BaseDocumentCompressor {
  readonly #client: Client;
  readonly #options: RerankOptions;

  /** @param fields The client, and what `rerank()` of it takes. */
  constructor({ client, ...options }: RerankOptions & { readonly client: Client }) {
    super();
    this.#client = client;
    this.#options = options;
  }

  /** The documents, the most relevant first, each with `relevanceScore` in its metadata. */
  override async compressDocuments(documents: DocumentInterface[], query: string): Promise<DocumentInterface[]> {
    const texts = documents.map(({ pageContent }) => pageContent);
    const { results } = texts.length === 0 ? { results: [] } : await this.#client.rerank(query, texts, this.#options);
    return results.flatMap(({ index, score: relevanceScore }) =>
      documents.slice(index, index + 1).map((one) => ({ ...one, metadata: { ...one.metadata, relevanceScore } }))
    );
  }
}
