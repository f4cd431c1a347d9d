/**
 * From messages to what node-llama-cpp takes for a conversation: a call and its result, which come in different
 * messages, are one item there, and the answer after a result is part of the turn that made the call.
 */
import type { ChatHistoryItem, ChatModelFunctionCall, ChatModelResponse } from "node-llama-cpp";
import type { ChatMessage, ContentBlock } from "../backend/backend.ts";

/** An attachment, which no model here takes; the message is for the caller. */
export class AttachmentError extends Error {
  override readonly name = "AttachmentError";
}

/** A number that a JavaScript number may not hold exactly. */
const LONG_NUMBER = /\d{16}/;

/**
 * Render messages as history; ends with the turn that is to be continued.
 *
 * @throws {AttachmentError} If there is an attachment.
 */
export function toHistory(messages: readonly ChatMessage[]): ChatHistoryItem[] {
  const history: ChatHistoryItem[] = [];
  const calls = new Map<string, ChatModelFunctionCall>();
  /** The turn whose calls the last message brought results for. */
  let answered: ChatModelResponse | undefined;
  for (const { role, content } of messages) {
    const blocks = typeof content === "string" ? [{ type: "text", text: content } as const] : content;
    if (role === "assistant") {
      const turn: ChatModelResponse = answered ?? { type: "model", response: [] };
      if (answered === undefined) history.push(turn);
      answered = undefined;
      addResponse(turn, blocks, calls);
      continue;
    }
    const results = blocks.filter((block) => block.type === "tool_result");
    for (const { toolCallId, content } of results) {
      const call = calls.get(toolCallId);
      if (call !== undefined) call.result = resultOf(textOf(content));
    }
    const last = history.at(-1);
    if (results.length > 0 && last?.type === "model") answered = last;
    if (results.length > 0 && results.length === blocks.length) continue;
    answered = undefined;
    history.push({ type: role, text: textOf(blocks.filter((block) => block.type !== "tool_result")) });
  }
  if (history.at(-1)?.type !== "model") history.push({ type: "model", response: [] });
  return history;
}

/**
 * All text in a message that takes tokens, roughly.
 *
 * @throws {AttachmentError} If there is an attachment.
 */
export function textsOf({ content }: ChatMessage): string[] {
  return typeof content === "string" ? [content] : content.flatMap(blockTexts);
}

function blockTexts(block: ContentBlock): string[] {
  switch (block.type) {
    case "text":
      return [block.text];
    case "tool_use":
      return [block.name, JSON.stringify(block.input)];
    case "tool_result":
      return block.content.flatMap(blockTexts);
    case "media":
      throw new AttachmentError(`This model takes text only, no ${block.attachment.kind}`);
  }
}

function addResponse(
  { response }: ChatModelResponse,
  blocks: readonly ContentBlock[],
  calls: Map<string, ChatModelFunctionCall>,
): void {
  let startsNewChunk = true;
  let texts: string[] = [];
  const addText = (): void => {
    if (texts.length > 0) response.push(texts.join("\n"));
    texts = [];
  };
  for (const block of blocks) {
    if (block.type === "text") texts.push(block.text);
    if (block.type !== "tool_use") continue;
    addText();
    const call: ChatModelFunctionCall = {
      type: "functionCall",
      name: block.name,
      params: block.input,
      result: undefined,
      startsNewChunk,
    };
    startsNewChunk = false;
    calls.set(block.toolCallId, call);
    response.push(call);
  }
  addText();
}

function textOf(blocks: readonly ContentBlock[]): string {
  return blocks.flatMap(blockTexts).join("\n");
}

/** Templates write results as JSON: what is JSON already would be written as a string with JSON in it. */
function resultOf(text: string): unknown {
  if (LONG_NUMBER.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
