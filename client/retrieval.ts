/** Embeddings and rerank, in the public interface and on the wire: one request, one response frame. */
import type { EmbedRequest, EmbedTask, RerankRequest } from "./protocol/mod.ts";
import type { Codec } from "./wire/exchange.ts";
import { type Fields, isRecord, list, number, oneFrame, record, text, wrong } from "./wire/frames.ts";
import type { RequestOptions } from "./options.ts";

/**
 * Options of embeddings.
 *
 * @category Retrieval
 *
 * @example
 * ```ts
 * import type { EmbedOptions } from "@inferd/client";
 *
 * export const forDocuments: EmbedOptions = { task: "retrieval_document", dimensions: 64 };
 * ```
 */
export interface EmbedOptions extends RequestOptions {
  /** Name of a backend or of a model it serves; no other backend answers. Default: any, in the operator's order. */
  readonly model?: string | undefined;
  /** Truncate every vector to this many dimensions, and normalize it again. Default: the model's. */
  readonly dimensions?: number | undefined;
  /** The purpose of the vectors; the daemon adds the model family's prefix for it to the texts. */
  readonly task?: EmbedTask | undefined;
}

/**
 * Token counts of a request without generated tokens.
 *
 * @category Retrieval
 *
 * @example
 * ```ts
 * import type { PromptUsage } from "@inferd/client";
 *
 * export function show({ promptTokens }: PromptUsage): string {
 *   return `${promptTokens} tokens were read`;
 * }
 * ```
 */
export interface PromptUsage {
  /** Tokens of the input. */
  readonly promptTokens: number;
}

/**
 * The vectors of some texts.
 *
 * @category Retrieval
 *
 * @example
 * ```ts
 * import type { EmbedResult } from "@inferd/client";
 *
 * export function byText(texts: readonly string[], { embeddings }: EmbedResult): Map<string, readonly number[]> {
 *   return new Map(texts.map((text, index) => [text, embeddings[index] ?? []]));
 * }
 * ```
 */
export interface EmbedResult {
  /** One per text, in the order of the texts; each has unit length. */
  readonly embeddings: readonly (readonly number[])[];
  /** Numbers in each vector. */
  readonly dimensions: number;
  /** The model's name. Vectors of different models cannot be compared. */
  readonly model: string;
  /** Token counts. */
  readonly usage: PromptUsage;
  /** The backend that answered; for diagnosis only. */
  readonly backend: string;
}

/**
 * Options of rerank.
 *
 * @category Retrieval
 *
 * @example
 * ```ts
 * import type { RerankOptions } from "@inferd/client";
 *
 * export const bestThree: RerankOptions = { topN: 3 };
 * ```
 */
export interface RerankOptions extends RequestOptions {
  /** Name of a backend or of a model it serves; no other backend answers. Default: any, in the operator's order. */
  readonly model?: string | undefined;
  /** Return only this many of the best documents, at least 1. Default: all. */
  readonly topN?: number | undefined;
}

/**
 * The score of a document.
 *
 * @category Retrieval
 *
 * @example
 * ```ts
 * import type { RankedDocument } from "@inferd/client";
 *
 * export function show({ score, document }: RankedDocument): string {
 *   return `${score.toFixed(2)} ${document}`;
 * }
 * ```
 */
export interface RankedDocument {
  /** Its index in the request's documents. */
  readonly index: number;
  /** The model's raw output; higher fits better. Not a probability. */
  readonly score: number;
  /** The document. */
  readonly document: string;
}

/**
 * Documents ordered by relevance.
 *
 * @category Retrieval
 *
 * @example
 * ```ts
 * import type { RerankResult } from "@inferd/client";
 *
 * export function better({ results }: RerankResult, least: number): readonly string[] {
 *   return results.filter(({ score }) => score >= least).map(({ document }) => document);
 * }
 * ```
 */
export interface RerankResult {
  /** The best first; equal ones in the order of the request. */
  readonly results: readonly RankedDocument[];
  /** The model's name. */
  readonly model: string;
  /** Token counts. */
  readonly usage: PromptUsage;
  /** The backend that answered; for diagnosis only. */
  readonly backend: string;
}

/** The fields of a request, each there, its value for the daemon to check. */
type Unchecked<Request> = { readonly [Key in Exclude<keyof Required<Request>, "id">]: unknown };
/**
 * A text to embed, or the ids of its tokens, which are used as they are.
 *
 * @category Retrieval
 *
 * @example
 * ```ts
 * import type { EmbedInput } from "@inferd/client";
 *
 * export const inputs: readonly EmbedInput[] = ["a text", [101, 2023, 102]];
 * ```
 */
export type EmbedInput = string | readonly number[];

/** An embeddings request and its answer. */
export function embedCodec(input: readonly EmbedInput[], options: EmbedOptions): Codec<EmbedResult, EmbedResult> {
  const { model, dimensions, task } = options;
  const fields: Unchecked<EmbedRequest> = { model, input, dimensions, task };
  return oneFrame("embeddings", fields, (answer) => {
    const numbers = number(answer, "dimensions");
    const embeddings = list(answer, "embeddings");
    if (embeddings.length !== input.length) throw wrong(answer, "embeddings", `of ${input.length} texts`);
    if (!embeddings.every((vector) => isVector(vector, numbers))) {
      throw wrong(answer, "embeddings", `vectors of ${numbers} numbers`);
    }
    return { embeddings: embeddings as number[][], dimensions: numbers, ...about(answer) };
  });
}

/** A rerank request and its answer. */
export function rerankCodec(
  query: string,
  documents: readonly string[],
  options: RerankOptions,
): Codec<RerankResult, RerankResult> {
  const fields: Unchecked<RerankRequest> = { model: options.model, query, documents, top_n: options.topN };
  return oneFrame("rerank", fields, (answer) => {
    const results = list(answer, "results").map((result) => {
      if (!isRecord(result)) throw wrong(answer, "results", "objects");
      const index = number(result, "index");
      const document = documents[index];
      if (document === undefined) throw wrong(result, "index", `that of one of ${documents.length} documents`);
      return { index, score: number(result, "score"), document };
    });
    return { results, ...about(answer) };
  });
}

function about(answer: Fields): Pick<EmbedResult, "model" | "usage" | "backend"> {
  return {
    model: text(answer, "model"),
    usage: { promptTokens: number(record(answer, "usage"), "input_tokens") },
    backend: text(answer, "backend"),
  };
}

function isVector(value: unknown, length: number): value is number[] {
  return Array.isArray(value) && value.length === length && value.every((one) => typeof one === "number");
}
