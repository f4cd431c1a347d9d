/** Messages API conversations: their schema, and conversion to the daemon's messages. */
import { z } from "zod";
import type { Block, Message } from "@inferd/client";
import { isText, joined, type LongText } from "@inferd/client/protocol";
import { unsupported } from "../api_error.ts";
import type { MediaCollector } from "../attachments.ts";
import { longText } from "../long_texts.ts";
import { unpackReasoning } from "../openai/responses/items.ts";

const textBlock = z.object({ type: z.literal("text"), text: longText });
const imageBlock = z.object({
  type: z.literal("image"),
  source: z.discriminatedUnion("type", [
    z.object({ type: z.literal("base64"), media_type: z.string(), data: longText }),
    z.object({ type: z.literal("url"), url: z.string() }),
  ]),
});
/** Documents that are text. */
const documentBlock = z.object({
  type: z.literal("document"),
  source: z.discriminatedUnion("type", [
    z.object({ type: z.literal("text"), data: longText }),
    z.object({ type: z.literal("content"), content: z.union([longText, z.array(textBlock)]) }),
  ], "must be text: this server reads no other documents"),
  title: z.string().nullish(),
  context: z.string().nullish(),
  citations: z.object({ enabled: z.literal(false, "must be false: nothing is cited here").nullish() }).nullish(),
});
const toolUseBlock = z.object({
  type: z.literal("tool_use"),
  id: z.string().min(1),
  name: z.string().min(1),
  input: z.record(z.string(), z.unknown()),
});
const toolResultBlock = z.object({
  type: z.literal("tool_result"),
  tool_use_id: z.string().min(1),
  content: z.union([longText, z.array(z.discriminatedUnion("type", [textBlock, imageBlock, documentBlock]))])
    .nullish(),
  is_error: z.boolean().nullish(),
});
const thinkingBlock = z.object({
  type: z.literal("thinking"),
  thinking: longText,
  signature: z.string().nullish(),
});
/** Readable only by the server that wrote it; this one never writes any. */
const redactedBlock = z.object({ type: z.literal("redacted_thinking"), data: z.string() });

const userBlock = z.discriminatedUnion("type", [textBlock, imageBlock, documentBlock, toolResultBlock]);
const assistantBlock = z.discriminatedUnion("type", [textBlock, toolUseBlock, thinkingBlock, redactedBlock]);

/** The system prompt. */
export const system = z.union([longText, z.array(textBlock)]);

export const message = z.discriminatedUnion("role", [
  z.object({ role: z.literal("user"), content: z.union([longText, z.array(userBlock)]) }),
  z.object({ role: z.literal("assistant"), content: z.union([longText, z.array(assistantBlock)]) }),
]);

/** Marks a failed tool call in its result; the daemon's results have no error flag. */
const ERROR_PREFIX = "Error: ";

/** @throws {ApiError} If a block is not supported. */
export function toMessages(
  asked: {
    readonly system?: z.output<typeof system> | null | undefined;
    readonly messages: readonly z.output<typeof message>[];
  },
  media: MediaCollector,
): Message<LongText>[] {
  const messages = asked.messages.map(({ role, content }, index): Message<LongText> => ({
    role,
    content: isText(content)
      ? content
      : orEmpty(content.flatMap((block, at) => toBlocks(block, `messages[${index}].content[${at}]`, media)), content),
  }));
  const { system: said } = asked;
  if (said === null || said === undefined || said.length === 0) return messages;
  return [{ role: "system", content: isText(said) ? said : [...said] }, ...messages];
}

/** The daemon requires a block even if none of the sent ones is for the model; an empty message is refused. */
function orEmpty(blocks: Block<LongText>[], sent: readonly unknown[]): Block<LongText>[] {
  return blocks.length === 0 && sent.length > 0 ? [{ type: "text", text: "" }] : blocks;
}

function toBlocks(
  block: z.output<typeof userBlock> | z.output<typeof assistantBlock>,
  param: string,
  media: MediaCollector,
): Block<LongText>[] {
  switch (block.type) {
    case "text":
      return [{ type: "text", text: block.text }];
    case "image":
      return [imageOf(block, param, media)];
    case "document":
      return [{ type: "text", text: textIn(block) }];
    case "thinking":
      // Of a thought that was omitted the signature has the text.
      return [{ type: "thinking", text: block.thinking || unpackReasoning(block.signature ?? "") }];
    case "redacted_thinking":
      return [];
    case "tool_use":
      return [{ type: "tool_use", toolCallId: block.id, name: block.name, input: block.input }];
    case "tool_result":
      return [{ type: "tool_result", toolCallId: block.tool_use_id, content: resultOf(block, param, media) }];
  }
}

function resultOf(
  { content, is_error }: z.output<typeof toolResultBlock>,
  param: string,
  media: MediaCollector,
): readonly Block<LongText>[] {
  const parts = Array.isArray(content) && content.length > 0
    ? content
    : [{ type: "text" as const, text: isText(content) ? content : "" }];
  const blocks = parts.map((part, index): Block<LongText> =>
    part.type === "text"
      ? part
      : part.type === "document"
      ? { type: "text", text: textIn(part) }
      : imageOf(part, `${param}.content[${index}]`, media)
  );
  return is_error ? [{ type: "text", text: ERROR_PREFIX }, ...blocks] : blocks;
}

function textIn({ source, title, context }: z.output<typeof documentBlock>): LongText {
  const content = source.type === "text" ? source.data : source.content;
  const text = isText(content) ? content : joined(content.map(({ text }) => text), "\n");
  return joined([title ?? "", context ?? "", text].filter((part) => part !== ""), "\n");
}

function imageOf({ source }: z.output<typeof imageBlock>, param: string, media: MediaCollector): Block<LongText> {
  if (source.type === "base64") return media.add("image", source.media_type, source.data);
  throw unsupported(`${param}.source`, "this server downloads nothing, send the image itself in base64");
}
