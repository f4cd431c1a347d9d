/**
 * Generation v2 as callers see it: a request of blocks, tools or a schema, and the typed events of its answer.
 */
import type { V1Role, V2StopReason } from "./protocol/mod.ts";
import type { Attachment, Block, Message, Tool, ToolChoice, ToolUse } from "./blocks.ts";
import type { SamplingOptions, Usage } from "./generation.ts";
import type { JsonSchema } from "./schema.ts";

/**
 * What a v2 request may say; which of it makes it one is {@linkcode V2Mark}'s.
 *
 * @example
 * ```ts
 * import type { GenerateV2Fields } from "@inferd/client";
 *
 * export const fields: GenerateV2Fields = {
 *   messages: [{ role: "user", content: "What is 7 times 8?" }],
 *   thinking: true,
 *   maxTokens: 300,
 * };
 * ```
 */
export interface GenerateV2Fields<Tools extends readonly Tool[] = readonly Tool[]> extends SamplingOptions {
  /** Name of a backend or of a model it serves; no other backend answers. Default: any, in the operator's order. */
  readonly model?: string | undefined;
  /** The conversation, not empty. */
  readonly messages: readonly Message[];
  /** What the conversation's media blocks refer to; at most 32. */
  readonly attachments?: readonly Attachment[] | undefined;
  /** What the model may call; at most 128. */
  readonly tools?: Tools | undefined;
  /** Whether the model may, must or must not call a tool, or which one it must call. Default `auto`. */
  readonly toolChoice?: ToolChoice<Tools[number]["name"]> | undefined;
  /** JSON Schema that the answer's text follows. Not together with a `toolChoice` that requires a call. */
  readonly schema?: JsonSchema | undefined;
  /** `true`: the answer's text is a JSON object, any one. Without `schema`, which says more. */
  readonly json?: boolean | undefined;
  /** 0 … 20: tell with each text how likely its tokens were, and so many of the likeliest in their places. */
  readonly logprobs?: number | undefined;
  /** Asks for a reasoning trace. Default `false`: the model is asked not to think. */
  readonly thinking?: boolean | undefined;
  /** `false`: text and thinking come as one event each, before `done`. Default `true`. */
  readonly stream?: boolean | undefined;
  /** Only v1 takes grammars; here it is `schema`. */
  readonly grammar?: undefined;
}

/**
 * What makes a request one of v2: blocks, or any of its fields. Plain text goes to v1 otherwise; `thinking: false` sends
 * it to v2.
 *
 * @example
 * ```ts
 * import type { V2Mark } from "@inferd/client";
 *
 * // Any one of these sends a request to generation v2.
 * export const marks: readonly V2Mark[] = [{ thinking: false }, { schema: { type: "string" } }, { toolChoice: "none" }];
 * ```
 */
export type V2Mark =
  | { readonly messages: readonly { readonly role: V1Role; readonly content: readonly Block[] }[] }
  | { readonly attachments: readonly Attachment[] }
  | { readonly tools: readonly Tool[] }
  | { readonly toolChoice: ToolChoice }
  | { readonly schema: JsonSchema }
  | { readonly json: boolean }
  | { readonly logprobs: number }
  | { readonly thinking: boolean }
  | { readonly model: string };

/**
 * What to generate, with blocks, tools, a schema or thinking. What is left out is the daemon's default.
 *
 * @example
 * ```ts
 * import type { GenerateV2Request } from "@inferd/client";
 *
 * export const request: GenerateV2Request = {
 *   messages: [{ role: "user", content: "Name a colour." }],
 *   schema: { enum: ["red", "green", "blue"] },
 * };
 * ```
 */
export type GenerateV2Request<Tools extends readonly Tool[] = readonly Tool[]> = GenerateV2Fields<Tools> & V2Mark;

/**
 * A piece of the answer's text.
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
  /** The tokens that begin in it, where the request asks for them. */
  readonly logprobs?: readonly TokenLogprob[];
}

/**
 * How likely the model found a token.
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
  /** The token's text; bytes that are no whole character as U+FFFD. */
  readonly token: string;
  /** Its id; absent where a remote server does not tell it. */
  readonly tokenId?: number;
  /** The bytes of its text. */
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability, as the model has it before sampling. */
  readonly logprob: number;
}

/**
 * A token of the answer's text, and what might have stood in its place.
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
  /** The likeliest tokens in its place, the likeliest first; as many as were asked for. */
  readonly top: readonly TokenProbability[];
}

/**
 * A piece of the reasoning trace.
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
 * Why a v2 answer ended; a newer daemon may know more reasons.
 *
 * @example
 * ```ts
 * import type { GenerationV2StopReason } from "@inferd/client";
 *
 * export function isWhole(reason: GenerationV2StopReason): boolean {
 *   return reason === "end_turn" || reason === "tool_use";
 * }
 * ```
 */
export type GenerationV2StopReason = V2StopReason | (string & Record<never, never>);

