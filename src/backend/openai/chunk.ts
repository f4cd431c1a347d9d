/**
 * Parses a chunk of a chat completion, or a complete one, into pieces. Lenient: only what an answer cannot do without
 * has to be well-formed.
 */
import type { TokenLogprob, TokenProbability, Usage } from "../../inference/events.ts";
import type { JsonObject } from "../../inference/request.ts";
import type { CallPiece } from "./calls.ts";
import { countOf, indexOf, saysSomething, textIn, wordOf } from "./values.ts";
import { defined, isObject } from "../../inference/objects.ts";

/** A piece of an answer, in order. */
export type Piece =
  | { readonly type: "text" | "thinking" | "refusal"; readonly text: string }
  | { readonly type: "call"; readonly call: CallPiece };

export interface Chunk {
  /** The failure it reports, as input for `toFailure`. */
  readonly failure?: unknown;
  /** A failure only if the answer does not end with a reason. */
  readonly complaint?: unknown;
  /** Whether it concerns the first choice, the only one that is read. */
  readonly answers: boolean;
  /** Its pieces are a whole message: the answer, or after deltas the same once more. */
  readonly isWhole: boolean;
  readonly pieces: readonly Piece[];
  /** Logprobs of its tokens; empty if the server sends none. */
  readonly logprobs: readonly TokenLogprob[];
  readonly finish?: string;
  /** Candidates for the stop string that matched. */
  readonly stops: readonly string[];
  /** Token counts of the server. */
  readonly usage: Partial<Usage>;
}

/** A chunk that cannot be parsed. */
export class UnreadableChunkError extends Error {
  override readonly name = "UnreadableChunkError";
}

/**
 * Fields for thinking. Some servers send the same text in two of them.
 *
 * - `reasoning_content`: DeepSeek, llama-server, SGLang, vLLM until 2025, LM Studio
 * - `reasoning`: vLLM, Ollama, Groq, OpenRouter, also as an object
 * - `reasoning_details`: OpenRouter
 * - `thinking`, `thought`, `thoughts`, `thinking_blocks`, `reasoning_summary`: gateways
 */
const THOUGHTS = /^(?:internal_)?(?:reasoning|thinking|thoughts?)(?:_(?:content|text|details|blocks|summary))?$/;

const encoder = new TextEncoder();

/** Types of content parts that hold thoughts. */
const THOUGHT_PART = /^(?:redacted_)?(?:thinking|thought|reasoning)/i;

/** Types of content parts that hold text; a part without a type holds text, too. */
const TEXT_PARTS: ReadonlySet<unknown> = new Set([undefined, null, "text", "output_text"]);

/** What some servers write of an answer that goes on. */
const NO_FINISH: ReadonlySet<string> = new Set(["null", "none"]);

/** What a chunk without choices has if it reports a failure; status reports may have it, too. */
const COMPLAINTS = ["errors", "message", "msg", "error_code", "error_message", "error_msg"] as const;

/** @throws {UnreadableChunkError} If it cannot be read. */
export function readChunk(value: unknown): Chunk {
  if (!isObject(value)) throw new UnreadableChunkError("A chunk is not an object");
  const choices = readList(value.choices);
  const choice = choices.filter(isObject).find(({ index }) => (indexOf(index) ?? 0) === 0);
  if (choices.some((entry) => !isObject(entry))) throw new UnreadableChunkError("A choice is not an object");
  const failure = failureIn(value, choice);
  return {
    ...(failure === undefined ? {} : { failure }),
    ...(isComplaint(value) ? { complaint: value } : {}),
    answers: isObject(choice?.delta) || isObject(choice?.message) || saysSomething(choice?.finish_reason),
    ...piecesIn(choice),
    logprobs: readLogprobs(choice?.logprobs),
    ...finishIn(choice),
    stops: [choice?.stop_reason, choice?.matched_stop, choice?.stop_sequence].filter((stop) =>
      typeof stop === "string"
    ),
    usage: readUsage(value, choice),
  };
}

function failureIn(value: JsonObject, choice: JsonObject | undefined): unknown {
  if (saysSomething(value.error)) return value;
  if (choice !== undefined) {
    const own = [choice, choice.delta, choice.message].find((part) => isObject(part) && saysSomething(part.error));
    return isObject(own) ? { error: own.error } : undefined;
  }
  const isFailure = value.object === "error" || value.type === "error" || saysSomething(value.detail);
  return isFailure ? value : undefined;
}

function isComplaint(value: JsonObject): boolean {
  return value.choices === undefined && COMPLAINTS.some((key) => saysSomething(value[key]));
}

/** Some servers send an empty delta beside a message, or a completion's text. */
function piecesIn(choice: JsonObject | undefined): Pick<Chunk, "pieces" | "isWhole"> {
  const delta = readPieces(choice?.delta);
  if (delta.length > 0) return { pieces: delta, isWhole: false };
  return {
    pieces: [...readPieces(choice?.message), ...readContent(choice?.text ?? null)],
    isWhole: isObject(choice?.message),
  };
}

