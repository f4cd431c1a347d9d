/** The running and waiting requests of a daemon, as the admin socket reports them. */
import type { QueueStatus } from "./protocol/mod.ts";

/**
 * Snapshot of a running or waiting request.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { LiveRequestStatus } from "@inferd/client";
 *
 * export function show({ number, state, ageMs }: LiveRequestStatus): string {
 *   return `${number} ${state} for ${ageMs} ms`;
 * }
 * ```
 */
export interface LiveRequestStatus {
  /** The daemon's number for it, for {@linkcode Admin.cancel}. */
  readonly number: number;
  /** The caller's id for it, truncated to 128 characters. */
  readonly id: string;
  /** The kind of request: `v1`, `v2`, `embed`, `rerank`. */
  readonly service: string;
  /** `running`: it has a slot. */
  readonly state: "waiting" | "running";
  /** The backend that answers; absent while it waits. */
  readonly backend?: string;
  /** Milliseconds since it arrived. */
  readonly ageMs: number;
  /** Milliseconds to the first piece of the answer; absent before that. */
  readonly firstTokenMs?: number;
  /** Pieces of the answer so far; most are one token. */
  readonly pieces: number;
}

/**
 * Totals of the requests that have ended since the daemon started.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { TotalsOfRequests } from "@inferd/client";
 *
 * export function meanFirstTokenMs({ firstTokens, firstTokenMs }: TotalsOfRequests): number {
 *   return firstTokenMs / firstTokens;
 * }
 * ```
 */
export interface TotalsOfRequests {
  /** Number of answered requests. */
  readonly done: number;
  /** Number of failed, refused or cancelled requests. */
  readonly failed: number;
  /** Prompt tokens of the answered requests. */
  readonly promptTokens: number;
  /** Answer tokens of the answered requests. */
  readonly completionTokens: number;
  /** Number of requests with at least one piece of an answer. */
  readonly firstTokens: number;
  /** Sum of the times to the first piece, in milliseconds. */
  readonly firstTokenMs: number;
}

/**
 * Totals of the requests answered by one backend.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { TotalsOfBackend } from "@inferd/client";
 *
 * export function tokensPerSecond({ laterTokens, generationMs }: TotalsOfBackend): number {
 *   return laterTokens / generationMs * 1000;
 * }
 * ```
 */
export interface TotalsOfBackend {
  /** The backend's name. */
  readonly backend: string;
  /** Number of requests it answered. */
  readonly done: number;
  /** Tokens of their answers without the first of each, which is computed with the prompt. */
  readonly laterTokens: number;
  /** Sum of the times from the first piece to the end, in milliseconds. */
  readonly generationMs: number;
}

/**
 * Snapshot of the activity of a daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { DaemonActivity } from "@inferd/client";
 *
 * export function isIdle({ requests }: DaemonActivity): boolean {
 *   return requests.length === 0;
 * }
 * ```
 */
export interface DaemonActivity {
  /** Running and waiting requests, the oldest first. */
  readonly requests: readonly LiveRequestStatus[];
  /** Totals of ended requests. */
  readonly totals: TotalsOfRequests;
  /** The same by backend; without those that have answered none. */
  readonly backends: readonly TotalsOfBackend[];
  /** Milliseconds since the daemon's process started; absent from older daemons. */
  readonly uptimeMs?: number;
  /** The admission queue. */
  readonly queue: Readonly<QueueStatus>;
}
