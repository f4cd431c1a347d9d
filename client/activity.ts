/**
 * The requests that run and wait in a daemon, as the admin socket tells them.
 */
import type { QueueStatus } from "./protocol/mod.ts";

/**
 * A request that runs or waits, seen once.
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
  /** The daemon's number for it, which {@linkcode Admin.cancel} takes. */
  readonly number: number;
  /** The caller's id for it, at most 128 characters of it. */
  readonly id: string;
  /** What is asked for: `v1`, `v2`, `embed`, `rerank`. */
  readonly service: string;
  /** Whether it holds a place. */
  readonly state: "waiting" | "running";
  /** Who answers; absent while it waits. */
  readonly backend?: string;
  /** Milliseconds since it came. */
  readonly ageMs: number;
  /** Milliseconds to the first piece of the answer; absent while there is none. */
  readonly firstTokenMs?: number;
  /** Pieces of the answer so far; most are one token. */
  readonly pieces: number;
}

/**
 * What the requests that have ended since the daemon started add up to.
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
  /** How many were answered. */
  readonly done: number;
  /** How many failed, were refused or were cancelled. */
  readonly failed: number;
  /** Tokens of the prompts of those answered. */
  readonly promptTokens: number;
  /** Tokens of their answers. */
  readonly completionTokens: number;
  /** How many had at least one piece of an answer. */
  readonly firstTokens: number;
  /** The sum of the milliseconds to each one's first piece. */
  readonly firstTokenMs: number;
}

/**
 * What the requests add up to that one backend has answered.
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
  /** How many it answered. */
  readonly done: number;
  /** Tokens of their answers but for the first of each, which comes with the prompt. */
  readonly laterTokens: number;
  /** The sum of the milliseconds from each one's first piece to its end. */
  readonly generationMs: number;
}

/**
 * What a daemon is working on, seen once.
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
  /** Requests under way, the oldest first. */
  readonly requests: readonly LiveRequestStatus[];
  /** Those that have ended. */
  readonly totals: TotalsOfRequests;
  /** The same by backend; of those that have answered none there is nothing. */
  readonly backends: readonly TotalsOfBackend[];
  /** Milliseconds since the daemon's process started; absent where an older daemon does not tell. */
  readonly uptimeMs?: number;
  /** The admission queue. */
  readonly queue: Readonly<QueueStatus>;
}
