/** Ollama's completion: `/api/generate`. */
import type { Context } from "hono";
import { z } from "zod";
import type { Block, GenerateV2Fields, Message } from "@inferd/client";
import type { LongText } from "@inferd/client/protocol";
import { ApiError, invalid, unsupported } from "../api_error.ts";
import { MediaCollector } from "../attachments.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import type { ServedModel } from "../daemon_link.ts";
import { longText } from "../long_texts.ts";
import { type AnswerEvent, answerOllama } from "./answer.ts";
import { imageType } from "./chat.ts";
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

const body = z.looseObject({
  model: z.string().min(1),
  prompt: longText.nullish(),
  system: z.string().nullish(),
  images: z.array(longText).nullish(),
  format,
  options,
  think,
  stream: z.boolean().nullish(),
  keep_alive: keepAlive,
  ...generationFields,
  suffix: z.string().nullish(),
  template: z.string().nullish(),
  context: z.array(z.int().min(0)).nullish(),
  raw: z.boolean().nullish(),
});

export async function generate(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  if (asked.template) throw unsupported("template", "the model's own chat template is used");
  const model = await bridge.link.model(asked.model, "generate");
  warnOfIgnored(context, body, asked, model);
  const kind = kindOf(asked, model);
  const thinking = readThink(asked.think, model);
  if (kind !== "conversation" && asked.system && kind !== "context") throw invalid("system", `goes without "${kind}"`);
  if (kind !== "conversation" && asked.images?.length) throw invalid("images", `goes without "${kind}"`);
  if (kind !== "conversation" && thinking) throw invalid("think", `goes without "${kind}"`);
  const media = new MediaCollector();
  const images = (asked.images ?? []).map((base64): Block<LongText> => media.add("image", imageType(base64), base64));
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
    thinking,
    // For "context".
    returnTokens: !asked.raw,
  };
  const isEmpty = !asked.prompt && images.length === 0 && !asked.suffix;
  const prompt = kind === "conversation" || isEmpty
    ? {}
    : { ...await promptOf(asked, bridge, { kind, model, signal: context.req.raw.signal }), messages: [] };
  return await answerOllama(context, bridge, {
    name: asked.model,
    job: isEmpty ? loading(asked.keep_alive) : { model, request: { ...request, ...prompt } },
    stream: asked.stream ?? true,
    piece: pieceOf,
  });
}

type Body = z.output<typeof body>;

/** What the prompt is made of: the request's message, or its text as it is, between two, or after an earlier prompt. */
function kindOf(asked: Body, model: ServedModel): "conversation" | "raw" | "suffix" | "context" {
  if (asked.raw) {
    if (asked.context?.length) throw invalid("context", 'goes without "raw"');
    if (!asked.suffix) return "raw";
  }
  if (asked.suffix) {
    if (asked.context?.length) throw invalid("context", 'goes without "suffix"');
    if (!model.backends[0].infill) {
      throw new ApiError(400, `${JSON.stringify(asked.model)} does not support insert`, {
        code: "unsupported_parameter",
        param: "suffix",
      });
    }
    return "suffix";
  }
  return asked.context?.length ? "context" : "conversation";
}

/** The prompt without a chat template, or with only the part of it that comes after an earlier answer. */
async function promptOf(
  { prompt, suffix, context, system }: Body,
  { link }: Bridge,
  { kind, model, signal }: { readonly kind: string; readonly model: ServedModel; readonly signal: AbortSignal },
): Promise<Pick<GenerateV2Fields, "prompt" | "suffix">> {
  if (kind === "raw") return { prompt: prompt ?? "" };
  if (kind === "suffix") return { prompt: prompt ?? "", suffix: suffix ?? "" };
  const client = await link.client("v2");
  // The template closes an answer that is known by its text, and opens the next.
  const earlier = crypto.randomUUID();
  const rendered = await client.applyTemplate({
    messages: [
      { role: "user", content: "?" },
      { role: "assistant", content: earlier },
      ...(system ? [{ role: "system" as const, content: system }] : []),
      { role: "user", content: prompt ?? "" },
    ],
  }, { model: model.name, signal });
  const at = rendered.indexOf(earlier);
  if (at < 0) throw unsupported("context", "this model's chat template leaves out earlier answers");
  return { prompt: [...context ?? [], rendered.slice(at + earlier.length)] };
}

function pieceOf(event: AnswerEvent): Record<string, unknown> {
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
