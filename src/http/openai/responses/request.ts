/** Responses API requests: their schema, and conversion to the daemon's request. */
import { z } from "zod";
import { invalid, unsupported } from "../../api_error.ts";
import { MediaCollector } from "../../attachments.ts";
import type { GenerationJob } from "../../bridge.ts";
import { extensions, readExtensions } from "../../llama_server/settings.ts";
import {
  answerSchema,
  bookkeeping,
  jsonObject,
  offered,
  readSampling,
  reasoningEffort,
  sampling,
  thinks,
  topLogprobs,
  toSchema,
  toTool,
} from "../fields.ts";
import { longText } from "../../long_texts.ts";
import type { Slices } from "../../slices.ts";
import { item, toMessages } from "./items.ts";
import { flatName, functionsIn, tools } from "./tools.ts";

const toolName = z.object({ type: z.literal("function"), name: z.string(), namespace: z.string().nullish() });

export const body = z.strictObject({
  ...bookkeeping,
  temperature: sampling.temperature,
  top_p: sampling.top_p,
  model: z.string().min(1).nullish(),
  input: z.union([longText.refine((text) => text !== "", "must not be empty"), z.array(item).min(1)]),
  instructions: z.string().nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_obfuscation: z.boolean().nullish() }).nullish(),
  tools: tools.nullish(),
  tool_choice: z.union([
    z.enum(["auto", "none", "required"]),
    toolName,
    z.object({ type: z.literal("allowed_tools"), mode: z.enum(["auto", "required"]), tools: z.array(toolName).min(1) }),
  ]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z.strictObject({
    format: z.discriminatedUnion("type", [
      z.object({ type: z.literal("text") }),
      z.object({ type: z.literal("json_object") }),
      z.object({ type: z.literal("json_schema"), ...answerSchema }),
    ]).nullish(),
    verbosity: z.literal("medium", 'must be "medium": models here have no such setting').nullish(),
  }).nullish(),
  reasoning: z.strictObject({
    effort: reasoningEffort.nullish(),
    summary: z.enum(["auto", "concise", "detailed"]).nullish(),
    generate_summary: z.enum(["auto", "concise", "detailed"]).nullish(),
    context: z.literal("auto", 'must be "auto": the chat template decides').nullish(),
    mode: z.literal("standard", 'must be "standard": models here have no other').nullish(),
  }).nullish(),
  include: z.array(z.enum([
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    // Of tools that a server runs, which are refused.
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "web_search_call.action.sources",
    "web_search_call.results",
  ])).nullish(),
  top_logprobs: topLogprobs,
  truncation: z.enum(["auto", "disabled"]).nullish(),
  background: z.boolean().nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z.unknown().optional(),
  prompt: z.unknown().optional(),
  // Limits calls of tools that a server runs.
  max_tool_calls: z.int().nullish(),
  // llama-server's, of streams.
  return_progress: extensions.return_progress,
  timings_per_token: extensions.timings_per_token,
  // Codex's own bookkeeping.
  client_metadata: jsonObject.nullish(),
});

export type Body = z.output<typeof body>;

/** @throws {ApiError} If it uses an unsupported feature. */
export async function toRequest(asked: Body, slices: Slices): Promise<GenerationJob["request"]> {
  refuseUnsupported(asked);
  const media = new MediaCollector();
  const messages = await toMessages(asked, media, slices);
  const format = asked.text?.format;
  return {
    ...readSampling(asked),
    ...(asked.max_output_tokens ? { maxTokens: asked.max_output_tokens } : {}),
    messages,
    attachments: media.attachments,
    ...toolsOf(asked),
    schema: format?.type === "json_schema" ? toSchema(format.schema) : undefined,
    ...(format?.type === "json_object" ? { json: true } : {}),
    ...(asked.include?.includes("message.output_text.logprobs") ? { logprobs: asked.top_logprobs ?? 0 } : {}),
    thinking: thinks(asked.reasoning?.effort) || wantsSummary(asked),
    ...readExtensions(asked, false),
    stream: asked.stream ?? false,
  };
}

/** Whether thinking is returned as a summary, which is the complete text. */
export function wantsSummary({ reasoning }: Body): boolean {
  return Boolean(reasoning?.summary ?? reasoning?.generate_summary);
}

function toolsOf({ tools, tool_choice: choice }: Body): ReturnType<typeof offered> {
  const all = functionsIn(tools).map(toTool);
  if (typeof choice !== "object" || choice === null) return offered(all, choice);
  if (choice.type === "function") return offered(all, { name: flatName(choice) });
  return offered(all, choice.mode, { names: choice.tools.map(flatName), param: "tool_choice.tools" });
}

function refuseUnsupported(asked: Body): void {
  const keep = "nothing is stored here, send the whole conversation";
  if (asked.previous_response_id) throw unsupported("previous_response_id", keep);
  if (asked.conversation !== null && asked.conversation !== undefined) throw unsupported("conversation", keep);
  if (asked.prompt !== null && asked.prompt !== undefined) throw unsupported("prompt", keep);
  if (asked.background) throw unsupported("background", "nothing is stored here, take the answer as a stream");
  if (asked.truncation === "auto") throw unsupported("truncation", 'items are never dropped, send "disabled"');
  if (asked.top_logprobs && !asked.include?.includes("message.output_text.logprobs")) {
    throw invalid("top_logprobs", 'goes with "include": ["message.output_text.logprobs"] only');
  }
}
