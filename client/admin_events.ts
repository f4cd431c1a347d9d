/** The events of the admin stream. */
import type { Capabilities } from "./capabilities.ts";
import type { LiveRequestStatus } from "./activity.ts";

/**
 * The daemon has started and has done nothing yet.
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
 * A file is being looked at, checked or mapped into memory.
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
  /** Share of the weights that is loaded, 0 … 1; only in the phase `mmap`, once it is known. */
  readonly progress?: number;
}

/**
 * A model is being fetched.
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
  /** Bytes that are here. */
  readonly downloadedBytes: number;
  /** Bytes there are, `null` where the source does not say. */
  readonly totalBytes: number | null;
  /** Where from. */
  readonly sourceUrl: string;
}

/**
 * A file was not what it should be and was put aside.
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
  /** What it should hash to. */
  readonly expectedSha256: string;
  /** What it does hash to. */
  readonly actualSha256: string;
  /** Where it is now. */
  readonly quarantinePath: string;
}

/**
 * The context is being made.
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
  /** Tokens it holds. */
  readonly contextTokens: number;
}

/**
 * A model is being fetched, checked or loaded.
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
 * Everything that the backends can be asked for is served.
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
 * The daemon finishes what runs and then ends.
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
  /** What went wrong. */
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
  /** What is wrong with the configuration. */
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
  /** Settings that differ now and are used only after a restart. */
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
  /** As it is after the change; when it has ended, as it last was. */
  readonly request: LiveRequestStatus;
  /** Tokens of the prompt, when it is done. */
  readonly promptTokens?: number;
  /** Tokens of the answer, when it is done. */
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
