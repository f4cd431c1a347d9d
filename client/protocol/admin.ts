/**
 * Wire format of the admin stream.
 *
 * @module
 */

import type { ModelFileFields, RequestDefaultFields } from "./model_file.ts";

/** What every frame of the admin stream begins with. */
export interface AdminFrameBase {
  /** Always `"admin"`. */
  id: "admin";
  /** Always `"status"`. */
  type: "status";
}

/** What a daemon is doing while it loads; the fields stand flat in the `loading_model` frame. */
export type LoadPhase =
  | { phase: "checking_local"; path: string }
  | { phase: "download"; downloaded_bytes: number; total_bytes: number | null; source_url: string }
  | { phase: "verify"; path: string }
  | {
    phase: "quarantine";
    path: string;
    expected_sha256: string;
    actual_sha256: string;
    quarantine_path: string;
  }
  /** `progress`: share of the weights that is loaded, 0 … 1; absent: not known yet. */
  | { phase: "mmap"; path: string; progress?: number }
  | { phase: "kv_cache"; n_ctx: number };

/** The daemon has started and has done nothing yet. */
export interface StartingFrame extends AdminFrameBase {
  /** Discriminates the frame. */
  status: "starting";
}

/** A model is being fetched, checked or loaded. */
export type LoadingModelFrame = AdminFrameBase & { status: "loading_model" } & LoadPhase;

/** Every surface that a backend can serve is served: its socket exists. */
export interface ReadyFrame extends AdminFrameBase {
  /** Discriminates the frame. */
  status: "ready";
}

/** An engine died and is started again; the sockets that nobody else can serve are gone until `ready`. */
export type RestartingFrame = AdminFrameBase & { status: "restarting" } & LoadPhase;

/** The daemon finishes what runs and then ends. */
export interface DrainingFrame extends AdminFrameBase {
  /** Discriminates the frame. */
  status: "draining";
}

/**
 * Why a model's own chat template is not used, and what is used instead.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { TemplateError } from "@inferd/client";
 *
 * export function show({ line, message }: TemplateError): string {
 *   return `line ${line}: ${message}`;
 * }
 * ```
 */
export interface TemplateError {
  /** What is wrong with it. */
  message: string;
  /** Where in the template, counted from 1. */
  line: number;
  /** The format that conversations are written in instead, e.g. `chatml`. */
  format: string;
}

/**
 * Where one backend is: it answers requests, it is being loaded (for the first time or again), it was put to rest and is
 * loaded again by the next request, or it has failed for good.
 */
export type BackendStatus = "ready" | "loading" | "asleep" | "down";

/** `open`: requests are kept away from a backend, but for one now and then that finds out whether it is back. */
export type BreakerStatus = "closed" | "open";

/** What one backend can do. Sent to every reader on connecting, once per backend, and again when its state changes. */
export interface CapabilitiesFrame extends AdminFrameBase {
  /** Discriminates the frame. */
  status: "capabilities";
  /** The backend's name. */
  backend: string;
  /** Speaks generation v2. */
  v2: boolean;
  /** Takes images. */
  vision: boolean;
  /** Takes audio. */
  audio: boolean;
  /** Calls tools. */
  tools: boolean;
  /** Can show its reasoning. */
  thinking: boolean;
  /** Serves embeddings. */
  embed: boolean;
  /** What computes: `cpu`, `cuda`, `vulkan`, `metal`, `none`. */
  accelerator: string;
  /** Layers offloaded to the accelerator. */
  gpu_layers: number;
  /** Serves rerank. */
  rerank?: boolean;
  /** The model's name. */
  model?: string;
  /** The model that guesses tokens for it to verify; absent: there is none. */
  draft?: string;
  /** Tokens one request may use, prompt and answer together. */
  n_ctx?: number;
  /** Requests decoded together. */
  parallel?: number;
  /** Where it is. */
  state?: BackendStatus;
  /** Whether requests are kept away from it because it failed again and again. */
  breaker?: BreakerStatus;
  /** Resident memory of its engine when it became ready, in bytes; absent: there is none. */
  memory_bytes?: number;
  /** Milliseconds since it became ready; absent: it is not. */
  uptime_ms?: number;
  /** What loading is at, while a request loads its model. */
  phase?: LoadPhase["phase"];
  /** Share of the weights that is loaded then, 0 … 1; absent: not known yet, or another phase. */
  progress?: number;
  /** The model's own chat template cannot be evaluated. */
  template_error?: TemplateError;
  /** Fills in text between two: `suffix` of generation v2. */
  infill?: true;
  /** The model's file; absent where the daemon has none. */
  model_file?: ModelFileFields;
  /** What requests get where they do not say; absent: the daemon's own defaults. */
  defaults?: RequestDefaultFields;
  /** The admission queue at the time of sending. */
  queue?: QueueStatus;
}

