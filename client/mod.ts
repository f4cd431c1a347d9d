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
export type { Client } from "./client.ts";
export { connect } from "./connect.ts";
export type {
  DoneEvent,
  GenerateRequest,
  Generation,
  GenerationEvent,
  GenerationResult,
  SamplingOptions,
  StopReason,
  TokenEvent,
  Usage,
} from "./generation.ts";
export type {
  DoneV2Event,
  GenerateV2Fields,
  GenerateV2Request,
  GenerationTimings,
  GenerationV2,
  GenerationV2Event,
  GenerationV2Result,
  GenerationV2StopReason,
  TextEvent,
  ThinkingEvent,
  TokenLogprob,
  TokenProbability,
  V2Mark,
} from "./generation_v2.ts";
export type { PromptRequest, TokenizeOptions, TokenizerOptions } from "./tokenizer.ts";
export type {
  Attachment,
  Block,
  MediaBlock,
  Message,
  TextBlock,
  ThinkingBlock,
  Tool,
  ToolChoice,
  ToolInput,
  ToolResultBlock,
  ToolUse,
  ToolUseBlock,
} from "./blocks.ts";
export type { FromSchema, JsonFields, JsonSchema } from "./schema.ts";
export type { ObjectOptions, ObjectRequest } from "./object.ts";
export {
  type DefinedTools,
  type RunToolsOptions,
  tool,
  type ToolContext,
  type ToolDefinition,
  type ToolDefinitions,
  type ToolFunction,
  type ToolFunctions,
  type ToolResultEvent,
  type ToolRun,
  type ToolRunDoneEvent,
  type ToolRunEvent,
  type ToolRunResult,
} from "./tools.ts";
export type {
  EmbedOptions,
  EmbedResult,
  PromptUsage,
  RankedDocument,
  RerankOptions,
  RerankResult,
} from "./retrieval.ts";
export type { DaemonActivity, LiveRequestStatus, TotalsOfRequests } from "./activity.ts";
export { type Admin, admin, type AdminSnapshot } from "./admin.ts";
export type {
  AdminEvent,
  Capabilities,
  CapabilitiesEvent,
  DownloadingEvent,
  DrainingEvent,
  KvCacheEvent,
  LoadingFileEvent,
  LoadingModelEvent,
  LogStoppedEvent,
  QuarantineEvent,
  ReadyEvent,
  ReloadedEvent,
  ReloadFailedEvent,
  RestartingEvent,
  StartingEvent,
  StatusEvent,
} from "./admin_events.ts";
export type {
  AdminOptions,
  CancelOptions,
  ConnectOptions,
  SpawnOptions,
  SurfaceName,
  SurfacePaths,
  SurfacePorts,
  TcpOptions,
  WaitOptions,
} from "./options.ts";
export {
  AttachmentUnsupportedError,
  BackendUnavailableError,
  DaemonError,
  EmbedUnsupportedError,
  FrameTooLargeError,
  InternalError,
  InvalidRequestError,
  QueueFullError,
  RequestCancelledError,
  RerankUnsupportedError,
  ToolCallMalformedError,
} from "./errors/daemon_errors.ts";
export {
  CancelledError,
  ClientClosedError,
  ConnectError,
  ConnectionClosedError,
  DispatchError,
  InferdError,
  ProtocolError,
  SpawnError,
  TimeoutError,
} from "./errors/errors.ts";
export { ObjectError, StepLimitError, ToolRunError, UnknownToolError } from "./errors/answer_errors.ts";
export {
  dispatch,
  type DispatchAnswer,
  type DispatchOptions,
  type Forwarded,
  type ForwardOptions,
  forwardOrLocal,
  type LocalReason,
} from "./dispatch.ts";
export type {
  DispatchResult,
  EmbedTask,
  Presentation,
  QueueStatus,
  TemplateError,
  V1Message,
  V1Role,
  V1StopReason,
  V2MediaKind,
  V2StopReason,
  V2ToolChoice,
} from "./protocol/mod.ts";
