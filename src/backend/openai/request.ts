/**
 * Converts a request to OpenAI's chat completions format. Knows the field names; sending and answers belong to other
 * files.
 *
 * Differences between servers:
 * - `max_tokens`, not `max_completion_tokens`: accepted by all but OpenAI's own reasoning models.
 * - `top_k` and `chat_template_kwargs` are not in OpenAI's API. vLLM and llama-server support them, Ollama and LM Studio
 *   ignore unknown fields, api.openai.com refuses them. Dropping refused fields is the job of `fields.ts`.
 * - `min_p` and `repeat_penalty` are not either, and vLLM calls the latter `repetition_penalty`, so both names are sent.
 *   A caller who sets them sees the refusal of a server that supports neither.
 * - `grammar` is supported only by llama-server and ignored by others, so a request with a grammar is refused.
 * - `reasoning_content` of a message is DeepSeek's, and passed to the chat template by vLLM and llama-server. It is
 *   optional: without it the model only does not see its earlier thinking.
 * - `ignore_eos` is vLLM's and llama-server's. A caller who sets it sees the refusal of others.
 * - Messages cannot hold video. Attachments in a tool result go into the next user message, because a tool message holds
 *   text only.
 */
import { isLarge, isText, joined, JsonText, type LongText } from "@inferd/client/protocol";
import { AttachmentUnsupportedError, InvalidRequestError } from "../../inference/errors.ts";
import {
  ANY_OBJECT,
  type Attachment,
  type ChatMessage,
  type ContentBlock,
  type GenerationRequest,
  type JsonObject,
  type Sampling,
  type ToolChoice,
  type ToolUse,
} from "../../inference/request.ts";
import { RemoteNames } from "./names.ts";
import { defined } from "../../inference/objects.ts";

/** Required by OpenAI, otherwise unused. */
const SCHEMA_NAME = "answer";

const AUDIO_FORMATS: ReadonlyMap<string, "wav" | "mp3"> = new Map([
  ["audio/wav", "wav"],
  ["audio/wave", "wav"],
  ["audio/x-wav", "wav"],
  ["audio/vnd.wave", "wav"],
  ["audio/mpeg", "mp3"],
  ["audio/mp3", "mp3"],
]);

/**
 * Convert a request to OpenAI's format.
 *
 * @returns The complete body, including optional fields the caller did not ask for.
 * @throws {InvalidRequestError | AttachmentUnsupportedError} If the format cannot express it.
 */
export function toOpenAiRequest(request: GenerationRequest<LongText>, model: string): JsonObject {
  if (request.grammar !== undefined) {
    throw new InvalidRequestError('"grammar" cannot be followed by a remote backend; "response_format" of v2 can');
  }
  refuseUnknown(request);
  const { sampling, tools, toolChoice, responseSchema, thinking } = request;
  const names = new RemoteNames(request);
  return {
    model,
    messages: messagesOf(request).flatMap((message) => toMessages(message, names)),
    stream: true,
    stream_options: { include_usage: true },
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    max_tokens: request.maxTokens,
    ...(sampling.seed === undefined ? {} : { seed: sampling.seed }),
    ...toAdjustments(sampling),
    ...(request.logprobs === undefined ? {} : { logprobs: true, top_logprobs: request.logprobs }),
    ...(request.stop.length === 0 ? {} : { stop: request.stop }),
    ...(tools.length === 0 ? {} : {
      tools: tools.map(({ name, description, inputSchema }) => ({
        type: "function",
        function: { name: names.toRemote(name), description, parameters: inputSchema },
      })),
      tool_choice: toToolChoice(toolChoice, names),
    }),
    ...(responseSchema === undefined ? {} : {
      response_format: responseSchema === ANY_OBJECT ? { type: "json_object" } : {
        type: "json_schema",
        json_schema: { name: SCHEMA_NAME, schema: responseSchema, strict: true },
      },
    }),
    ...(request.ignoreEos ? { ignore_eos: true } : {}),
    chat_template_kwargs: { enable_thinking: thinking, ...request.templateVariables },
  };
}

/** What only an engine of the daemon's own can do. */
function refuseUnknown(request: GenerationRequest<LongText>): void {
  const asked = {
    suffix: request.suffix,
    infill_sampling: request.infillSampling,
    generation_prompt: request.generationPrompt,
    logprobs_after_sampling: request.logprobsAfterSampling,
    progress: request.progress,
  };
  for (const [field, value] of Object.entries(asked)) {
    if (value !== undefined) throw new InvalidRequestError(`"${field}" cannot be asked of a remote backend`);
  }
}

