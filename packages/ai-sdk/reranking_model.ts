/** Reranking for the AI SDK. */
import type { RerankingModelV4 } from "@ai-sdk/provider";
import type { Client } from "@inferd/client";
import { modelName, PROVIDER } from "./names.ts";

type CallOptions = Parameters<RerankingModelV4["doRerank"]>[0];
type Result = Awaited<ReturnType<RerankingModelV4["doRerank"]>>;

/** A model that reranks. */
export class InferdRerankingModel implements RerankingModelV4 {
  readonly specificationVersion = "v4";
  readonly provider: string = PROVIDER;
  readonly modelId: string;
  readonly #client: Client;

  /**
   * @param client Asks the daemon.
   * @param modelId The model.
   */
  constructor(client: Client, modelId: string) {
    this.#client = client;
    this.modelId = modelId;
  }

  async doRerank({ documents, query, topN, abortSignal }: CallOptions): Promise<Result> {
    const texts = documents.type === "text" ? documents.values : documents.values.map((value) => JSON.stringify(value));
    const { results } = await this.#client.rerank(query, texts, {
      model: modelName(this.modelId),
      topN,
      signal: abortSignal,
    });
    return { ranking: results.map(({ index, score }) => ({ index, relevanceScore: score })), warnings: [] };
  }
}
