/** Fields shared by several of OpenAI's requests, and which of their values are not supported. */
import { z } from "zod";
import type { JsonSchema, SamplingOptions, Tool, ToolChoice } from "@inferd/client";
import {
  joined,
  type LongText,
  MAX_LOGPROBS,
  MAX_STOP_STRINGS,
  partsOf,
  PENALTY_TOKENS,
  SAMPLING_LIMITS,
} from "@inferd/client/protocol";
import { MAX_JSON_VALUES } from "../../inference/json_bounds.ts";
import { GradualParser, TooManyValuesError } from "../../ndjson/gradual_parser.ts";
import { invalid, unsupported } from "../api_error.ts";
import { isTooDeep, MAX_NESTING } from "../nesting.ts";
import type { Slices } from "../slices.ts";

export const jsonObject = z.record(z.string(), z.unknown());

/**
 * Fields that do not affect the answer: billing metadata, hints for caching, which is always on here, and storage, where
 * nothing is stored and later references to an answer are refused.
 */
export const bookkeeping = {
  user: z.string().nullish(),
  store: z.boolean().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
  prompt_cache_options: jsonObject.nullish(),
  cache_prompt: z.boolean().nullish(),
  // The answer says "default", the only one.
  service_tier: z.string().nullish(),
};

export const streamOptions = z.strictObject({
  include_usage: z.boolean().nullish(),
  include_obfuscation: z.boolean().nullish(),
}).nullish();

/** @throws {ApiError} If {@linkcode streamOptions} are given without a stream. */
export function checkStreamOptions(asked: { readonly stream?: unknown; readonly stream_options?: unknown }): void {
  if (asked.stream_options && !asked.stream) {
    throw invalid("stream_options", 'is only allowed when "stream" is true');
  }
}

/** The maximum number of tokens to generate; -1, as in llama-server, is as many as the context holds. */
export const tokenLimit = z.int().min(-1).refine((most) => most !== 0, "must be at least 1, or -1 for no limit")
  .nullish();

/** The first limit that is given. */
export function readLimit(...limits: readonly z.output<typeof tokenLimit>[]): { readonly maxTokens?: number } {
  const most = limits.find((limit) => limit !== null && limit !== undefined) ?? -1;
  return most === -1 ? {} : { maxTokens: most };
}

/** A sampling field with the daemon's limits. */
function limited(name: keyof typeof SAMPLING_LIMITS): z.ZodNumber {
  const { min, max = Infinity, aboveMin } = SAMPLING_LIMITS[name];
  return (aboveMin ? z.number().gt(min) : z.number().min(min)).max(max);
}

/** Both ends are allowed; 0 keeps only the most likely token. */
export const topP = z.number().min(0).max(1).nullish();

/** The daemon excludes 0; this is below the probability of the most likely token in any vocabulary. */
const LEAST_TOP_P = 1e-7;

export function readTopP(value: z.output<typeof topP>): number | undefined {
  return value === null || value === undefined ? undefined : Math.max(LEAST_TOP_P, value);
}

/** 64 bits, as in these APIs; above 53 bits JSON numbers lose precision. */
export const seed = z.number().min(-(2 ** 63)).max(2 ** 63).refine(Number.isInteger, "must be an integer").nullish();

/** Largest seed that stays exact after adding a choice's index. */
const SEEDS = 2 ** 52;

/** Parse {@linkcode seed}: a seed that cannot be represented is mapped deterministically to another. */
export function readSeed(value: z.output<typeof seed>): number | undefined {
  if (value === null || value === undefined) return undefined;
  return Math.abs(value) < SEEDS ? value : value % SEEDS;
}

/** Sampling parameters that have the same limits in all of these APIs. */
export const penalties = {
  temperature: limited("temperature").nullish(),
  min_p: limited("min_p").nullish(),
  presence_penalty: limited("presence_penalty").nullish(),
  frequency_penalty: limited("frequency_penalty").nullish(),
  repeat_penalty: limited("repeat_penalty").nullish(),
};

export const stopStrings = z.array(z.string().min(1)).max(MAX_STOP_STRINGS);

