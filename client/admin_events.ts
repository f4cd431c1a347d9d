/** The events of the admin stream. */
import type { Capabilities } from "./capabilities.ts";
import type { LiveRequestStatus } from "./activity.ts";

/**
 * The daemon has started.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { StartingEvent } from "@inferd/client";
 *
 * export const first: StartingEvent = { status: "starting" };
 * ```
 */
export interface StartingEvent {
  /** Discriminates the event. */
  readonly status: "starting";
}

/**
 * A file is being searched for, verified or mapped into memory.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { LoadingFileEvent } from "@inferd/client";
 *
 * export function show({ phase, path }: LoadingFileEvent): string {
 *   return `${phase} ${path}`;
 * }
 * ```
 */
export interface LoadingFileEvent {
  /** Discriminates the event. */
  readonly status: "loading_model" | "restarting";
  /** Discriminates the phase. */
  readonly phase: "checking_local" | "verify" | "mmap";
  /** The file. */
  readonly path: string;
  /** Share of the weights loaded so far, 0 … 1; only in phase `mmap`, once known. */
  readonly progress?: number;
}

/**
 * A model is being downloaded.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { DownloadingEvent } from "@inferd/client";
 *
 * export function percent({ downloadedBytes, totalBytes }: DownloadingEvent): number | undefined {
 *   return totalBytes === null ? undefined : Math.floor(downloadedBytes / totalBytes * 100);
 * }
 * ```
 */
export interface DownloadingEvent {
  /** Discriminates the event. */
  readonly status: "loading_model" | "restarting";
  /** Discriminates the phase. */
  readonly phase: "download";
  /** Bytes downloaded so far. */
  readonly downloadedBytes: number;
  /** Total bytes; `null` if the source does not report them. */
  readonly totalBytes: number | null;
  /** The URL of the download. */
  readonly sourceUrl: string;
}

/**
 * A file with the wrong hash was moved aside.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { QuarantineEvent } from "@inferd/client";
 *
 * export function show({ path, actualSha256, quarantinePath }: QuarantineEvent): string {
 *   return `${path} hashes to ${actualSha256}; it is now ${quarantinePath}`;
 * }
 * ```
 */
export interface QuarantineEvent {
  /** Discriminates the event. */
  readonly status: "loading_model" | "restarting";
  /** Discriminates the phase. */
  readonly phase: "quarantine";
  /** The file. */
  readonly path: string;
  /** The expected hash. */
  readonly expectedSha256: string;
  /** The actual hash. */
  readonly actualSha256: string;
  /** Where the file was moved. */
  readonly quarantinePath: string;
}

/**
 * The context is being created.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { KvCacheEvent } from "@inferd/client";
 *
 * export function show({ contextTokens }: KvCacheEvent): string {
 *   return `making a context of ${contextTokens} tokens`;
 * }
 * ```
 */
export interface KvCacheEvent {
  /** Discriminates the event. */
  readonly status: "loading_model" | "restarting";
  /** Discriminates the phase. */
  readonly phase: "kv_cache";
  /** Its size in tokens. */
  readonly contextTokens: number;
}

/**
 * A model is being downloaded, verified or loaded.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { LoadingModelEvent } from "@inferd/client";
 *
 * export function show(event: LoadingModelEvent): string {
 *   switch (event.phase) {
 *     case "download":
 *       return `${event.downloadedBytes} bytes of ${event.sourceUrl}`;
 *     case "kv_cache":
 *       return `${event.contextTokens} tokens`;
 *     default:
 *       return event.path;
 *   }
 * }
 * ```
 */
export type LoadingModelEvent =
  & (LoadingFileEvent | DownloadingEvent | QuarantineEvent | KvCacheEvent)
  & { readonly status: "loading_model" };

/**
 * All surfaces of the backends are served.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { ReadyEvent, StatusEvent } from "@inferd/client";
 *
 * export function isReady(event: StatusEvent): event is ReadyEvent {
 *   return event.status === "ready";
 * }
 * ```
 */
export interface ReadyEvent {
  /** Discriminates the event. */
  readonly status: "ready";
}

/**
 * An engine died and is started again; what no other can be asked for is not served until `ready`.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { RestartingEvent } from "@inferd/client";
 *
 * export function show({ phase }: RestartingEvent): string {
 *   return `The engine is started again (${phase})`;
 * }
 * ```
 */
export type RestartingEvent =
  & (LoadingFileEvent | DownloadingEvent | QuarantineEvent | KvCacheEvent)
  & { readonly status: "restarting" };

