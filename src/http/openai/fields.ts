/** Fields that several of OpenAI's requests share, and what of them cannot be honoured. */
import { z } from "zod";
import type { JsonSchema, SamplingOptions, Tool, ToolChoice } from "@inferd/client";
import { invalid, unsupported } from "../api_error.ts";
import { isTooDeep, MAX_NESTING } from "../nesting.ts";

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

/** How a stream is told. */
export const streamOptions = z.strictObject({
  include_usage: z.boolean().nullish(),
  include_obfuscation: z.boolean().nullish(),
}).nullish();

/** @throws {ApiError} If {@linkcode streamOptions} come without a stream. */
export function checkStreamOptions(asked: { readonly stream?: unknown; readonly stream_options?: unknown }): void {
  if (asked.stream_options && !asked.stream) {
    throw invalid("stream_options", 'is only allowed when "stream" is true');
  }
}

/** Nothing is stored here. */
export const notStored = z.literal(false, "must be false: nothing is stored").nullish();

/** Both ends are allowed, and 0 leaves the likeliest token alone. */
export const topP = z.number().min(0).max(1).nullish();

/** The daemon's lower end is open; this is less than the likeliest token of any vocabulary has. */
const LEAST_TOP_P = 1e-7;

/** Reads {@linkcode topP}. */
export function readTopP(value: z.output<typeof topP>): number | undefined {
  return value === null || value === undefined ? undefined : Math.max(LEAST_TOP_P, value);
}

/** 64 bits, as these APIs have it; more than 53 of them do not survive JSON. */
export const seed = z.number().min(-(2 ** 63)).max(2 ** 63).refine(Number.isInteger, "must be an integer").nullish();

/** The largest seed that stays exact when the number of an answer is added. */
const SEEDS = 2 ** 52;

/** Reads {@linkcode seed}: what the daemon cannot have exactly becomes another seed, always the same one. */
export function readSeed(value: z.output<typeof seed>): number | undefined {
  if (value === null || value === undefined) return undefined;
  return Math.abs(value) < SEEDS ? value : value % SEEDS;
}

/** How tokens are chosen, and what ends an answer: OpenAI's fields, and those that local servers have besides. */
export const sampling = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: topP,
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  repeat_penalty: z.number().gt(0).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d+$/, "must be the number of a token"), z.number().min(-100).max(100))
    .nullish(),
  seed,
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
    topP: readTopP(body.top_p),
    topK: body.top_k ?? undefined,
    minP: body.min_p ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    repeatPenalty: body.repeat_penalty ?? undefined,
    logitBias: body.logit_bias ?? undefined,
    seed: readSeed(body.seed),
    stop: body.stop === null || body.stop === undefined ? undefined : [body.stop].flat(),
  };
}

/**
 * Refuse what the API has and this server cannot honour; null says nothing.
 *
 * @param asked The body.
 * @param reasons By field, why it is not possible and what to do.
 * @throws {ApiError} If one is given.
 */
export function refuseGiven(asked: Readonly<Record<string, unknown>>, reasons: Readonly<Record<string, string>>): void {
  for (const [name, why] of Object.entries(reasons)) {
    if (asked[name] !== null && asked[name] !== undefined) throw unsupported(name, why);
  }
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

/**
 * The tools that `allowed_tools` leaves.
 *
 * @param all Those of the request.
 * @param allowed The names of those that may be called.
 * @param param Where the names are.
 * @throws {ApiError} If one of the names is no tool's.
 */
export function allowedTools(all: readonly Tool[], allowed: readonly string[], param: string): Tool[] {
  for (const name of allowed) {
    if (!all.some((tool) => tool.name === name)) {
      throw invalid(param, `names ${JSON.stringify(name)}, which is not one of "tools"`);
    }
  }
  return all.filter(({ name }) => allowed.includes(name));
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
  if (isTooDeep(value)) throw invalid(param, `must be at most ${MAX_NESTING} levels deep`);
  return value as Record<string, unknown>;
}

/** `image_url`, as OpenAI has it, to a media type and base64. */
export function readDataUrl(url: string, param: string): { readonly mime: string; readonly base64: string } {
  const [, mime, base64] = /^data:([^;,]+)(?:;[^;,]+)*;base64,(.*)$/s.exec(url) ?? [];
  if (mime !== undefined && base64 !== undefined) return { mime, base64 };
  throw unsupported(param, "this server fetches nothing, send the image itself as a data: URL in base64");
}
