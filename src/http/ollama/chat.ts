/** Ollama's chat: `/api/chat`. */
import type { Context } from "hono";
import { z } from "zod";
import type { Block, Message } from "@inferd/client";
import { type LongText, MAX_TOOLS, partsOf } from "@inferd/client/protocol";
import { invalid } from "../api_error.ts";
import { MediaCollector } from "../attachments.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import { longText } from "../long_texts.ts";
import { functionTool, toTool } from "../openai/fields.ts";
import { type AnswerEvent, answerOllama } from "./answer.ts";
import {
  format,
  generationFields,
  keepAlive,
  loading,
  options,
  readFormat,
  readLogprobs,
  readOptions,
  readThink,
  think,
  warnOfIgnored,
} from "./options.ts";

const message = z.object({
  // As in Ollama, case does not matter.
  role: z.string().toLowerCase().pipe(z.enum(["system", "user", "assistant", "tool"])),
  content: longText.nullish(),
  thinking: longText.nullish(),
  images: z.array(longText).nullish(),
  tool_calls: z.array(z.object({
    id: z.string().nullish(),
    function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }),
  })).nullish(),
  tool_name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
});

const body = z.looseObject({
  model: z.string().min(1),
  messages: z.array(message).nullish(),
  tools: z.array(z.object({ type: z.literal("function").nullish(), function: functionTool })).max(MAX_TOOLS).nullish(),
  format,
  options,
  think,
  stream: z.boolean().nullish(),
  keep_alive: keepAlive,
  ...generationFields,
});

export async function chat(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body, { inPieces: "messages" });
  const model = await bridge.link.model(asked.model, "generate");
  warnOfIgnored(context, body, asked, model);
  const messages = asked.messages ?? [];
  const tools = (asked.tools ?? []).map((tool) => toTool(tool.function));
  const media = new MediaCollector();
  const request = {
    ...readOptions(asked.options),
    messages: toMessages(messages, media),
    attachments: media.attachments,
    tools: tools.length === 0 ? undefined : tools,
    ...readFormat(asked.format),
    ...readLogprobs(asked),
    thinking: readThink(asked.think, model),
  };
  return await answerOllama(context, bridge, {
    name: asked.model,
    job: messages.length === 0 ? loading(asked.keep_alive) : { model, request },
    stream: asked.stream ?? true,
    piece: (event) => ({ message: pieceOf(event) }),
  });
}

/** Ollama's calls have no ids: a result belongs to the first unanswered call of the named tool. */
function toMessages(messages: readonly z.output<typeof message>[], media: MediaCollector): Message<LongText>[] {
  const out: { role: Message["role"]; content: Block<LongText>[] }[] = [];
  let open: { id: string; name: string }[] = [];
  let made = 0;
  for (const [index, one] of messages.entries()) {
    const text: Block<LongText>[] = one.content ? [{ type: "text", text: one.content }] : [];
    const images = (one.images ?? []).map((base64): Block<LongText> => media.add("image", imageType(base64), base64));
    if (one.role === "tool") {
      const found = open.find(({ id, name }) =>
        one.tool_call_id ? id === one.tool_call_id : !one.tool_name || name === one.tool_name
      );
      if (found === undefined) throw invalid(`messages[${index}]`, "is the result of no call before it");
      open = open.filter((call) => call !== found);
      const result: Block<LongText> = {
        type: "tool_result",
        toolCallId: found.id,
        content: images.length === 0 ? one.content ?? "" : [...text, ...images],
      };
      const last = messages[index - 1]?.role === "tool" ? out.at(-1) : undefined;
      if (last === undefined) out.push({ role: "user", content: [result] });
      else last.content.push(result);
      continue;
    }
    const thinking: Block<LongText>[] = one.role === "assistant" && one.thinking
      ? [{ type: "thinking", text: one.thinking }]
      : [];
    const calls = (one.tool_calls ?? []).map(({ id, function: { name, arguments: input } }) => {
      const call = { id: id || `call-${++made}`, name };
      open.push(call);
      return { type: "tool_use" as const, toolCallId: call.id, name, input };
    });
    const blocks = [...thinking, ...images, ...text, ...calls];
    out.push({ role: one.role, content: blocks.length === 0 ? [{ type: "text", text: "" }] : blocks });
  }
  return out;
}

/** Detects the type of an image from its first bytes, since Ollama sends none. */
export function imageType(base64: LongText): string {
  const [beginning = ""] = partsOf(base64);
  const [, type] = IMAGE_HEADS.find(([head]) => beginning.startsWith(head)) ?? [];
  return type ?? "image/png";
}

const IMAGE_HEADS: readonly (readonly [string, string])[] = [
  ["/9j/", "image/jpeg"],
  ["iVBORw0KGgo", "image/png"],
  ["R0lGOD", "image/gif"],
  ["UklGR", "image/webp"],
];

function pieceOf(event: AnswerEvent): Record<string, unknown> {
  const head = { role: "assistant", content: "" };
  switch (event.type) {
    case "text":
      return { ...head, content: event.text };
    case "thinking":
      return { ...head, thinking: event.text };
    case "tool_use":
      return { ...head, tool_calls: [callOf(event)] };
    case "done":
      return {
        ...head,
        content: event.text,
        ...(event.thinking === "" ? {} : { thinking: event.thinking }),
        ...(event.toolCalls.length === 0 ? {} : { tool_calls: event.toolCalls.map(callOf) }),
      };
  }
}

function callOf(call: Extract<AnswerEvent, { type: "tool_use" }>): Record<string, unknown> {
  return { id: call.toolCallId, function: { name: call.name, arguments: call.input } };
}
