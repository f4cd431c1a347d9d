/** llama-server's `/completion`, which continues a prompt as it is, and `/infill`, which writes between two texts. */
import type { Context } from "hono";
import { z } from "zod";
import type { GenerateV2Fields, GenerationEvent, GenerationResult, TokenLogprob } from "@inferd/client";
import { MAX_EXTRA_TEXTS } from "@inferd/client/protocol";
import { ApiError, invalid, unsupported } from "../api_error.ts";
import { readBody } from "../body.ts";
import { type Bridge, isOwn } from "../bridge.ts";
import { serverSentEvent, streamedEvents } from "../event_stream.ts";
import { answersTo, choices, MAX_CHOICES, resultsOf } from "../openai/answers.ts";
import { jsonObject, readLimit, readSampling, sampling, topLogprobs, toSchema } from "../openai/fields.ts";
import { AnswerForm } from "./answer_form.ts";
import { llamaServerErrorEvent } from "./error.ts";
import { MAX_PROMPTS, promptField, type RawPrompt, readPrompts, textsOf } from "./prompts.ts";
import { withoutText } from "./prompt_only.ts";
import { extensions, readExtensions, readLines } from "./settings.ts";
import { probabilitiesOf } from "./probabilities.ts";
import { Progress } from "./timings.ts";

/** Maximum number of texts in `logit_bias`: each is tokenized by a request of its own. */
const MAX_BIASED_TEXTS = 256;

const fields = {
  ...sampling,
  ...extensions,
  model: z.string().min(1).nullish(),
  prompt: z.preprocess(withoutObjects, promptField),
  // 0: the prompt is processed, to be in the cache, and nothing is generated.
  n_predict: z.int().min(-1).nullish(),
  max_tokens: z.int().min(-1).nullish(),
  // -1 means random.
  seed: z.int().min(-1).max(2 ** 32 - 1).nullish(),
  // Pairs, as documented by llama-server, or OpenAI's object; texts stand for their tokens.
  logit_bias: z.union([
    z.array(z.tuple([z.union([z.int().min(0), z.string()]), z.union([z.number(), z.literal(false)])])),
    z.record(z.string(), z.number()),
  ])
    .nullish(),
  n_probs: topLogprobs,
  stream: z.boolean().nullish(),
  json_schema: jsonObject.nullish(),
  cache_prompt: z.boolean().nullish(),
  return_tokens: z.boolean().nullish(),
  // Answers to each prompt.
  n_cmpl: z.int().min(1).max(MAX_CHOICES).nullish(),
  response_fields: z.array(z.string()).nullish(),
};

const body = z.strictObject(fields);

type Body = z.output<typeof body>;

export async function completion(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  return await answer(context, bridge, asked, { prompts: readPrompts(asked.prompt) });
}

const infillBody = z.strictObject({
  ...fields,
  prompt: z.string().nullish(),
  input_prefix: z.string(),
  input_suffix: z.string(),
  // Editors send what else they know of a text as well.
  input_extra: z.array(z.object({ text: z.string(), filename: z.string().nullish() })).max(MAX_EXTRA_TEXTS).nullish(),
});

export async function infill(context: Context, bridge: Bridge): Promise<Response> {
  const { input_prefix, input_suffix: suffix, input_extra, ...asked } = await readBody(context, infillBody);
  // The beginning of the line that is filled in.
  const prompt = input_prefix + (asked.prompt ?? "");
  // Without any, it still says that what is nearest to the answer is to be kept.
  const extra = (input_extra ?? []).map(({ text, filename }) => ({ text, ...(filename ? { filename } : {}) }));
  return await answer(context, bridge, { ...asked, prompt }, { prompts: [prompt], filling: { suffix, extra } });
}

async function answer(
  context: Context,
  bridge: Bridge,
  asked: Body,
  { prompts, filling }: {
    readonly prompts: readonly RawPrompt[];
    readonly filling?: Pick<GenerateV2Fields, "suffix" | "extra">;
  },
): Promise<Response> {
  const model = await bridge.link.model(asked.model ?? undefined, "generate");
  if (filling !== undefined && !model.backends[0].infill) {
    throw new ApiError(501, `Infill is not supported by the model "${model.name}": it has no tokens for that`);
  }
  const { signal } = context.req.raw;
  const bias = await biasOf(asked.logit_bias, bridge, { model: model.name, signal });
  const request = { ...toRequest(asked), logitBias: bias };
  // Each piece of a stream tells how many tokens there are; a server elsewhere does not know.
  const withCounts = asked.stream && isOwn(model) ? { progress: true } : {};
  const texts = await textsOf(prompts, bridge.link, { model: model.name, signal });
  const count = asked.n_cmpl ?? 1;
  if (prompts.length * count > MAX_PROMPTS) {
    throw invalid("n_cmpl", `must not request more than ${MAX_PROMPTS} answers for all prompts together`);
  }
  const jobs = prompts.flatMap((prompt) =>
    choices({
      api: "llama_server",
      model,
      request: { ...request, messages: [], prompt, ...filling, ...withCounts },
      lines: readLines(asked),
      signal,
    }, count)
  );
  const all = answersTo(bridge, jobs);
  const events = isPromptOnly(asked) ? withoutText(all) : all;
  const maxTokens = isPromptOnly(asked) ? 0 : request.maxTokens;
  const form = new AnswerForm({ model, asked, maxTokens, bias });
  const whole = (index: number, result: GenerationResult): Record<string, unknown> =>
    form.whole(result, { index, prompt: texts[Math.floor(index / count)] ?? "" });
  if (asked.stream) return await streamedEvents(context, chunks(events, asked, whole), llamaServerErrorEvent);
  const results = await resultsOf(events, jobs.length);
  const answers = results.map((result, index) =>
    picked({ ...whole(index, result), content: result.text, ...tokensOf(result, asked) }, asked)
  );
  return context.json(answers.length === 1 ? answers[0] : answers);
}

