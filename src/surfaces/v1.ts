/**
 * Generation v1: the fields of a request, their defaults, and its frames. No other part of the daemon knows v1's field
 * names.
 */
import { IMAGE_TOKEN_BUDGETS, type LongText, type V1DoneFrame } from "@inferd/client/protocol";
import { type ChatMessage, type GenerationRequest, PLAIN } from "../inference/request.ts";
import {
  readBoolean,
  readNonEmptyArray,
  readOneOf,
  readRecord,
  readRequest,
  readText,
  refuse,
  type ResolvedRequest,
  type StreamedAnswer,
} from "../pipeline/resolve.ts";
import { checkMessages, readGrammar, readSampling, ROLES } from "./generation.ts";
import type { Surface } from "./surface.ts";

export const v1Surface: Surface = {
  name: "v1",
  service: "v1",
  read: readV1,
};

/**
 * Read a v1 request whose final frame is returned as an object.
 *
 * @throws {InvalidRequestError} If it is invalid.
 */
export function readV1(value: unknown): ResolvedRequest<V1DoneFrame> {
  const { id, fields } = readRequest(value);
  const stream = fields.stream === undefined ? true : readBoolean("stream", fields.stream);
  const request = readGeneration(fields);
  return {
    id,
    answer: (backend, signal): StreamedAnswer<V1DoneFrame> => ({
      events: backend.generate(request, signal),
      render: rendering({ id, stream, backend: backend.name }),
    }),
  };
}

function readGeneration(value: Readonly<Record<string, unknown>>): GenerationRequest<LongText> {
  const { image_token_budget, grammar } = value;
  // Validated, but unused: no v1 model takes images.
  if (image_token_budget !== undefined) checkImageTokenBudget(image_token_budget);
  return {
    ...PLAIN,
    messages: readMessages(value.messages),
    ...readSampling(value),
    ...(grammar === undefined ? {} : { grammar: readGrammar(grammar) }),
  };
}

function readMessages(value: unknown): ChatMessage<LongText>[] {
  const messages = readNonEmptyArray("messages", value);
  checkMessages(messages.length);
  return messages.map((message, index) => {
    const { role, content } = readRecord(`messages[${index}]`, message);
    return {
      role: readOneOf(`messages[${index}].role`, role, ROLES),
      content: readText(`messages[${index}].content`, content),
    };
  });
}

function checkImageTokenBudget(value: unknown): void {
  if (typeof value !== "number" || !IMAGE_TOKEN_BUDGETS.includes(value)) {
    refuse("image_token_budget", `one of ${IMAGE_TOKEN_BUDGETS.join(", ")}`, value);
  }
}

function rendering(
  { id, stream, backend }: { readonly id: string; readonly stream: boolean; readonly backend: string },
): StreamedAnswer<V1DoneFrame>["render"] {
  // The constant part of all frames but the last.
  const head = `{"id":${JSON.stringify(id)},"type":"token","content":`;
  let content = "";
  return (event) => {
    switch (event.type) {
      case "text":
        content += event.text;
        return stream ? `${head}${JSON.stringify(event.text)}}\n` : undefined;
      case "text_was_thinking":
        if (!stream) content = "";
        return undefined;
      case "thinking":
      case "tool_use":
      case "progress":
        // Thinking is not part of a v1 answer, and there are no tools.
        return undefined;
      case "done": {
        const { reason, usage } = event;
        const frame: V1DoneFrame = {
          id,
          type: "done",
          content,
          usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens },
          // A stop string counts as the end.
          stop_reason: reason === "length" ? "length" : "end",
          backend,
        };
        return { frame, stopReason: frame.stop_reason, usage };
      }
    }
  };
}
