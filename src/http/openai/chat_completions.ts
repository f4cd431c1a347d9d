/** OpenAI's Chat Completions: `/v1/chat/completions`. */
import type { Context } from "hono";
import { z } from "zod";
import type { GenerateV2Fields, GenerationResult } from "@inferd/client";
import { GIVEN_TEMPLATE_VARIABLES, MAX_TOOLS } from "@inferd/client/protocol";
import { invalid } from "../api_error.ts";
import { MediaCollector } from "../attachments.ts";
import { readBody, slicesOf } from "../body.ts";
import type { Slices } from "../slices.ts";
import type { Bridge, GenerationJob } from "../bridge.ts";
import { streamedEvents } from "../event_stream.ts";
import { AnswerForm } from "../llama_server/answer_form.ts";
import { withoutText } from "../llama_server/prompt_only.ts";
import { extensions, readExtensions, readLines } from "../llama_server/settings.ts";
import { onlyTimings } from "../llama_server/timings.ts";
import { promptOf } from "../llama_server/prompt_of.ts";
import { answersTo, choices, finishReason, headOf, MAX_CHOICES, resultsOf, usageOf } from "./answers.ts";
import { chunks } from "./chat_chunks.ts";
import { openAiErrorEvent } from "./error.ts";
import {
  answerSchema,
  bookkeeping,
  checkStreamOptions,
  functionTool,
  jsonObject,
  offered,
  readLimit,
  readSampling,
  reasoningEffort,
  refuseGiven,
  sampling,
  streamOptions,
  thinks,
  tokenLimit,
  topLogprobs,
  toSchema,
  toTool,
} from "./fields.ts";
import { chatLogprobs } from "./logprobs.ts";
import { message, toMessages } from "./messages.ts";

const toolName = z.object({ name: z.string() });

/** Parameters of the API that this server does not support. */
const UNSUPPORTED = {
  audio: "only text output is supported",
  function_call: 'send "tool_choice"',
  functions: 'send "tools"',
  prediction: "predicted outputs are not supported, leave it out",
  web_search_options: "this server runs no tools of its own",
};

export const body = z.strictObject({
  ...bookkeeping,
  ...sampling,
  model: z.string().min(1).nullish(),
  messages: z.array(message).min(1),
  stream: z.boolean().nullish(),
  stream_options: streamOptions,
  max_tokens: tokenLimit,
  max_completion_tokens: z.int().min(1).nullish(),
  n: z.int().min(1).max(MAX_CHOICES).nullish(),
  tools: z.array(z.object({ type: z.literal("function"), function: functionTool })).max(MAX_TOOLS).nullish(),
  tool_choice: z.union([
    z.enum(["auto", "none", "required"]),
    // Mistral's word.
    z.literal("any").transform(() => "required" as const),
    z.object({ type: z.literal("function"), function: toolName }),
    z.object({
      type: z.literal("allowed_tools"),
      allowed_tools: z.object({
        mode: z.enum(["auto", "required"]),
        tools: z.array(z.object({ type: z.literal("function"), function: toolName })).min(1),
      }),
    }),
  ]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("text") }),
    // The schema is an extension of llama-server.
    z.strictObject({ type: z.literal("json_object"), schema: jsonObject.nullish() }),
    z.strictObject({
      type: z.literal("json_schema"),
      json_schema: z.strictObject(answerSchema),
    }),
  ]).nullish(),
  // Extensions of llama-server.
  ...extensions,
  // 0: the prompt is processed, to be in the cache, and nothing is generated.
  n_predict: z.int().min(-1).nullish(),
  // Of llama-server's own endpoints; without effect here as there.
  response_fields: z.array(z.string()).nullish(),
  json_schema: jsonObject.nullish(),
  add_generation_prompt: z.boolean().nullish(),
  continue_final_message: z.union([z.boolean(), z.enum(["content", "reasoning_content"])]).nullish(),
  // Templates have two names for thinking; all others are given to the template.
  chat_template_kwargs: z.object({ enable_thinking: z.boolean().nullish(), thinking: z.boolean().nullish() })
    .catchall(z.unknown()).nullish(),
  reasoning_format: z.enum(["auto", "deepseek"], "must be auto: thoughts come as reasoning_content").nullish(),
  reasoning_effort: reasoningEffort.nullish(),
  modalities: z.array(z.literal("text", 'must be "text": there is no other output')).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: topLogprobs,
  safe_prompt: z.literal(false, "must be false: this server adds no text of its own to prompts").nullish(),
  verbosity: z.literal("medium", 'must be "medium": models here have no such setting').nullish(),
  audio: z.unknown().optional(),
  function_call: z.unknown().optional(),
  functions: z.unknown().optional(),
  prediction: z.unknown().optional(),
  web_search_options: z.unknown().optional(),
});

