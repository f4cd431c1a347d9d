/**
 * Requests as frames and frames as events: the one place where raw JSON is `unknown`, and where snake_case becomes
 * camelCase. Additions of a newer daemon (fields, frame types, states) are ignored; violations of the protocol are a
 * `ProtocolError`.
 */
import type { QueueStatus, V1Request } from "../protocol/mod.ts";
import type { Codec, Failure, Step } from "./exchange.ts";
import type { GenerateRequest, SamplingOptions } from "../generation.ts";
import type { GenerationEvent, GenerationResult } from "../generation_events.ts";
import { daemonError } from "../errors/error_codes.ts";
import { ProtocolError } from "../errors/errors.ts";

/** A JSON object, not validated yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** Generation v1 on the wire. */
export function v1Codec(request: GenerateRequest): Codec<GenerationEvent, GenerationResult> {
  const { id = crypto.randomUUID() } = request;
  return { id, frame: v1Request(request, id), read: (line) => readV1(line, id) };
}

function v1Request(request: GenerateRequest, id: string): V1Request {
  const { messages, stream, imageTokenBudget, grammar } = request;
  const frame: { [Key in keyof Required<V1Request>]: unknown } = {
    id,
    messages,
    stream,
    image_token_budget: imageTokenBudget,
    grammar,
    ...wireSampling(request),
  };
  return frame as V1Request;
}

/** The sampling fields of v1 and v2. */
type SamplingField = Exclude<keyof V1Request, "id" | "messages" | "stream" | "image_token_budget" | "grammar">;

/** The fields with the same names in v1 and v2. */
export function wireSampling(
  options: SamplingOptions,
): Pick<{ [Key in keyof Required<V1Request>]: unknown }, SamplingField> {
  return {
    temperature: options.temperature,
    top_p: options.topP,
    top_k: options.topK,
    max_tokens: options.maxTokens,
    seed: options.seed,
    stop: options.stop,
    min_p: options.minP,
    presence_penalty: options.presencePenalty,
    frequency_penalty: options.frequencyPenalty,
    repeat_penalty: options.repeatPenalty,
    logit_bias: options.logitBias,
  };
}

function readV1(line: string, id: string): Step<GenerationEvent, GenerationResult> | undefined {
  const frame = parse(line);
  const { type } = frame;
  if (type === "token") {
    expectId(frame, id);
    return { type: "event", event: { type: "text", text: text(frame, "content") } };
  }
  if (type === "done") {
    expectId(frame, id);
    const usage = record(frame, "usage");
    const result = {
      text: text(frame, "content"),
      thinking: "",
      toolCalls: [],
      usage: {
        promptTokens: number(usage, "prompt_tokens"),
        completionTokens: number(usage, "completion_tokens"),
      },
      stopReason: stopReason(text(frame, "stop_reason")),
      backend: text(frame, "backend"),
      toolChoiceUnsatisfied: false,
    };
    return { type: "end", event: { type, ...result }, result };
  }
  return readFailure(frame, id);
}

/** Map v1's stop reasons to v2's. */
function stopReason(reason: string): string {
  if (reason === "end") return "end_turn";
  return reason === "length" ? "max_tokens" : reason;
}

/** A request that is answered by one frame of a type. */
export function oneFrame<Result>(
  type: string,
  fields: Fields,
  result: (answer: Fields) => Result,
): Codec<Result, Result> {
  const id = crypto.randomUUID();
  return {
    id,
    frame: { id, ...fields },
    read: (line): Step<Result, Result> | undefined => {
      const answer = parse(line);
      if (answer.type !== type) return readFailure(answer, id);
      expectId(answer, id);
      const read = result(answer);
      return { type: "end", event: read, result: read };
    },
  };
}

/**
 * Read a frame that every surface may send; `undefined` for a frame type that is not known.
 *
 * @throws {ProtocolError} If it is no frame, or belongs to another request.
 */
export function readFailure(frame: Fields, id: string): Failure | undefined {
  const { type } = frame;
  if (type === "error") {
    const ours = frame.id !== "";
    if (ours) expectId(frame, id);
    const details = {
      reason: frame.reason === undefined ? undefined : text(frame, "reason"),
      promptTokens: frame.prompt_tokens === undefined ? undefined : number(frame, "prompt_tokens"),
      contextTokens: frame.context_tokens === undefined ? undefined : number(frame, "context_tokens"),
    };
    return { type, error: daemonError(text(frame, "code"), text(frame, "message"), details), ours };
  }
  if (typeof type !== "string") throw wrong(frame, "type", "a string");
  return undefined;
}

/** @throws {ProtocolError} If it is no JSON object. */
export function parse(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new ProtocolError(`The daemon sent a line that is not JSON: ${shown(line)}`, { cause });
  }
  if (!isRecord(value)) throw new ProtocolError(`The daemon sent a line that is not a JSON object: ${shown(line)}`);
  return value;
}

/** @throws {ProtocolError} If it is no queue. */
export function readQueue(queue: Fields): QueueStatus {
  return { active: number(queue, "active"), waiting: number(queue, "waiting"), depth: number(queue, "depth") };
}

/** Whether it is a JSON object. */
export function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws {ProtocolError} If the frame belongs to another request. */
export function expectId(frame: Fields, id: string): void {
  if (frame.id !== id) {
    throw new ProtocolError(`The daemon answered request ${shown(frame.id)} where ${shown(id)} was asked`);
  }
}

/** @throws {ProtocolError} If it is something else. */
export function text(frame: Fields, key: string): string {
  const value = frame[key];
  if (typeof value !== "string") throw wrong(frame, key, "a string");
  return value;
}

/** @throws {ProtocolError} If it is something else. */
export function number(frame: Fields, key: string): number {
  const value = frame[key];
  if (typeof value !== "number") throw wrong(frame, key, "a number");
  return value;
}

/** @throws {ProtocolError} If it is something else. */
export function record(frame: Fields, key: string): Fields {
  const value = frame[key];
  if (!isRecord(value)) throw wrong(frame, key, "an object");
  return value;
}

/** @throws {ProtocolError} If it is something else. */
export function list(frame: Fields, key: string): readonly unknown[] {
  const value = frame[key];
  if (!Array.isArray(value)) throw wrong(frame, key, "a list");
  return value;
}

/** A list of numbers. */
export function numbers(frame: Fields, key: string): readonly number[] {
  const value = list(frame, key);
  if (!value.every((one) => typeof one === "number")) throw wrong(frame, key, "numbers");
  return value;
}

/** The error for a field of the wrong type. */
export function wrong(frame: Fields, key: string, expected: string): ProtocolError {
  return new ProtocolError(`The daemon sent a frame whose "${key}" is ${shown(frame[key])} and must be ${expected}`);
}

function shown(value: unknown): string {
  const quoted = JSON.stringify(value) ?? "missing";
  return quoted.length > 80 ? `${quoted.slice(0, 77)}...` : quoted;
}
