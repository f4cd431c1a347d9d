/**
 * The messages between daemon and engine on the engine's stdin and stdout: NDJSON, one message a line. Both ends are
 * of one version, so the messages are terse and not negotiated. The daemon assigns all ids, each once.
 */
import type { LongText, TemplateError } from "@inferd/client/protocol";
import type { FinishReason, TokenLogprob } from "../../inference/events.ts";
import type {
  EmbedRequest,
  GenerationRequest,
  JsonObject,
  Pooling,
  RerankRequest,
  TokenizerAnswer,
  TokenizerRequest,
} from "../../inference/request.ts";
import type { PromptSize } from "../../inference/prompt_size.ts";
import type { NativeSettings, SamplingDefaults } from "../../inference/model_settings.ts";
import type { Accelerator, AcceleratorSetting } from "../../libraries/accelerator.ts";
import type { Unusable } from "../../libraries/choice.ts";
import type { PackageName } from "../../libraries/packages.ts";

export type { NativeSettings };

/** How to load the model. First line on the engine's stdin. */
export interface EngineConfig {
  /** Absolute path of the GGUF file; for a split model, the first part. */
  readonly modelPath: string;
  /** All files of a split model, in order; absent: a single file. */
  readonly partPaths?: readonly string[];
  /** Reported in `capabilities`. */
  readonly modelName: string;
  /** Context size of a request; absent: the model's own, up to 8192. */
  readonly contextTokens?: number;
  /** Requests decoded together. */
  readonly parallel: number;
  /** Maximum compute threads; absent: the cores this process may use. */
  readonly threads?: number;
  /** Accelerator; absent: `auto`. */
  readonly accelerator?: AcceleratorSetting;
  /** The daemon's cache of libraries; absent: only Deno's cache. */
  readonly cacheDir?: string;
  /** Folder of native libraries; absent: npm's, according to `accelerator`. */
  readonly libraryDir?: string;
  /** Absent: as many as the accelerator takes. */
  readonly gpuLayers?: number;
  /** Embed, even if the model could generate. */
  readonly embed?: boolean;
  /** Pooling type; absent: the model's. */
  readonly pooling?: Pooling;
  /** Available memory in bytes; absent: measured. */
  readonly memoryBytes?: number;
  /** Memory used by other models of the daemon: mapped weights count as available in the measurement. */
  readonly reservedBytes?: number;
  /** Fail rather than reduce the context when memory is short, so that the daemon can make room. */
  readonly wholeContext?: boolean;
  /** Settings of the native library. */
  readonly native?: NativeSettings;
  /** Default sampling settings; absent ones are the model file's. */
  readonly sampling?: SamplingDefaults;
  /** System prompt of conversations without one. */
  readonly system?: string;
  /** Replaces the file's chat template. */
  readonly chatTemplate?: string;
  /** System prompts whose KV cache is kept. */
  readonly warm?: readonly string[];
  /** Decode forced text without sampling; default: true. */
  readonly fastForward?: boolean;
  /** Prefill the next turn of a conversation in idle time; default: true. */
  readonly nextTurn?: boolean;
  /** Idle time in milliseconds before that; for tests. */
  readonly quietMs?: number;
  /** Speculative decoding by prompt lookup; default: true. */
  readonly speculation?: boolean;
  /** Draft model with the same vocabulary; absent: none. */
  readonly draft?: DraftFiles;
}

/** Files of a draft model. */
export type DraftFiles = Pick<EngineConfig, "modelPath" | "partPaths">;

/** A request, as the backend received it. */
export type EngineRequest<Text extends LongText = string> = GenerationRequest<Text>;

/** Daemon → engine. What the daemon sends may have texts in parts, what the engine gets has none. */
export type ToEngine<Text extends LongText = string> =
  | { readonly op: "load"; readonly config: EngineConfig }
  /** Instead of `load`: report whether the native library is usable, and exit. */
  | ({ readonly op: "check" } & Pick<EngineConfig, "accelerator" | "cacheDir" | "libraryDir">)
  /** Instead of `load`: report the capabilities of the model's vocabulary and chat template, and exit. */
  | (
    & { readonly op: "inspect" }
    & Pick<
      EngineConfig,
      "modelPath" | "partPaths" | "accelerator" | "cacheDir" | "libraryDir" | "embed" | "pooling" | "chatTemplate"
    >
  )
  /** Answers `needs`: it is available now, or the reason why not. */
  | { readonly op: "fetched"; readonly failure?: string }
  | { readonly op: "generate"; readonly id: number; readonly request: EngineRequest<Text> }
  | { readonly op: "embed"; readonly id: number; readonly request: EmbedRequest }
  | { readonly op: "rerank"; readonly id: number; readonly request: RerankRequest }
  | { readonly op: "tokenizer"; readonly id: number; readonly request: TokenizerRequest<Text> }
  /** Asks for the next part of a tokenizer's answer that has tokens `left`. */
  | { readonly op: "more"; readonly id: number }
  /** Cancel the request; no event of it is sent after this is read. */
  | { readonly op: "cancel"; readonly id: number }
  /** Back-pressure: the request keeps its slot, but is not decoded. */
  | { readonly op: "pause"; readonly id: number }
  | { readonly op: "resume"; readonly id: number };

