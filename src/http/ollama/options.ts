/** Ollama's `options` for sampling, and the model names and durations in its answers. */
import type { Context } from "hono";
import { z } from "zod";
import type { GenerateV2Fields, GenerationResult, GenerationTimings, SamplingOptions, Usage } from "@inferd/client";
import { MAX_STOP_STRINGS } from "@inferd/client/protocol";
import { ApiError, invalid } from "../api_error.ts";
import type { ServedModel } from "../daemon_link.ts";
import {
  penalties,
  readPenalties,
  readSeed,
  readStop,
  readTopP,
  seed,
  topLogprobs,
  topP,
  toSchema,
} from "../openai/fields.ts";

/** Ollama truncates numbers where it expects integers. */
const int = z.number().transform(Math.trunc);

/**
 * Load parameters are part of the daemon's configuration; clients send them with every request, so they have no effect.
 */
const LOADING = {
  num_thread: int.nullish(),
  num_gpu: int.nullish(),
  main_gpu: int.nullish(),
  num_batch: int.nullish(),
  num_keep: int.nullish(),
  draft_num_predict: int.nullish(),
  use_mmap: z.boolean().nullish(),
};

const knownOptions = z.looseObject({
  ...LOADING,
  num_ctx: int.pipe(z.int().min(1)).nullish(),
  num_predict: int.nullish(),
  ...penalties,
  top_p: topP,
  top_k: int.nullish(),
  seed,
  stop: z.array(z.string()).max(MAX_STOP_STRINGS).nullish(),
  typical_p: z.literal(1, "must be 1: this sampler is not supported").nullish(),
  repeat_last_n: int.nullish(),
});

/** `options`. Unknown ones are ignored, as Ollama does, see {@linkcode warnOfIgnored}. */
export const options = knownOptions.nullish();

/** `format`: any JSON, or a schema. */
export const format = z.union([z.literal("json"), z.literal(""), z.record(z.string(), z.unknown())]).nullish();

/** `think`. */
export const think = z.union([z.boolean(), z.enum(["low", "medium", "high", "max"])]).nullish();

/** Logprobs, and the policy for a full context, where nothing is ever truncated. */
export const generationFields = {
  logprobs: z.boolean().nullish(),
  top_logprobs: topLogprobs,
  truncate: z.boolean().nullish(),
  shift: z.boolean().nullish(),
  _debug_render_only: z.literal(false, "must be false: /apply-template renders a prompt").nullish(),
};

/** How long a model stays loaded is part of the daemon's configuration. */
export const keepAlive = z.union([z.string(), z.number()]).nullish();

/**
 * Parse `options`. `num_ctx` needs nothing: a prompt over the daemon's context is refused whatever it says.
 *
 * @throws {ApiError} If one is not supported.
 */
export function readOptions(given: z.output<typeof options>): SamplingOptions {
  if (given === null || given === undefined) return {};
  const { num_predict: most, top_k: topK } = given;
  return {
    temperature: given.temperature ?? undefined,
    topP: readTopP(given.top_p),
    topK: topK === null || topK === undefined ? undefined : Math.max(0, topK),
    minP: given.min_p ?? undefined,
    ...readPenalties(given, given.repeat_last_n, "options.repeat_last_n"),
    // -1 means random.
    seed: given.seed === -1 ? undefined : readSeed(given.seed),
    stop: readStop(given.stop ?? []),
    // As in Ollama, only a positive number is a limit; the context always is.
    ...(most === null || most === undefined || most <= 0 ? {} : { maxTokens: most }),
  };
}

/** Maximum number of ignored fields that are named. */
const MAX_NAMED = 20;

/** Name what is ignored in a `Warning` header, as Ollama does in its log: also a context larger than there is. */
export function warnOfIgnored(
  context: Context,
  body: z.ZodObject,
  asked: Readonly<Record<string, unknown>> & { readonly options?: z.output<typeof options> },
  { backends: [{ contextTokens = 0 }] }: ServedModel,
): void {
  const unknown = (given: Readonly<Record<string, unknown>>, known: z.ZodObject, path = ""): string[] =>
    Object.keys(given).filter((name) => !(name in known.shape)).map((name) => `${path}${name}`);
  const isTooLarge = contextTokens > 0 && (asked.options?.num_ctx ?? 0) > contextTokens;
  const ignored = [
    ...unknown(asked, body),
    ...unknown(asked.options ?? {}, knownOptions, "options."),
    ...isTooLarge ? ["options.num_ctx"] : [],
  ]
    // What is no name cannot be in a header.
    .filter((name) => /^[\w.-]{1,64}$/.test(name))
    .slice(0, MAX_NAMED);
  if (ignored.length > 0) context.header("Warning", `299 inferd "ignored, as Ollama does: ${ignored.join(", ")}"`);
}

/** Parse `format`. */
export function readFormat(given: z.output<typeof format>): Pick<GenerateV2Fields, "json" | "schema"> {
  if (given === null || given === undefined || given === "") return {};
  return given === "json" ? { json: true } : { schema: toSchema(given) };
}

/** @throws {ApiError} If top logprobs are requested without logprobs. */
export function readLogprobs(
  given: z.output<z.ZodObject<typeof generationFields>>,
): Pick<GenerateV2Fields, "logprobs"> {
  if (given.logprobs) return { logprobs: given.top_logprobs ?? 0 };
  if (given.top_logprobs) throw invalid("top_logprobs", 'goes with "logprobs": true only');
  return {};
}

/** @throws {ApiError} If the model cannot think; its name is in the message that Ollama has. */
export function readThink(given: z.output<typeof think>, model: ServedModel): boolean {
  const thinks = given === true || typeof given === "string";
  if (thinks && !model.backends[0].thinking) {
    throw new ApiError(400, `${JSON.stringify(model.name)} does not support thinking`, {
      code: "unsupported_parameter",
      param: "think",
    });
  }
  return thinks;
}

/**
 * Check a request without a prompt, which loads the model, or unloads it if it is to be kept for no time at all.
 *
 * @throws {ApiError} If it unloads.
 */
export function loading(kept: z.output<typeof keepAlive>): undefined {
  if (kept === null || kept === undefined || Number.parseFloat(String(kept)) !== 0) return undefined;
  throw new ApiError(501, 'HTTP may not unload models: "idle_unload_secs" of a backend decides how long one stays', {
    code: "not_supported_error",
    param: "keep_alive",
  });
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

  /** The fields of the last line; without the daemon's timings, as measured here. */
  fields({ promptTokens, completionTokens }: Usage, timings?: GenerationTimings): Record<string, number> {
    const now = performance.now();
    const first = this.#first ?? now;
    const { promptMs, generationMs } = timings ?? { promptMs: first - this.#start, generationMs: now - first };
    return {
      total_duration: Math.round((now - this.#start) * NS_PER_MS),
      load_duration: 0,
      prompt_eval_count: promptTokens,
      prompt_eval_duration: Math.round(promptMs * NS_PER_MS),
      eval_count: completionTokens,
      eval_duration: Math.round(generationMs * NS_PER_MS),
    };
  }
}

/** The stop reason in Ollama's terms. */
export function doneReason({ stopReason }: Pick<GenerationResult, "stopReason">): string {
  return stopReason === "max_tokens" ? "length" : "stop";
}
