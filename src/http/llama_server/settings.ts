/** llama-server's generation fields beyond OpenAI's, taken by all of its generation endpoints, and their defaults. */
import { z } from "zod";
import type { GenerateV2Fields, RequestDefaults, SamplingOptions } from "@inferd/client";
import { DEFAULT_TEMPERATURE, DEFAULT_TOP_K, DEFAULT_TOP_P, PENALTY_TOKENS } from "@inferd/client/protocol";
import type { LineLimits } from "../line_limits.ts";
import { NO_PENALTIES, type penalties, readPenalties } from "../openai/fields.ts";

/** The only value of each option that the daemon does not have: the one that turns it off. */
const OFF = {
  adaptive_target: -1,
  dry_multiplier: 0,
  dynatemp_range: 0,
  min_keep: 0,
  mirostat: 0,
  reasoning_budget_tokens: -1,
  top_n_sigma: -1,
  typ_p: 1,
  typical_p: 1,
  xtc_probability: 0,
} as const;

type Off = { [Name in keyof typeof OFF]: z.ZodOptional<z.ZodNullable<z.ZodLiteral<(typeof OFF)[Name]>>> };

/** The samplers that the daemon has, in its order, each with what turns it off. */
const SAMPLERS = {
  penalties: NO_PENALTIES,
  top_k: { topK: 0 },
  top_p: { topP: 1 },
  min_p: { minP: 0 },
  temperature: { temperature: 1 },
} as const satisfies Record<string, SamplingOptions>;

/** Those that it has not; a request that names one may not turn it on. */
const OTHERS = ["dry", "top_n_sigma", "typ_p", "typical_p", "xtc", "adaptive_p"] as const;

/** The daemon's sampling for filling in text, which comes before the temperature here. */
const INFILL = "infill";

const SAMPLER_NAMES = [...Object.keys(SAMPLERS), INFILL, ...OTHERS];

/** The fields that shape what goes with the answer, beside its text. */
export type Followed = Partial<Pick<z.output<z.ZodObject<typeof extensions>>, "return_progress" | "timings_per_token">>;

/**
 * Parse the fields that are honoured.
 *
 * @param logprobs Whether log probabilities are requested; without them, `post_sampling_probs` has no effect.
 */
export function readExtensions(
  asked: Partial<z.output<z.ZodObject<typeof extensions & typeof penalties>>>,
  logprobs: boolean,
):
  & Pick<GenerateV2Fields, "ignoreEos" | "grammar" | "logprobsAfterSampling" | "progress" | "infillSampling">
  & SamplingOptions {
  const { ignore_eos, grammar, post_sampling_probs, return_progress, timings_per_token, repeat_last_n } = asked;
  const used = asked.samplers ?? undefined;
  const unused = Object.entries(SAMPLERS).filter(([name]) => used !== undefined && !used.includes(name));
  const hasPenalties = used === undefined || used.includes("penalties");
  if (hasPenalties) readPenalties(asked, repeat_last_n, "repeat_last_n");
  return {
    ...(repeat_last_n === 0 ? NO_PENALTIES : {}),
    ...unused.reduce<SamplingOptions>((all, [, off]) => ({ ...all, ...off }), {}),
    ...(used?.includes(INFILL) ? { infillSampling: true } : {}),
    ...(ignore_eos ? { ignoreEos: true } : {}),
    ...(grammar ? { grammar } : {}),
    ...(post_sampling_probs && logprobs ? { logprobsAfterSampling: true } : {}),
    ...(return_progress || timings_per_token ? { progress: true } : {}),
  };
}

/** Where an answer ends because of its lines; undefined: nowhere. */
export function readLines(
  { n_indent: indent, t_max_predict_ms: maxMs }: Partial<z.output<z.ZodObject<typeof extensions>>>,
): LineLimits | undefined {
  if (!indent && (maxMs ?? -1) <= 0) return undefined;
  return { ...(indent ? { indent } : {}), ...(maxMs && maxMs > 0 ? { maxMs } : {}) };
}

