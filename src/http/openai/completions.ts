/** OpenAI's legacy completions: `/v1/completions`. A prompt is continued as it is. */
import type { Context } from "hono";
import { z } from "zod";
import type { GenerationEvent, GenerationResult, TokenLogprob } from "@inferd/client";
import { invalid, unsupported } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge, GenerationJob } from "../bridge.ts";
import { serverSentEvent, streamedEvents } from "../event_stream.ts";
import { answersTo, choices, finishReason, headOf, MAX_CHOICES, resultsOf, usageOf } from "./answers.ts";
import { AnswerForm } from "../llama_server/answer_form.ts";
import {
  checkInfill,
  MAX_PROMPTS,
  promptField,
  type RawPrompt,
  readPrompts,
  textsOf,
} from "../llama_server/prompts.ts";
import { extensions, readExtensions, readLines } from "../llama_server/settings.ts";
import { probabilitiesOf } from "../llama_server/probabilities.ts";
import { onlyTimings, Progress, timingsOf } from "../llama_server/timings.ts";
import { openAiErrorEvent } from "./error.ts";
import {
  bookkeeping,
  checkStreamOptions,
  readLimit,
  readSampling,
  sampling,
  streamOptions,
  tokenLimit,
} from "./fields.ts";
import { completionLogprobs } from "./logprobs.ts";

const body = z.strictObject({
  ...bookkeeping,
  ...sampling,
  model: z.string().min(1).nullish(),
  prompt: promptField,
  stream: z.boolean().nullish(),
  stream_options: streamOptions,
  // Extensions of llama-server.
  ...extensions,
  n_predict: tokenLimit,
  max_tokens: tokenLimit,
  n: z.int().min(1).max(MAX_CHOICES).nullish(),
  best_of: z.int().min(1).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  logprobs: z.int().min(0).max(5).nullish(),
});

type Body = z.output<typeof body>;

export async function completions(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const prompts = promptsOf(asked);
  const model = await bridge.link.model(asked.model ?? undefined, "generate");
  if (asked.suffix) checkInfill(model);
  const head = { ...headOf("cmpl", asked.model ?? model.name), object: "text_completion" };
  const { signal } = context.req.raw;
  const echoes = asked.echo
    ? await textsOf(prompts, bridge.link, { model: model.name, signal })
    : prompts.map(() => "");
  const count = asked.n ?? 1;
  const jobs = prompts.flatMap((prompt) =>
    choices({ api: "openai", model, request: toRequest(asked, prompt), lines: readLines(asked), signal }, count)
  );
  const events = answersTo(bridge, jobs);
  const verbose = asked.verbose ? await verboseOf(asked, { bridge, model, prompts, signal }) : undefined;
  if (asked.stream) {
    return await streamedEvents(context, chunks(events, head, { asked, echoes, verbose }), openAiErrorEvent);
  }
  const results = await resultsOf(events, jobs.length);
  return context.json({
    ...head,
    choices: results.map((result, index) => ({
      index,
      text: (echoes[Math.floor(index / count)] ?? "") + result.text,
      logprobs: logprobsOf(result, asked, (echoes[Math.floor(index / count)] ?? "").length),
      finish_reason: finishReason(result),
    })),
    usage: usageOf(...prompts.map((_, index) => results.slice(index * count, (index + 1) * count))),
    ...onlyTimings(results),
    ...results.slice(0, 1).map((result) => verbose?.(result, 0))[0],
  });
}

type Verbose = (result: GenerationResult, index: number) => Record<string, unknown>;

/** Makes llama-server's `__verbose`. */
async function verboseOf(
  asked: Body,
  { bridge, model, prompts, signal }:
    & { readonly bridge: Bridge; readonly prompts: readonly RawPrompt[] }
    & Pick<GenerationJob, "model" | "signal">,
): Promise<Verbose> {
  const texts = await textsOf(prompts, bridge.link, { model: model.name, signal });
  const { maxTokens } = readLimit(asked.max_tokens, asked.n_predict);
  const form = new AnswerForm({ model, asked, maxTokens, bias: asked.logit_bias ?? undefined });
  return (result, index) => form.verbose(result, { index, prompt: texts[Math.floor(index / (asked.n ?? 1))] ?? "" });
}

