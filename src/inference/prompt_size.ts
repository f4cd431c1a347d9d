/** How many tokens a conversation comes to at the least, whatever the template: cheap to see, however much was sent. */
import type { ContentBlock, GenerationRequest } from "./request.ts";

/**
 * Tokens that a conversation comes to at the least. Every message takes one, and so do so many bytes. Thoughts do not
 * count: a template may leave them out.
 *
 * @param conversation What was asked.
 * @param longestPiece Bytes of the longest text that a token of the model stands for.
 */
export function leastTokens(
  { messages, tools, toolChoice }: Pick<GenerationRequest, "messages" | "tools" | "toolChoice">,
  longestPiece: number,
): number {
  let tokens = messages.length;
  const count = (text: string): void => void (tokens += Math.floor(text.length / longestPiece));
  const countAll = (blocks: readonly ContentBlock[]): void => {
    for (const block of blocks) {
      if (block.type === "text") count(block.text);
      else if (block.type === "tool_result") countAll(block.content);
    }
  };
  for (const { content } of messages) {
    if (typeof content === "string") count(content);
    else countAll(content);
  }
  if (toolChoice !== "none") { for (const { description } of tools) count(description); }
  return tokens;
}

/**
 * The message for a prompt that does not fit.
 *
 * @param tokens How many it has.
 * @param contextTokens How many prompt and answer may have together.
 */
export function tooLongMessage(tokens: number | `more than ${number}`, contextTokens: number): string {
  return `The prompt has ${tokens} tokens; prompt and answer together may have ${contextTokens}`;
}
