/**
 * llama-server's `/completion`. As in `/v1/completions`, a prompt becomes one user message, because models are only
 * used through their chat templates.
 */
import type { Context } from "hono";
import { z } from "zod";
import type { GenerateV2Fields, GenerationV2Event, GenerationV2Result, TokenLogprob } from "@inferd/client";
import { invalid, unsupported } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge, GenerationJob } from "../bridge.ts";
import { SERVER_SENT_EVENTS, serverSentEvent, streamed } from "../event_stream.ts";
import { answersTo, resultsOf } from "../openai/answers.ts";
import { openAiErrorBody } from "../openai/error.ts";
import { jsonObject, readSampling, sampling, toSchema } from "../openai/fields.ts";
import { timingsOf } from "./timings.ts";

/** Maximum number of prompts in a request. */
const MAX_PROMPTS = 64;

/** Neutral values of unsupported sampling parameters. */
const NEUTRAL = {
  dynatemp_range: 0,
  dry_multiplier: 0,
  ignore_eos: false,
  min_keep: 0,
  mirostat: 0,
  n_indent: 0,
  post_sampling_probs: false,
  repeat_last_n: 64,
  return_tokens: false,
  t_max_predict_ms: 0,
  timings_per_token: false,
  top_n_sigma: -1,
  typical_p: 1,
  xtc_probability: 0,
} as const;

const body = z.strictObject({
  ...sampling,
  model: z.string().min(1).nullish(),
  prompt: z.union([z.string(), z.array(z.unknown()).min(1).max(MAX_PROMPTS), jsonObject]),
  n_predict: z.int().min(-1).nullish(),
  max_tokens: z.int().min(-1).nullish(),
  // -1 means random.
  seed: z.int().min(-1).max(2 ** 32 - 1).nullish(),
  // Pairs, as documented by llama-server, or OpenAI's object.
  logit_bias: z.union([
    z.array(z.tuple([z.int().min(0), z.union([z.number(), z.literal(false)])])),
    sampling.logit_bias,
  ])
    .nullish(),
  n_probs: z.int().min(0).max(20).nullish(),
  stream: z.boolean().nullish(),
  json_schema: jsonObject.nullish(),
  cache_prompt: z.boolean().nullish(),
  id_slot: z.literal(-1, "must be -1: the daemon chooses slots").nullish(),
  // Parameters of samplers that are off, and the number of tokens to keep of a truncated prompt, where such prompts are
  // refused.
  dynatemp_exponent: z.number().nullish(),
  dry_base: z.number().nullish(),
  dry_allowed_length: z.number().nullish(),
  dry_penalty_last_n: z.number().nullish(),
  dry_sequence_breakers: z.array(z.string()).nullish(),
  mirostat_tau: z.number().nullish(),
  mirostat_eta: z.number().nullish(),
  xtc_threshold: z.number().nullish(),
  n_keep: z.int().nullish(),
  n_discard: z.int().nullish(),
  ...Object.fromEntries(Object.keys(NEUTRAL).map((name) => [name, z.unknown().optional()])),
});

type Body = z.output<typeof body>;

/**
 * Answer a request.
 *
 * @param context The request.
 * @param bridge The link to the daemon.
 */
export async function completion(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const prompts = promptsOf(asked.prompt);
  const request = toRequest(asked);
  const model = await bridge.link.model(asked.model ?? undefined, "generate");
  const { signal } = context.req.raw;
  const events = answersTo(
    bridge,
    prompts.map((prompt): GenerationJob => ({
      api: "llama_server",
      model,
      request: { ...request, messages: [{ role: "user", content: [{ type: "text", text: prompt }] }] },
      signal,
    })),
  );
  const whole = (index: number, result: GenerationV2Result): Record<string, unknown> => ({
    index,
    tokens: [],
    id_slot: -1,
    stop: true,
    model: model.name,
    tokens_predicted: result.usage.completionTokens,
    tokens_evaluated: result.usage.promptTokens,
    tokens_cached: result.usage.cachedTokens ?? 0,
    prompt: prompts[index],
    has_new_line: result.text.includes("\n"),
    truncated: false,
    ...stopOf(result, asked),
    ...timingsOf(result),
  });
  if (asked.stream) {
    return await streamed(chunks(events, whole), {
      contentType: SERVER_SENT_EVENTS,
      onError: (error) => serverSentEvent(openAiErrorBody(error)),
    });
  }
  const results = await resultsOf(events, prompts.length);
  const answers = results.map((result, index) => ({
    ...whole(index, result),
    content: result.text,
    ...probabilities(result.logprobs),
  }));
  return context.json(typeof asked.prompt === "string" ? answers[0] : answers);
}

