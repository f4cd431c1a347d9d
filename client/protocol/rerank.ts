/**
 * Wire format of rerank: one request, one response frame.
 *
 * @module
 */
import type { V1ErrorCode } from "./v1.ts";

/**
 * A rerank request as a client sends it.
 *
 * @example
 * ```ts
 * import type { RerankRequest } from "@inferd/client/protocol";
 *
 * export const request: RerankRequest = { id: "1", query: "red", documents: ["a fox", "the sky"], top_n: 1 };
 * ```
 */
export interface RerankRequest {
  /** Echoed on the answer; `""` when absent. */
  id?: string;
  /** Name of a backend or of a model it serves; no other backend answers. Absent: any, in the operator's order. */
  model?: string;
  /** What is looked for; not empty. */
  query: string;
  /** At most 256, together at most 8 MiB with the query; none is empty. */
  documents: string[];
  /** Return only this many of the best documents. Default: all. */
  top_n?: number;
}

/** How well one document fits. */
export interface RerankResult {
  /** Which of the request's documents. */
  index: number;
  /** The model's raw output; higher fits better. */
  score: number;
}

/** The order. */
export interface RerankFrame {
  /** Discriminates the frame. */
  type: "rerank";
  /** The request's id. */
  id: string;
  /** The best first; equal ones in the order of the request. */
  results: RerankResult[];
  /** The model's name. */
  model: string;
  /** Tokens of all pairs of query and document. */
  usage: { input_tokens: number };
  /** Which backend answered; for diagnosis only. */
  backend: string;
}

/** The codes an error frame of the rerank socket carries: v1's, and `rerank_unsupported`: no backend reranks. */
export type RerankErrorCode = V1ErrorCode | "rerank_unsupported";
