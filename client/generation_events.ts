/** An answer in the public interface: its events, its result, and the running request. */
import type { V2StopReason } from "./protocol/mod.ts";
import type { Tool, ToolUse } from "./blocks.ts";
import type { Usage } from "./generation.ts";

/**
 * A piece of the answer's text.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { TextEvent } from "@inferd/client";
 *
 * export function join(events: readonly TextEvent[]): string {
 *   return events.map(({ text }) => text).join("");
 * }
 * ```
 */
export interface TextEvent {
  /** Discriminates the event. */
  readonly type: "text";
  /** The piece; whole characters. */
  readonly text: string;
  /** The tokens that begin in it, if requested. */
  readonly logprobs?: readonly TokenLogprob[];
}

/**
 * The probability of a token.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { TokenProbability } from "@inferd/client";
 *
 * export function show({ token, logprob }: TokenProbability): string {
 *   return `${JSON.stringify(token)} ${(100 * Math.exp(logprob)).toFixed(1)} %`;
 * }
 * ```
 */
export interface TokenProbability {
  /** The token's text; incomplete characters as U+FFFD. */
  readonly token: string;
  /** Its id; absent if a remote server does not report it. */
  readonly tokenId?: number;
  /** The bytes of its text. */
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability: the model's, or after sampling if requested. */
  readonly logprob: number;
}

/**
 * A token of the answer's text, and its alternatives.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { TokenLogprob } from "@inferd/client";
 *
 * export function wasLikeliest({ token, top: [first] }: TokenLogprob): boolean {
 *   return first?.token === token;
 * }
 * ```
 */
export interface TokenLogprob extends TokenProbability {
  /** The most likely tokens at its position, the most likely first; as many as requested. */
  readonly top: readonly TokenProbability[];
}

/**
 * A piece of the reasoning trace.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Client, ThinkingEvent } from "@inferd/client";
 *
 * export async function* thoughts(client: Client, question: string): AsyncGenerator<ThinkingEvent> {
 *   const messages = [{ role: "user", content: question }] as const;
 *   for await (const event of client.generate({ messages, thinking: true })) {
 *     if (event.type === "thinking") yield event;
 *   }
 * }
 * ```
 */
export interface ThinkingEvent {
  /** Discriminates the event. */
  readonly type: "thinking";
  /** The piece; whole characters. */
  readonly text: string;
}

/**
 * How far a request is, if requested.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { ProgressEvent } from "@inferd/client";
 *
 * export function percent({ processedTokens, usage }: ProgressEvent): number {
 *   return Math.round(100 * processedTokens / usage.promptTokens);
 * }
 * ```
 */
export interface ProgressEvent {
  /** Discriminates the event. */
  readonly type: "progress";
  /** Tokens of the prompt that are processed, or came from a cache. */
  readonly processedTokens: number;
  /** Token counts so far. */
  readonly usage: Usage;
  /** Durations so far. */
  readonly timings: GenerationTimings;
}

/**
 * Why an answer ended; a newer daemon may know more reasons.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { StopReason } from "@inferd/client";
 *
 * export function isWhole(reason: StopReason): boolean {
 *   return reason === "end_turn" || reason === "tool_use";
 * }
 * ```
 */
export type StopReason = V2StopReason | (string & Record<never, never>);

/**
 * Durations of the parts of an answer, in milliseconds.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerationResult } from "@inferd/client";
 *
 * export function tokensPerSecond({ usage, timings }: GenerationResult): number | undefined {
 *   return timings === undefined ? undefined : (usage.completionTokens - 1) / timings.generationMs * 1000;
 * }
 * ```
 */
export interface GenerationTimings {
  /** Waiting for a slot. */
  readonly queueMs: number;
  /** Processing the prompt, up to the first token. */
  readonly promptMs: number;
  /** From the first token to the end. */
  readonly generationMs: number;
}

/**
 * A complete answer.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerationResult } from "@inferd/client";
 *
 * export function summary({ thinking, text, toolCalls }: GenerationResult): string {
 *   return `${thinking.length} characters of thought, ${text.length} of text, ${toolCalls.length} calls`;
 * }
 * ```
 */
export interface GenerationResult<Tools extends readonly Tool[] = readonly Tool[]> {
  /** The whole text. */
  readonly text: string;
  /** The whole reasoning trace; empty if none was requested. */
  readonly thinking: string;
  /** The calls, in order. */
  readonly toolCalls: readonly ToolUse<Tools>[];
  /** Token counts. */
  readonly usage: Usage;
  /** Durations; absent from older daemons. */
  readonly timings?: GenerationTimings;
  /** Every token of the text, if requested. */
  readonly logprobs?: readonly TokenLogprob[];
  /** Why it ended. */
  readonly stopReason: StopReason;
  /** The stop string that occurred, where the backend knows. */
  readonly stopSequence?: string;
  /** The backend that answered; for diagnosis only. */
  readonly backend: string;
  /** A call was required and did not come before the tokens ran out. */
  readonly toolChoiceUnsatisfied: boolean;
  /** The tokens of the prompt, then of the answer without the one that ends it; if requested. */
  readonly tokens?: readonly number[];
}