function readPieces(part: unknown): Piece[] {
  if (part === undefined || part === null) return [];
  if (!isObject(part)) throw new UnreadableChunkError("A part of an answer is not an object");
  const pieces: Piece[] = [];
  const thought = Object.keys(part).map((name) => THOUGHTS.test(name) ? textIn(part[name]) : "")
    .find((text) => text !== "");
  if (thought !== undefined) pieces.push({ type: "thinking", text: thought });
  for (const entry of readList(part.content)) pieces.push(...readContent(entry));
  const refusal = textIn(part.refusal);
  if (refusal !== "") pieces.push({ type: "refusal", text: refusal });
  const calls = readCalls(part);
  for (const [position, call] of calls.entries()) {
    pieces.push({ type: "call", call: readCall(call, calls.length > 1 ? position : undefined) });
  }
  return pieces;
}

function readContent(entry: unknown): Piece[] {
  if (entry === null) return [];
  if (typeof entry === "string") return entry === "" ? [] : [{ type: "text", text: entry }];
  if (!isObject(entry)) throw new UnreadableChunkError("A content is not text");
  const { type } = entry;
  const isThought = entry.thought === true || (typeof type === "string" && THOUGHT_PART.test(type));
  const text = type === "refusal" ? textIn(entry.refusal) : textIn(entry);
  if (text === "") return [];
  if (isThought) return [{ type: "thinking", text }];
  if (type === "refusal") return [{ type, text }];
  // Other parts (references, images) have no place in an answer.
  return TEXT_PARTS.has(type) ? [{ type: "text", text }] : [];
}

/** Reads the calls of a delta; `function_call` is the older form for a single call. */
function readCalls({ tool_calls, function_call }: JsonObject): readonly unknown[] {
  const calls = readList(tool_calls).filter(isPieceOfCall);
  return calls.length === 0 && saysSomething(function_call) ? [{ function: function_call }] : calls;
}

/** Whether it says anything of a call: some servers send empty ones with every text. */
function isPieceOfCall(value: unknown): boolean {
  if (!isObject(value)) return saysSomething(value);
  const { function: called = value } = value;
  return wordOf(value.id) !== undefined || saysSomething(called);
}

function readCall(value: unknown, position: number | undefined): CallPiece {
  if (!isObject(value)) throw new UnreadableChunkError("A call is not an object");
  const called = isObject(value.function) ? value.function : value;
  const written = called.arguments;
  return {
    index: indexOf(value.index),
    position,
    id: wordOf(value.id),
    name: wordOf(called.name),
    written: written === undefined || written === null
      ? ""
      : typeof written === "string"
      ? written
      : JSON.stringify(written),
  };
}

function readLogprobs(value: unknown): TokenLogprob[] {
  if (!isObject(value)) return [];
  return readList(value.content).flatMap((entry) => {
    const token = readProbability(entry);
    if (token === undefined || !isObject(entry)) return [];
    const top = readList(entry.top_logprobs).flatMap((other) => readProbability(other) ?? []);
    return [{ ...token, top }];
  });
}

function readProbability(value: unknown): TokenProbability | undefined {
  if (!isObject(value)) return undefined;
  const { token, bytes, logprob } = value;
  if (typeof token !== "string" || typeof logprob !== "number") return undefined;
  const id = indexOf(value.id);
  return {
    token,
    ...(id === undefined ? {} : { id }),
    bytes: Array.isArray(bytes) ? bytes.filter((byte) => typeof byte === "number") : [...encoder.encode(token)],
    logprob,
  };
}

function finishIn(choice: JsonObject | undefined): Pick<Chunk, "finish"> {
  const { finish_reason: reason, stop_reason: stop } = choice ?? {};
  const finish = wordOf(isObject(reason) ? reason.type : reason) ??
    (typeof stop === "string" ? wordOf(stop) : undefined);
  return finish === undefined || NO_FINISH.has(finish.toLowerCase()) ? {} : { finish };
}

function readUsage(value: JsonObject, choice: JsonObject | undefined): Partial<Usage> {
  // Extensions of Groq and Moonshot.
  const groq = isObject(value.x_groq) ? value.x_groq.usage : undefined;
  const usage = [value.usage, groq, choice?.usage].find((usage) => isObject(usage));
  if (!isObject(usage)) return {};
  const details = isObject(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {};
  const promptTokens = countOf(usage.prompt_tokens) ?? countOf(usage.input_tokens);
  const completionTokens = countOf(usage.completion_tokens) ?? countOf(usage.output_tokens);
  // Names used by DeepSeek and Moonshot.
  const cachedTokens = countOf(details.cached_tokens) ?? countOf(usage.prompt_cache_hit_tokens) ??
    countOf(usage.cached_tokens);
  return defined({ promptTokens, completionTokens, cachedTokens });
}

/** A list, a single item, or nothing. */
function readList(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}
