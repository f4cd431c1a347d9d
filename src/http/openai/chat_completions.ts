/** OpenAI's Chat Completions: `/v1/chat/completions`. */
import type { Context } from "hono";
import { z } from "zod";
import type { GenerateV2Fields, GenerationV2Event, GenerationV2Result, TokenLogprob } from "@inferd/client";
import { invalid } from "../api_error.ts";
import { MediaCollector } from "../attachments.ts";
import { readBody } from "../body.ts";
import type { Bridge, GenerationJob } from "../bridge.ts";
import { merged, SERVER_SENT_EVENTS, serverSentEvent, streamed } from "../event_stream.ts";
import { finishReason, MAX_CHOICES, nth, resultsOf, usageOf } from "./answers.ts";
import { openAiErrorBody } from "./error.ts";
import {
  bookkeeping,
  functionTool,
  jsonObject,
  notStored,
  readSampling,
  reasoningEffort,
  sampling,
  thinks,
  toSchema,
  toTool,
  toToolChoice,
} from "./fields.ts";
import { chatLogprobs } from "./logprobs.ts";
import { message, toMessages } from "./messages.ts";

const body = z.strictObject({
  ...bookkeeping,
  ...sampling,
  model: z.string().min(1).nullish(),
  messages: z.array(message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({
    include_usage: z.boolean().nullish(),
    include_obfuscation: z.boolean().nullish(),
  }).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  n: z.int().min(1).max(MAX_CHOICES).nullish(),
  tools: z.array(z.object({ type: z.literal("function"), function: functionTool })).max(128).nullish(),
  tool_choice: z.union([
    z.enum(["auto", "none", "required"]),
    z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) }),
  ]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: z.discriminatedUnion("type", [
    z.object({ type: z.literal("text") }),
    z.object({ type: z.literal("json_object") }),
    z.object({
      type: z.literal("json_schema"),
      json_schema: z.object({
        name: z.string().nullish(),
        description: z.string().nullish(),
        schema: jsonObject,
        strict: z.boolean().nullish(),
      }),
    }),
  ]).nullish(),
  reasoning_effort: reasoningEffort.nullish(),
  modalities: z.array(z.literal("text", 'must be "text": there is no other output')).nullish(),
  store: notStored,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
});

type Body = z.output<typeof body>;

/** What every piece of one answer says of it. */
interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

/**
 * Answer a request.
 *
 * @param context The request.
 * @param bridge Asks the daemon.
 */
export async function chatCompletions(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const model = await bridge.link.model(asked.model ?? undefined, "generate");
  const request = toRequest(asked);
  const head: Head = {
    id: `chatcmpl-${crypto.randomUUID().replaceAll("-", "")}`,
    created: Math.floor(Date.now() / 1000),
    model: asked.model ?? model.name,
  };
  const { signal } = context.req.raw;
  const choices = Array.from({ length: asked.n ?? 1 }, (_, index) => {
    const job: GenerationJob = { api: "openai", model, request: nth(request, index), signal };
    return bridge.generate(job);
  });
  if (asked.stream) {
    return await streamed(chunks(merged(choices), head, asked), {
      contentType: SERVER_SENT_EVENTS,
      onError: (error) => serverSentEvent(openAiErrorBody(error)),
    });
  }
  const results = await resultsOf(choices);
  return context.json({
    ...head,
    object: "chat.completion",
    choices: results.map((result, index) => ({
      index,
      message: messageOf(result, asked),
      logprobs: chatLogprobs(result.logprobs),
      finish_reason: finishReason(result),
    })),
    usage: usageOf(results),
  });
}

/** What the daemon is asked for. */
function toRequest(asked: Body): GenerationJob["request"] {
  checkFields(asked);
  const media = new MediaCollector();
  const messages = toMessages(asked.messages, media);
  const tools = (asked.tools ?? []).map((tool) => toTool(tool.function));
  const { tool_choice: choice, response_format: format } = asked;
  return {
    ...readSampling(asked),
    ...maxTokens(asked),
    messages,
    attachments: media.attachments,
    tools: tools.length === 0 ? undefined : tools,
    toolChoice: toToolChoice(typeof choice === "object" && choice !== null ? choice.function : choice, tools),
    schema: format?.type === "json_schema" ? toSchema(format.json_schema.schema) : undefined,
    ...(format?.type === "json_object" ? { json: true } : {}),
    ...(asked.logprobs ? { logprobs: asked.top_logprobs ?? 0 } : {}),
    thinking: thinks(asked.reasoning_effort),
    stream: asked.stream ?? false,
  };
}

function checkFields(asked: Body): void {
  if (asked.top_logprobs && !asked.logprobs) throw invalid("top_logprobs", 'goes with "logprobs": true only');
}

function maxTokens(asked: Body): Pick<GenerateV2Fields, "maxTokens"> {
  const most = asked.max_completion_tokens ?? asked.max_tokens;
  return most === null || most === undefined ? {} : { maxTokens: most };
}

/** The calls that are told: where only one is wanted, the first. */
function callsOf({ toolCalls }: GenerationV2Result, asked: Body): GenerationV2Result["toolCalls"] {
  return asked.parallel_tool_calls === false ? toolCalls.slice(0, 1) : toolCalls;
}

function messageOf(result: GenerationV2Result, asked: Body): Record<string, unknown> {
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

async function* chunks(
  events: AsyncIterable<readonly [number, GenerationV2Event]>,
  head: Head,
  asked: Body,
): AsyncGenerator<string> {
  const withUsage = asked.stream_options?.include_usage ?? false;
  const tail = withUsage ? { usage: null } : {};
  const chunk = (
    index: number,
    delta: Record<string, unknown>,
    { finish = null, logprobs }: { readonly finish?: string | null; readonly logprobs?: readonly TokenLogprob[] } = {},
  ): string =>
    serverSentEvent({
      id: head.id,
      object: "chat.completion.chunk",
      created: head.created,
      model: head.model,
      choices: [{ index, delta, logprobs: chatLogprobs(logprobs), finish_reason: finish }],
      ...tail,
    });
  const begun = new Set<number>();
  const calls = new Map<number, number>();
  const results: GenerationV2Result[] = [];
  for await (const [index, event] of events) {
    if (!begun.has(index)) {
      begun.add(index);
      yield chunk(index, { role: "assistant", content: event.type === "tool_use" ? null : "" });
    }
    switch (event.type) {
      case "text":
        yield chunk(index, { content: event.text }, event);
        break;
      case "thinking":
        yield chunk(index, { reasoning_content: event.text });
        break;
      case "tool_use": {
        const number = calls.get(index) ?? 0;
        if (number > 0 && asked.parallel_tool_calls === false) break;
        calls.set(index, number + 1);
        const { toolCallId: id, name, input } = event;
        const call = { index: number, id, type: "function", function: { name, arguments: JSON.stringify(input) } };
        yield chunk(index, { tool_calls: [call] });
        break;
      }
      case "done":
        results.push(event);
        yield chunk(index, {}, { finish: finishReason(event) });
        break;
    }
  }
  if (withUsage) {
    yield serverSentEvent({ ...head, object: "chat.completion.chunk", choices: [], usage: usageOf(results) });
  }
  yield "data: [DONE]\n\n";
}
