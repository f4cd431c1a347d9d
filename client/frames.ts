/**
 * Frames to events and requests to frames: the one room where raw JSON is `unknown`, and where the wire's snake_case
 * becomes camelCase. What a newer daemon may add (fields, frame types, states) is passed over; what contradicts the
 * protocol is a `ProtocolError`.
 */
import type { V1Request } from "./protocol/mod.ts";
import type { AdminEvent, CapabilitiesEvent, LoadingModelEvent } from "./admin.ts";
import type { GenerateRequest, GenerationEvent } from "./generation.ts";
import { type DaemonError, daemonError, ProtocolError } from "./errors.ts";

type Fields = Readonly<Record<string, unknown>>;

/** An error frame, read. `ours` is false where the daemon could not tell which request it answers. */
export interface Failure {
  readonly type: "error";
  readonly error: DaemonError;
  readonly ours: boolean;
}

/**
 * A request as it goes over the wire.
 *
 * @param request What the caller said.
 * @param id Under which name it is answered.
 * @returns The frame; what the caller left out is left out.
 */
export function v1Request(request: GenerateRequest, id: string): V1Request {
  const { messages, temperature, topP, topK, maxTokens, stream, imageTokenBudget, grammar, seed, stop } = request;
  const frame: { [Key in keyof Required<V1Request>]: unknown } = {
    id,
    messages,
    temperature,
    top_p: topP,
    top_k: topK,
    max_tokens: maxTokens,
    stream,
    image_token_budget: imageTokenBudget,
    grammar,
    seed,
    stop,
  };
  return frame as V1Request;
}

/**
 * Read one line of a v1 answer.
 *
 * @param line The line.
 * @param id The request's id.
 * @returns The event or failure, or `undefined` for a frame type that is not known.
 * @throws {ProtocolError} If it is no v1 frame, or belongs to another request.
 */
export function readGenerationFrame(line: string, id: string): GenerationEvent | Failure | undefined {
  const frame = parse(line);
  const { type } = frame;
  if (type === "token") {
    expectId(frame, id);
    return { type, text: text(frame, "content") };
  }
  if (type === "done") {
    expectId(frame, id);
    const usage = record(frame, "usage");
    return {
      type,
      text: text(frame, "content"),
      usage: {
        promptTokens: number(usage, "prompt_tokens"),
        completionTokens: number(usage, "completion_tokens"),
      },
      stopReason: text(frame, "stop_reason"),
      backend: text(frame, "backend"),
    };
  }
  if (type === "error") {
    const ours = frame.id !== "";
    if (ours) expectId(frame, id);
    return { type, error: daemonError(text(frame, "code"), text(frame, "message")), ours };
  }
  if (typeof type !== "string") throw wrong(frame, "type", "a string");
  return undefined;
}

/**
 * Read one line of the admin stream.
 *
 * @param line The line.
 * @returns The event, or `undefined` for a state or phase that is not known.
 * @throws {ProtocolError} If it is no admin frame.
 */
export function readAdminFrame(line: string): AdminEvent | undefined {
  const frame = parse(line);
  if (frame.type !== "status") return undefined;
  const status = text(frame, "status");
  switch (status) {
    case "starting":
    case "ready":
    case "draining":
      return { status };
    case "restarting":
      return { status, phase: text(frame, "phase") };
    case "loading_model":
      return loadingModel(frame);
    case "capabilities":
      return capabilities(frame);
    default:
      return undefined;
  }
}

function loadingModel(frame: Fields): LoadingModelEvent | undefined {
  const status = "loading_model";
  const phase = text(frame, "phase");
  switch (phase) {
    case "checking_local":
    case "verify":
    case "mmap":
      return { status, phase, path: text(frame, "path") };
    case "download":
      return {
        status,
        phase,
        downloadedBytes: number(frame, "downloaded_bytes"),
        totalBytes: frame.total_bytes === null ? null : number(frame, "total_bytes"),
        sourceUrl: text(frame, "source_url"),
      };
    case "quarantine":
      return {
        status,
        phase,
        path: text(frame, "path"),
        expectedSha256: text(frame, "expected_sha256"),
        actualSha256: text(frame, "actual_sha256"),
        quarantinePath: text(frame, "quarantine_path"),
      };
    case "kv_cache":
      return { status, phase, contextTokens: number(frame, "n_ctx") };
    default:
      return undefined;
  }
}

function capabilities(frame: Fields): CapabilitiesEvent {
  const queue = frame.queue === undefined ? undefined : record(frame, "queue");
  return {
    status: "capabilities",
    backend: text(frame, "backend"),
    v2: flag(frame, "v2"),
    vision: flag(frame, "vision"),
    audio: flag(frame, "audio"),
    tools: flag(frame, "tools"),
    thinking: flag(frame, "thinking"),
    embed: flag(frame, "embed"),
    accelerator: text(frame, "accelerator"),
    gpuLayers: number(frame, "gpu_layers"),
    ...(frame.rerank === undefined ? {} : { rerank: flag(frame, "rerank") }),
    ...(frame.model === undefined ? {} : { model: text(frame, "model") }),
    ...(frame.n_ctx === undefined ? {} : { contextTokens: number(frame, "n_ctx") }),
    ...(frame.parallel === undefined ? {} : { parallel: number(frame, "parallel") }),
    ...(queue === undefined ? {} : {
      queue: { active: number(queue, "active"), waiting: number(queue, "waiting"), depth: number(queue, "depth") },
    }),
  };
}

function parse(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new ProtocolError(`The daemon sent a line that is not JSON: ${shown(line)}`, { cause });
  }
  if (!isRecord(value)) throw new ProtocolError(`The daemon sent a line that is not a JSON object: ${shown(line)}`);
  return value;
}

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function expectId(frame: Fields, id: string): void {
  if (frame.id !== id) {
    throw new ProtocolError(`The daemon answered request ${shown(frame.id)} where ${shown(id)} was asked`);
  }
}

function text(frame: Fields, key: string): string {
  const value = frame[key];
  if (typeof value !== "string") throw wrong(frame, key, "a string");
  return value;
}

function number(frame: Fields, key: string): number {
  const value = frame[key];
  if (typeof value !== "number") throw wrong(frame, key, "a number");
  return value;
}

function flag(frame: Fields, key: string): boolean {
  const value = frame[key];
  if (typeof value !== "boolean") throw wrong(frame, key, "true or false");
  return value;
}

function record(frame: Fields, key: string): Fields {
  const value = frame[key];
  if (!isRecord(value)) throw wrong(frame, key, "an object");
  return value;
}

function wrong(frame: Fields, key: string, expected: string): ProtocolError {
  return new ProtocolError(`The daemon sent a frame whose "${key}" is ${shown(frame[key])} and must be ${expected}`);
}

function shown(value: unknown): string {
  const quoted = JSON.stringify(value) ?? "missing";
  return quoted.length > 80 ? `${quoted.slice(0, 77)}...` : quoted;
}
