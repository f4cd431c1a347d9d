/** LangChain's messages, tools and options as a request of the client. */
import type { BindToolsInput } from "@langchain/core/language_models/chat_models";
import { type AIMessage, type BaseMessage, type ContentBlock, ToolMessage } from "@langchain/core/messages";
import { convertToOpenAITool } from "@langchain/core/utils/function_calling";
import type { Attachment, Block, GenerateV2Fields, Message, Tool, ToolChoice } from "@inferd/client";

const ROLES: Readonly<Record<string, Message["role"]>> = { system: "system", developer: "system", ai: "assistant" };
const MEDIA = ["image", "audio", "video"] as const;

/** A tool as the client has it. */
export function toolOf(tool: BindToolsInput): Tool {
  const { function: { name, description = "", parameters } } = convertToOpenAITool(tool);
  return { name, description, inputSchema: parameters as Tool["inputSchema"] };
}

/**
 * A request.
 *
 * @throws {TypeError} If a message has what cannot be sent.
 */
export function requestOf(
  messages: readonly BaseMessage[],
  { tools, tool_choice: choice, stop }: { tools?: GenerateV2Fields["tools"]; tool_choice?: unknown; stop?: string[] },
): GenerateV2Fields {
  const attachments: Attachment[] = [];
  const converted: { role: Message["role"]; content: Block[] }[] = [];
  for (const message of messages) {
    if (!ToolMessage.isInstance(message)) {
      const said = message.contentBlocks.filter(({ type, text }) => !type.startsWith("tool_call") && text !== "");
      const content = [...thought(message), ...said.map((block) => blockOf(block, attachments)), ...calls(message)];
      converted.push({ role: ROLES[message.type] ?? "user", content });
      continue;
    }
    // All results of one turn are in one message.
    const result: Block = { type: "tool_result", toolCallId: message.tool_call_id, content: message.text };
    const last = converted.at(-1);
    if (last?.content.at(-1)?.type === "tool_result") last.content.push(result);
    else converted.push({ role: "user", content: [result] });
  }
  return {
    messages: converted,
    ...(attachments.length > 0 ? { attachments } : {}),
    ...(tools === undefined ? {} : { tools, toolChoice: choiceOf(choice) }),
    ...(stop === undefined ? {} : { stop }),
  };
}

function thought({ additional_kwargs: { reasoning_content: text } }: BaseMessage): Block[] {
  return typeof text === "string" ? [{ type: "thinking", text }] : [];
}

function calls(message: BaseMessage): Block[] {
  const { tool_calls: made = [] } = message as Pick<AIMessage, "tool_calls">;
  return made.map(({ id = "", name, args }) => ({ type: "tool_use", toolCallId: id, name, input: args }));
}

function choiceOf(choice: unknown): ToolChoice | undefined {
  if (choice === undefined || choice === "auto" || choice === "none") return choice;
  if (choice === "any" || choice === "required") return "required";
  if (typeof choice === "string") return { name: choice };
  const { function: named } = choice as { readonly function?: { readonly name: string } };
  if (named !== undefined) return { name: named.name };
  throw new TypeError(`Cannot choose a tool by ${JSON.stringify(choice)}: give auto, any, none or its name`);
}

function blockOf(block: ContentBlock.Standard, attachments: Attachment[]): Block {
  if (block.type === "text") return { type: "text", text: block.text };
  if (block.type === "reasoning") return { type: "thinking", text: block.reasoning };
  const kind = MEDIA.find((kind) => kind === block.type);
  const { data, mimeType } = block as ContentBlock.Multimodal.Data;
  if (kind === undefined || data === undefined) {
    throw new TypeError(`Cannot send a block "${block.type}": give text, or an image, audio or video as data`);
  }
  const id = `file-${attachments.length + 1}`;
  attachments.push({ id, kind, ...(mimeType ? { mime: mimeType } : {}), bytes: data });
  return { type: kind, attachmentId: id };
}