/**
 * How long the parts of an answer took, in milliseconds.
 *
 * @example
 * ```ts
 * import type { GenerationV2Result } from "@inferd/client";
 *
 * export function tokensPerSecond({ usage, timings }: GenerationV2Result): number | undefined {
 *   return timings === undefined ? undefined : (usage.completionTokens - 1) / timings.generationMs * 1000;
 * }
 * ```
 */
export interface GenerationTimings {
  /** It waited for its turn. */
  readonly queueMs: number;
  /** Its prompt was processed, up to the first token. */
  readonly promptMs: number;
  /** From the first token to the end. */
  readonly generationMs: number;
}

/**
 * A complete v2 answer.
 *
 * @example
 * ```ts
 * import type { GenerationV2Result } from "@inferd/client";
 *
 * export function summary({ thinking, text, toolCalls }: GenerationV2Result): string {
 *   return `${thinking.length} characters of thought, ${text.length} of text, ${toolCalls.length} calls`;
 * }
 * ```
 */
export interface GenerationV2Result<Tools extends readonly Tool[] = readonly Tool[]> {
  /** The whole text. */
  readonly text: string;
  /** The whole reasoning trace, empty where none was asked for. */
  readonly thinking: string;
  /** The calls, in the order they came. */
  readonly toolCalls: readonly ToolUse<Tools>[];
  /** Token counts. */
  readonly usage: Usage;
  /** How long it took; absent where an older daemon does not tell. */
  readonly timings?: GenerationTimings;
  /** Every token of the text, where the request asks for them. */
  readonly logprobs?: readonly TokenLogprob[];
  /** Why it ended. */
  readonly stopReason: GenerationV2StopReason;
  /** Which backend answered; for diagnosis only. */
  readonly backend: string;
  /** A call was required and did not come before the tokens ran out. */
  readonly toolChoiceUnsatisfied: boolean;
}

/**
 * A v2 answer is complete; the last event.
 *
 * @example
 * ```ts
 * import type { DoneV2Event } from "@inferd/client";
 *
 * export function wasCut({ stopReason, toolChoiceUnsatisfied }: DoneV2Event): boolean {
 *   return stopReason === "max_tokens" || toolChoiceUnsatisfied;
 * }
 * ```
 */
export interface DoneV2Event<Tools extends readonly Tool[] = readonly Tool[]> extends GenerationV2Result<Tools> {
  /** Discriminates the event. */
  readonly type: "done";
}

/**
 * What a v2 generation yields: any number of `text`, `thinking` and `tool_use`, then one `done`. Failures are thrown.
 *
 * @example
 * ```ts
 * import type { GenerationV2Event } from "@inferd/client";
 *
 * export function show(event: GenerationV2Event): string {
 *   switch (event.type) {
 *     case "text":
 *     case "thinking":
 *       return event.text;
 *     case "tool_use":
 *       return `${event.name}(${JSON.stringify(event.input)})`;
 *     case "done":
 *       return `[${event.usage.completionTokens} tokens]`;
 *   }
 * }
 * ```
 */
export type GenerationV2Event<Tools extends readonly Tool[] = readonly Tool[]> =
  | TextEvent
  | ThinkingEvent
  | ToolUse<Tools>
  | DoneV2Event<Tools>;

/**
 * A running v2 request. It was sent when this was made; take its events in a loop, or ask for its result.
 *
 * As with v1, the events can be iterated once, leaving the loop early cancels the request on the daemon, and nothing is
 * read ahead of the consumer.
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
export interface GenerationV2<Tools extends readonly Tool[] = readonly Tool[]>
  extends AsyncIterable<GenerationV2Event<Tools>> {
  /** The request's id, as in the daemon's log. */
  readonly id: string;

  /**
   * The complete answer. Asked for before any loop, it takes the events itself, and they can no longer be iterated.
   *
   * @returns The answer. Asked again, the same.
   * @throws {AttachmentUnsupportedError} If no backend takes attachments of that kind.
   * @throws {ToolCallMalformedError} If the model wrote a call that cannot be read.
   * @throws What `Generation.result` throws.
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
  result(): Promise<GenerationV2Result<Tools>>;

  /**
   * The text of the complete answer.
   *
   * @returns The text, see {@linkcode GenerationV2.result}.
   * @throws What {@linkcode GenerationV2.result} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function brief(client: Client, question: string): Promise<string> {
   *   const content = [{ type: "text", text: question }, { type: "text", text: "Answer in one word." }] as const;
   *   return await client.generate({ messages: [{ role: "user", content }] }).text();
   * }
   * ```
   */
  text(): Promise<string>;
}

/**
 * Decide which surface a request is for.
 *
 * @param request What the caller said.
 * @returns Whether only v2 can answer it.
 */
export function isV2(request: GenerateV2Fields | { readonly messages: readonly Message[] }): boolean {
  const { attachments, tools, toolChoice, schema, json, logprobs, thinking, model }: Partial<GenerateV2Fields> =
    request;
  return [attachments, tools, toolChoice, schema, json, logprobs, thinking, model].some((field) =>
    field !== undefined
  ) ||
    request.messages.some(({ content }) => Array.isArray(content));
}
