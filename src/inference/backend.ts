/**
 * What a backend is to the rest of the daemon: something that becomes ready, may fail and come back, and turns a
 * request into events. This room owns the interface, the events and the errors; it knows no wire format.
 */
import type { BackendStatus, EmbedTask, LoadPhase, TemplateError } from "@inferd/client/protocol";
import type { ModelFile } from "../models/file/model_file.ts";

/** What JSON calls an object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A part of a message that is more than text. */
export type ContentBlock =
  | { readonly type: "text"; readonly text: string }
  /** What an assistant thought in an earlier turn; not empty. */
  | { readonly type: "thinking"; readonly text: string }
  | { readonly type: "media"; readonly attachment: Attachment }
  | ToolUse
  | { readonly type: "tool_result"; readonly toolCallId: string; readonly content: readonly ContentBlock[] };

/** A call of a tool, made by the model. */
export interface ToolUse {
  readonly type: "tool_use";
  readonly toolCallId: string;
  readonly name: string;
  readonly input: JsonObject;
}

/** An image, a sound or a film. */
export interface Attachment {
  readonly kind: "image" | "audio" | "video";
  readonly mime: string;
  /** Checked base64. */
  readonly base64: string;
}

/** One turn of a conversation. Every tool result in it belongs to a call that stands before it. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  /** A string where there is nothing but text. */
  readonly content: string | readonly ContentBlock[];
}

/** Something the model may call. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of its arguments. */
  readonly inputSchema: JsonObject;
}

/** Whether the model may, must or must not call a tool; with a name, it must call that one and no other. */
export type ToolChoice = "auto" | "required" | "none" | { readonly name: string };

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

/** What a surface fills in where the caller says nothing, by its name on the wire. */
export type DefaultedField = "temperature" | "top_p" | "top_k" | "max_tokens";

/** A request after defaults and limits: nothing in it is optional but what has no default. */
export interface GenerationRequest {
  readonly messages: readonly ChatMessage[];
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /** What the caller left out; absent: nothing. A server that refuses such a field may be asked without it. */
  readonly defaulted?: readonly DefaultedField[];
  readonly stop: readonly string[];
  /** GBNF the whole answer has to follow; never together with tools, a schema or thinking. */
  readonly grammar?: string;
  readonly tools: readonly Tool[];
  /** `required` only where there are tools, a name only of one of them. */
  readonly toolChoice: ToolChoice;
  /** JSON Schema the text has to follow; never where a call is required. */
  readonly responseSchema?: JsonObject;
  /** Whether the model is asked to think first. */
  readonly thinking: boolean;
}

/** What a request has that asks for nothing but text. */
export const PLAIN = { tools: [], toolChoice: "auto", thinking: false } as const;

/** What a vector is for. */
export type { EmbedTask };

/** Texts to be made vectors. */
export interface EmbedRequest {
  readonly input: readonly string[];
  readonly dimensions?: number;
  readonly task?: EmbedTask;
}

/** Vectors of unit length, in the order of the texts. */
export interface EmbedAnswer {
  readonly vectors: readonly Float32Array[];
  readonly dimensions: number;
  readonly model: string;
  readonly inputTokens: number;
}

/** Documents to be measured by a query. */
export interface RerankRequest {
  readonly query: string;
  readonly documents: readonly string[];
}

/** The model's raw output for each document, in the order of the request. */
export interface RerankAnswer {
  readonly scores: readonly number[];
  readonly model: string;
  readonly inputTokens: number;
}

/** Token counts of one generation. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** How many of the prompt's tokens came from an earlier request's cache. */
  readonly cachedTokens: number;
}

/** Why a generation ended: the model said so (after calling tools, or not), a stop string came, or tokens ran out. */
export type FinishReason = "end" | "stop" | "length" | "tool_use";

/** What a generation yields: parts of the answer, then one `done`. Failure is an exception, cancellation the signal. */
export type BackendEvent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly text: string }
  /** All text so far was a reasoning trace whose beginning the model forgot. What has gone out is gone. */
  | { readonly type: "text_was_thinking" }
  | ToolUse
  | {
    readonly type: "done";
    readonly reason: FinishReason;
    readonly usage: Usage;
    /** A call was required and did not come before the tokens ran out. */
    readonly toolChoiceUnsatisfied?: true;
  };

/** What a backend may be asked for; each has a surface of its own. */
export type Service = "v1" | "v2" | "embed" | "rerank";

/** What a backend can do, told once it is ready. */
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
  /** The model's own chat template cannot be evaluated. */
  readonly templateError?: Readonly<TemplateError>;
}

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
 * given up, `stopped` after disposal.
 */
export type BackendState = "loading" | "ready" | "restarting" | "down" | "stopped";

/** A state as clients are told it. */
export function toStatus(state: BackendState): BackendStatus {
  return state === "ready" ? "ready" : state === "down" || state === "stopped" ? "down" : "loading";
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

  /**
   * Make texts vectors. Absent where it never can.
   *
   * @throws As `generate`, and {EmbedUnsupportedError} if this model cannot.
   */
  embed?(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer>;

  /**
   * Measure documents by a query. Absent where it never can.
   *
   * @throws As `generate`, and {RerankUnsupportedError} if this model cannot.
   */
  rerank?(request: RerankRequest, signal: AbortSignal): Promise<RerankAnswer>;
}

/** The caller's fault; the message is for the caller. Not counted by the breaker. */
export class InvalidRequestError extends Error {
  override readonly name = "InvalidRequestError";
}

/** The backend's fault; the message is for the caller. Counted by the breaker. */
export class BackendUnavailableError extends Error {
  override readonly name = "BackendUnavailableError";
}

/** The backend takes no attachments of that kind. Not counted by the breaker. */
export class AttachmentUnsupportedError extends Error {
  override readonly name = "AttachmentUnsupportedError";
}

/** The model wrote a call that cannot be read. Not counted by the breaker. */
export class ToolCallMalformedError extends Error {
  override readonly name = "ToolCallMalformedError";
}

/** Nothing here makes vectors. Not counted by the breaker. */
export class EmbedUnsupportedError extends Error {
  override readonly name = "EmbedUnsupportedError";
}

/** Nothing here measures documents by a query. Not counted by the breaker. */
export class RerankUnsupportedError extends Error {
  override readonly name = "RerankUnsupportedError";
}
