/** Lower bound for a conversation's token count, whatever the template: cheap to compute, whatever the size. */
import { isText, type LongText } from "@inferd/client/protocol";
import type { ContentBlock, GenerationRequest } from "./request.ts";

/**
 * Minimum token count of a conversation: one per message, plus text bytes divided by the longest token's length.
 * Ignores thoughts, which a template may omit.
 *
 * @param longestPiece Bytes of the vocabulary's longest token.
 */
export function leastTokens(
  { messages, prompt = [], tools, toolChoice }: Pick<
    GenerationRequest<LongText>,
    "messages" | "prompt" | "tools" | "toolChoice"
  >,
  longestPiece: number,
): number {
  let tokens = messages.length;
  const count = (text: LongText): void => void (tokens += Math.floor(text.length / longestPiece));
  const countAll = (blocks: readonly ContentBlock<LongText>[]): void => {
    for (const block of blocks) {
      if (block.type === "text") count(block.text);
      else if (block.type === "tool_result") countAll(block.content);
    }
  };
  for (const { content } of messages) {
    if (isText(content)) count(content);
    else countAll(content);
  }
  for (const part of prompt) {
    if (typeof part === "number") tokens++;
    else count(part);
  }
  if (toolChoice !== "none") { for (const { description } of tools) count(description); }
  return tokens;
}

/** A prompt, and the context that it does not fit. */
export interface PromptSize {
  /** So many at least. */
  readonly promptTokens: number;
  readonly contextTokens: number;
}

/** @param isLeast Whether the prompt was not counted to its end. */
export function tooLongMessage({ promptTokens, contextTokens }: PromptSize, isLeast = false): string {
  const tokens = isLeast ? `more than ${promptTokens}` : promptTokens;
  // Agents look for "exceeds the available context size", as llama-server has it, and shorten the conversation.
  return `The prompt has ${tokens} tokens; that exceeds the available context size, prompt and answer together may have ${contextTokens}`;
}
