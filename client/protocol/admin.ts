/**
 * The admin stream as it stands on the wire.
 *
 * @module
 */

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
  | { phase: "mmap"; path: string }
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
  /** Tokens one request may use, prompt and answer together. */
  n_ctx?: number;
  /** Requests decoded together. */
  parallel?: number;
  /** Where it is. */
  state?: BackendStatus;
  /** The model's own chat template cannot be evaluated. */
  template_error?: TemplateError;
  /** The admission queue at the time of sending. */
  queue?: QueueStatus;
}

/**
 * The admission queue, seen once.
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
  | LogStoppedFrame;
