/** What calls of tools are named when a backend has no names of its own: counted through the conversation. */
import type { ChatMessage } from "./request.ts";

/** The name of a call. */
export function callId(count: number): string {
  return `tc-${count}`;
}

/** Calls that a conversation has. */
export function countCalls(messages: readonly ChatMessage[]): number {
  return messages.reduce(
    (sum, { content }) =>
      typeof content === "string" ? sum : sum + content.filter(({ type }) => type === "tool_use").length,
    0,
  );
}
