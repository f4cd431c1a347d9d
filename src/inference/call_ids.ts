/** The tool calls of a conversation, and ids for backends without ids of their own: numbered through it. */
import { isText, type LongText } from "@inferd/client/protocol";
import type { ChatMessage, ToolUse } from "./request.ts";

export function callId(count: number): string {
  return `tc-${count}`;
}

export function callsIn(messages: readonly ChatMessage<LongText>[]): ToolUse[] {
  return messages.flatMap(({ content }) => isText(content) ? [] : content.filter((block) => block.type === "tool_use"));
}
