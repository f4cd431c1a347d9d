/** Ids of tool calls for backends without ids of their own: numbered through the conversation. */
import type { ChatMessage } from "./request.ts";

/** Id of the n-th call. */
export function callId(count: number): string {
  return `tc-${count}`;
}

/** Number of calls in a conversation. */
export function countCalls(messages: readonly ChatMessage[]): number {
  return messages.reduce(
    (sum, { content }) =>
      typeof content === "string" ? sum : sum + content.filter(({ type }) => type === "tool_use").length,
    0,
  );
}
