/** Ollama's `options` for sampling, and the model names and durations in its answers. */
import { z } from "zod";
import type { GenerateV2Fields, GenerationTimings, GenerationV2Result, SamplingOptions, Usage } from "@inferd/client";
import { invalid, unsupported } from "../api_error.ts";
import type { DaemonLink, ModelService, ServedModel } from "../daemon_link.ts";
import { readSeed, readTopP, seed, topP } from "../openai/fields.ts";

/**
 * Load parameters are part of the daemon's configuration; clients send them with every request, so they are ignored.
 */
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
  repeat_last_n: z.literal(64, "must be 64, the number of tokens that penalties consider").nullish(),
  repeat_penalty: z.number().gt(0).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  mirostat: z.int().nullish(),
  // Parameters of mirostat, which is off.
  mirostat_tau: z.number().nullish(),
  mirostat_eta: z.number().nullish(),
  tfs_z: z.number().nullish(),
  penalize_newline: z.boolean().nullish(),
}).nullish();

/** Neutral values of unsupported sampling parameters. */
const NEUTRAL = { typical_p: 1, tfs_z: 1, mirostat: 0, penalize_newline: true } as const;

/** `format`: any JSON, or a schema. */
export const format = z.union([z.literal("json"), z.literal(""), z.record(z.string(), z.unknown())]).nullish();

/** `think`. */
export const think = z.union([z.boolean(), z.enum(["low", "medium", "high"])]).nullish();

/** Logprobs, and the policy for a full context, where nothing is ever truncated. */
export const generationFields = {
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  truncate: z.boolean().nullish(),
  shift: z.boolean().nullish(),
};

/** How long a model stays loaded is part of the daemon's configuration. */
export const keepAlive = z.union([z.string(), z.number()]).nullish();

/**
 * Parse `options`.
 *
 * @param given The field.
 * @param model The requested model.
 * @throws {ApiError} If one is not supported.
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
    // Negative numbers mean no limit but the context.
    ...(most === null || most === undefined || most < 0 ? {} : { maxTokens: Math.max(1, most) }),
  };
}

/** Parse `format`. */
export function readFormat(given: z.output<typeof format>): Pick<GenerateV2Fields, "json" | "schema"> {
  if (given === null || given === undefined || given === "") return {};
  return given === "json" ? { json: true } : { schema: given };
}

/**
 * Parse the supported part of {@linkcode generationFields}.
 *
 * @param given The fields.
 * @throws {ApiError} If top logprobs are requested without logprobs.
 */
export function readLogprobs(
  given: z.output<z.ZodObject<typeof generationFields>>,
): Pick<GenerateV2Fields, "logprobs"> {
  if (given.logprobs) return { logprobs: given.top_logprobs ?? 0 };
  if (given.top_logprobs) throw invalid("top_logprobs", 'goes with "logprobs": true only');
  return {};
}

/** Parse `think`. */
export function readThink(given: z.output<typeof think>): boolean {
  return given === true || typeof given === "string";
}

/**
 * Resolve a requested model; Ollama appends `:latest` to a name without a tag.
 *
 * @param link The link to the daemon.
 * @param name The requested name.
 * @param service The service it must support.
 */
export function namedModel(link: DaemonLink, name: string, service: ModelService): Promise<ServedModel> {
  return link.model(name.replace(/:latest$/, ""), service);
}

const NS_PER_MS = 1e6;

/** Measures an answer's durations, in nanoseconds as in Ollama. */
export class Durations {
  readonly #start = performance.now();
  #first: number | undefined;

  /** A piece of the answer arrived. */
  piece(): void {
    this.#first ??= performance.now();
  }

  /**
   * The fields of the last line.
   *
   * @param usage Token counts.
   * @param timings The daemon's timings; default: as measured here.
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

/** The stop reason in Ollama's terms. */
export function doneReason({ stopReason }: Pick<GenerationV2Result, "stopReason">): string {
  return stopReason === "max_tokens" ? "length" : "stop";
}
