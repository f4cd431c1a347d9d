/**
 * Generation v1 as callers see it: a request of plain text, and the events of its answer.
 */
import type { V1Message, V1StopReason } from "./protocol/mod.ts";
import { Exchange } from "./wire/exchange.ts";

/**
 * How to answer, in v1 and v2. What is left out is the daemon's default.
 *
 * @example
 * ```ts
 * import type { SamplingOptions } from "@inferd/client";
 *
 * // The same request with these gets the same answer.
 * export const repeatable: SamplingOptions = { temperature: 0.7, seed: 42, maxTokens: 200 };
 * ```
 */
export interface SamplingOptions {
  /** What the request is called in the daemon's log. Default: a random UUID. */
  readonly id?: string | undefined;
  /** 0 … 2; 0 is greedy. Default 1. */
  readonly temperature?: number | undefined;
  /** 0 < x ≤ 1. Default 0.95. */
  readonly topP?: number | undefined;
  /** 0 (off) … vocabulary size. Default 64. */
  readonly topK?: number | undefined;
  /** At least 1. Default 1000. */
  readonly maxTokens?: number | undefined;
  /** Makes the drawing of tokens repeatable; the text as far as the model computes the same probabilities again. */
  readonly seed?: number | undefined;
  /** At most 16 strings that end the answer; none of them is ever part of it. */
  readonly stop?: readonly string[] | undefined;
  /** 0 … 1: tokens less likely than this share of the likeliest one's probability are left out. Default 0, off. */
  readonly minP?: number | undefined;
  /** -2 … 2: taken off the logit of every token among the last 64 of prompt and answer. Default 0. */
  readonly presencePenalty?: number | undefined;
  /** -2 … 2: taken off once for each time the token is there. Default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** 0 < x ≤ 2: divides the logit of every such token; a negative one is multiplied. Default 1, off. */
  readonly repeatPenalty?: number | undefined;
  /** By the id of a token, -100 … 100: added to its logit. At most 1024; `client.tokenize()` tells ids. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
}

/**
 * What to generate from plain text. What is left out is the daemon's default.
 *
 * @example
 * ```ts
 * import type { GenerateRequest } from "@inferd/client";
 *
 * export const yesOrNo: GenerateRequest = {
 *   messages: [{ role: "user", content: "Is snow white?" }],
 *   grammar: 'root ::= "yes" | "no"',
 *   temperature: 0,
 * };
 * ```
 */
export interface GenerateRequest extends SamplingOptions {
  /** The conversation, not empty. */
  readonly messages: readonly Readonly<V1Message>[];
  /** `false`: no `token` events, the whole text comes in `done`. Default `true`. */
  readonly stream?: boolean | undefined;
  /** One of 70, 140, 280, 560, 1120; carried, not used. */
  readonly imageTokenBudget?: number | undefined;
  /** A GBNF grammar the answer has to follow. */
  readonly grammar?: string | undefined;
  /** With attachments it is a `GenerateV2Request`. */
  readonly attachments?: undefined;
  /** With tools it is a `GenerateV2Request`. */
  readonly tools?: undefined;
  /** With a choice of tools it is a `GenerateV2Request`. */
  readonly toolChoice?: undefined;
  /** With a schema it is a `GenerateV2Request`. */
  readonly schema?: undefined;
  /** With this it is a `GenerateV2Request`. */
  readonly json?: undefined;
  /** With this it is a `GenerateV2Request`. */
  readonly logprobs?: undefined;
  /** With a word on thinking it is a `GenerateV2Request`. */
  readonly thinking?: undefined;
  /** A request that names a model is a `GenerateV2Request`. */
  readonly model?: undefined;
}

/**
 * Token counts of one answer.
 *
 * @example
 * ```ts
 * import type { Usage } from "@inferd/client";
 *
 * export function total({ promptTokens, completionTokens }: Usage): number {
 *   return promptTokens + completionTokens;
 * }
 * ```
 */
export interface Usage {
  /** Tokens of the rendered conversation. */
  readonly promptTokens: number;
  /** Tokens generated. */
  readonly completionTokens: number;
  /** Those of `promptTokens` that an earlier request had computed. Only v2 tells. */
  readonly cachedTokens?: number;
  /** Those of `completionTokens` that a schema or grammar forced. Only v2 tells. */
  readonly forcedTokens?: number;
  /** Those of `cachedTokens` that were prepared after an earlier answer, in a quiet moment. Only v2 tells. */
  readonly preparedTokens?: number;
  /** Tokens that were guessed ahead of the model. Only v2 tells. */
  readonly draftedTokens?: number;
  /** How many of `draftedTokens` were what the model chose. Only v2 tells. */
  readonly acceptedTokens?: number;
}

/**
 * Why an answer ended; a newer daemon may know more reasons.
 *
 * @example
 * ```ts
 * import type { StopReason } from "@inferd/client";
 *
 * export function isWhole(reason: StopReason): boolean {
 *   return reason === "end";
 * }
 * ```
 */
export type StopReason = V1StopReason | (string & Record<never, never>);

/**
 * A complete answer.
 *
 * @example
 * ```ts
 * import type { GenerationResult } from "@inferd/client";
 *
 * export function summary({ text, usage, stopReason }: GenerationResult): string {
 *   return `${text}\n(${usage.completionTokens} tokens, ${stopReason})`;
 * }
 * ```
 */
export interface GenerationResult {
  /** The whole text. */
  readonly text: string;
  /** Token counts. */
  readonly usage: Usage;
  /** Why it ended. */
  readonly stopReason: StopReason;
  /** Which backend answered; for diagnosis only. */
  readonly backend: string;
}

/**
 * A piece of the answer.
 *
 * @example
 * ```ts
 * import type { TokenEvent } from "@inferd/client";
 *
 * export function join(events: readonly TokenEvent[]): string {
 *   return events.map(({ text }) => text).join("");
 * }
 * ```
 */
export interface TokenEvent {
  /** Discriminates the event. */
  readonly type: "token";
  /** The piece; whole characters. */
  readonly text: string;
}

/**
 * The answer is complete; the last event.
 *
 * @example
 * ```ts
 * import type { DoneEvent } from "@inferd/client";
 *
 * export function wasCut({ stopReason }: DoneEvent): boolean {
 *   return stopReason === "length";
 * }
 * ```
 */
export interface DoneEvent extends GenerationResult {
  /** Discriminates the event. */
  readonly type: "done";
}

/**
 * What a generation yields: any number of `token`, then one `done`. Failures are thrown.
 *
 * @example
 * ```ts
 * import type { GenerationEvent } from "@inferd/client";
 *
 * export function show(event: GenerationEvent): string {
 *   return event.type === "token" ? event.text : `\n[${event.usage.completionTokens} tokens]`;
 * }
 * ```
 */
export type GenerationEvent = TokenEvent | DoneEvent;

/**
 * A running request. It was sent when this was made; take its events in a loop, or ask for its result.
 *
 * The events can be iterated once. Leaving the loop early cancels the request on the daemon. Nothing is read ahead of
 * the consumer, so a consumer that stops taking events holds the daemon back, which cuts off one that takes nothing
 * for 30 s.
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 *
 * export async function show(client: Client): Promise<void> {
 *   const generation = client.generate("Tell me a story about a fox.");
 *   for await (const event of generation) {
 *     if (event.type === "token") console.log(event.text);
 *   }
 *   const { usage, stopReason } = await generation.result();
 *   console.log(usage.completionTokens, stopReason);
 * }
 * ```
 */
export interface Generation extends AsyncIterable<GenerationEvent> {
  /** The request's id, as in the daemon's log. */
  readonly id: string;

