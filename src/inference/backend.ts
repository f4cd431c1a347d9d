/**
 * The backend interface: something that becomes ready, may fail and recover, and turns a request into events.
 * Independent of wire formats.
 */
import {
  type BackendStatus,
  type LoadPhase,
  type Service,
  SERVICES,
  type TemplateError,
} from "@inferd/client/protocol";
import type { ModelFile } from "../models/file/model_file.ts";
import type { BackendEvent } from "./events.ts";
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

/** What a backend can do, reported once it is ready. */
export interface BackendCapabilities extends Readonly<Record<Service, boolean>> {
  readonly vision: boolean;
  readonly audio: boolean;
  readonly tools: boolean;
  readonly thinking: boolean;
  readonly accelerator: string;
  readonly gpuLayers: number;
  readonly model: string;
  /** Tokens one request may use, prompt and answer together. */
  readonly contextTokens: number;
  /** Requests decoded together. */
  readonly parallel: number;
  /** Resident memory of its engine when it became ready, in bytes; absent: it has none. */
  readonly memoryBytes?: number;
  /** The model's own chat template cannot be evaluated. */
  readonly templateError?: Readonly<TemplateError>;
}

/** Tokens one request may use unless the configuration says more, or the model can do with fewer. */
export const DEFAULT_CONTEXT_TOKENS = 8192;

/** What a backend can do that only answers generation v1. */
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
 * Where a backend is: `loading` until first ready, `restarting` when it failed and is coming back, `down` when it has
 * given up, `stopped` after disposal. `asleep`: its model is not loaded, and the next request loads it; `waking`: a request
 * has begun that.
 */
export type BackendState = "loading" | "ready" | "restarting" | "asleep" | "waking" | "down" | "stopped";

/** Whether requests may be sent to a backend in this state: it answers them, or loads its model for them. */
export function takesRequests(state: BackendState): boolean {
  return state === "ready" || state === "asleep" || state === "waking";
}

/** A state as clients see it. */
export function toStatus(state: BackendState): BackendStatus {
  if (state === "ready" || state === "asleep") return state;
  return state === "down" || state === "stopped" ? "down" : "loading";
}

/** What a backend tells the daemon between requests. */
export type BackendNotice =
  | { readonly type: "phase"; readonly phase: LoadPhase }
  /**
   * It hashes or fetches files, or its engine has not said a word yet: that does not count for the ready timeout.
   * `loading`: what it does counts again.
   */
  | { readonly type: "preparing" | "loading" }
  | {
    readonly type: "ready";
    readonly capabilities: BackendCapabilities;
    /** The files of the model that was loaded; absent where there are none. */
    readonly files?: readonly ModelFile[];
  }
  /** Its model is not loaded (any more); this is what it can do once a request has loaded it. */
  | { readonly type: "asleep"; readonly capabilities: BackendCapabilities }
  /** A request loads its model. */
  | { readonly type: "waking" }
  /** It failed and is loaded again, from this phase on. */
  | { readonly type: "restarting"; readonly reason: string; readonly phase: LoadPhase }
  | { readonly type: "down"; readonly reason: string }
  | {
    readonly type: "log";
    readonly level: "debug" | "info" | "warn" | "error";
    readonly msg: string;
    readonly fields: Record<string, unknown>;
  };

/** Anything that can answer requests. */
export interface Backend extends AsyncDisposable {
  /** Unique among the daemon's backends. */
  readonly name: string;
  readonly state: BackendState;
  /** Known once the backend has been ready. */
  readonly capabilities: BackendCapabilities | undefined;

  /**
   * Load until ready. Called once. The backend recovers from later failures itself, and reports them as notices.
   *
   * @param notify Called for every notice, also after this promise has settled.
   * @param signal Gives up loading.
   * @throws {BackendUnavailableError} If it cannot become ready; trying again will not help.
   */
  start(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<void>;

  /**
   * Answer one request. The consumer's pace is the producer's: events not taken are not produced without bound.
   *
   * @param request What to generate.
   * @param signal Cancels; the iterator then ends with the signal's reason thrown.
   * @throws {InvalidRequestError} If the request cannot be served by this model (bad grammar, prompt too long).
   * @throws {BackendUnavailableError} If the backend fails before or while it answers.
   */
  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<BackendEvent>;

  /**
   * Embed texts. Absent where it never can.
   *
   * @throws As `generate`, and {EmbedUnsupportedError} if this model cannot.
   */
  embed?(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer>;

  /**
   * Score documents against a query. Absent where it never can.
   *
   * @throws As `generate`, and {RerankUnsupportedError} if this model cannot.
   */
  rerank?(request: RerankRequest, signal: AbortSignal): Promise<RerankAnswer>;

  /**
   * Ask the tokenizer or the chat template. Absent where the model's are not known.
   *
   * @throws As `generate`.
   */
  tokenizer?(request: TokenizerRequest, signal: AbortSignal): Promise<TokenizerAnswer>;
}
