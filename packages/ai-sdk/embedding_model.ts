/** Embeddings for the AI SDK. */
import type { EmbeddingModelV4, EmbeddingModelV4CallOptions, EmbeddingModelV4Result } from "@ai-sdk/provider";
import type { Client, EmbedTask } from "@inferd/client";
import { modelName, PROVIDER } from "./names.ts";

/** A model that embeds. */
export class InferdEmbeddingModel implements EmbeddingModelV4 {
  readonly specificationVersion = "v4";
  readonly provider: string = PROVIDER;
  readonly modelId: string;
  readonly maxEmbeddingsPerCall: number = 256;
  readonly supportsParallelCalls: boolean = true;
  readonly #client: Client;

  /**
   * @param client Asks the daemon.
   * @param modelId The model.
   */
  constructor(client: Client, modelId: string) {
    this.#client = client;
    this.modelId = modelId;
  }

  async doEmbed(
    { values, dimensions, abortSignal, providerOptions }: EmbeddingModelV4CallOptions,
  ): Promise<EmbeddingModelV4Result> {
    const task = providerOptions?.[PROVIDER]?.task as EmbedTask | undefined;
    const { embeddings, usage } = await this.#client.embed(values, {
      model: modelName(this.modelId),
      dimensions,
      task,
      signal: abortSignal,
    });
    return {
      embeddings: embeddings.map((vector) => [...vector]),
      usage: { tokens: usage.promptTokens },
      warnings: [],
    };
  }
}
