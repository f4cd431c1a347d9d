/** Fields that several of OpenAI's requests share, and what of them cannot be honoured. */
import { z } from "zod";
import type { JsonSchema, SamplingOptions, Tool, ToolChoice } from "@inferd/client";
import { invalid, unsupported } from "../api_error.ts";

/** What a JSON object may hold. */
export const jsonObject = z.record(z.string(), z.unknown());

/** Fields that say nothing of the answer: for the provider's books, or hints to caches this server has anyway. */
export const bookkeeping = {
  user: z.string().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
  cache_prompt: z.boolean().nullish(),
  service_tier: z.enum(["auto", "default"], 'must be "auto" or "default": there is one tier').nullish(),
};

/** Nothing is stored here. */
export const notStored = z.literal(false, "must be false: nothing is stored").nullish();

/** How tokens are chosen, and what ends an answer: OpenAI's fields, and those that local servers have besides. */
export const sampling = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  repeat_penalty: z.number().gt(0).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d+$/, "must be the number of a token"), z.number().min(-100).max(100))
    .nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).nullish(),
};

/**
 * Reads {@linkcode sampling}, or a part of it.
 *
 * @param body What was sent.
 */
export function readSampling(
  body: Partial<z.output<z.ZodObject<typeof sampling>>>,
): SamplingOptions {
  return {
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    topK: body.top_k ?? undefined,
    minP: body.min_p ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    repeatPenalty: body.repeat_penalty ?? undefined,
    logitBias: body.logit_bias ?? undefined,
    seed: body.seed ?? undefined,
    stop: body.stop === null || body.stop === undefined ? undefined : [body.stop].flat(),
  };
}

/** How much a model is to think. */
export const reasoningEffort = z.enum(["none", "minimal", "low", "medium", "high", "xhigh"]);

/** Whether an effort asks for a reasoning trace; a local model thinks or does not. */
export function thinks(effort: z.output<typeof reasoningEffort> | null | undefined): boolean {
  return effort !== undefined && effort !== null && effort !== "none" && effort !== "minimal";
}

/** A function a model may call. */
export const functionTool = z.object({
  name: z.string().min(1),
  description: z.string().nullish(),
  parameters: jsonObject.nullish(),
  strict: z.boolean().nullish(),
});

/** A function as the daemon takes it. Arguments always follow their schema, whether `strict` is set or not. */
export function toTool({ name, description, parameters }: z.output<typeof functionTool>): Tool {
  return { name, description: description ?? "", inputSchema: toSchema(parameters ?? { type: "object" }) };
}

/** A JSON Schema without what says which version of it is meant. */
export function toSchema(schema: z.output<typeof jsonObject>): JsonSchema {
  const { $schema: _, $id: _id, ...rest } = schema;
  return rest;
}

/** The forms `tool_choice` has: three words, or a function's name. */
export function toToolChoice(
  choice: "auto" | "none" | "required" | { readonly name: string } | null | undefined,
  tools: readonly Tool[],
): ToolChoice | undefined {
  if (choice === null || choice === undefined) return undefined;
  if (tools.length === 0) {
    if (choice === "none" || choice === "auto") return undefined;
    throw invalid("tool_choice", 'is only allowed when "tools" are specified');
  }
  if (typeof choice === "object" && !tools.some(({ name }) => name === choice.name)) {
    throw invalid("tool_choice", `names ${JSON.stringify(choice.name)}, which is not one of "tools"`);
  }
  return choice;
}

/** Arguments of an earlier call, which OpenAI has as text. */
export function readArguments(text: string, param: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(param, "must be a JSON object, as text");
  }
  return value as Record<string, unknown>;
}

/** `image_url`, as OpenAI has it, to a media type and base64. */
export function readDataUrl(url: string, param: string): { readonly mime: string; readonly base64: string } {
  const [, mime, base64] = /^data:([^;,]+)(?:;[^;,]+)*;base64,(.*)$/s.exec(url) ?? [];
  if (mime !== undefined && base64 !== undefined) return { mime, base64 };
  throw unsupported(param, "this server fetches nothing, send the image itself as a data: URL in base64");
}
