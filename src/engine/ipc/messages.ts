/**
 * The messages between daemon and engine on the engine's stdin and stdout: NDJSON, one message a line. Both ends are
 * of one version, so the messages are terse and not negotiated. The daemon assigns all ids, each once.
 */
import type { TemplateError } from "@inferd/client/protocol";
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

/** How the engine is to load its model. First line on its stdin. */
export interface EngineConfig {
  /** Absolute path of the GGUF file, of a split model the first. */
  readonly modelPath: string;
  /** Every file of a split model, in order; absent: it is one file. */
  readonly partPaths?: readonly string[];
  /** Told in `capabilities`. */
  readonly modelName: string;
  /** Tokens one request may use; absent: the model's own up to 8192. */
  readonly contextTokens?: number;
  /** Requests decoded together. */
  readonly parallel: number;
  /** At most; absent: the cores this process may really use. */
  readonly threads?: number;
  /** What may compute; absent: `auto`. */
  readonly accelerator?: AcceleratorSetting;
  /** Where the daemon keeps what it fetches; absent: there is only Deno's cache. */
  readonly cacheDir?: string;
  /** Folder of native libraries; absent: npm's, as `accelerator` says. */
  readonly libraryDir?: string;
  /** Absent: as many as the accelerator takes. */
  readonly gpuLayers?: number;
  /** Embed, even if the model could generate. */
  readonly embed?: boolean;
  /** How token vectors are pooled; absent: as the model says. */
  readonly pooling?: Pooling;
  /** Memory to be counted on, in bytes; absent: what there is. */
  readonly memoryBytes?: number;
  /** Of the memory there is, what the other models of the daemon use: weights in mapped files seem to be available. */
  readonly reservedBytes?: number;
  /** Do not lower the context where memory is short: fail, so that the daemon can make room. */
  readonly wholeContext?: boolean;
  /** How the native library loads it. */
  readonly native?: NativeSettings;
  /** What requests get that do not say it; what is absent here is as the model's file says. */
  readonly sampling?: SamplingDefaults;
  /** A system prompt for conversations that have none. */
  readonly system?: string;
  /** A chat template in place of the file's own. */
  readonly chatTemplate?: string;
  /** System prompts whose KV cache is kept. */
  readonly warm?: readonly string[];
  /** Text that a grammar forces is not sampled; absent: it is so. */
  readonly fastForward?: boolean;
  /** In quiet moments the next turn of a conversation is prepared; absent: it is so. */
  readonly nextTurn?: boolean;
  /** Milliseconds that make a moment quiet; for tests. */
  readonly quietMs?: number;
  /** What comes next is guessed from what came before, and verified; absent: it is so. */
  readonly speculation?: boolean;
  /** A second model with the same vocabulary, which guesses what comes next; absent: there is none. */
  readonly draft?: DraftFiles;
}

/** The GGUF file of a draft model, of a split one every file in order. */
export type DraftFiles = Pick<EngineConfig, "modelPath" | "partPaths">;

/** One request for the engine: as the backend got it. */
export type EngineRequest = GenerationRequest;

/** Daemon → engine. */
export type ToEngine =
  | { readonly op: "load"; readonly config: EngineConfig }
  /** Instead of `load`: say whether the native library can be used, and end. */
  | ({ readonly op: "check" } & Pick<EngineConfig, "accelerator" | "cacheDir" | "libraryDir">)
  /** Instead of `load`: read the model's vocabulary and chat template, say what they are good for, and end. */
  | (
    & { readonly op: "inspect" }
    & Pick<
      EngineConfig,
      "modelPath" | "partPaths" | "accelerator" | "cacheDir" | "libraryDir" | "embed" | "pooling" | "chatTemplate"
    >
  )
  /** The answer to `needs`: it is here now, or this is why not. */
  | { readonly op: "fetched"; readonly failure?: string }
  | { readonly op: "generate"; readonly id: number; readonly request: EngineRequest }
  | { readonly op: "embed"; readonly id: number; readonly request: EmbedRequest }
  | { readonly op: "rerank"; readonly id: number; readonly request: RerankRequest }
  | { readonly op: "tokenizer"; readonly id: number; readonly request: TokenizerRequest }
  /** Forget the request; no further event of it is sent once this is read. */
  | { readonly op: "cancel"; readonly id: number }
  /** Back-pressure, the reader is slow: keep the slot, decode nothing for it. */
  | { readonly op: "pause"; readonly id: number }
  | { readonly op: "resume"; readonly id: number };