function promptsOf(given: Body["prompt"]): string[] {
  return [given].flat().map((one) => {
    // llama-server's form of a multimodal prompt, but without media.
    const isText = typeof one === "object" && one !== null && !("multimodal_data" in one) && "prompt_string" in one;
    const prompt: unknown = isText ? one.prompt_string : one;
    if (typeof prompt !== "string") {
      throw unsupported(
        "prompt",
        "token ids are specific to a model, and media go to /v1/chat/completions: send text",
      );
    }
    if (prompt === "") throw invalid("prompt", "must not be empty");
    return prompt;
  });
}

function toRequest(asked: Body): Omit<GenerateV2Fields, "model" | "messages"> {
  for (const [name, neutral] of Object.entries(NEUTRAL)) {
    const value = (asked as Record<string, unknown>)[name];
    if (value !== null && value !== undefined && value !== neutral) {
      throw unsupported(name, `leave it out, or send ${neutral}`);
    }
  }
  const { logit_bias: bias, seed, ...rest } = asked;
  const most = asked.n_predict ?? asked.max_tokens ?? -1;
  if (most === 0) throw invalid("n_predict", "must be at least 1, or -1 for as many as the context holds");
  return {
    ...readSampling({ ...rest, seed: seed === -1 ? undefined : seed, logit_bias: biasOf(bias) }),
    ...(most === -1 ? {} : { maxTokens: most }),
    ...(asked.n_probs ? { logprobs: asked.n_probs } : {}),
    ...(asked.json_schema ? { schema: toSchema(asked.json_schema) } : {}),
    stream: asked.stream ?? false,
  };
}

/** `false` in a pair forbids the token. */
function biasOf(given: Body["logit_bias"]): Record<string, number> | undefined {
  if (!Array.isArray(given)) return given ?? undefined;
  return Object.fromEntries(given.map(([token, bias]) => [token, bias === false ? -100 : bias]));
}

function stopOf({ stopReason }: GenerationV2Result, { stop }: Body): Record<string, unknown> {
  if (stopReason === "max_tokens") return { stop_type: "limit", stopping_word: "" };
  if (stopReason !== "stop_sequence") return { stop_type: "eos", stopping_word: "" };
  // The daemon does not report which of several matched.
  const [only = "", ...others] = [stop ?? []].flat();
  return { stop_type: "word", stopping_word: others.length === 0 ? only : "" };
}

function probabilities(tokens: readonly TokenLogprob[] | undefined): Record<string, unknown> {
  if (tokens === undefined) return {};
  const one = ({ token, tokenId, logprob, bytes }: Omit<TokenLogprob, "top">): Record<string, unknown> => ({
    ...(tokenId === undefined ? {} : { id: tokenId }),
    token,
    bytes,
    logprob,
  });
  return {
    completion_probabilities: tokens.map(({ top, ...token }) => ({ ...one(token), top_logprobs: top.map(one) })),
  };
}

async function* chunks(
  events: AsyncIterable<readonly [number, GenerationV2Event]>,
  whole: (index: number, result: GenerationV2Result) => Record<string, unknown>,
): AsyncGenerator<string> {
  for await (const [index, event] of events) {
    if (event.type === "text") {
      yield serverSentEvent({
        index,
        content: event.text,
        tokens: [],
        stop: false,
        id_slot: -1,
        ...probabilities(event.logprobs),
      });
    } else if (event.type === "done") {
      yield serverSentEvent({ ...whole(index, event), content: "" });
    }
  }
}
