/** Chat Completions conversations: their schema, and conversion to the daemon's messages. */
import { z } from "zod";
import type { Block, Message } from "@inferd/client";
import { isText, joined, type LongText } from "@inferd/client/protocol";
import type { MediaCollector } from "../attachments.ts";
import { longText } from "../long_texts.ts";
import type { Slices } from "../slices.ts";
import { CallArguments, readDataUrl } from "./fields.ts";

const textPart = z.object({ type: z.literal("text"), text: longText });
const refusalPart = z.object({ type: z.literal("refusal"), refusal: z.string() });
const imagePart = z.object({
  type: z.literal("image_url"),
  image_url: z.object({ url: longText, detail: z.string().nullish() }),
});
const audioPart = z.object({
  type: z.literal("input_audio"),
  input_audio: z.object({ data: longText, format: z.string() }),
});
const texts = z.union([longText, z.array(textPart)]);
const toolCall = z.object({
  id: z.string().min(1),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: longText }),
});

/** One message. Other fields echoed from an earlier answer are ignored. */
export const message = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer"]), content: texts }),
  z.object({
    role: z.literal("user"),
    content: z.union([longText, z.array(z.discriminatedUnion("type", [textPart, imagePart, audioPart]))]),
  }),
  z.object({
    role: z.literal("assistant"),
    content: z.union([longText, z.array(z.discriminatedUnion("type", [textPart, refusalPart]))]).nullish(),
    refusal: z.string().nullish(),
    reasoning_content: longText.nullish(),
    tool_calls: z.array(toolCall).nullish(),
    function_call: z.null('is not supported: send "tool_calls"').optional(),
    audio: z.null("is not supported: nothing is stored here, send the text").optional(),
  }),
  z.object({ role: z.literal("tool"), content: texts, tool_call_id: z.string().min(1) }),
]);

type ChatMessage = z.output<typeof message>;

/** @throws {ApiError} If a part is not supported. */
export async function toMessages(
  messages: readonly ChatMessage[],
  media: MediaCollector,
  slices: Slices,
): Promise<Message<LongText>[]> {
  const out: { role: Message["role"]; content: Block<LongText>[] }[] = [];
  const calls = new CallArguments();
  for (const [index, one] of messages.entries()) {
    await slices.next();
    const param = `messages[${index}]`;
    // Results of the calls of one turn form one message.
    const last = messages[index - 1]?.role === "tool" ? out.at(-1) : undefined;
    if (one.role === "tool") {
      const result: Block<LongText> = {
        type: "tool_result",
        toolCallId: one.tool_call_id,
        content: isText(one.content) ? one.content : joined(one.content.map(({ text }) => text), "\n"),
      };
      if (last === undefined) out.push({ role: "user", content: [result] });
      else last.content.push(result);
    } else {
      out.push({
        role: one.role === "developer" ? "system" : one.role,
        content: one.role === "assistant"
          ? await assistantBlocks(one, param, { calls, slices })
          : blocksOf(one.content, param, media),
      });
    }
  }
  return out;
}

type Part = z.output<typeof textPart> | z.output<typeof imagePart> | z.output<typeof audioPart>;

function blocksOf(content: LongText | readonly Part[], param: string, media: MediaCollector): Block<LongText>[] {
  if (isText(content)) return [{ type: "text", text: content }];
  return content.map((part, index): Block<LongText> => {
    if (part.type === "text") return { type: "text", text: part.text };
    if (part.type === "input_audio") {
      const { data, format } = part.input_audio;
      return media.add("audio", `audio/${format}`, data);
    }
    const { mime, base64 } = readDataUrl(part.image_url.url, `${param}.content[${index}].image_url.url`);
    return media.add("image", mime, base64);
  });
}

async function assistantBlocks(
  one: Extract<ChatMessage, { role: "assistant" }>,
  param: string,
  { calls, slices }: { readonly calls: CallArguments; readonly slices: Slices },
): Promise<Block<LongText>[]> {
  const blocks: Block<LongText>[] = [];
  if (one.reasoning_content) blocks.push({ type: "thinking", text: one.reasoning_content });
  const parts = isText(one.content) ? [{ type: "text" as const, text: one.content }] : one.content ?? [];
  for (const part of parts) {
    const text = part.type === "text" ? part.text : part.refusal;
    if (text !== "") blocks.push({ type: "text", text });
  }
  if (one.refusal) blocks.push({ type: "text", text: one.refusal });
  for (const [index, call] of (one.tool_calls ?? []).entries()) {
    blocks.push({
      type: "tool_use",
      toolCallId: call.id,
      name: call.function.name,
      input: await calls.read(call.function.arguments, `${param}.tool_calls[${index}].function.arguments`, slices),
    });
  }
  return blocks.length === 0 ? [{ type: "text", text: "" }] : blocks;
}
