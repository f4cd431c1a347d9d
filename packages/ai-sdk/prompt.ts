/** The AI SDK's prompts and settings as requests of the client. */
import type { LanguageModelV4CallOptions, LanguageModelV4Message, LanguageModelV4ToolChoice } from "@ai-sdk/provider";
import type { Attachment, Block, GenerateV2Fields, MediaBlock, Message, ToolChoice } from "@inferd/client";
import { modelName } from "./names.ts";

/** A request, and what of the call it does not say. */
export interface Converted {
  readonly request: GenerateV2Fields;
  readonly warnings: { readonly type: "unsupported"; readonly feature: string; readonly details?: string }[];
}

type FilePart = Extract<Extract<LanguageModelV4Message, { role: "user" }>["content"][number], { type: "file" }>;
type ToolPart = Extract<LanguageModelV4Message, { role: "tool" }>["content"][number];
type ToolOutput = Extract<ToolPart, { type: "tool-result" }>["output"];

/**
 * Convert a call.
 *
 * @param options What the AI SDK asks.
 * @param modelId The model.
 * @returns The request.
 * @throws {TypeError} If the prompt has a file that cannot be sent.
 */
export function convert(options: LanguageModelV4CallOptions, modelId: string): Converted {
  const attachments: Attachment[] = [];
  const warnings: Converted["warnings"] = [];
  const functions = (options.tools ?? []).filter((tool) => tool.type === "function");
  if (functions.length < (options.tools?.length ?? 0)) {
    warnings.push({ type: "unsupported", feature: "tools of a provider", details: "inferd runs none itself" });
  }
  const { responseFormat } = options;
  const json = responseFormat?.type === "json" ? responseFormat : undefined;
  const request: GenerateV2Fields = {
    model: modelName(modelId),
    messages: options.prompt.map((message) => messageOf(message, attachments)),
    attachments: attachments.length > 0 ? attachments : undefined,
    tools: functions.length === 0 ? undefined : functions.map(({ name, description = "", inputSchema }) => ({
      name,
      description,
      inputSchema: inputSchema as Readonly<Record<string, unknown>>,
    })),
    toolChoice: functions.length === 0 ? undefined : choiceOf(options.toolChoice),
    schema: json?.schema as Readonly<Record<string, unknown>> | undefined,
    json: json !== undefined && json.schema === undefined ? true : undefined,
    thinking: !["provider-default", "none", undefined].includes(options.reasoning),
    maxTokens: options.maxOutputTokens,
    temperature: options.temperature,
    topP: options.topP,
    topK: options.topK,
    seed: options.seed,
    stop: options.stopSequences,
    presencePenalty: options.presencePenalty,
    frequencyPenalty: options.frequencyPenalty,
  };
  return { request, warnings };
}

function choiceOf(choice: LanguageModelV4ToolChoice | undefined): ToolChoice | undefined {
  return choice?.type === "tool" ? { name: choice.toolName } : choice?.type;
}

function messageOf(message: LanguageModelV4Message, attachments: Attachment[]): Message {
  switch (message.role) {
    case "system":
      return { role: "system", content: message.content };
    case "user":
      return {
        role: "user",
        content: message.content.map((part) =>
          part.type === "text" ? { type: "text", text: part.text } : mediaOf(part, attachments)
        ),
      };
    case "tool":
      return {
        role: "user",
        content: message.content.flatMap((part): Block[] => part.type === "tool-result" ? [resultOf(part)] : []),
      };
    case "assistant":
      return {
        role: "assistant",
        content: message.content.flatMap((part): Block[] => {
          switch (part.type) {
            case "text":
              return [{ type: "text", text: part.text }];
            case "reasoning":
              return [{ type: "thinking", text: part.text }];
            case "tool-call":
              return [{
                type: "tool_use",
                toolCallId: part.toolCallId,
                name: part.toolName,
                input: part.input as Record<string, unknown>,
              }];
            case "file":
              return [mediaOf(part, attachments)];
            case "tool-result":
              return [resultOf(part)];
            default:
              return [];
          }
        }),
      };
  }
}

function resultOf(part: Extract<ToolPart, { type: "tool-result" }>): Block {
  return { type: "tool_result", toolCallId: part.toolCallId, content: outputText(part.output) };
}

function outputText(output: ToolOutput): string {
  switch (output.type) {
    case "text":
      return output.value;
    case "error-text":
      return `Error: ${output.value}`;
    case "execution-denied":
      return `Error: the call was denied${output.reason === undefined ? "" : `: ${output.reason}`}`;
    case "error-json":
      return `Error: ${JSON.stringify(output.value)}`;
    case "content":
      return output.value.map((part) => part.type === "text" ? part.text : `[${part.type}]`).join("\n");
    default:
      return JSON.stringify(output.value);
  }
}

const KINDS = ["image", "audio", "video"] as const;

function mediaOf({ data, mediaType }: FilePart, attachments: Attachment[]): MediaBlock | Block {
  if (data.type === "text") return { type: "text", text: data.text };
  const [top] = mediaType.split("/");
  const kind = KINDS.find((known) => known === top);
  if (kind === undefined || data.type !== "data") {
    throw new TypeError(
      `Cannot send a file of type "${mediaType}" (${data.type}): give an image, audio or video as data`,
    );
  }
  const id = `file-${attachments.length + 1}`;
  attachments.push({
    id,
    kind,
    ...(mediaType.includes("/") && !mediaType.endsWith("/*") ? { mime: mediaType } : {}),
    bytes: data.data,
  });
  return { type: kind, attachmentId: id };
}