/** Schema of the fields. */
export const extensions = {
  ...Object.fromEntries(
    Object.entries(OFF).map(([name, off]) => [
      name,
      z.literal(off, `must be ${off}: it is not supported, or the daemon decides it`).nullish(),
    ]),
  ) as Off,
  // A wish about the cache, which is shared by all slots here.
  id_slot: z.int().min(-1).nullish(),
  // Where sampling runs, which changes nothing in its result.
  backend_sampling: z.boolean().nullish(),
  n_cache_reuse: z.int().min(0).nullish(),
  // Of the samplers that are named, the daemon's run in its own order.
  samplers: z.array(z.enum(SAMPLER_NAMES, `must be some of ${SAMPLER_NAMES.join(", ")}`)).nullish(),
  repeat_last_n: z.int().min(-1).nullish(),
  n_indent: z.int().min(0).nullish(),
  // 0 and less are no limit.
  t_max_predict_ms: z.number().nullish(),
  lora: z.array(z.unknown()).max(0, "must be empty: adapters are configured").nullish(),
  ignore_eos: z.boolean().nullish(),
  // An empty one is none.
  grammar: z.string().nullish(),
  post_sampling_probs: z.boolean().nullish(),
  // Asks for `__verbose`; the endpoints of llama-server's own tell all of it anyway.
  verbose: z.boolean().nullish(),
  // Of streams.
  return_progress: z.boolean().nullish(),
  timings_per_token: z.boolean().nullish(),
  // Parameters of samplers that are off, and the number of tokens to keep of a truncated prompt, where such prompts are
  // refused.
  adaptive_decay: z.number().nullish(),
  dry_allowed_length: z.number().nullish(),
  dry_base: z.number().nullish(),
  dry_penalty_last_n: z.number().nullish(),
  dry_sequence_breakers: z.array(z.string()).nullish(),
  dynatemp_exponent: z.number().nullish(),
  mirostat_eta: z.number().nullish(),
  mirostat_tau: z.number().nullish(),
  n_discard: z.int().nullish(),
  n_keep: z.int().nullish(),
  // What llama-server knows and does not do, and its pings of silent streams and ends of thoughts, which may but need not
  // come.
  reasoning_control: z.boolean().nullish(),
  sse_ping_interval: z.int().nullish(),
  t_max_prompt_ms: z.number().nullish(),
  xtc_threshold: z.number().nullish(),
};

const DEFAULTS: Readonly<Record<string, unknown>> = {
  // llama-server's number for a random seed.
  seed: 2 ** 32 - 1,
  temperature: DEFAULT_TEMPERATURE,
  top_k: DEFAULT_TOP_K,
  top_p: DEFAULT_TOP_P,
  min_p: 0,
  repeat_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  n_predict: -1,
  max_tokens: -1,
  n_probs: 0,
  stop: [],
  stream: false,
  ignore_eos: false,
  grammar: "",
  post_sampling_probs: false,
  return_progress: false,
  timings_per_token: false,
  repeat_last_n: PENALTY_TOKENS,
  backend_sampling: false,
  n_indent: 0,
  t_max_predict_ms: -1,
  samplers: Object.keys(SAMPLERS),
  ...OFF,
  // Typed clients expect all of llama-server's, also parameters of what is off.
  adaptive_decay: 0.9,
  dry_allowed_length: 2,
  dry_base: 1.75,
  dry_penalty_last_n: -1,
  dry_sequence_breakers: ["\n", ":", '"', "*"],
  dynatemp_exponent: 1,
  mirostat_eta: 0.1,
  mirostat_tau: 5,
  n_discard: 0,
  n_keep: 0,
  xtc_threshold: 0.1,
  chat_format: "Content-only",
  generation_prompt: "",
  grammar_lazy: false,
  grammar_triggers: [],
  lora: [],
  preserved_tokens: [],
  reasoning_format: "none",
  reasoning_in_content: false,
  "speculative.types": "none",
};

/**
 * `generation_settings` of a request.
 *
 * @param asked The request's fields; without any, these are the settings of one that does not say.
 * @param defaults What the backend's requests get.
 */
export function settingsOf(
  asked: Readonly<Record<string, unknown>>,
  defaults: RequestDefaults = {},
): Record<string, unknown> {
  const { temperature, topP, topK, minP, presencePenalty, frequencyPenalty, repeatPenalty, seed, stop } = defaults;
  const { maxTokens } = defaults;
  const usual: Readonly<Record<string, unknown>> = {
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    presence_penalty: presencePenalty,
    frequency_penalty: frequencyPenalty,
    repeat_penalty: repeatPenalty,
    seed,
    stop,
    n_predict: maxTokens,
    max_tokens: maxTokens,
  };
  const given = (name: string): unknown => asked[name] ?? usual[name] ?? DEFAULTS[name];
  return Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, given(name)]));
}
