/**
 * Generation v1: which fields a request has, what they default to, and how its frames look. Nothing else of the
 * daemon knows v1's field names.
 */
import {
  IMAGE_TOKEN_BUDGETS,
  MAX_GRAMMAR_ALTERNATIVES,
  MAX_GRAMMAR_BYTES,
  type V1DoneFrame,
  type V1StopReason,
} from "@inferd/client/protocol";
import type { Backend } from "../inference/backend.ts";
import { InvalidRequestError } from "../inference/errors.ts";
import type { FinishReason } from "../inference/events.ts";
import { type ChatMessage, type GenerationRequest, PLAIN } from "../inference/request.ts";
import {
  readBoolean,
  readNonEmptyArray,
  readOneOf,
  readRecord,
  readRequest,
  readString,
  refuse,
  type ResolvedRequest,
  type Step,
} from "../pipeline/resolve.ts";
import { readSampling, ROLES } from "./generation.ts";
import type { Surface } from "./surface.ts";

const encoder = new TextEncoder();

/** The v1 surface. */
export const v1Surface: Surface = {
  name: "v1",
  service: "v1",
  resolve(value: unknown): ResolvedRequest {
    const { id, fields } = readRequest(value);
    const stream = fields.stream === undefined ? true : readBoolean("stream", fields.stream);
    const request = readGeneration(fields);
    return { id, answer: (backend, signal) => answer({ id, stream, request }, backend, signal) };
  },
};

function readGeneration(value: Readonly<Record<string, unknown>>): GenerationRequest {
  const { image_token_budget, grammar } = value;
  // Carried for models that take images; none does on this surface.
  if (image_token_budget !== undefined) checkImageTokenBudget(image_token_budget);
  return {
    ...PLAIN,
    messages: readMessages(value.messages),
    ...readSampling(value),
    ...(grammar === undefined ? {} : { grammar: readGrammar(grammar) }),
  };
}

function readMessages(value: unknown): ChatMessage[] {
  return readNonEmptyArray("messages", value).map((message, index) => {
    const { role, content } = readRecord(`messages[${index}]`, message);
    return {
      role: readOneOf(`messages[${index}].role`, role, ROLES),
      content: readString(`messages[${index}].content`, content),
    };
  });
}

function readGrammar(value: unknown): string {
  const grammar = readString("grammar", value);
  // UTF-8 takes at least one byte for each UTF-16 unit, so the long ones need no encoding to be refused.
  const bytes = grammar.length > MAX_GRAMMAR_BYTES ? grammar.length : encoder.encode(grammar).length;
  if (bytes > MAX_GRAMMAR_BYTES) {
    throw new InvalidRequestError(`"grammar" must have at most ${MAX_GRAMMAR_BYTES} bytes, got ${bytes}`);
  }
  const alternatives = grammar.split("|").length - 1;
  if (alternatives > MAX_GRAMMAR_ALTERNATIVES) {
    throw new InvalidRequestError(
      `"grammar" must have at most ${MAX_GRAMMAR_ALTERNATIVES} "|", got ${alternatives}`,
    );
  }
  return grammar;
}

function checkImageTokenBudget(value: unknown): void {
  if (typeof value !== "number" || !IMAGE_TOKEN_BUDGETS.includes(value)) {
    refuse("image_token_budget", `one of ${IMAGE_TOKEN_BUDGETS.join(", ")}`, value);
  }
}

async function* answer(
  { id, stream, request }: { readonly id: string; readonly stream: boolean; readonly request: GenerationRequest },
  backend: Backend,
  signal: AbortSignal,
): AsyncGenerator<Step> {
  const tokenHead = `{"id":${JSON.stringify(id)},"type":"token","content":`;
  let content = "";
  for await (const event of backend.generate(request, signal)) {
    if (event.type === "text") {
      content += event.text;
      yield stream ? `${tokenHead}${JSON.stringify(event.text)}}\n` : "";
      continue;
    }
    if (event.type === "text_was_thinking" && !stream) content = "";
    // What a model thought is not part of a v1 answer, and tools were not offered.
    if (event.type !== "done") {
      yield "";
      continue;
    }
    const frame: V1DoneFrame = {
      id,
      type: "done",
      content,
      usage: { prompt_tokens: event.usage.promptTokens, completion_tokens: event.usage.completionTokens },
      stop_reason: stopReason(event.reason),
      backend: backend.name,
    };
    yield { frame: `${JSON.stringify(frame)}\n`, stopReason: frame.stop_reason, usage: event.usage };
    return;
  }
}

/** A stop string is an end the caller asked for. */
function stopReason(reason: FinishReason): V1StopReason {
  return reason === "length" ? "length" : "end";
}
