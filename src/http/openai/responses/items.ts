/** Responses API items: their schema, and conversion to the daemon's messages. */
import { z } from "zod";
import { Buffer } from "node:buffer";
import type { Block, Message } from "@inferd/client";
import { isText, type LongText } from "@inferd/client/protocol";
import { invalid, unsupported } from "../../api_error.ts";
import type { MediaCollector } from "../../attachments.ts";
import { longText } from "../../long_texts.ts";
import type { Slices } from "../../slices.ts";
import { CallArguments, readDataUrl } from "../fields.ts";
import { flatName } from "./tools.ts";

const textPart = z.object({ type: z.enum(["input_text", "output_text", "text"]), text: longText });
const refusalPart = z.object({ type: z.literal("refusal"), refusal: z.string() });
const imagePart = z.object({
  type: z.literal("input_image"),
  image_url: longText.nullish(),
  file_id: z.string().nullish(),
  detail: z.string().nullish(),
});
const audioPart = z.object({
  type: z.literal("input_audio"),
  input_audio: z.object({ data: longText, format: z.string() }),
});
const part = z.discriminatedUnion("type", [textPart, refusalPart, imagePart, audioPart]);
type Part = z.output<typeof part>;

const messageItem = z.object({
  type: z.literal("message"),
  role: z.enum(["user", "assistant", "system", "developer"]),
  content: z.union([longText, z.array(part)]),
});
const callItem = z.object({
  type: z.literal("function_call"),
  call_id: z.string().min(1),
  name: z.string().min(1),
  namespace: z.string().nullish(),
  arguments: longText,
});
const outputItem = z.object({
  type: z.literal("function_call_output"),
  call_id: z.string().min(1),
  output: z.union([longText, z.array(part)]),
});
const reasoningItem = z.object({
  type: z.literal("reasoning"),
  summary: z.array(z.object({ type: z.literal("summary_text"), text: z.string() })).nullish(),
  content: z.array(z.object({ type: z.literal("reasoning_text"), text: z.string() })).nullish(),
  encrypted_content: z.string().nullish(),
});

/** An input item; without a type it is a message. */
export const item = z.preprocess(
  (value) => isUntyped(value) ? { ...value, type: "message" } : value,
  z.discriminatedUnion("type", [messageItem, callItem, outputItem, reasoningItem]),
);
type Item = z.output<typeof item>;

function isUntyped(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    ((value as { type?: unknown }).type ?? undefined) === undefined;
}

/** @throws {ApiError} If an item is not supported. */
export async function toMessages(
  { instructions, input }: {
    readonly instructions?: string | null | undefined;
    readonly input: LongText | readonly Item[];
  },
  media: MediaCollector,
  slices: Slices,
): Promise<Message<LongText>[]> {
  const out: { role: Message["role"]; content: Block<LongText>[] }[] = [];
  if (instructions) out.push({ role: "system", content: [{ type: "text", text: instructions }] });
  if (isText(input)) return [...out, { role: "user", content: [{ type: "text", text: input }] }];
  /** Append to the last message if it has the same role; the items of an answer form one message. */
  const add = (role: Message["role"], blocks: readonly Block<LongText>[], joins: boolean): void => {
    const last = out.at(-1);
    if (joins && last?.role === role) last.content.push(...blocks);
    else out.push({ role, content: [...blocks] });
  };
  const calls = new CallArguments();
  let wasResult = false;
  for (const [index, one] of input.entries()) {
    await slices.next();
    const param = `input[${index}]`;
    const isResult = one.type === "function_call_output";
    switch (one.type) {
      case "function_call":
        add("assistant", [{
          type: "tool_use",
          toolCallId: one.call_id,
          name: flatName(one),
          input: await calls.read(one.arguments, `${param}.arguments`, slices),
        }], true);
        break;
      case "function_call_output": {
        const output = one.output.length === 0 ? "" : one.output;
        const content = isText(output) ? output : toBlocks(output, `${param}.output`, media);
        add("user", [{ type: "tool_result", toolCallId: one.call_id, content }], wasResult);
        break;
      }
      case "reasoning": {
        const text = textOf(one);
        if (text !== "") add("assistant", [{ type: "thinking", text }], true);
        break;
      }
      default: {
        const role = one.role === "developer" ? "system" : one.role;
        add(role, toBlocks(one.content, `${param}.content`, media), role === "assistant");
      }
    }
    wasResult = isResult;
  }
  if (out.every(({ role }) => role === "system")) throw invalid("input", "must hold a message besides instructions");
  return out;
}

function toBlocks(content: LongText | readonly Part[], param: string, media: MediaCollector): Block<LongText>[] {
  if (isText(content)) return [{ type: "text", text: content }];
  return content.map((part, index): Block<LongText> => {
    switch (part.type) {
      case "refusal":
        return { type: "text", text: part.refusal };
      case "input_audio":
        return media.add("audio", `audio/${part.input_audio.format}`, part.input_audio.data);
      case "input_image": {
        const where = `${param}[${index}]`;
        if (part.file_id) throw unsupported(`${where}.file_id`, "no files are stored here, send the image itself");
        if (!part.image_url) throw invalid(`${where}.image_url`, "must be a data: URL");
        const { mime, base64 } = readDataUrl(part.image_url, `${where}.image_url`);
        return media.add("image", mime, base64);
      }
      default:
        return { type: "text", text: part.text };
    }
  });
}

/** Tells packed text from what other servers encrypt. */
const PACKED = "inferd.";

/** The thinking, from whichever field the client kept. */
function textOf({ summary, content, encrypted_content: packed }: z.output<typeof reasoningItem>): string {
  if (content?.length) return content.map(({ text }) => text).join("");
  return unpackReasoning(packed ?? "") || (summary ?? []).map(({ text }) => text).join("");
}

/**
 * Encode `encrypted_content` of a reasoning item, or Anthropic's signature of an omitted thought, which clients only
 * carry back and forth. It is not secret from them,
 * so it is encoded rather than encrypted.
 */
export function packReasoning(text: string): string {
  return PACKED + Buffer.from(text).toString("base64");
}

/** @returns The text; empty for what another server encrypted. */
export function unpackReasoning(packed: string): string {
  return packed.startsWith(PACKED) ? Buffer.from(packed.slice(PACKED.length), "base64").toString() : "";
}