/**
 * The admission queue, seen once.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { QueueStatus } from "@inferd/client";
 *
 * export function isFull({ waiting, depth }: QueueStatus): boolean {
 *   return waiting >= depth;
 * }
 * ```
 */
export interface QueueStatus {
  /** Requests that hold a permit. */
  active: number;
  /** Requests that wait for one. */
  waiting: number;
  /** How many may wait. */
  depth: number;
}

/** The activity log cannot be written any more; the daemon keeps running. Never replaces the snapshot. */
export interface LogStoppedFrame extends AdminFrameBase {
  /** Discriminates the frame. */
  status: "log_stopped";
  /** What went wrong. */
  reason: string;
}

/** The configuration was read again and cannot be used: the one before is still served. Never replaces the snapshot. */
export interface ReloadFailedFrame extends AdminFrameBase {
  /** Discriminates the frame. */
  status: "reload_failed";
  /** What is wrong. */
  reason: string;
}

/** The configuration was read again and is served. Never replaces the snapshot. */
export interface ReloadedFrame extends AdminFrameBase {
  /** Discriminates the frame. */
  status: "reloaded";
  /** Settings that differ now and are used only after a restart. */
  needs_restart: string[];
}

/**
 * A request came, began to run or ended: for connections that asked with `follow`. Never replaces the snapshot.
 *
 * @example
 * ```ts
 * import type { RequestFrame } from "@inferd/client/protocol";
 *
 * export function isOver({ change }: RequestFrame): boolean {
 *   return change === "done" || change === "failed";
 * }
 * ```
 */
export interface RequestFrame extends AdminFrameBase {
  /** Discriminates the frame. */
  status: "request";
  /** `failed`: it failed, was refused or was cancelled. */
  change: "waiting" | "running" | "done" | "failed";
  /** As it is after the change; when it has ended, as it last was. */
  request: RequestStatus;
  /** Tokens of the prompt, when it is done. */
  prompt_tokens?: number;
  /** Tokens of the answer, when it is done. */
  completion_tokens?: number;
}

/**
 * Every frame of the admin stream; a client ignores states it does not know.
 *
 * @example
 * ```ts
 * import type { AdminFrame } from "@inferd/client/protocol";
 *
 * export const ready: AdminFrame = { id: "admin", type: "status", status: "ready" };
 * ```
 */
export type AdminFrame =
  | StartingFrame
  | LoadingModelFrame
  | ReadyFrame
  | RestartingFrame
  | DrainingFrame
  | CapabilitiesFrame
  | LogStoppedFrame
  | ReloadedFrame
  | ReloadFailedFrame
  | RequestFrame;

/**
 * What may be asked on the admin socket: one JSON object a line, at most 1 KiB. Anything else that is written there is
 * ignored.
 *
 * @example
 * ```ts
 * import type { AdminRequest } from "@inferd/client/protocol";
 *
 * export const look: AdminRequest = { type: "requests" };
 * export const stop: AdminRequest = { type: "cancel", number: 7 };
 * ```
 */
