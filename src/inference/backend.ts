/**
 * The backend interface: becomes ready, may fail and recover, and turns requests into events. Independent of wire
 * formats.
 */
import {
  type BackendStatus,
  type LoadPhase,
  type LongText,
  type Service,
  SERVICES,
  type TemplateError,
} from "@inferd/client/protocol";
import type { ModelDescription } from "../models/file/description.ts";
import type { ModelAbout, ModelFile } from "../models/file/model_file.ts";
import type { BackendEvent } from "./events.ts";
import type { SamplingDefaults } from "./model_settings.ts";
import type {
  EmbedAnswer,
  EmbedRequest,
  GenerationRequest,
  RerankAnswer,
  RerankRequest,
  TokenizerAnswer,
  TokenizerRequest,
} from "./request.ts";

export { type Service, SERVICES };

/** Capabilities of a backend, reported once it is ready. */
export interface BackendCapabilities extends Readonly<Record<Service, boolean>> {
  readonly vision: boolean;
  readonly audio: boolean;
  readonly tools: boolean;
  readonly thinking: boolean;
  readonly accelerator: string;
  readonly gpuLayers: number;
  readonly model: string;
  /** Context size: maximum tokens of prompt and answer. */
  readonly contextTokens: number;
  /** Maximum number of requests decoded concurrently. */
  readonly parallel: number;
  /** Name of its draft model, if it has one. */
  readonly draft?: string;
  /** Resident memory of its engine when it became ready, in bytes; absent without engine. */
  readonly memoryBytes?: number;
  /** Set if the model's own chat template cannot be evaluated. */
  readonly templateError?: Readonly<TemplateError>;
  /** Fills in text between two. */
  readonly infill?: true;
  /** Absent without a file. */
  readonly modelFile?: ModelFileInfo;
  /** What requests get that do not say; absent: the daemon's own defaults. */
  readonly defaults?: SamplingDefaults;
}

/** About a model's file, from its header. */
export interface ModelFileInfo extends Pick<ModelDescription, "architecture" | "parameters" | "quantisation"> {
  /** Of all files of a split model. */
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  /** Absent: not configured. */
  readonly sha256?: string;
  readonly metadata: ModelAbout["metadata"];
}

/** Default context size, unless configured or the model's is smaller. */
export const DEFAULT_CONTEXT_TOKENS = 8192;

/** Services of a backend that supports only generation v1. */
export const ONLY_TEXT = {
  v1: true,
  v2: false,
  vision: false,
  audio: false,
  tools: false,
  thinking: false,
  embed: false,
  rerank: false,
} as const;

/**
 * State of a backend. `loading`: until first ready; `restarting`: recovering from a failure; `down`: given up;
 * `stopped`: disposed. `asleep`: the model is not loaded, and the next request loads it; `waking`: a request is loading
 * it.
 */
export type BackendState = "loading" | "ready" | "restarting" | "asleep" | "waking" | "down" | "stopped";

/** Whether requests may be sent: the backend answers, or loads its model first. */
export function takesRequests(state: BackendState): boolean {
  return state === "ready" || state === "asleep" || state === "waking";
}

export function toStatus(state: BackendState): BackendStatus {
  if (state === "ready" || state === "asleep") return state;
  return state === "down" || state === "stopped" ? "down" : "loading";
}

export type BackendNotice =
  | { readonly type: "phase"; readonly phase: LoadPhase }
  /**
   * `preparing`: it hashes or fetches files, or waits for its engine to start, which does not count towards the ready
   * timeout. `loading`: the time counts again.
   */
  | { readonly type: "preparing" | "loading" }
  | {
    readonly type: "ready";
    readonly capabilities: BackendCapabilities;
    /** Files of the loaded model, if it has any. */
    readonly files?: readonly ModelFile[];
    /** Those of its draft model. */
    readonly draftFiles?: readonly ModelFile[];
  }
  /** Its model is not loaded (any more); these are its capabilities once a request has loaded it. */
  | { readonly type: "asleep"; readonly capabilities: BackendCapabilities }
  /** A request is loading its model. */
  | { readonly type: "waking" }
  /** It failed and is being reloaded, starting with this phase. */
  | { readonly type: "restarting"; readonly reason: string; readonly phase: LoadPhase }
  | { readonly type: "down"; readonly reason: string }
  | {
    readonly type: "log";
    readonly level: "debug" | "info" | "warn" | "error";
    readonly msg: string;
    readonly fields: Record<string, unknown>;
  };

export interface Backend extends AsyncDisposable {
  /** Unique among the daemon's backends. */
  readonly name: string;
  readonly state: BackendState;
  /** Known once the backend has been ready. */
  readonly capabilities: BackendCapabilities | undefined;

  /**
   * Load until ready. Called once. The backend recovers from later failures by itself, and reports them as notices.
   *
   * @param notify Called for every notice, even after the promise has settled.
   * @throws {BackendUnavailableError} If it cannot become ready, permanently.
   */
  start(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<void>;

  /**
   * Answer one request. Back-pressure applies: unconsumed events are not produced without bound.
   *
   * @param signal Cancels; the iterator then throws the signal's reason.
   * @throws {InvalidRequestError} If this model cannot serve the request (bad grammar, prompt too long).
   * @throws {BackendUnavailableError} If the backend fails before or during the answer.
   */
  generate(request: GenerationRequest<LongText>, signal: AbortSignal): AsyncIterable<BackendEvent>;

  /**
   * Embed texts. Absent if the backend never can.
   *
   * @throws As `generate`, and {EmbedUnsupportedError} if this model cannot.
   */
  embed?(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer>;

  /**
   * Score documents against a query. Absent if the backend never can.
   *
   * @throws As `generate`, and {RerankUnsupportedError} if this model cannot.
   */
  rerank?(request: RerankRequest, signal: AbortSignal): Promise<RerankAnswer>;

  /**
   * Query the tokenizer or the chat template. Absent if the backend has no access to them.
   *
   * @throws As `generate`.
   */
  tokenizer?(request: TokenizerRequest<LongText>, signal: AbortSignal): Promise<TokenizerAnswer>;
}