/** The penalties of a request. */
export type Penalties = Pick<SamplingOptions, "repeatPenalty" | "presencePenalty" | "frequencyPenalty">;

export const NO_PENALTIES = { repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 } as const;

/**
 * The daemon's penalties consider 64 tokens; without penalties, `repeat_last_n` has no effect.
 *
 * @param window `repeat_last_n`.
 * @param param Its name in the request.
 * @throws {ApiError} If it is another number beside penalties.
 */
export function readPenalties(
  { repeat_penalty, presence_penalty, frequency_penalty }: Partial<z.output<z.ZodObject<typeof penalties>>>,
  window: number | null | undefined,
  param: string,
): Penalties {
  // No tokens are considered, whatever the backend's configuration says.
  if (window === 0) return NO_PENALTIES;
  const isNeutral = (repeat_penalty ?? 1) === 1 && !presence_penalty && !frequency_penalty;
  if (window !== null && window !== undefined && window !== PENALTY_TOKENS && !isNeutral) {
    throw unsupported(param, `penalties consider the last ${PENALTY_TOKENS} tokens, or none with 0`);
  }
  return {
    repeatPenalty: repeat_penalty ?? undefined,
    presencePenalty: presence_penalty ?? undefined,
    frequencyPenalty: frequency_penalty ?? undefined,
  };
}

/** Number of top alternatives per token. */
export const topLogprobs = z.int().min(0).max(MAX_LOGPROBS).nullish();

/** Sampling parameters and stop conditions: OpenAI's fields, and extensions of local servers. */
export const sampling = {
  ...penalties,
  top_p: topP,
  // 0, and -1 as in vLLM and llama-server, keep all tokens.
  top_k: z.int().min(-1).nullish(),
  logit_bias: z.record(
    z.string().regex(/^\d+$/, "must be the number of a token"),
    limited("logit_bias"),
  )
    .nullish(),
  seed,
  // Other servers' names of the same: vLLM's, TGI's and Together's, and Mistral's.
  repetition_penalty: penalties.repeat_penalty,
  random_seed: seed,
  // An empty one stops nothing.
  stop: z.union([z.string(), z.array(z.string()).max(MAX_STOP_STRINGS)]).nullish(),
};

export function readSampling(
  body: Partial<z.output<z.ZodObject<typeof sampling>>>,
): SamplingOptions {
  return {
    temperature: body.temperature ?? undefined,
    topP: readTopP(body.top_p),
    topK: body.top_k === -1 ? 0 : body.top_k ?? undefined,
    minP: body.min_p ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    repeatPenalty: body.repeat_penalty ?? body.repetition_penalty ?? undefined,
    logitBias: body.logit_bias ?? undefined,
    seed: readSeed(body.seed ?? body.random_seed),
    stop: readStop(body.stop ?? []),
  };
}

/** The texts, without empty ones; undefined if there are none. */
export function readStop(given: string | readonly string[]): readonly string[] | undefined {
  const texts = [given].flat().filter((text) => text !== "");
  return texts.length === 0 ? undefined : texts;
}

/** @throws {ApiError} If one is given, with the reason why it is not supported; null counts as absent. */
export function refuseGiven(asked: Readonly<Record<string, unknown>>, reasons: Readonly<Record<string, string>>): void {
  for (const [name, why] of Object.entries(reasons)) {
    if (asked[name] !== null && asked[name] !== undefined) throw unsupported(name, why);
  }
}

export const reasoningEffort = z.enum(["none", "minimal", "low", "medium", "high", "xhigh", "max"]);

/** Whether an effort enables thinking; a local model has no other levels. */
export function thinks(effort: z.output<typeof reasoningEffort> | null | undefined): boolean {
  return effort !== undefined && effort !== null && effort !== "none" && effort !== "minimal";
}

export const functionTool = z.object({
  name: z.string().min(1),
  description: z.string().nullish(),
  parameters: jsonObject.nullish(),
  strict: z.boolean().nullish(),
});

/** A JSON Schema that the answer follows; its name and description do not matter here. */
export const answerSchema = {
  name: z.string().nullish(),
  description: z.string().nullish(),
  schema: jsonObject,
  strict: z.boolean().nullish(),
};

