/**
 * What daemon and engine say to each other over the engine's stdin and stdout: NDJSON, one message a line.
 * Both ends are ours and of one version, so the messages are terse and not negotiated. All ids are numbers the
 * daemon gives; an id is used once.
 */
import type { FinishReason, GenerationRequest } from "../backend/backend.ts";

/** How the engine is to load its model. First line on its stdin. */
export interface EngineConfig {
  /** Absolute path of the GGUF file. */
  readonly modelPath: string;
  /** Told in `capabilities`. */
  readonly modelName: string;
  /** Tokens one request may use; absent: the model's own up to 8192. */
  readonly contextTokens?: number;
  /** Requests decoded together. */
  readonly parallel: number;
  /** At most; absent: the cores this process may really use. */
  readonly threads?: number;
  /** Absent: as many as the accelerator takes. */
  readonly gpuLayers?: number;
}

/** One request for the engine: as the backend got it. */
export type EngineRequest = GenerationRequest;

/** Daemon → engine. */
export type ToEngine =
  | { readonly op: "load"; readonly config: EngineConfig }
  | { readonly op: "generate"; readonly id: number; readonly request: EngineRequest }
  /** Forget the request; no further event of it is sent once this is read. */
  | { readonly op: "cancel"; readonly id: number }
  /** The reader is slow: keep the slot, decode nothing for it. */
  | { readonly op: "pause"; readonly id: number }
  | { readonly op: "resume"; readonly id: number };

/** What happened to one request in one step. */
export type EngineEvent =
  | { readonly id: number; readonly t: string }
  | {
    readonly id: number;
    readonly done: FinishReason;
    readonly prompt: number;
    readonly completion: number;
    readonly cached: number;
  }
  | { readonly id: number; readonly error: "invalid_request" | "internal"; readonly message: string };

/** Engine → daemon. */
export type FromEngine =
  | { readonly type: "phase"; readonly phase: "mmap"; readonly path: string }
  | { readonly type: "phase"; readonly phase: "kv_cache"; readonly n_ctx: number }
  | {
    readonly type: "ready";
    readonly contextTokens: number;
    readonly parallel: number;
    readonly accelerator: string;
    readonly gpuLayers: number;
    readonly vocabulary: number;
    readonly threads: number;
  }
  /** Everything that happened in one step, for all slots. */
  | { readonly type: "step"; readonly events: readonly EngineEvent[] }
  /** Sent at least once a second while there is work and no event to send: the engine is alive. */
  | { readonly type: "beat" }
  /** Loading failed; the engine exits after it. The message is for the operator. */
  | { readonly type: "fatal"; readonly message: string };
