/**
 * Wire format of generation v1: snake_case, one JSON object per line.
 *
 * @module
 */

/**
 * Who said a message.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { V1Role } from "@inferd/client";
 *
 * export const roles: readonly V1Role[] = ["system", "user", "assistant"];
 * ```
 */
export type V1Role = "system" | "user" | "assistant";

/**
 * One turn of the conversation.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { V1Message } from "@inferd/client";
 *
 * export const conversation: V1Message[] = [
 *   { role: "user", content: "What is a fox?" },
 *   { role: "assistant", content: "An animal." },
 *   { role: "user", content: "Which colour has it?" },
 * ];
 * ```
 */
export interface V1Message {
  /** Who said it. */
  role: V1Role;
  /** What was said. */
  content: string;
}

/** What a request may say on either generation surface besides its messages; the daemon fills in what is left out. */
export interface GenerationFields {
  /** Echoed on every frame of the answer; `""` when absent. */
  id?: string;
  /** 0 … 2; 0 is greedy. Default 1. */
  temperature?: number;
  /** 0 < x ≤ 1. Default 0.95. */
  top_p?: number;
  /** 0 (off) … vocabulary size. Default 64. */
  top_k?: number;
  /** At least 1. Default 1000. */
  max_tokens?: number;
  /** Makes the drawing of tokens repeatable; the text as far as the model computes the same probabilities again. */
  seed?: number;
  /** At most 16 strings that end the answer; none of them is ever part of it. */
  stop?: string[];
  /** 0 … 1: tokens less likely than this share of the likeliest one's probability are left out. Default 0, off. */
  min_p?: number;
  /** -2 … 2: taken off the logit of every token among the last 64 of prompt and answer. Default 0. */
  presence_penalty?: number;
  /** -2 … 2: taken off once for each time the token is there. Default 0. */
  frequency_penalty?: number;
  /** 0 < x ≤ 2: divides the logit of every such token; a negative one is multiplied. Default 1, off. */
  repeat_penalty?: number;
  /** By the id of a token, -100 … 100: added to its logit. At most 1024. */
  logit_bias?: Record<string, number>;
}

/**
 * A v1 request as a client sends it; the daemon fills in what is left out.
 *
 * @example
 * ```ts
 * import type { V1Request } from "@inferd/client/protocol";
 *
 * const request: V1Request = { id: "1", messages: [{ role: "user", content: "Hi" }], max_tokens: 20 };
 * const line = JSON.stringify(request) + "\n";
 * console.assert(JSON.parse(line).id === "1");
 * ```
 */
export interface V1Request extends GenerationFields {
  /** The conversation, not empty. */
  messages: V1Message[];
  /** `false`: no `token` frames, the whole text comes in `done`. Default `true`. */
  stream?: boolean;
  /** One of 70, 140, 280, 560, 1120; carried, not used. */
  image_token_budget?: number;
  /** A GBNF grammar the answer has to follow. */
  grammar?: string;
}

/** Token counts of one answer. */
export interface V1Usage {
  /** Tokens of the rendered conversation. */
  prompt_tokens: number;
  /** Tokens generated. */
  completion_tokens: number;
}

/**
 * Why a v1 answer ended.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { V1StopReason } from "@inferd/client";
 *
 * export function wasCut(reason: V1StopReason): boolean {
 *   return reason === "length";
 * }
 * ```
 */
export type V1StopReason = "end" | "length" | "cancelled" | "error";

/** A piece of the answer. */
export interface V1TokenFrame {
  /** The request's id. */
  id: string;
  /** Discriminates the frame. */
  type: "token";
  /** The piece. */
  content: string;
}

/** The answer is complete. */
export interface V1DoneFrame {
  /** The request's id. */
  id: string;
  /** Discriminates the frame. */
  type: "done";
  /** The whole text. */
  content: string;
  /** Token counts. */
  usage: V1Usage;
  /** Why it ended. */
  stop_reason: V1StopReason;
  /** Which backend answered; for diagnosis only. */
  backend: string;
}

/**
 * The codes a v1 error frame carries.
 *
 * - `queue_full`: no place at submit time, or it went to a caller with fewer requests. Retry with backoff.
 * - `backend_unavailable`: no backend, or it failed before or during the stream. Retry.
 * - `invalid_request`: the request breaks a rule, or its prompt does not fit the context. Do not retry unchanged.
 * - `frame_too_large`: over 64 MiB; the connection is closed. Do not retry.
 * - `cancelled`: the operator cancelled the request. Do not retry.
 * - `internal`: a bug of the daemon's; details are in its log.
 */
export type V1ErrorCode =
  | "queue_full"
  | "backend_unavailable"
  | "invalid_request"
  | "frame_too_large"
  | "cancelled"
  | "internal";

/**
 * Cases of `invalid_request` that programs treat differently: `context_length`, the prompt does not fit the context.
 *
 * @example
 * ```ts
 * import type { V1ErrorFrame } from "@inferd/client/protocol";
 *
 * export function isTooLong({ reason }: V1ErrorFrame): boolean {
 *   return reason === "context_length";
 * }
 * ```
 */
export type InvalidRequestReason = "context_length";

/** The request failed. */
export interface V1ErrorFrame {
  /** The request's id, `""` where it could not be read. */
  id: string;
  /** Discriminates the frame. */
  type: "error";
  /** What kind of failure; decides whether a retry makes sense. */
  code: V1ErrorCode;
  /** One sentence for a person. */
  message: string;
  /** Which case of `invalid_request` it is; absent on others. */
  reason?: InvalidRequestReason;
  /** With `context_length`, if it is known: tokens of the prompt, so many at least. */
  prompt_tokens?: number;
  /** With `context_length`, if it is known: tokens that prompt and answer together may have. */
  context_tokens?: number;
}

/**
 * Every frame a daemon sends on the v1 socket.
 *
 * @example
 * ```ts
 * import type { V1Frame } from "@inferd/client/protocol";
 *
 * export function textOf(frame: V1Frame): string {
 *   return frame.type === "token" ? frame.content : frame.type === "error" ? frame.message : "";
 * }
 * ```
 */
export type V1Frame = V1TokenFrame | V1DoneFrame | V1ErrorFrame;

/** The first line on a TCP connection when the daemon has an API key. */
export interface AuthFrame {
  /** Discriminates the frame. */
  type: "auth";
  /** The API key. */
  key: string;
}