/** An event of a request. */
/** Token counts and durations of a generation, so far or at its end. */
export interface Counts {
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
  /** Forced tokens; absent: none. */
  readonly forced?: number;
  /** Cached tokens that were prefilled in idle time; absent: none. */
  readonly prepared?: number;
  /** Drafted and accepted tokens; absent: none. */
  readonly drafted?: number;
  readonly accepted?: number;
  /** Milliseconds in the queue, for the prompt, and for generation after the first token. */
  readonly ms: readonly [queue: number, prompt: number, generation: number];
}

export type EngineEvent =
  | {
    readonly id: number;
    readonly t: string;
    /** Its tokens, if requested. */
    readonly lp?: readonly TokenLogprob[];
  }
  /** A piece of the reasoning trace. */
  | { readonly id: number; readonly think: string }
  /** All text so far was a thought. */
  | { readonly id: number; readonly misread: true }
  /** A complete call; the daemon assigns its id. `unchecked`: the tool's schema was not fully enforced. */
  | { readonly id: number; readonly call: string; readonly input: JsonObject; readonly unchecked?: true }
  /** If requested: how far it is. `processed`: prompt tokens that are decoded or were cached. */
  | Counts & { readonly id: number; readonly processed: number }
  | Counts & {
    readonly id: number;
    readonly done: FinishReason;
    /** The stop string that occurred. */
    readonly stop?: string;
    /** A required call is missing. */
    readonly unsatisfied?: true;
    /** If requested: tokens of prompt and answer. */
    readonly tokens?: readonly number[];
  }
  /** All vectors of a request, concatenated: base64 of little-endian 32-bit floats. Ends it. */
  | { readonly id: number; readonly vectors: string; readonly dimensions: number; readonly tokens: number }
  /** One score for each document. Ends it. */
  | { readonly id: number; readonly scores: readonly number[]; readonly tokens: number }
  /** The tokenizer's answer. Ends it, unless so many of its tokens are left: `more` asks for the next part. */
  | { readonly id: number; readonly answer: TokenizerAnswer; readonly left?: number }
  | {
    readonly id: number;
    readonly error:
      | "invalid_request"
      | "context_length"
      | "internal"
      | "tool_call_malformed"
      | "attachment_unsupported";
    readonly message: string;
    /** With `context_length`, of a prompt. */
    readonly size?: PromptSize;
  };

/** Purpose of a loaded model. */
export type EnginePurpose = "generate" | "embed" | "rerank";

/** Capabilities of a chat template. */
export interface TemplateFacts {
  /** It supports tools. */
  readonly tools: boolean;
  /** It supports reasoning traces. */
  readonly thinking: boolean;
  /** The vocabulary has tokens to fill in text. */
  readonly infill?: true;
  /** It cannot be evaluated; another format is used. */
  readonly templateError?: Readonly<TemplateError>;
}

/** What the engine cannot download itself: native library packages, or node-llama-cpp's chat wrappers. */
export type EngineNeed = { readonly packages: readonly PackageName[] } | { readonly chatWrappers: true };

/** Engine → daemon. */
export type FromEngine =
  /** Modules are loaded, and were downloaded if necessary. First message. */
  | { readonly type: "started" }
  /** Waits for `fetched`. */
  | { readonly type: "needs"; readonly need: EngineNeed }
  /** The selected accelerator; sent again if it changes. */
  | { readonly type: "accelerator"; readonly accelerator: Accelerator }
  | { readonly type: "phase"; readonly phase: "mmap"; readonly path: string; readonly progress?: number }
  | { readonly type: "phase"; readonly phase: "kv_cache"; readonly n_ctx: number }
  | TemplateFacts & {
    readonly type: "ready";
    readonly purpose: EnginePurpose;
    readonly contextTokens: number;
    readonly parallel: number;
    readonly accelerator: string;
    readonly gpuLayers: number;
    readonly vocabulary: number;
    /** Length in bytes of the longest token; absent unless the model generates. */
    readonly longestPiece?: number;
    readonly threads: number;
    /** Resident memory of the process in bytes. */
    readonly residentBytes: number;
  }
  /** Answers `check`: the native library is usable. */
  | ({
    readonly type: "library";
    readonly version: string;
    /** Its folder. */
    readonly folder: string;
    /** Better accelerators, with the reasons why they are not used. */
    readonly unusable: readonly Unusable[];
    /** The accelerator: `cuda`, `metal`, `vulkan`; or `cpu`. */
    readonly accelerator: string;
  })
  /** Answers `inspect`. */
  | TemplateFacts & {
    readonly type: "inspected";
    readonly purpose: EnginePurpose;
    /** Trained context size in tokens. */
    readonly trainedContextTokens: number;
  }
  /** For the operator's log. */
  | { readonly type: "warning"; readonly msg: string; readonly fields: Readonly<Record<string, unknown>> }
  /** All events of a step. */
  | { readonly type: "step"; readonly events: readonly EngineEvent[] }
  /** Heartbeat: sent at least once a second while there is work and no event to send. */
  | { readonly type: "beat" }
  /** The accelerator's driver may compile code from here until the engine is ready, for minutes at the first start. */
  | { readonly type: "compiles" }
  /** Loading failed; the engine exits after it. The message is for the operator. */
  | {
    readonly type: "fatal";
    readonly message: string;
    /** Because of insufficient memory. */
    readonly outOfMemory?: true;
  };
