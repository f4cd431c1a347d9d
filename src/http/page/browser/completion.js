/** Generates an answer: converts the conversation for the API and reads the streamed pieces. */
import { ask, linesOf, readError, RequestError } from "./api.js";

/**
 * @typedef {{ id: string, name: string, arguments: string }} ToolCall
 * @typedef {{ role: "user", text: string, images: string[] }} UserMessage
 * @typedef {{
 *   role: "assistant", text: string, thinking: string, calls: ToolCall[], figures?: string, error?: string,
 *   stopped?: boolean,
 * }} AssistantMessage
 * @typedef {{ role: "tool", callId: string, text: string }} ToolMessage
 * @typedef {UserMessage | AssistantMessage | ToolMessage} Message
 * @typedef {{ type: "text", text: string } | { type: "thinking", text: string } | { type: "call", call: ToolCall }
 *   | { type: "end", reason: string } | { type: "usage", promptTokens: number, completionTokens: number }} Piece
 */

/**
 * @param {readonly Message[]} messages The conversation.
 * @param {{ system: string, fields: Record<string, unknown> }} settings System prompt and request fields.
 * @param {AbortSignal} signal Stops it.
 * @returns {AsyncGenerator<Piece, void, void>}
 * @throws {RequestError} If it is refused or fails midway.
 */
export async function* complete(messages, { system, fields }, signal) {
  const body = {
    ...fields,
    messages: [...(system === "" ? [] : [{ role: "system", content: system }]), ...messages.map(toApi)],
    stream: true,
    stream_options: { include_usage: true },
  };
  let ended = false;
  try {
    for await (const line of linesOf(await ask("/v1/chat/completions", { body, signal }))) {
      if (!line.startsWith("data: ")) continue;
      if (line === "data: [DONE]") {
        ended = true;
        break;
      }
      const chunk = JSON.parse(line.slice("data: ".length));
      const error = readError(chunk);
      if (error !== undefined) throw new RequestError(error.message, 200, error.code);
      yield* piecesOf(chunk);
    }
  } catch (error) {
    if (signal.aborted || error instanceof RequestError) throw error;
    throw new RequestError("The connection broke before the answer was complete", 0);
  }
  if (!ended) throw new RequestError("The connection broke before the answer was complete", 0);
}

/**
 * @param {any} chunk
 * @returns {Generator<Piece, void, void>}
 */
function* piecesOf(chunk) {
  const choice = chunk.choices?.[0];
  const delta = choice?.delta ?? {};
  if (delta.reasoning_content) yield { type: "thinking", text: delta.reasoning_content };
  if (delta.content) yield { type: "text", text: delta.content };
  for (const { id, function: { name, arguments: input } } of delta.tool_calls ?? []) {
    yield { type: "call", call: { id, name, arguments: input } };
  }
  if (choice?.finish_reason) yield { type: "end", reason: choice.finish_reason };
  if (chunk.usage) {
    const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = chunk.usage;
    yield { type: "usage", promptTokens, completionTokens };
  }
}

/** @param {Message} message */
function toApi(message) {
  switch (message.role) {
    case "tool":
      return { role: "tool", tool_call_id: message.callId, content: message.text };
    case "assistant":
      return {
        role: "assistant",
        content: message.text === "" && message.calls.length > 0 ? null : message.text,
        ...(message.calls.length === 0 ? {} : {
          tool_calls: message.calls.map(({ id, name, arguments: input }) => ({
            id,
            type: "function",
            function: { name, arguments: input },
          })),
        }),
      };
    case "user":
      if (message.images.length === 0) return { role: "user", content: message.text };
      return {
        role: "user",
        content: [
          ...message.images.map((url) => ({ type: "image_url", image_url: { url } })),
          { type: "text", text: message.text },
        ],
      };
  }
}