export type Body = z.output<typeof body>;

export async function chatCompletions(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body, { inPieces: "messages" });
  const model = await bridge.link.model(asked.model ?? undefined, "generate");
  const request = await toRequest(asked, slicesOf(context));
  const head = {
    ...headOf("chatcmpl", asked.model ?? model.name),
    ...(asked.service_tier ? { service_tier: "default" } : {}),
  };
  const { signal } = context.req.raw;
  const count = asked.n ?? 1;
  const all = answersTo(bridge, choices({ api: "openai", model, request, lines: readLines(asked), signal }, count));
  const events = isPromptOnly(asked) ? withoutText(all) : all;
  const verbose = asked.verbose ? await verboseOf(asked, { bridge, model, request, signal }) : undefined;
  if (asked.stream) return await streamedEvents(context, chunks(events, { head, asked, verbose }), openAiErrorEvent);
  const results = await resultsOf(events, count);
  return context.json({
    ...head,
    object: "chat.completion",
    choices: results.map((result, index) => ({
      index,
      message: messageOf(result, asked),
      logprobs: chatLogprobs(result.logprobs, asked.post_sampling_probs),
      finish_reason: finishReason(result),
    })),
    usage: usageOf(results),
    ...onlyTimings(results),
    ...results.slice(0, 1).map((result) => verbose?.(result, 0))[0],
  });
}

/** Makes llama-server's `__verbose`, which tells the prompt. */
async function verboseOf(
  asked: Body,
  { bridge, model, request, signal }:
    & { readonly bridge: Bridge }
    & Pick<GenerationJob, "model" | "request" | "signal">,
): Promise<(result: GenerationResult, index: number) => Record<string, unknown>> {
  const prompt = await promptOf(request, await bridge.link.client("v2"), { model: model.name, signal });
  const maxTokens = isPromptOnly(asked) ? 0 : request.maxTokens;
  const form = new AnswerForm({ model, asked, maxTokens, bias: asked.logit_bias ?? undefined });
  return (result, index) => form.verbose(result, { index, prompt });
}

/** @throws {ApiError} If it uses an unsupported feature. */
export async function toRequest(asked: Body, slices: Slices): Promise<GenerationJob["request"]> {
  checkFields(asked);
  const media = new MediaCollector();
  const messages = await toMessages(asked.messages, media, slices);
  const { chat_template_kwargs: kwargs } = asked;
  return {
    ...readSampling(asked),
    ...readLimit(asked.max_completion_tokens, asked.max_tokens, isPromptOnly(asked) ? 1 : asked.n_predict),
    messages,
    attachments: media.attachments,
    ...toolsOf(asked),
    ...readFormat(asked),
    ...readExtensions(asked, asked.logprobs === true),
    ...readOpening(asked),
    ...readVariables(asked),
    ...(asked.logprobs ? { logprobs: asked.top_logprobs ?? 0 } : {}),
    thinking: kwargs?.enable_thinking ?? kwargs?.thinking ?? thinks(asked.reasoning_effort),
    stream: asked.stream ?? false,
  };
}

