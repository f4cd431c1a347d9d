/** The content of a conversation in generation v2: blocks, attachments and tools, as callers write them. */
import type { LongText, V1Role, V2MediaKind, V2ToolChoice } from "./protocol/mod.ts";
import type { JsonFields } from "./schema.ts";
import type { AnySchema, InferSchema } from "./standard_schema.ts";

/**
 * Text.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { TextBlock } from "@inferd/client";
 *
 * export const question: TextBlock = { type: "text", text: "What is in this picture?" };
 * ```
 */
export interface TextBlock<Text extends LongText = string> {
  /** Discriminates the block. */
  readonly type: "text";
  /** The text. */
  readonly text: Text;
}

/**
 * The position of an attachment.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { MediaBlock } from "@inferd/client";
 *
 * // Shows the attachment with the id `photo`.
 * export const picture: MediaBlock = { type: "image", attachmentId: "photo" };
 * ```
 */
export interface MediaBlock {
  /** Discriminates the block; the attachment is of the same kind. */
  readonly type: V2MediaKind;
  /** The attachment's id. */
  readonly attachmentId: string;
}

/**
 * A call the model made earlier, in an assistant's message. A `tool_use` event is one. A later message has its result.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { ToolUseBlock } from "@inferd/client";
 *
 * export const call: ToolUseBlock = { type: "tool_use", toolCallId: "tc-1", name: "weather", input: { place: "Bern" } };
 * ```
 */
export interface ToolUseBlock {
  /** Discriminates the block. */
  readonly type: "tool_use";
  /** The call's id. */
  readonly toolCallId: string;
  /** The tool's name. */
  readonly name: string;
  /** Its arguments. */
  readonly input: Readonly<JsonFields>;
}

/**
 * The result of a call, in a user's message.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Message, ToolResultBlock, ToolUse } from "@inferd/client";
 *
 * export function told(call: ToolUse, text: string): Message {
 *   const result: ToolResultBlock = { type: "tool_result", toolCallId: call.toolCallId, content: text };
 *   return { role: "user", content: [result] };
 * }
 * ```
 */
export interface ToolResultBlock<Text extends LongText = string> {
  /** Discriminates the block. */
  readonly type: "tool_result";
  /** The id of the call. */
  readonly toolCallId: string;
  /** The result: text, or text and media. The model sees text as it is, also where it is JSON or a number. */
  readonly content: Text | readonly Block<Text>[];
}

/**
 * What the model thought in an earlier turn; only in an assistant's message. A `thinking` event is one. Models see it
 * where their chat template has a place for it: most want what they thought between two calls, few what they thought
 * before an answer.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Block, GenerationResult } from "@inferd/client";
 *
 * export function turnOf({ thinking, text, toolCalls }: GenerationResult): readonly Block[] {
 *   return [{ type: "thinking", text: thinking }, { type: "text", text }, ...toolCalls];
 * }
 * ```
 */
export interface ThinkingBlock<Text extends LongText = string> {
  /** Discriminates the block. */
  readonly type: "thinking";
  /** The reasoning trace; ignored if empty. */
  readonly text: Text;
}

/**
 * A part of a message.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Block } from "@inferd/client";
 *
 * export function textOf(blocks: readonly Block[]): string {
 *   return blocks.map((block) => (block.type === "text" ? block.text : "")).join("");
 * }
 * ```
 */
export type Block<Text extends LongText = string> =
  | TextBlock<Text>
  | MediaBlock
  | ThinkingBlock<Text>
  | ToolUseBlock
  | ToolResultBlock<Text>;

/**
 * One turn of a conversation. A string stands for one `text` block. Requests also take long texts in parts, as
 * `JoinedText` of `@inferd/client/protocol`.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Message } from "@inferd/client";
 *
 * export const conversation: readonly Message[] = [
 *   { role: "system", content: "Answer in one sentence." },
 *   { role: "user", content: [{ type: "text", text: "What is a fox?" }] },
 * ];
 * ```
 */