  /**
   * The complete answer. Asked for before any loop, it takes the events itself, and they can no longer be iterated.
   *
   * @returns The answer. Asked again, the same.
   * @throws {QueueFullError} If the daemon has no place.
   * @throws {BackendUnavailableError} If no backend can answer, or it failed while it did.
   * @throws {InvalidRequestError} If the request breaks a rule.
   * @throws {FrameTooLargeError} If the request is over the frame limit.
   * @throws {InternalError} If the daemon has a bug.
   * @throws {ConnectError} If no connection can be made.
   * @throws {ConnectionClosedError} If the daemon went away.
   * @throws {ProtocolError} If what came is not the protocol.
   * @throws {CancelledError} If the loop over the events was left early.
   * @throws {ClientClosedError} If the client was closed meanwhile.
   * @throws The signal's reason, if it was aborted.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function tokensOf(client: Client, prompt: string): Promise<number> {
   *   const { usage } = await client.generate(prompt).result();
   *   return usage.completionTokens;
   * }
   * ```
   */
  result(): Promise<GenerationResult>;

  /**
   * The text of the complete answer.
   *
   * @returns The text, see {@linkcode Generation.result}.
   * @throws What {@linkcode Generation.result} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function hello(client: Client): Promise<string> {
   *   return await client.generate("Say hello.").text();
   * }
   * ```
   */
  text(): Promise<string>;
}

/** The one implementation of {@linkcode Generation} and of v2's. */
export class ActiveGeneration<Event, Result extends { readonly text: string }> extends Exchange<Event, Result> {
  async text(): Promise<string> {
    return (await this.result()).text;
  }
}
