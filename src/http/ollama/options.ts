/** What Ollama's `options` say of sampling, and the names and times its answers have. */
import { z } from "zod";
import type { GenerateV2Fields, GenerationTimings, GenerationV2Result, SamplingOptions, Usage } from "@inferd/client";
import { invalid, unsupported } from "../api_error.ts";
import type { DaemonLink, ModelService, ServedModel } from "../daemon_link.ts";
import { readSeed, readTopP, seed, topP } from "../openai/fields.ts";

/** How a model is loaded is the daemon's configuration; clients send these with every request, and they are let be. */
const LOADING = {
  num_thread: z.int().nullish(),
  num_gpu: z.int().nullish(),
  main_gpu: z.int().nullish(),
  num_batch: z.int().nullish(),
  num_keep: z.int().nullish(),
  numa: z.boolean().nullish(),
  use_mmap: z.boolean().nullish(),
  use_mlock: z.boolean().nullish(),
  low_vram: z.boolean().nullish(),
  f16_kv: z.boolean().nullish(),
};

/** `options`. */
export const options = z.strictObject({
  ...LOADING,
  num_ctx: z.int().min(1).nullish(),
  num_predict: z.int().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: topP,
  top_k: z.int().min(0).nullish(),
  seed,
  stop: z.array(z.string().min(1)).max(16).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  typical_p: z.number().nullish(),
  repeat_last_n: z.literal(64, "must be 64: penalties look at so many tokens").nullish(),
  repeat_penalty: z.number().gt(0).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  mirostat: z.int().nullish(),
  // They say how mirostat works, which is off.
  mirostat_tau: z.number().nullish(),
  mirostat_eta: z.number().nullish(),
  tfs_z: z.number().nullish(),
  penalize_newline: z.boolean().nullish(),
}).nullish();

/** What leaves sampling as it is, of what cannot be set. */
const NEUTRAL = { typical_p: 1, tfs_z: 1, mirostat: 0, penalize_newline: true } as const;

/** `format`: JSON of any kind, or by a schema. */
export const format = z.union([z.literal("json"), z.literal(""), z.record(z.string(), z.unknown())]).nullish();

/** `think`. */
export const think = z.union([z.boolean(), z.enum(["low", "medium", "high"])]).nullish();

/** How likely the tokens were, and what happens when the context is full: then nothing is cut off. */
export const generationFields = {
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  truncate: z.boolean().nullish(),
  shift: z.boolean().nullish(),
};

/** How long a model stays loaded is the daemon's configuration. */
export const keepAlive = z.union([z.string(), z.number()]).nullish();

/**
 * Reads `options`.
 *
 * @param given What was sent.
 * @param model The model that is asked.
 * @throws {ApiError} If one cannot be honoured.
 */
export function readOptions(given: z.output<typeof options>, model: ServedModel): SamplingOptions {
  if (given === null || given === undefined) return {};
  for (const name of Object.keys(NEUTRAL) as (keyof typeof NEUTRAL)[]) {
    const value = given[name];
    if (value !== null && value !== undefined && value !== NEUTRAL[name]) {
      throw unsupported(`options.${name}`, `leave it out, or send ${NEUTRAL[name]}`);
    }
  }
  const { contextTokens } = model.backends[0];
  if (given.num_ctx && contextTokens && given.num_ctx > contextTokens) {
    throw invalid("options.num_ctx", `must be at most ${contextTokens}: the daemon's "n_ctx" decides`);
  }
  const { num_predict: most } = given;
  return {
    temperature: given.temperature ?? undefined,
    topP: readTopP(given.top_p),
    topK: given.top_k ?? undefined,
    minP: given.min_p ?? undefined,
    repeatPenalty: given.repeat_penalty ?? undefined,
    presencePenalty: given.presence_penalty ?? undefined,
    frequencyPenalty: given.frequency_penalty ?? undefined,
    seed: readSeed(given.seed),
    stop: given.stop ?? undefined,
    // Negative numbers say: as long as there is room.
    ...(most === null || most === undefined || most < 0 ? {} : { maxTokens: Math.max(1, most) }),
  };
}

/** Reads `format`. */
export function readFormat(given: z.output<typeof format>): Pick<GenerateV2Fields, "json" | "schema"> {
  if (given === null || given === undefined || given === "") return {};
  return given === "json" ? { json: true } : { schema: given };
}

/**
 * Reads what of {@linkcode generationFields} says something of the answer.
 *
 * @param given What was sent.
 * @throws {ApiError} If likeliest tokens are wanted and no others.
 */
export function readLogprobs(
  given: z.output<z.ZodObject<typeof generationFields>>,
): Pick<GenerateV2Fields, "logprobs"> {
  if (given.logprobs) return { logprobs: given.top_logprobs ?? 0 };
  if (given.top_logprobs) throw invalid("top_logprobs", 'goes with "logprobs": true only');
  return {};
}

/** Reads `think`. */
export function readThink(given: z.output<typeof think>): boolean {
  return given === true || typeof given === "string";
}

/**
 * The model a request names; `:latest` is what Ollama calls a name without a tag.
 *
 * @param link Knows the models.
 * @param name What was sent.
 * @param service What it is wanted for.
 */
export function namedModel(link: DaemonLink, name: string, service: ModelService): Promise<ServedModel> {
  return link.model(name.replace(/:latest$/, ""), service);
}

const NS_PER_MS = 1e6;

/** When what happened to one answer, as Ollama tells it: in nanoseconds. */
export class Durations {
  readonly #start = performance.now();
  #first: number | undefined;

  /** A piece of the answer came. */
  piece(): void {
    this.#first ??= performance.now();
  }

  /**
   * The fields of the last line.
   *
   * @param usage Counts of tokens.
   * @param timings What the daemon has measured; absent: what was seen here.
   */
  fields({ promptTokens, completionTokens }: Usage, timings?: GenerationTimings): Record<string, number> {
    const now = performance.now();
    const first = this.#first ?? now;
    if (timings !== undefined) {
      return {
        total_duration: Math.round((now - this.#start) * NS_PER_MS),
        load_duration: 0,
        prompt_eval_count: promptTokens,
        prompt_eval_duration: Math.round(timings.promptMs * NS_PER_MS),
        eval_count: completionTokens,
        eval_duration: Math.round(timings.generationMs * NS_PER_MS),
      };
    }
    return {
      total_duration: Math.round((now - this.#start) * NS_PER_MS),
      load_duration: 0,
      prompt_eval_count: promptTokens,
      prompt_eval_duration: Math.round((first - this.#start) * NS_PER_MS),
      eval_count: completionTokens,
      eval_duration: Math.round((now - first) * NS_PER_MS),
    };
  }
}

/** Why an answer ended, in Ollama's words. */
export function doneReason({ stopReason }: Pick<GenerationV2Result, "stopReason">): string {
  return stopReason === "max_tokens" ? "length" : "stop";
}