/** What `chat_template_kwargs` has beside thinking; null is nothing. */
function readVariables({ chat_template_kwargs: kwargs }: Body): Pick<GenerateV2Fields, "templateVariables"> {
  const { enable_thinking: _, thinking: __, ...others } = kwargs ?? {};
  const given = Object.entries(others).filter(([, value]) => value !== null);
  const taken = given.find(([name]) => GIVEN_TEMPLATE_VARIABLES.includes(name));
  if (taken !== undefined) throw invalid(`chat_template_kwargs.${taken[0]}`, "is set by the server");
  return given.length === 0 ? {} : { templateVariables: Object.fromEntries(given) };
}

function isPromptOnly({ max_completion_tokens, max_tokens, n_predict }: Body): boolean {
  return (max_completion_tokens ?? max_tokens ?? n_predict) === 0;
}

function toolsOf({ tools, tool_choice: choice }: Body): ReturnType<typeof offered> {
  const all = (tools ?? []).map((tool) => toTool(tool.function));
  if (typeof choice !== "object" || choice === null) return offered(all, choice);
  if (choice.type === "function") return offered(all, choice.function);
  const { mode, tools: allowed } = choice.allowed_tools;
  const names = allowed.map((tool) => tool.function.name);
  return offered(all, mode, { names, param: "tool_choice.allowed_tools.tools" });
}

function readFormat(
  { response_format: format, json_schema: short }: Body,
): Pick<GenerateV2Fields, "json" | "schema"> {
  if (short) {
    if (format) throw invalid("json_schema", 'goes without "response_format"');
    return { schema: toSchema(short) };
  }
  const schema = format?.type === "json_schema"
    ? format.json_schema.schema
    : format?.type === "json_object"
    ? format.schema ?? undefined
    : undefined;
  if (schema !== undefined) return { schema: toSchema(schema) };
  return format?.type === "json_object" ? { json: true } : {};
}

function checkFields(asked: Body): void {
  refuseGiven(asked, UNSUPPORTED);
  checkStreamOptions(asked);
  if (asked.top_logprobs && !asked.logprobs) throw invalid("top_logprobs", 'goes with "logprobs": true only');
}

/**
 * Where the prompt ends. A last message of the assistant's is continued, as in llama-server, unless the request says
 * otherwise in vLLM's words: that a new turn is to begin, or that no message is to be continued.
 */
function readOpening(
  { messages, add_generation_prompt: begins, continue_final_message: continues }: Body,
): Pick<GenerateV2Fields, "generationPrompt"> {
  const last = messages.at(-1);
  const isAssistant = last?.role === "assistant";
  if (continues) {
    if (begins) throw invalid("continue_final_message", 'goes without "add_generation_prompt": true');
    if (!isAssistant) throw invalid("continue_final_message", "needs a message of the assistant's at the end");
    if (last.tool_calls?.length) throw invalid("continue_final_message", "cannot continue a message with tool calls");
    const begun = last.content || !last.reasoning_content ? "content" : "reasoning_content";
    if (continues !== true && continues !== begun) {
      throw invalid("continue_final_message", `must be true or "${begun}", which the last message ends with`);
    }
    return {};
  }
  if (isAssistant && continues === false) return { generationPrompt: begins ?? true };
  if (isAssistant ? begins : begins === false) return { generationPrompt: begins === true };
  return {};
}

/** The calls to return: without parallel calls only the first. */
function callsOf({ toolCalls }: GenerationResult, asked: Body): GenerationResult["toolCalls"] {
  return asked.parallel_tool_calls === false ? toolCalls.slice(0, 1) : toolCalls;
}

function messageOf(result: GenerationResult, asked: Body): Record<string, unknown> {
  const calls = callsOf(result, asked);
  return {
    role: "assistant",
    content: result.text === "" && calls.length > 0 ? null : result.text,
    refusal: null,
    ...(result.thinking === "" ? {} : { reasoning_content: result.thinking }),
    ...(calls.length === 0 ? {} : {
      tool_calls: calls.map(({ toolCallId, name, input }) => ({
        id: toolCallId,
        type: "function",
        function: { name, arguments: JSON.stringify(input) },
      })),
    }),
  };
}