/** Texts in place of llama-server's form of a multimodal prompt without media. */
function withoutObjects(given: unknown): unknown {
  if (Array.isArray(given)) return given.map(withoutObjects);
  if (typeof given !== "object" || given === null || !("prompt_string" in given)) return given;
  if ("multimodal_data" in given) throw unsupported("prompt", "media go to /v1/chat/completions: send text");
  return given.prompt_string;
}

function toRequest(asked: Body): Omit<GenerateV2Fields, "model" | "messages"> {
  const { logit_bias: _, seed, ...rest } = asked;
  return {
    ...readSampling({ ...rest, seed: seed === -1 ? undefined : seed }),
    // The daemon generates one token at least.
    ...(isPromptOnly(asked) ? { maxTokens: 1 } : readLimit(asked.n_predict, asked.max_tokens)),
    // Ids of tokens come with their probabilities.
    ...(asked.n_probs || asked.return_tokens ? { logprobs: asked.n_probs ?? 0 } : {}),
    ...(asked.json_schema ? { schema: toSchema(asked.json_schema) } : {}),
    ...readExtensions(asked, Boolean(asked.n_probs)),
    stream: asked.stream ?? false,
  };
}

function isPromptOnly({ n_predict, max_tokens }: Body): boolean {
  return (n_predict ?? max_tokens) === 0;
}

/** `false` in a pair forbids the token. */
async function biasOf(
  given: Body["logit_bias"],
  { link }: Bridge,
  options: { readonly model: string; readonly signal: AbortSignal },
): Promise<Record<string, number> | undefined> {
  if (given === null || given === undefined) return undefined;
  const entries = Array.isArray(given) ? given : Object.entries(given);
  const isText = (of: string | number): of is string =>
    typeof of === "string" && (Array.isArray(given) || !/^\d+$/.test(of));
  if (entries.filter(([of]) => isText(of)).length > MAX_BIASED_TEXTS) {
    throw invalid("logit_bias", `must not have more than ${MAX_BIASED_TEXTS} texts`);
  }
  const client = await link.client("v2");
  const biases = new Map<string | number, number>();
  for (const [of, bias] of entries) {
    const tokens = isText(of) ? await client.tokenize(of, { ...options, addSpecial: false }) : [of];
    for (const token of tokens) biases.set(token, bias === false ? -100 : bias);
  }
  return Object.fromEntries(biases);
}

/** Only the fields that are asked for, where any are: `a/b` is `b` of `a`. */
function picked(answer: Record<string, unknown>, { response_fields: fields }: Body): Record<string, unknown> {
  if (!fields || fields.length === 0) return answer;
  const at = (value: unknown, key: string): unknown => Object.entries(value ?? {}).find(([name]) => name === key)?.[1];
  return Object.fromEntries(fields.flatMap((field) => {
    const value = field.split("/").reduce<unknown>(at, answer);
    return value === undefined ? [] : [[field, value]];
  }));
}

function tokensOf(
  { logprobs: tokens }: { readonly logprobs?: readonly TokenLogprob[] },
  { n_probs: count, return_tokens: withIds, post_sampling_probs: afterSampling }: Body,
): Record<string, unknown> {
  if (tokens === undefined) return {};
  return {
    ...(withIds ? { tokens: tokens.flatMap(({ tokenId }) => tokenId ?? []) } : {}),
    ...(count ? { completion_probabilities: probabilitiesOf(tokens, afterSampling) } : {}),
  };
}

async function* chunks(
  events: AsyncIterable<readonly [number, GenerationEvent]>,
  asked: Body,
  whole: (index: number, result: GenerationResult) => Record<string, unknown>,
): AsyncGenerator<string> {
  const progress = new Progress(asked);
  const empty = { content: "", tokens: [], stop: false, id_slot: -1 };
  const counts = new Map<number, object>();
  for await (const [index, event] of events) {
    if (event.type === "progress") {
      const { completionTokens, promptTokens } = event.usage;
      counts.set(index, { tokens_predicted: completionTokens, tokens_evaluated: promptTokens });
      const fields = progress.take(index, event);
      if (fields !== undefined) yield serverSentEvent({ index, ...empty, ...counts.get(index), ...fields });
    } else if (event.type === "text") {
      yield serverSentEvent({
        index,
        ...empty,
        ...counts.get(index),
        content: event.text,
        ...tokensOf(event, asked),
        ...progress.of(index),
      });
    } else if (event.type === "done") {
      yield serverSentEvent(picked({ ...whole(index, event), content: "" }, asked));
    }
  }
}
