/** Ollama's completion: `/api/generate`. */
import type { Context } from "hono";
import { z } from "zod";
import type { Block, GenerationEvent, Message } from "@inferd/client";
import { invalid, unsupported } from "../api_error.ts";
import { MediaCollector } from "../attachments.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import { answerOllama } from "./answer.ts";
import { imageType } from "./chat.ts";
import {
  format,
  generationFields,
  keepAlive,
  loading,
  namedModel,
  options,
  readFormat,
  readLogprobs,
  readOptions,
  readThink,
  think,
  warnOfIgnored,
} from "./options.ts";

const body = z.looseObject({
  model: z.string().min(1),
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  format,
  options,
  think,
  stream: z.boolean().nullish(),
  keep_alive: keepAlive,
  ...generationFields,
  suffix: z.string().nullish(),
  template: z.string().nullish(),
  context: z.array(z.int()).nullish(),
  raw: z.boolean().nullish(),
});

export async function generate(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  if (asked.suffix) throw unsupported("suffix", "text is not filled in here");
  if (asked.template) throw unsupported("template", "the model's own chat template is used");
  if (asked.raw && asked.system) throw invalid("system", 'goes without "raw"');
  if (asked.raw && asked.images?.length) throw unsupported("images", "a raw prompt is text only");
  if (asked.context?.length) throw unsupported("context", "nothing is kept, send the conversation to /api/chat");
  const model = await namedModel(bridge.link, asked.model, "generate");
  warnOfIgnored(context, body, asked, model);
  const media = new MediaCollector();
  const images = (asked.images ?? []).map((base64): Block => media.add("image", imageType(base64), base64));
  const system: Message[] = asked.system ? [{ role: "system", content: asked.system }] : [];
  const request = {
    ...readOptions(asked.options),
    messages: [...system, {
      role: "user" as const,
      content: [...images, { type: "text" as const, text: asked.prompt ?? "" }],
    }],
    attachments: media.attachments,
    ...readFormat(asked.format),
    ...readLogprobs(asked),
    thinking: readThink(asked.think, model),
  };
  const raw = { ...request, messages: [], prompt: asked.prompt ?? "", thinking: false };
  return await answerOllama(context, bridge, {
    name: asked.model,
    job: asked.prompt || images.length > 0 ? { model, request: asked.raw ? raw : request } : loading(asked.keep_alive),
    stream: asked.stream ?? true,
    piece: pieceOf,
  });
}

function pieceOf(event: GenerationEvent): Record<string, unknown> {
  switch (event.type) {
    case "text":
      return { response: event.text };
    case "thinking":
      return { response: "", thinking: event.text };
    case "tool_use":
      return { response: "" };
    case "done":
      return { response: event.text, ...(event.thinking === "" ? {} : { thinking: event.thinking }) };
  }
}
