/**
 * Wire format of embeddings: one request, one response frame.
 *
 * @module
 */
import type { V1ErrorCode } from "./v1.ts";

/**
 * What a vector is for; the daemon puts the model family's words for it before the text.
 *
 * @category Retrieval
 *
 * @example
 * ```ts
 * import type { Client, EmbedTask } from "@inferd/client";
 *
 * export async function vectorOf(client: Client, text: string, task: EmbedTask): Promise<readonly number[]> {
 *   const { embeddings: [vector = []] } = await client.embed(text, { task });
 *   return vector;
 * }
 * ```
 */
export type EmbedTask =
  | "retrieval_query"
  | "retrieval_document"
  | "similarity"
  | "classification"
  | "clustering"
  | "question_answering"
  | "fact_verification"
  | "code_retrieval_query";

/**
 * An embeddings request as a client sends it.
 *
 * @example
 * ```ts
 * import type { EmbedRequest } from "@inferd/client/protocol";
 *
 * export const request: EmbedRequest = { id: "1", input: ["a fox", "a bird"], task: "similarity" };
 * ```
 */
export interface EmbedRequest {
  /** Echoed on the answer; `""` when absent. */
  id?: string;
  /** Name of a backend or of a model it serves; no other backend answers. Absent: any, in the operator's order. */
  model?: string;
  /** The texts, or the ids of their tokens, which are used as they are; not empty, and none of them is. */
  input: (string | number[])[];
  /** Truncate every vector to this many dimensions. Default: the model's. */
  dimensions?: number;
  /** What the vectors are for; texts only. */
  task?: EmbedTask;
}

/** The vectors. */
export interface EmbeddingsFrame {
  /** Discriminates the frame. */
  type: "embeddings";
  /** The request's id. */
  id: string;
  /** `embeddings[i]` belongs to `input[i]`; each has unit length. */
  embeddings: number[][];
  /** Numbers in each vector. */
  dimensions: number;
  /** The model's name. */
  model: string;
  /** Tokens of all texts. */
  usage: { input_tokens: number };
  /** Which backend answered; for diagnosis only. */
  backend: string;
}

/** The codes an error frame of the embeddings socket carries: v1's, and `embed_unsupported`: no backend embeds. */
export type EmbedErrorCode = V1ErrorCode | "embed_unsupported";