/**
 * The daemon finishes its running requests and then exits.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { DrainingEvent, StatusEvent } from "@inferd/client";
 *
 * export function isEnding(event: StatusEvent): event is DrainingEvent {
 *   return event.status === "draining";
 * }
 * ```
 */
export interface DrainingEvent {
  /** Discriminates the event. */
  readonly status: "draining";
}

/**
 * What one backend can do, sent to every reader on connecting, once it is known, and again when its state changes. Not
 * a state of the daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { CapabilitiesEvent } from "@inferd/client";
 *
 * export function show({ backend, model, accelerator }: CapabilitiesEvent): string {
 *   return `${backend} has ${model ?? "a model"} on ${accelerator}`;
 * }
 * ```
 */
export interface CapabilitiesEvent extends Capabilities {
  /** Discriminates the event. */
  readonly status: "capabilities";
}

/**
 * The daemon cannot write its activity log, and keeps running. Repeated to every reader on connecting. Not a state of the daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { LogStoppedEvent } from "@inferd/client";
 *
 * export function show({ reason }: LogStoppedEvent): string {
 *   return `The daemon has stopped logging: ${reason}`;
 * }
 * ```
 */
export interface LogStoppedEvent {
  /** Discriminates the event. */
  readonly status: "log_stopped";
  /** The reason. */
  readonly reason: string;
}

/**
 * The daemon has read its configuration again and cannot use it: it serves what it served before. Repeated to every
 * reader on connecting, until a configuration can be used. Not a state of the daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { ReloadFailedEvent } from "@inferd/client";
 *
 * export function show({ reason }: ReloadFailedEvent): string {
 *   return `The configuration was not reloaded: ${reason}`;
 * }
 * ```
 */
export interface ReloadFailedEvent {
  /** Discriminates the event. */
  readonly status: "reload_failed";
  /** The fault in the configuration. */
  readonly reason: string;
}

/**
 * The daemon has read its configuration again and serves it. Not a state of the daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { ReloadedEvent } from "@inferd/client";
 *
 * export function show({ needsRestart }: ReloadedEvent): string {
 *   return needsRestart.length === 0 ? "Reloaded" : `Reloaded; a restart changes ${needsRestart.join(", ")}`;
 * }
 * ```
 */
export interface ReloadedEvent {
  /** Discriminates the event. */
  readonly status: "reloaded";
  /** Changed settings that take effect only after a restart. */
  readonly needsRestart: readonly string[];
}

/**
 * A state of the daemon.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { StatusEvent } from "@inferd/client";
 *
 * export function show(event: StatusEvent): string {
 *   return "phase" in event ? `${event.status} (${event.phase})` : event.status;
 * }
 * ```
 */
export type StatusEvent = StartingEvent | LoadingModelEvent | ReadyEvent | RestartingEvent | DrainingEvent;

/**
 * A request came, began to run or ended; only told where {@linkcode Admin.watch} is asked for requests.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import { admin } from "@inferd/client";
 *
 * export async function logRequests(signal: AbortSignal): Promise<void> {
 *   for await (const event of admin().watch({ requests: true, signal })) {
 *     if (event.status === "request") console.log(event.change, event.request.number, event.completionTokens);
 *   }
 * }
 * ```
 */
export interface RequestEvent {
  /** Discriminates the event. */
  readonly status: "request";
  /** `failed`: it failed, was refused or was cancelled. */
  readonly change: "waiting" | "running" | "done" | "failed";
  /** The request after the change; if it has ended, its last state. */
  readonly request: LiveRequestStatus;
  /** Tokens of the prompt; only for `done`. */
  readonly promptTokens?: number;
  /** Tokens of the answer; only for `done`. */
  readonly completionTokens?: number;
}

/**
 * What the admin stream tells; tell them apart by `status`, and `loading_model` and `restarting` further
 * by `phase`.
 *
 * @category Admin
 *
 * @example
 * ```ts
 * import type { AdminEvent } from "@inferd/client";
 *
 * export function show(event: AdminEvent): string {
 *   if (event.status === "capabilities") return `${event.backend} can be asked`;
 *   return "reason" in event ? event.reason : event.status;
 * }
 * ```
 */
export type AdminEvent =
  | StatusEvent
  | CapabilitiesEvent
  | LogStoppedEvent
  | ReloadedEvent
  | ReloadFailedEvent
  | RequestEvent;