/**
 * The answer is complete; the last event.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { DoneEvent } from "@inferd/client";
 *
 * export function wasCut({ stopReason, toolChoiceUnsatisfied }: DoneEvent): boolean {
 *   return stopReason === "max_tokens" || toolChoiceUnsatisfied;
 * }
 * ```
 */
export interface DoneEvent<Tools extends readonly Tool[] = readonly Tool[]> extends GenerationResult<Tools> {
  /** Discriminates the event. */
  readonly type: "done";
}

/**
 * What a generation yields: any number of `text`, `thinking` and `tool_use`, then one `done`; `progress` only if
 * requested. Failures are thrown.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerationEvent } from "@inferd/client";
 *
 * export function show(event: GenerationEvent): string {
 *   switch (event.type) {
 *     case "text":
 *     case "thinking":
 *       return event.text;
 *     case "tool_use":
 *       return `${event.name}(${JSON.stringify(event.input)})`;
 *     case "progress":
 *     case "done":
 *       return `[${event.usage.completionTokens} tokens]`;
 *   }
 * }
 * ```
 */
export type GenerationEvent<Tools extends readonly Tool[] = readonly Tool[]> =
  | TextEvent
  | ThinkingEvent
  | ToolUse<Tools>
  | ProgressEvent
  | DoneEvent<Tools>;

/**
 * A listener for events of one type, see {@linkcode Generation.on}.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerationListener } from "@inferd/client";
 *
 * export const print: GenerationListener<"text"> = ({ text }) => console.log(text);
 * ```
 */
export type GenerationListener<
  Type extends GenerationEvent["type"],
  Tools extends readonly Tool[] = readonly Tool[],
> = (event: Extract<GenerationEvent<Tools>, { readonly type: Type }>) => void;

/**
 * The text of an answer: iterate it for the pieces as they come, or call it for the whole.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 *
 * export async function show(client: Client): Promise<void> {
 *   for await (const piece of client.generate("Say hello.").text) console.log(piece);
 *   console.log(await client.generate("Say goodbye.").text());
 * }
 * ```
 */
export interface AnswerText extends AsyncIterable<string> {
  /**
   * The text of the complete answer.
   *
   * @returns The text; fails as {@linkcode Generation.result} does.
   */
  (): Promise<string>;
}

/**
 * A running request. It was sent when this was made; iterate its events or its `text`, or ask for its result.
 *
 * The events can be iterated once. Leaving the loop early cancels the request on the daemon. Nothing is read ahead of the
 * consumer: a slow loop slows the daemon down.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 *
 * export async function ask(client: Client): Promise<void> {
 *   const generation = client.generate({
 *     messages: [{ role: "user", content: "What is the weather in Bern?" }],
 *     tools: [{
 *       name: "weather",
 *       description: "The weather at a place",
 *       inputSchema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
 *     }],
 *   });
 *   for await (const event of generation) {
 *     if (event.type === "text") console.log(event.text);
 *     if (event.type === "tool_use") console.log(event.input.place.toUpperCase());
 *   }
 * }
 * ```
 */
export interface Generation<Tools extends readonly Tool[] = readonly Tool[]>
  extends AsyncIterable<GenerationEvent<Tools>> {
  /** The request's id, as in the daemon's log. */
  readonly id: string;

  /** The answer's text: `for await` gives the pieces as they come, a call the whole text. */
  readonly text: AnswerText;

  /**
   * Call a function for every event of one type, when the event is taken: by a loop, `result()` or `text()`.
   *
   * @param type Which events.
   * @param listener What to call. What it throws ends the answer.
   * @returns This generation.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function show(client: Client): Promise<number> {
   *   const { usage } = await client.generate("Say hello.").on("text", ({ text }) => console.log(text)).result();
   *   return usage.completionTokens;
   * }
   * ```
   */
  on<Type extends GenerationEvent["type"]>(type: Type, listener: GenerationListener<Type, Tools>): this;

  /**
   * The complete answer. Asked for before any loop, it takes the events itself, and they can no longer be iterated.
   *
   * @returns The answer. Asked again, the same.
   * @throws {QueueFullError} If the daemon has no place.
   * @throws {BackendUnavailableError} If no backend can answer, or it failed while it did.
   * @throws {InvalidRequestError} If the request breaks a rule.
   * @throws {FrameTooLargeError} If the request is over the frame limit.
   * @throws {InternalError} If the daemon has a bug.
   * @throws {AttachmentUnsupportedError} If no backend takes attachments of that kind.
   * @throws {ToolCallMalformedError} If the model wrote a call that cannot be read.
   * @throws {ConnectError} If no connection can be made.
   * @throws {ConnectionClosedError} If the daemon went away.
   * @throws {ProtocolError} If what came is not the protocol.
   * @throws {CancelledError} If the loop over the events was left early.
   * @throws {ClientClosedError} If the client was closed meanwhile.
   * @throws {TimeoutError} If `timeoutMs` is over.
   * @throws The signal's reason, if it was aborted.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function think(client: Client, question: string): Promise<string> {
   *   const messages = [{ role: "user", content: question }] as const;
   *   const { thinking, text } = await client.generate({ messages, thinking: true }).result();
   *   return `${thinking}\n---\n${text}`;
   * }
   * ```
   */
  result(): Promise<GenerationResult<Tools>>;
}