/** What happened to one request in one step. */
export type EngineEvent =
  | {
    readonly id: number;
    readonly t: string;
    /** The tokens behind it, where they were asked for. */
    readonly lp?: readonly TokenLogprob[];
  }
  /** A piece of the reasoning trace. */
  | { readonly id: number; readonly think: string }
  /** What was sent as text so far was a thought. */
  | { readonly id: number; readonly misread: true }
  /** A whole call; the daemon names it. `unchecked`: the tool's schema was not enforced in full while it was written. */
  | { readonly id: number; readonly call: string; readonly input: JsonObject; readonly unchecked?: true }
  | {
    readonly id: number;
    readonly done: FinishReason;
    readonly prompt: number;
    readonly completion: number;
    readonly cached: number;
    /** Tokens of the answer that a grammar forced, where there are any. */
    readonly forced?: number;
    /** Cached tokens that were prepared when an earlier answer had ended, where there are any. */
    readonly prepared?: number;
    /** Tokens that were guessed, and how many of them came true, where there are any. */
    readonly drafted?: number;
    readonly accepted?: number;
    /** Milliseconds for waiting for a slot, for the prompt up to the first token, and for what came after it. */
    readonly ms: readonly [queue: number, prompt: number, generation: number];
    /** A required call did not come. */
    readonly unsatisfied?: true;
  }
  /** All vectors of a request, concatenated: base64 of little-endian 32-bit floats. Ends it. */
  | { readonly id: number; readonly vectors: string; readonly dimensions: number; readonly tokens: number }
  /** One score for each document. Ends it. */
  | { readonly id: number; readonly scores: readonly number[]; readonly tokens: number }
  /** What the tokenizer said. Ends it. */
  | { readonly id: number; readonly answer: TokenizerAnswer }
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

/** What a model was loaded for. */
export type EnginePurpose = "generate" | "embed" | "rerank";

/** What a model's chat template is good for. */
export interface TemplateFacts {
  /** It knows tools. */
  readonly tools: boolean;
  /** It knows a reasoning trace. */
  readonly thinking: boolean;
  /** It cannot be evaluated, and another format is used instead. */
  readonly templateError?: Readonly<TemplateError>;
}

/** Something the engine cannot get itself: packages of native libraries, or node-llama-cpp's chat wrappers. */
export type EngineNeed = { readonly packages: readonly PackageName[] } | { readonly chatWrappers: true };

/** Engine → daemon. */
export type FromEngine =
  /** Its modules are loaded, fetched before if it is the first time. The first thing it says. */
  | { readonly type: "started" }
  /** It waits for `fetched`. */
  | { readonly type: "needs"; readonly need: EngineNeed }
  /** What it is about to compute with; said again if it is something else after all. */
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
    /** Bytes of the longest text that a token stands for; absent where nothing is generated. */
    readonly longestPiece?: number;
    readonly threads: number;
    /** Memory of the process, most of it the model's weights, in bytes. */
    readonly residentBytes: number;
  }
  /** The answer to `check`: the native library can be used. */
  | ({
    readonly type: "library";
    readonly version: string;
    /** Where it was opened. */
    readonly folder: string;
    /** Better accelerators, and why they are not used. */
    readonly unusable: readonly Unusable[];
    /** The accelerator: `cuda`, `metal`, `vulkan`; or `cpu`. */
    readonly accelerator: string;
  })
  /** The answer to `inspect`. */
  | TemplateFacts & {
    readonly type: "inspected";
    readonly purpose: EnginePurpose;
    /** Tokens of the context that the model was trained with. */
    readonly trainedContextTokens: number;
  }
  /** For the operator's log. */
  | { readonly type: "warning"; readonly msg: string; readonly fields: Readonly<Record<string, unknown>> }
  /** Everything that happened in one step, for all slots. */
  | { readonly type: "step"; readonly events: readonly EngineEvent[] }
  /** Heartbeat: sent at least once a second while there is work and no event to send. */
  | { readonly type: "beat" }
  /** The accelerator's driver may compile code from here until the engine is ready, for minutes at the first start. */
  | { readonly type: "compiles" }
  /** Loading failed; the engine exits after it. The message is for the operator. */
  | {
    readonly type: "fatal";
    readonly message: string;
    /** There is not enough memory. */
    readonly outOfMemory?: true;
  };
