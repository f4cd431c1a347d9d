/** Parses lines of the admin stream into events. */
import type {
  AdminEvent,
  CapabilitiesEvent,
  LoadingModelEvent,
  RequestEvent,
  RestartingEvent,
} from "../admin_events.ts";
import type { BackendStatus, BreakerStatus } from "../protocol/mod.ts";
import type { ModelFile, RequestDefaults } from "../capabilities.ts";
import { readRequest } from "./activity_frames.ts";
import { type Fields, number, parse, readQueue, record, text, wrong } from "./frames.ts";

/**
 * Read one line of the admin stream; `undefined` for a state or phase that is not known.
 *
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
    case "loading_model":
      return loading(status, frame);
    case "capabilities":
      return capabilities(frame);
    case "log_stopped":
    case "reload_failed":
      return { status, reason: text(frame, "reason") };
    case "reloaded":
      return { status, needsRestart: names(frame, "needs_restart") };
    case "request":
      return request(frame);
    default:
      return undefined;
  }
}

const CHANGES: readonly RequestEvent["change"][] = ["waiting", "running", "done", "failed"];

function request(frame: Fields): RequestEvent | undefined {
  const change = CHANGES.find((known) => known === frame.change);
  if (change === undefined) return undefined;
  return {
    status: "request",
    change,
    request: readRequest(record(frame, "request")),
    ...(frame.prompt_tokens === undefined ? {} : { promptTokens: number(frame, "prompt_tokens") }),
    ...(frame.completion_tokens === undefined ? {} : { completionTokens: number(frame, "completion_tokens") }),
  };
}

function loading(
  status: "loading_model" | "restarting",
  frame: Fields,
): LoadingModelEvent | RestartingEvent | undefined {
  const phase = text(frame, "phase");
  switch (phase) {
    case "checking_local":
    case "verify":
    case "mmap":
      return {
        status,
        phase,
        path: text(frame, "path"),
        ...(frame.progress === undefined ? {} : { progress: number(frame, "progress") }),
      };
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

const BREAKER_STATES: readonly BreakerStatus[] = ["closed", "open"];
const BACKEND_STATES: readonly BackendStatus[] = ["ready", "loading", "asleep", "down"];

function capabilities(frame: Fields): CapabilitiesEvent {
  const wrong = frame.template_error === undefined ? undefined : record(frame, "template_error");
  const state = BACKEND_STATES.find((known) => known === frame.state);
  const breaker = BREAKER_STATES.find((known) => known === frame.breaker);
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
    ...(frame.draft === undefined ? {} : { draft: text(frame, "draft") }),
    ...(frame.n_ctx === undefined ? {} : { contextTokens: number(frame, "n_ctx") }),
    ...(frame.parallel === undefined ? {} : { parallel: number(frame, "parallel") }),
    ...(state === undefined ? {} : { state }),
    ...(breaker === undefined ? {} : { breaker }),
    ...(frame.memory_bytes === undefined ? {} : { memoryBytes: number(frame, "memory_bytes") }),
    ...(frame.uptime_ms === undefined ? {} : { uptimeMs: number(frame, "uptime_ms") }),
    ...(frame.phase === undefined ? {} : { phase: text(frame, "phase") }),
    ...(frame.progress === undefined ? {} : { progress: number(frame, "progress") }),
    ...(wrong === undefined ? {} : {
      templateError: { message: text(wrong, "message"), line: number(wrong, "line"), format: text(wrong, "format") },
    }),
    ...(frame.infill === undefined ? {} : { infill: flag(frame, "infill") }),
    ...(frame.model_file === undefined ? {} : { modelFile: modelFile(record(frame, "model_file")) }),
    ...(frame.defaults === undefined ? {} : { defaults: requestDefaults(record(frame, "defaults")) }),
    ...(frame.queue === undefined ? {} : { queue: readQueue(record(frame, "queue")) }),
  };
}

function modelFile(file: Fields): ModelFile {
  const metadata = Object.entries(record(file, "metadata")).filter((
    entry,
  ): entry is [string, string | number | boolean] => ["string", "number", "boolean"].includes(typeof entry[1]));
  return {
    sizeBytes: number(file, "size_bytes"),
    modifiedAt: text(file, "modified_at"),
    ...(file.sha256 === undefined ? {} : { sha256: text(file, "sha256") }),
    ...(file.architecture === undefined ? {} : { architecture: text(file, "architecture") }),
    parameters: number(file, "parameters"),
    ...(file.quantisation === undefined ? {} : { quantisation: text(file, "quantisation") }),
    metadata: Object.fromEntries(metadata),
  };
}

/** Numbers of {@linkcode RequestDefaults} by their names on the wire. */
const DEFAULTS = {
  temperature: "temperature",
  top_p: "topP",
  top_k: "topK",
  min_p: "minP",
  presence_penalty: "presencePenalty",
  frequency_penalty: "frequencyPenalty",
  repeat_penalty: "repeatPenalty",
  seed: "seed",
  max_tokens: "maxTokens",
} as const satisfies Record<string, keyof RequestDefaults>;

function requestDefaults(frame: Fields): RequestDefaults {
  const given = Object.entries(DEFAULTS).filter(([key]) => frame[key] !== undefined);
  return {
    ...Object.fromEntries(given.map(([key, name]) => [name, number(frame, key)])),
    ...(frame.stop === undefined ? {} : { stop: names(frame, "stop") }),
  };
}

function names(frame: Fields, key: string): readonly string[] {
  const value = frame[key];
  if (!Array.isArray(value) || !value.every((one) => typeof one === "string")) throw wrong(frame, key, "names");
  return value;
}

function flag(frame: Fields, key: string): boolean {
  const value = frame[key];
  if (typeof value !== "boolean") throw wrong(frame, key, "true or false");
  return value;
}