/** Convert a function tool. Arguments always follow the schema, whether or not `strict` is set. */
export function toTool({ name, description, parameters }: z.output<typeof functionTool>): Tool {
  return { name, description: description ?? "", inputSchema: toSchema(parameters ?? { type: "object" }) };
}

/** A JSON Schema without the keywords that only name its version, and without nulls. */
export function toSchema(schema: z.output<typeof jsonObject>): JsonSchema {
  const { $schema: _, $id: _id, ...rest } = schema;
  return withoutNulls(rest);
}

/** Keywords whose values are not schemas. */
const VALUES: ReadonlySet<string> = new Set(["const", "default", "enum", "examples", "example"]);

/** Typed clients write null for a keyword that is absent, at any depth. */
function withoutNulls(schema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const cleaned = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(cleaned)
      : typeof value === "object" && value !== null
      ? withoutNulls(value as Record<string, unknown>)
      : value;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([keyword, value]) => value !== null || keyword === "const" || keyword === "default")
      .map(([keyword, value]) => [keyword, VALUES.has(keyword) ? value : cleaned(value)]),
  );
}

/** Convert `tool_choice`: three words, or the name of a function. */
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

/** @throws {ApiError} If a name matches no tool; without `allowed` all tools are offered. */
export function offered(
  all: readonly Tool[],
  choice: Parameters<typeof toToolChoice>[0],
  allowed?: { readonly names: readonly string[]; readonly param: string },
): { readonly tools: readonly Tool[] | undefined; readonly toolChoice: ToolChoice | undefined } {
  for (const name of allowed?.names ?? []) {
    if (!all.some((tool) => tool.name === name)) {
      throw invalid(allowed?.param ?? "", `names ${JSON.stringify(name)}, which is not one of "tools"`);
    }
  }
  const tools = allowed === undefined ? all : all.filter(({ name }) => allowed.names.includes(name));
  return { tools: tools.length === 0 ? undefined : tools, toolChoice: toToolChoice(choice, tools) };
}

/** Arguments are parsed in pieces of so many UTF-16 units. */
const PARSED_LENGTH = 64 * 1024;

function* piecesOf(text: LongText): Generator<string, void> {
  for (const part of partsOf(text)) {
    for (let at = 0; at < part.length; at += PARSED_LENGTH) yield part.slice(at, at + PARSED_LENGTH);
  }
}

/** Parses the arguments of a conversation's earlier calls, JSON strings in OpenAI's API. */
export class CallArguments {
  #values = 0;

  /** @throws {ApiError} If they are no object, or hold too many values together with those before, or levels. */
  async read(text: LongText, param: string, slices: Slices): Promise<Record<string, unknown>> {
    const parser = new GradualParser({ maxValues: MAX_JSON_VALUES - this.#values, inParts: true });
    let value: unknown;
    try {
      for (const piece of piecesOf(text)) {
        parser.feed(piece);
        await slices.next();
      }
      value = parser.isBlank ? {} : parser.finish();
    } catch (error) {
      if (error instanceof TooManyValuesError) {
        throw invalid(param, `must hold at most ${MAX_JSON_VALUES} JSON values, all calls together`);
      }
      if (!(error instanceof SyntaxError)) throw error;
    }
    this.#values += parser.values;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw invalid(param, "must be a JSON object, as text");
    }
    if (isTooDeep(value)) throw invalid(param, `must be at most ${MAX_NESTING} levels deep`);
    return value as Record<string, unknown>;
  }
}

/** Split an `image_url` in OpenAI's format into media type and base64. */
export function readDataUrl(url: LongText, param: string): { readonly mime: string; readonly base64: LongText } {
  const [first = "", ...others] = partsOf(url);
  const [, mime, base64] = /^data:([^;,]+)(?:;[^;,]+)*;base64,(.*)$/s.exec(first) ?? [];
  if (mime !== undefined && base64 !== undefined) return { mime, base64: joined([base64, ...others]) };
  throw unsupported(param, "this server downloads nothing, send the image itself as a data: URL in base64");
}