export interface Message<Text extends LongText = string> {
  /** The role of its author. */
  readonly role: V1Role;
  /** The content. */
  readonly content: Text | readonly Block<Text>[];
}

/**
 * Media that blocks refer to.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Attachment } from "@inferd/client";
 * import { readFile } from "node:fs/promises";
 *
 * // That it is a PNG the daemon sees by itself.
 * export async function picture(path: string): Promise<Attachment> {
 *   return { id: "photo", kind: "image", bytes: await readFile(path) };
 * }
 * ```
 */
export interface Attachment<Text extends LongText = string> {
  /** The id that blocks refer to; unique in the request. */
  readonly id: string;
  /** The kind of media. */
  readonly kind: V2MediaKind;
  /** Its media type, e.g. `image/png`. May be left out where the bytes tell: PNG, JPEG, GIF, WebP, MP3, WAV, MP4 and others. */
  readonly mime?: string | undefined;
  /** The bytes, or their base64 encoding. */
  readonly bytes: Uint8Array | Text;
}

/**
 * A tool that the model may call.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Tool } from "@inferd/client";
 *
 * export const weather = {
 *   name: "weather",
 *   description: "The weather at a place",
 *   inputSchema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
 * } as const satisfies Tool;
 * ```
 */
export interface Tool {
  /** Unique in the request: 1 to 128 of the letters A-Z and a-z, digits and `_ - . / :`. */
  readonly name: string;
  /** The description for the model. */
  readonly description: string;
  /** Schema of its arguments, an object's: JSON Schema, or one of another library. */
  readonly inputSchema: AnySchema;
}

/**
 * Whether the model may, must or must not call a tool; with a name, it must call that one and no other.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 *
 * export async function placeIn(client: Client, text: string): Promise<string | undefined> {
 *   const { toolCalls: [call] } = await client.generate({
 *     messages: [{ role: "user", content: text }],
 *     tools: [{
 *       name: "calendar.place",
 *       description: "Notes the place of a meeting",
 *       inputSchema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
 *     }],
 *     toolChoice: { name: "calendar.place" },
 *   }).result();
 *   return call?.input.place;
 * }
 * ```
 */
export type ToolChoice<Name extends string = string> = Extract<V2ToolChoice, string> | {
  /** The name of one of the request's tools. */
  readonly name: Name;
};

/**
 * The type of a tool's arguments, from its schema.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { ToolInput } from "@inferd/client";
 *
 * const schema = { type: "object", properties: { place: { type: "string" } }, required: ["place"] } as const;
 *
 * export function placeOf(input: ToolInput<typeof schema>): string {
 *   return input.place;
 * }
 * ```
 */
export type ToolInput<Schema> = unknown extends InferSchema<Schema> ? JsonFields : InferSchema<Schema>;

/**
 * A complete call of one of these tools; its `input` is told apart by `name`. Can be put into a message as it is.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { Tool, ToolUse } from "@inferd/client";
 *
 * const add = {
 *   name: "add",
 *   description: "Adds",
 *   inputSchema: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } }, required: ["a", "b"] },
 * } as const satisfies Tool;
 *
 * export function sum({ input }: ToolUse<readonly [typeof add]>): number {
 *   return input.a + input.b;
 * }
 * ```
 */
export type ToolUse<Tools extends readonly Tool[] = readonly Tool[]> = ToolUseOf<Tools[number]>;

/**
 * One type per tool, so that they become a union.
 *
 * @internal
 */
type ToolUseOf<One extends Tool> = One extends Tool ? {
    /** Discriminates the event, and the block. */
    readonly type: "tool_use";
    /** The call's id; its result refers to it. */
    readonly toolCallId: string;
    /** The tool's name. */
    readonly name: One["name"];
    /** Its arguments. */
    readonly input: ToolInput<One["inputSchema"]>;
  }
  : never;
