/** Messages API requests: their schema, and conversion to the daemon's request. */
import { z } from "zod";
import type { ToolChoice } from "@inferd/client";
import { MAX_TOOLS } from "@inferd/client/protocol";
import { invalid } from "../api_error.ts";
import { MediaCollector } from "../attachments.ts";
import type { GenerationJob } from "../bridge.ts";
import { jsonObject, readTopP, stopStrings, topP, toSchema, toToolChoice } from "../openai/fields.ts";
import { message, system, toMessages } from "./conversation.ts";

/** `omitted`: only the signature is sent. */
const display = z.enum(["summarized", "omitted"]).nullish();
const effort = z.enum(["low", "medium", "high", "xhigh", "max"]);
const format = z.object({ type: z.literal("json_schema"), schema: jsonObject });

export const body = z.strictObject({
  model: z.string().min(1),
  max_tokens: z.int().min(1),
  messages: z.array(message).min(1),
  system: system.nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: topP,
  top_k: z.int().min(0).nullish(),
  stop_sequences: stopStrings.nullish(),
  tools: z.array(z.object({
    type: z.literal("custom", "is not one that this server runs: tools are run by the client").nullish(),
    name: z.string().min(1),
    description: z.string().nullish(),
    input_schema: jsonObject,
  })).max(MAX_TOOLS).nullish(),
  tool_choice: z.discriminatedUnion("type", [
    z.object({ type: z.literal("auto"), disable_parallel_tool_use: z.boolean().nullish() }),
    z.object({ type: z.literal("any"), disable_parallel_tool_use: z.boolean().nullish() }),
    z.object({ type: z.literal("tool"), name: z.string(), disable_parallel_tool_use: z.boolean().nullish() }),
    z.object({ type: z.literal("none") }),
  ]).nullish(),
  thinking: z.discriminatedUnion("type", [
    // Thinking has no budget of its own here; max_tokens already bounds it.
    z.object({ type: z.literal("enabled"), budget_tokens: z.int().min(1).nullish(), display }),
    z.object({ type: z.literal("adaptive"), display }),
    z.object({ type: z.literal("disabled") }),
  ]).nullish(),
  output_config: z.strictObject({ effort: effort.nullish(), format: format.nullish() }).nullish(),
  output_format: format.nullish(),
  // Nothing is cleared here, which is what Claude Code asks for.
  context_management: z.strictObject({
    edits: z.array(z.strictObject({
      type: z.literal("clear_thinking_20251015", "is not supported: nothing is cleared here"),
      keep: z.literal("all", 'must be "all": nothing is cleared here'),
    })).nullish(),
  }).nullish(),
  metadata: z.object({ user_id: z.string().nullish() }).nullish(),
  cache_control: z.object({ type: z.literal("ephemeral") }).nullish(),
  service_tier: z.enum(["auto", "standard_only"]).nullish(),
  speed: z.literal("standard", 'must be "standard": there is no other').nullish(),
  mcp_servers: z.array(z.unknown()).max(0, "must be empty: this server calls no others").nullish(),
  // Asks why a prompt was not cached, if it is known.
  diagnostics: jsonObject.nullish(),
});

export type Body = z.output<typeof body>;

/** @throws {ApiError} If it uses an unsupported feature. */
export function toRequest(asked: Body): GenerationJob["request"] {
  const media = new MediaCollector();
  const messages = toMessages(asked, media);
  const tools = (asked.tools ?? []).map(({ name, description, input_schema }) => ({
    name,
    description: description ?? "",
    inputSchema: toSchema(input_schema),
  }));
  const schema = asked.output_config?.format?.schema ?? asked.output_format?.schema;
  const { thinking } = asked;
  return {
    messages,
    attachments: media.attachments,
    maxTokens: asked.max_tokens,
    temperature: asked.temperature ?? undefined,
    topP: readTopP(asked.top_p),
    topK: asked.top_k ?? undefined,
    stop: asked.stop_sequences ?? undefined,
    tools: tools.length === 0 ? undefined : tools,
    toolChoice: toToolChoice(choiceOf(asked), tools),
    schema: schema === undefined ? undefined : toSchema(schema),
    thinking: thinking !== null && thinking !== undefined && thinking.type !== "disabled",
    stream: asked.stream ?? false,
  };
}

function choiceOf({ tool_choice: choice }: Body): ToolChoice | undefined {
  if (choice === null || choice === undefined) return undefined;
  switch (choice.type) {
    case "any":
      return "required";
    case "tool":
      if (choice.name === "") throw invalid("tool_choice.name", "must not be empty");
      return { name: choice.name };
    default:
      return choice.type;
  }
}

/** Whether thoughts are not shown. */
export function omitsThoughts({ thinking }: Body): boolean {
  return thinking !== null && thinking !== undefined && thinking.type !== "disabled" && thinking.display === "omitted";
}

/** Whether only the first call is returned. */
export function isSingle({ tool_choice: choice }: Body): boolean {
  return choice !== null && choice !== undefined && choice.type !== "none" && choice.disable_parallel_tool_use === true;
}
