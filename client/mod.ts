/**
 * A client for inferd, the local inference daemon. Runs in Deno and in Node (20 or later), over a unix socket or TCP.
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 *
 * export async function story(): Promise<void> {
 *   await using client = await connect();
 *   for await (const event of client.generate("Tell me a story about a fox.")) {
 *     if (event.type === "token") console.log(event.text);
 *   }
 * }
 * ```
 *
 * @module
 */
export { type Client, connect } from "./client.ts";
export type {
  DoneEvent,
  GenerateRequest,
  Generation,
  GenerationEvent,
  GenerationResult,
  StopReason,
  TokenEvent,
  Usage,
} from "./generation.ts";
export {
  type Admin,
  admin,
  type AdminEvent,
  type AdminSnapshot,
  type Capabilities,
  type CapabilitiesEvent,
  type DownloadingEvent,
  type DrainingEvent,
  type KvCacheEvent,
  type LoadingFileEvent,
  type LoadingModelEvent,
  type QuarantineEvent,
  type ReadyEvent,
  type RestartingEvent,
  type StartingEvent,
  type StatusEvent,
} from "./admin.ts";
export type { AdminOptions, CancelOptions, ConnectOptions, TcpOptions, WaitOptions } from "./options.ts";
export {
  BackendUnavailableError,
  CancelledError,
  ClientClosedError,
  ConnectError,
  ConnectionClosedError,
  DaemonError,
  FrameTooLargeError,
  InferdError,
  InternalError,
  InvalidRequestError,
  ProtocolError,
  QueueFullError,
  TimeoutError,
} from "./errors.ts";
export type { QueueStatus, V1Message, V1Role, V1StopReason } from "./protocol/mod.ts";