/** The prompts, after checking that the whole request is supported. */
function promptsOf(asked: Body): RawPrompt[] {
  checkStreamOptions(asked);
  if (asked.best_of && asked.best_of !== (asked.n ?? 1)) {
    throw unsupported("best_of", 'answers are not ranked, ask for as many as you want with "n"');
  }
  if (asked.echo && asked.logprobs !== null && asked.logprobs !== undefined) {
    throw unsupported("echo", 'the tokens of prompts have no logprobs here, leave out one of "echo" and "logprobs"');
  }
  const prompts = readPrompts(asked.prompt);
  if (prompts.length * (asked.n ?? 1) > MAX_PROMPTS) {
    throw invalid("n", `must not request more than ${MAX_PROMPTS} answers for all prompts together`);
  }
  return prompts;
}

function toRequest(asked: Body, prompt: RawPrompt): GenerationJob["request"] {
  return {
    ...readSampling(asked),
    ...readLimit(asked.max_tokens, asked.n_predict),
    ...readExtensions(asked, typeof asked.logprobs === "number"),
    messages: [],
    prompt,
    ...(asked.suffix ? { suffix: asked.suffix } : {}),
    ...(asked.logprobs === null || asked.logprobs === undefined ? {} : { logprobs: asked.logprobs }),
    stream: asked.stream ?? false,
  };
}

/** Probabilities after sampling are no logarithms, so they have llama-server's form. */
function logprobsOf(
  { logprobs }: { readonly logprobs?: readonly TokenLogprob[] },
  asked: Body,
  offset: number,
): Record<string, unknown> | null {
  return logprobs && asked.post_sampling_probs
    ? { content: probabilitiesOf(logprobs, true) }
    : completionLogprobs(logprobs, offset);
}

async function* chunks(
  events: AsyncIterable<readonly [number, GenerationEvent]>,
  head: Record<string, unknown>,
  { asked, echoes, verbose }: {
    readonly asked: Body;
    readonly echoes: readonly string[];
    readonly verbose: Verbose | undefined;
  },
): AsyncGenerator<string> {
  const count = asked.n ?? 1;
  const withUsage = asked.stream_options?.include_usage ?? false;
  const tail = withUsage ? { usage: null } : {};
  const isOnly = echoes.length * count === 1;
  const chunk = (
    index: number,
    text: string,
    { logprobs = null, done, fields }: {
      readonly logprobs?: unknown;
      readonly done?: GenerationResult;
      readonly fields?: object | undefined;
    } = {},
  ): string =>
    serverSentEvent({
      ...head,
      choices: [{ index, text, logprobs, finish_reason: done === undefined ? null : finishReason(done) }],
      ...tail,
      ...fields,
      ...(done !== undefined && isOnly && !withUsage ? timingsOf(done) : {}),
    });
  const begun = new Set<number>();
  const lengths = new Map<number, number>();
  const results = echoes.map((): GenerationResult[] => []);
  const progress = new Progress(asked);
  for await (const [index, event] of events) {
    if (event.type === "progress") {
      const fields = progress.take(index, event);
      if (fields !== undefined) yield chunk(index, "", { fields });
      continue;
    }
    const prompt = Math.floor(index / count);
    if (!begun.has(index)) {
      begun.add(index);
      const echo = echoes[prompt] ?? "";
      lengths.set(index, echo.length);
      if (echo !== "") yield chunk(index, echo);
    }
    if (event.type === "text") {
      const offset = lengths.get(index) ?? 0;
      lengths.set(index, offset + event.text.length);
      yield chunk(index, event.text, { logprobs: logprobsOf(event, asked, offset), fields: progress.of(index) });
    }
    if (event.type !== "done") continue;
    results[prompt]?.push(event);
    yield chunk(index, "", { done: event, fields: verbose?.(event, index) });
  }
  if (withUsage) {
    yield serverSentEvent({ ...head, choices: [], usage: usageOf(...results), ...onlyTimings(results.flat()) });
  }
  yield "data: [DONE]\n\n";
}
