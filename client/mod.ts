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
  SamplingOptions,
  StopReason,
  TokenEvent,
  Usage,
} from "./generation.ts";
export type {
  DoneV2Event,
  GenerateV2Fields,
  GenerateV2Request,
  GenerationV2,
  GenerationV2Event,
  GenerationV2Result,
  GenerationV2StopReason,
  TextEvent,
  ThinkingEvent,
  V2Mark,
} from "./generation_v2.ts";
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
} from "./tool_run.ts";
export type {
  EmbedOptions,
  EmbedResult,
  PromptUsage,
  RankedDocument,
  RerankOptions,
  RerankResult,
} from "./retrieval.ts";
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
  type LogStoppedEvent,
  type QuarantineEvent,
  type ReadyEvent,
  type RestartingEvent,
  type StartingEvent,
  type StatusEvent,
} from "./admin.ts";
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
  CancelledError,
  ClientClosedError,
  ConnectError,
  ConnectionClosedError,
  DaemonError,
  DispatchError,
  EmbedUnsupportedError,
  FrameTooLargeError,
  InferdError,
  InternalError,
  InvalidRequestError,
  ObjectError,
  ProtocolError,
  QueueFullError,
  RerankUnsupportedError,
  SpawnError,
  StepLimitError,
  TimeoutError,
  ToolCallMalformedError,
  ToolRunError,
  UnknownToolError,
} from "./errors.ts";
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
