/**
 * What a backend is to the rest of the daemon: something that becomes ready, may fail and come back, and turns a
 * request into events. This room owns the interface, the events and the errors; it knows no wire format.
 */
import type { LoadPhase } from "@inferd/client/protocol";

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** How the next token is chosen. */
export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** Absent: another one for each request. */
  readonly seed?: number;
}

/** A request after defaults and limits: nothing in it is optional but what has no default. */
export interface GenerationRequest {
  readonly messages: readonly ChatMessage[];
  readonly sampling: Sampling;
  readonly maxTokens: number;
  readonly stop: readonly string[];
  /** GBNF. */
  readonly grammar?: string;
}

/** Token counts of one generation. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** How many of the prompt's tokens came from an earlier request's cache. */
  readonly cachedTokens: number;
}

/** Why a generation ended: the model said so, a stop string came, or tokens or context ran out. */
export type FinishReason = "end" | "stop" | "length";

/** What a generation yields: any number of texts, then one `done`. Failure is an exception, cancellation the signal. */
export type BackendEvent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "done"; readonly reason: FinishReason; readonly usage: Usage };

/** What a backend can do, told once it is ready. */
export interface BackendCapabilities {
  readonly v2: boolean;
  readonly vision: boolean;
  readonly audio: boolean;
  readonly tools: boolean;
  readonly thinking: boolean;
  readonly embed: boolean;
  readonly rerank: boolean;
  readonly accelerator: string;
  readonly gpuLayers: number;
  readonly model: string;
  /** Tokens one request may use, prompt and answer together. */
  readonly contextTokens: number;
  /** Requests decoded together. */
  readonly parallel: number;
}

/** What a backend can do that only answers generation v1. */
export const ONLY_TEXT = {
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
 * given up, `stopped` after disposal.
 */
export type BackendState = "loading" | "ready" | "restarting" | "down" | "stopped";

/** What a backend tells the daemon between requests. */
export type BackendNotice =
  | { readonly type: "phase"; readonly phase: LoadPhase }
  | { readonly type: "ready"; readonly capabilities: BackendCapabilities }
  | { readonly type: "restarting"; readonly reason: string }
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
   * Load until ready. Called once. Later failures are the backend's own to mend, and told as notices.
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
}

/** The caller's fault; the message is for the caller. Not counted by the breaker. */
export class InvalidRequestError extends Error {
  override readonly name = "InvalidRequestError";
}

/** The backend's fault; the message is for the caller. Counted by the breaker. */
export class BackendUnavailableError extends Error {
  override readonly name = "BackendUnavailableError";
}