/** A prompt becomes one user message. */
function messagesOf({ messages, prompt }: GenerationRequest<LongText>): readonly ChatMessage<LongText>[] {
  if (prompt === undefined) return messages;
  const [text, ...others] = prompt;
  if (isText(text) && others.length === 0) return [{ role: "user", content: text }];
  throw new InvalidRequestError('"prompt" must be a text for a remote backend: the ids of its tokens are not known');
}

/** Optional sampling parameters set by the caller. */
function toAdjustments(
  { minP, presencePenalty, frequencyPenalty, repeatPenalty, logitBias }: Sampling,
): JsonObject {
  return {
    ...defined({ min_p: minP, presence_penalty: presencePenalty, frequency_penalty: frequencyPenalty }),
    ...(repeatPenalty === undefined ? {} : { repeat_penalty: repeatPenalty, repetition_penalty: repeatPenalty }),
    ...(logitBias === undefined ? {} : { logit_bias: Object.fromEntries(logitBias) }),
  };
}

function toToolChoice(choice: ToolChoice, names: RemoteNames): unknown {
  return typeof choice === "string" ? choice : { type: "function", function: { name: names.toRemote(choice.name) } };
}

function toMessages({ role, content }: ChatMessage<LongText>, names: RemoteNames): JsonObject[] {
  if (isText(content)) return [{ role, content }];
  if (role === "assistant") return [toAssistant(content, names)];
  const results = content.filter((block) => block.type === "tool_result");
  const brought = results.flatMap(({ content }) => content.filter((block) => block.type === "media"));
  const said = content.filter((block) => block.type !== "tool_result");
  const messages: JsonObject[] = results.map((result) => ({
    role: "tool",
    tool_call_id: result.toolCallId,
    content: toText(result.content.filter((block) => block.type !== "media")),
  }));
  const rest = [...brought, ...said];
  if (rest.length > 0 || messages.length === 0) messages.push({ role, content: toContent(rest) });
  return messages;
}

function toAssistant(content: readonly ContentBlock<LongText>[], names: RemoteNames): JsonObject {
  const calls = content.filter((block) => block.type === "tool_use");
  const thoughts = content.filter((block) => block.type === "thinking");
  const said = content.filter((block) => block.type !== "tool_use" && block.type !== "thinking");
  return {
    role: "assistant",
    content: said.length === 0 && calls.length > 0 ? null : toText(said),
    ...(thoughts.length === 0 ? {} : { reasoning_content: joined(thoughts.map(({ text }) => text), "\n") }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map((call) => toToolCall(call, names)) }),
  };
}

function toToolCall({ toolCallId, name, input }: ToolUse, names: RemoteNames): JsonObject {
  return {
    id: toolCallId,
    type: "function",
    function: { name: names.toRemote(name), arguments: isLarge(input) ? new JsonText(input) : JSON.stringify(input) },
  };
}

/** A plain string if there is only text, the form every server accepts. */
function toContent(blocks: readonly ContentBlock<LongText>[]): LongText | JsonObject[] {
  if (blocks.every(({ type }) => type === "text")) return toText(blocks);
  return blocks.map((block) =>
    block.type === "media" ? toPart(block.attachment) : { type: "text", text: textOf(block) }
  );
}

function toText(blocks: readonly ContentBlock<LongText>[]): LongText {
  return joined(blocks.map(textOf), "\n");
}

function textOf(block: ContentBlock<LongText>): LongText {
  if (block.type === "text") return block.text;
  throw new InvalidRequestError(`A remote backend takes no "${block.type}" block there`);
}

function toPart({ kind, mime, base64 }: Attachment): JsonObject {
  if (kind === "image") {
    return { type: "image_url", image_url: { url: joined([`data:${mime};base64,`, base64]) } };
  }
  const format = kind === "audio" ? AUDIO_FORMATS.get(mime.toLowerCase()) : undefined;
  if (format !== undefined) return { type: "input_audio", input_audio: { data: base64, format } };
  throw new AttachmentUnsupportedError(
    kind === "audio"
      ? `A remote backend takes audio as "audio/wav" or "audio/mpeg", got "${mime}"`
      : `A remote backend takes no ${kind}`,
  );
}
