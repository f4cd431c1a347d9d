/**
 * A client for inferd, the local inference daemon. Runs in Deno and in Node (20 or later), over a unix socket or TCP.
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 *
 * export async function story(): Promise<void> {
 *   await using client = await connect();
 *   for await (const text of client.generate("Tell me a story about a fox.").text) console.log(text);
 * }
 * ```
 *
 * @module
 */
export type { Capabilities, ModelFile, RequestDefaults } from "./capabilities.ts";
export type { Client } from "./client.ts";
export type { ModelTokenizer } from "./model_tokenizer.ts";
export { connect } from "./connect.ts";
export type { GenerateRequest, SamplingOptions, Usage } from "./generation.ts";
export type {
  AnswerText,
  DoneEvent,
  Generation,
  GenerationEvent,
  GenerationListener,
  GenerationResult,
  GenerationTimings,
  ProgressEvent,
  StopReason,
  TextEvent,
  ThinkingEvent,
  TokenLogprob,
  TokenProbability,
} from "./generation_events.ts";
export type { ExtraText, GenerateV2Fields, GenerateV2Request, V2Mark } from "./generation_v2.ts";
export type { AnySchema, InferSchema, StandardResult, StandardSchema, TypeBoxSchema } from "./standard_schema.ts";
export type { ClientStatus, DebugEvent } from "./status.ts";
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
  EmbedInput,
  EmbedOptions,
  EmbedResult,
  PromptUsage,
  RankedDocument,
  RerankOptions,
  RerankResult,
} from "./retrieval.ts";
export type { DaemonActivity, LiveRequestStatus, TotalsOfBackend, TotalsOfRequests } from "./activity.ts";
export { type Admin, admin, type AdminSnapshot } from "./admin.ts";
export type {
  AdminEvent,
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
  RequestEvent,
  RestartingEvent,
  StartingEvent,
  StatusEvent,
} from "./admin_events.ts";
export type {
  AdminOptions,
  ByteStream,
  CancelOptions,
  ConnectOptions,
  FollowOptions,
  OpenTransport,
  RequestOptions,
  SpawnOptions,
  SurfaceName,
  SurfacePaths,
  SurfacePorts,
  TcpOptions,
  TransportTarget,
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
