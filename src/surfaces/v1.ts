/**
 * Generation v1: which fields a request has, what they default to, and how its frames look. Nothing else of the
 * daemon knows v1's field names.
 */
import {
  IMAGE_TOKEN_BUDGETS,
  MAX_GRAMMAR_ALTERNATIVES,
  MAX_GRAMMAR_BYTES,
  MAX_STOP_STRINGS,
  type V1DoneFrame,
  type V1StopReason,
} from "@inferd/client/protocol";
import {
  type Backend,
  type ChatMessage,
  type FinishReason,
  type GenerationRequest,
  InvalidRequestError,
} from "../backend/backend.ts";
import {
  isRecord,
  type Range,
  readBoolean,
  readInteger,
  readNumber,
  readString,
  refuse,
  type ResolvedRequest,
  shown,
  type Step,
} from "../pipeline/resolve.ts";
import type { Surface } from "./surface.ts";

const DEFAULT_TEMPERATURE = 1.0;
const DEFAULT_TOP_P = 0.95;
const DEFAULT_TOP_K = 64;
const DEFAULT_MAX_TOKENS = 1000;

/** The largest count the engine's native side can hold; nothing real comes near it. */
const MAX_INT32 = 2 ** 31 - 1;

const TEMPERATURE: Range = { min: 0, max: 2, text: "a number from 0 to 2" };
const TOP_P: Range = { min: 0, max: 1, aboveMin: true, text: "a number above 0 and at most 1" };
const TOP_K: Range = { min: 0, max: MAX_INT32, text: `an integer from 0 to ${MAX_INT32}` };
const MAX_TOKENS: Range = { min: 1, max: Number.MAX_VALUE, text: "an integer of at least 1" };
/** What JSON numbers carry exactly: another seed would be taken for its neighbour. */
const SEED: Range = {
  min: Number.MIN_SAFE_INTEGER,
  max: Number.MAX_SAFE_INTEGER,
  text: `an integer from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`,
};
const ROLES = `"system", "user" or "assistant"`;

const encoder = new TextEncoder();

/** The v1 surface. */
export const v1Surface: Surface = {
  name: "v1",
  resolve(value: unknown): ResolvedRequest {
    if (!isRecord(value)) throw new InvalidRequestError(`A request must be a JSON object, got ${shown(value)}`);
    const id = value.id === undefined ? "" : readString("id", value.id);
    const stream = value.stream === undefined ? true : readBoolean("stream", value.stream);
    const request = readRequest(value);
    return { id, answer: (backend, signal) => answer({ id, stream, request }, backend, signal) };
  },
};

function readRequest(value: Readonly<Record<string, unknown>>): GenerationRequest {
  const { temperature, top_p, top_k, max_tokens, image_token_budget, grammar, seed, stop } = value;
  // Carried for models that take images; none does on this surface.
  if (image_token_budget !== undefined) checkImageTokenBudget(image_token_budget);
  return {
    messages: readMessages(value.messages),
    sampling: {
      temperature: temperature === undefined
        ? DEFAULT_TEMPERATURE
        : readNumber("temperature", temperature, TEMPERATURE),
      topP: top_p === undefined ? DEFAULT_TOP_P : readNumber("top_p", top_p, TOP_P),
      topK: top_k === undefined ? DEFAULT_TOP_K : readInteger("top_k", top_k, TOP_K),
      ...(seed === undefined ? {} : { seed: readInteger("seed", seed, SEED) }),
    },
    maxTokens: max_tokens === undefined
      ? DEFAULT_MAX_TOKENS
      : Math.min(readInteger("max_tokens", max_tokens, MAX_TOKENS), MAX_INT32),
    stop: stop === undefined ? [] : readStop(stop),
    ...(grammar === undefined ? {} : { grammar: readGrammar(grammar) }),
  };
}

function readMessages(value: unknown): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) refuse("messages", "a non-empty array", value);
  return value.map((message: unknown, index) => {
    if (!isRecord(message)) refuse(`messages[${index}]`, "an object", message);
    const { role, content } = message;
    if (role !== "system" && role !== "user" && role !== "assistant") refuse(`messages[${index}].role`, ROLES, role);
    if (typeof content !== "string") refuse(`messages[${index}].content`, "a string", content);
    return { role, content };
  });
}

function readStop(value: unknown): string[] {
  if (!Array.isArray(value)) refuse("stop", "an array of strings", value);
  if (value.length > MAX_STOP_STRINGS) {
    throw new InvalidRequestError(`"stop" must have at most ${MAX_STOP_STRINGS} strings, got ${value.length}`);
  }
  return value.map((text: unknown, index) => {
    if (typeof text !== "string" || text === "") refuse(`stop[${index}]`, "a non-empty string", text);
    return text;
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
