/** Ids of tool calls for backends without ids of their own: numbered through the conversation. */
import type { ChatMessage } from "./request.ts";

export function callId(count: number): string {
  return `tc-${count}`;
}

export function countCalls(messages: readonly ChatMessage[]): number {
  return messages.reduce(
    (sum, { content }) =>
      typeof content === "string" ? sum : sum + content.filter(({ type }) => type === "tool_use").length,
    0,
  );
}