export type AdminRequest =
  /** Which requests run and wait; answered by a {@linkcode RequestsFrame}. */
  | { type: "requests" }
  /** Tell on this connection, from now on, of each request that comes, runs or ends: {@linkcode RequestFrame}s. */
  | { type: "follow" }
  /** Cancel one, whoever asked; answered by a {@linkcode CancelledFrame}. */
  | { type: "cancel"; number: number };

/**
 * A request that runs or waits, seen once.
 *
 * @example
 * ```ts
 * import type { RequestStatus } from "@inferd/client/protocol";
 *
 * export function waits({ state }: RequestStatus): boolean {
 *   return state === "waiting";
 * }
 * ```
 */
export interface RequestStatus {
  /** The daemon's number for it, counted from 1. */
  number: number;
  /** The caller's id for it, at most 128 characters of it. */
  id: string;
  /** What is asked for. */
  service: "v1" | "v2" | "embed" | "rerank";
  /** Whether it holds a place. */
  state: "waiting" | "running";
  /** Who answers; absent while it waits. */
  backend?: string;
  /** Milliseconds since it came. */
  age_ms: number;
  /** Milliseconds from its coming to the first piece of the answer; absent while there is none. */
  first_token_ms?: number;
  /** Pieces of the answer so far; most are one token. */
  pieces: number;
}

/**
 * What the requests that have ended since the daemon started add up to.
 *
 * @example
 * ```ts
 * import type { RequestTotals } from "@inferd/client/protocol";
 *
 * export function meanFirstTokenMs({ first_tokens, first_token_ms }: RequestTotals): number {
 *   return first_token_ms / first_tokens;
 * }
 * ```
 */
export interface RequestTotals {
  /** How many were answered. */
  done: number;
  /** How many failed, were refused or were cancelled. */
  failed: number;
  /** Tokens of the prompts of those answered. */
  prompt_tokens: number;
  /** Tokens of their answers. */
  completion_tokens: number;
  /** How many had at least one piece of an answer. */
  first_tokens: number;
  /** The sum of the milliseconds to each one's first piece. */
  first_token_ms: number;
}

/**
 * What the requests add up to that one backend has ended.
 *
 * @example
 * ```ts
 * import type { BackendTotals } from "@inferd/client/protocol";
 *
 * export function tokensPerSecond({ later_tokens, generation_ms }: BackendTotals): number {
 *   return later_tokens / generation_ms * 1000;
 * }
 * ```
 */
export interface BackendTotals {
  /** The backend's name. */
  backend: string;
  /** How many it answered. */
  done: number;
  /** Tokens of their answers but for the first of each, which comes with the prompt. */
  later_tokens: number;
  /** The sum of the milliseconds from each one's first piece to its end. */
  generation_ms: number;
}

/**
 * The answer to `requests`.
 *
 * @example
 * ```ts
 * import type { RequestsFrame } from "@inferd/client/protocol";
 *
 * export function numbers({ requests }: RequestsFrame): number[] {
 *   return requests.map(({ number }) => number);
 * }
 * ```
 */
export interface RequestsFrame {
  /** Always `"admin"`. */
  id: "admin";
  /** Discriminates the frame. */
  type: "requests";
  /** Those under way, the oldest first. */
  requests: RequestStatus[];
  /** Those that have ended. */
  totals: RequestTotals;
  /** The same by backend; of those that have answered none there is nothing. */
  backends?: BackendTotals[];
  /** Milliseconds since the daemon's process started. */
  uptime_ms?: number;
  /** The admission queue. */
  queue: QueueStatus;
}

/**
 * The answer to `cancel`.
 *
 * @example
 * ```ts
 * import type { CancelledFrame } from "@inferd/client/protocol";
 *
 * export const frame: CancelledFrame = { id: "admin", type: "cancelled", number: 7, found: true };
 * ```
 */
export interface CancelledFrame {
  /** Always `"admin"`. */
  id: "admin";
  /** Discriminates the frame. */
  type: "cancelled";
  /** As it was asked. */
  number: number;
  /** Whether such a request was under way. */
  found: boolean;
}
