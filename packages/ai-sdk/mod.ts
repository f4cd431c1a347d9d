/**
 * An AI SDK provider for inferd: language models, embeddings and reranking, through a client of the daemon.
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 * import { createInferd } from "@inferd/ai-sdk";
 *
 * export async function model(): Promise<string> {
 *   return createInferd(await connect()).languageModel("default").modelId;
 * }
 * ```
 *
 * @module
 */
import type { EmbeddingModelV4, LanguageModelV4, RerankingModelV4 } from "@ai-sdk/provider";
import type { Client } from "@inferd/client";
import { InferdEmbeddingModel } from "./embedding_model.ts";
import { InferdLanguageModel } from "./language_model.ts";
import { InferdRerankingModel } from "./reranking_model.ts";

/**
 * Models of one daemon, as the AI SDK takes them.
 *
 * @example
 * ```ts
 * import type { InferdProvider } from "@inferd/ai-sdk";
 *
 * export const idOf = (provider: InferdProvider): string => provider.embeddingModel("default").modelId;
 * ```
 */
export interface InferdProvider {
  /** The version of the provider specification. */
  readonly specificationVersion: "v4";
  /**
   * A model that generates.
   *
   * @param modelId A backend or model; `default`: the daemon chooses.
   * @returns The model.
   *
   * @example
   * ```ts
   * import type { InferdProvider } from "@inferd/ai-sdk";
   *
   * export const chat = (provider: InferdProvider) => provider.languageModel("default");
   * ```
   */
  languageModel(modelId: string): LanguageModelV4;
  /**
   * A model that embeds.
   *
   * @param modelId A backend or model; `default`: the daemon chooses.
   * @returns The model.
   *
   * @example
   * ```ts
   * import type { InferdProvider } from "@inferd/ai-sdk";
   *
   * export const vectors = (provider: InferdProvider) => provider.embeddingModel("default");
   * ```
   */
  embeddingModel(modelId: string): EmbeddingModelV4;
  /**
   * A model that reranks.
   *
   * @param modelId A backend or model; `default`: the daemon chooses.
   * @returns The model.
   *
   * @example
   * ```ts
   * import type { InferdProvider } from "@inferd/ai-sdk";
   *
   * export const order = (provider: InferdProvider) => provider.rerankingModel("default");
   * ```
   */
  rerankingModel(modelId: string): RerankingModelV4;
}

/**
 * Make a provider.
 *
 * @param client A connected client. Closing it is the caller's business.
 * @returns The provider.
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 * import { createInferd, type InferdProvider } from "@inferd/ai-sdk";
 *
 * export async function provider(): Promise<InferdProvider> {
 *   return createInferd(await connect());
 * }
 * ```
 */
export function createInferd(client: Client): InferdProvider {
  return {
    specificationVersion: "v4",
    languageModel: (modelId) => new InferdLanguageModel(client, modelId),
    embeddingModel: (modelId) => new InferdEmbeddingModel(client, modelId),
    rerankingModel: (modelId) => new InferdRerankingModel(client, modelId),
  };
}
