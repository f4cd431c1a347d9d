/**
 * What the daemon can be told, as types, and every default, in one room. Where a value comes from (flag, environment)
 * is not known here.
 */

import type { TcpAddress } from "@inferd/client/paths";
import type { Pooling } from "../inference/request.ts";
import type { AcceleratorSetting } from "../libraries/accelerator.ts";
import type { LogLevel } from "../log/log.ts";
import type { HuggingFaceToken, TokenFault } from "../models/transfer/access.ts";

export { type Accelerator, ACCELERATOR_SETTINGS, type AcceleratorSetting } from "../libraries/accelerator.ts";
export { BUILT_IN_MODEL } from "../models/built_in.ts";
export type { LogLevel, Pooling, TcpAddress };

/** What a mock backend can be asked for. */
export type MockService = "v1" | "v2" | "embed" | "rerank";

/** How a mock backend behaves; everything is optional and off. For tests and for trying out clients. */
export interface MockScript {
  /** What it answers, piece by piece. Default: a short sentence. */
  readonly tokens?: readonly string[];
  /** Answer with this many numbered tokens instead. */
  readonly count?: number;
  /** Before the first token, in milliseconds. */
  readonly firstDelayMs?: number;
  /** Before each further token, in milliseconds. */
  readonly delayMs?: number;
  /** Fail before the first token. */
  readonly failBefore?: boolean;
  /** Fail after this many tokens. */
  readonly failAt?: number;
  /** Never say anything after this many tokens; only a cancel ends it. */
  readonly hangAt?: number;
  /** Never become ready. */
  readonly neverReady?: boolean;
  /** What it thinks before it answers, piece by piece, where a request asks for that. Default: nothing. */
  readonly thinking?: readonly string[];
  /**
   * What it calls after its answer, where those tools are offered and the conversation does not end with results.
   * Default: nothing, or the first tool without arguments where a call is required.
   */
  readonly calls?: readonly { readonly name: string; readonly input: Readonly<Record<string, unknown>> }[];
  /** What it can be asked for. Default: everything. */
  readonly services?: readonly MockService[];
  /** Takes images. */
  readonly vision?: boolean;
  /** Takes sound. */
  readonly audio?: boolean;
  /** Numbers in its vectors. Default: 8. */
  readonly dimensions?: number;
}

/** A backend that computes nothing. */
export interface MockBackendConfig {
  readonly kind: "mock";
  readonly name: string;
  /** Told to clients in `capabilities`; absent: 1. */
  readonly parallel?: number;
  readonly script: MockScript;
}

/** A file of a split model in the store. */
export interface ModelPart {
  readonly path: string;
  readonly sha256: string;
}

/** Where a model of the store is fetched. */
export interface ModelOrigin {
  readonly url: string;
  readonly sizeBytes?: number;
  readonly license?: string;
}

/** A local model in an engine process. */
export interface LlamaBackendConfig {
  readonly kind: "llamacpp";
  readonly name: string;
  /** Told to clients in `capabilities`. */
  readonly modelName: string;
  /**
   * Path of a GGUF file, of a split model its first; absent: the built-in model that `modelName` names, or one that is
   * still to be fetched from `source`.
   */
  readonly modelPath?: string;
  /** Every file of a split model in the store, in order; absent: what belongs to `modelPath` lies beside it. */
  readonly parts?: readonly ModelPart[];
  /** 64 hex digits the file must hash to; of several files see `modelHash` in `models/file/shards.ts`. */
  readonly modelSha256?: string;
  /** Where it comes from, if the store does not have it. */
  readonly source?: ModelOrigin;
  /** It lies in the store, found by its name (then the hash is the store's) or by the configured hash. */
  readonly stored?: "name" | "hash";
  /** There is no such model, and it cannot be fetched: why, for the operator. */
  readonly missing?: string;
  /** Tokens one request may use. */
  readonly contextTokens?: number;
  readonly gpuLayers?: number;
  readonly threads?: number;
  /** What may compute; absent: `auto`. Nothing is chosen where there is a `libraryDir`. */
  readonly accelerator?: AcceleratorSetting;
  /** Folder of native libraries; absent: npm's. */
  readonly libraryDir?: string;
  /** Requests decoded together; absent: as the daemon's. */
  readonly parallel?: number;
  /** Embed, even if the model could generate. */
  readonly embed?: boolean;
  /** How token vectors are pooled; absent: as the model says. */
  readonly pooling?: Pooling;
  /** System prompts whose KV cache is kept. */
  readonly warm?: readonly string[];
}

/** A server elsewhere that speaks OpenAI's protocol. */
export interface OpenAiBackendConfig {
  readonly kind: "openai-compat";
  readonly name: string;
  /** Up to and with `/v1`, without a slash at its end. */
  readonly baseUrl: string;
  /** What the server calls the model. */
  readonly model: string;
  /** The variable the key is in; absent: none is sent. */
  readonly apiKeyEnv?: string;
  /** The key itself, read from that variable. */
  readonly apiKey?: string;
  /** For connecting, and between two pieces of an answer. */
  readonly timeoutSecs: number;
  /** URL of the proxy to go through, see `proxyFor`; absent: none, whatever the environment says. */
  readonly proxy?: string;
}

/** Any backend; the order of a list of them is their priority. */
export type BackendConfig = MockBackendConfig | LlamaBackendConfig | OpenAiBackendConfig;

/** Where a surface listens. */
export interface Listen {
  /** Path of the unix socket. */
  readonly socket: string;
  /** Absent: none. */
  readonly tcp?: TcpAddress;
}

/** The surfaces that have sockets of this kind. */
export type SurfaceName = "infer" | "v2" | "embed" | "rerank";

/** Address and credentials of Hugging Face. */
export interface HuggingFaceOptions {
  /** In its place. */
  readonly endpoint?: string;
  /** Where the token may be kept. */
  readonly tokenPath?: string;
  /** The token itself and what it is from, or why it cannot be used. */
  readonly token?: HuggingFaceToken | TokenFault;
}

/** Everything the daemon needs to run. */
export interface DaemonOptions {
  /** At least one; order is priority. */
  readonly backends: readonly BackendConfig[];
  /** Holds the sockets, the lock and the pid file; made 0700. */
  readonly runtimeDir: string;
  readonly listen: Readonly<Record<SurfaceName, Listen>>;
  /** Dispatch unix socket. */
  readonly rpcSocket: string;
  /** What dispatch requests have to name. */
  readonly namespace: string;
  /** Admin unix socket. */
  readonly adminSocket: string;
  /** Group that owns the inference sockets; absent: unchanged. */
  readonly group?: string;
  /** What TCP clients must present; absent: nothing. */
  readonly apiKey?: string;
  /** The file `apiKey` is read from. */
  readonly apiKeyFile?: string;
  readonly lockPath: string;
  /** The user's home; absent: it is not known. */
  readonly home?: string;
  /**
   * Keeps the native libraries that were fetched, and the built-in model where the program itself does not lie on a disk;
   * absent: the runtime directory.
   */
  readonly cacheDir?: string;
  /** The model store's folder; absent: nothing says where it is. */
  readonly modelsHome?: string;
  /** How models are downloaded from Hugging Face; absent: none will be. */
  readonly huggingFace?: HuggingFaceOptions;
  /** The model was chosen by how much memory there is. */
  readonly autoselected?: boolean;
  /** Fetch what the store lacks, at boot. */
  readonly autoPull: boolean;
  /** Requests served together. */
  readonly parallel: number;
  /** Requests that may wait behind them. */
  readonly queueDepth: number;
  readonly readyTimeoutSecs: number;
  readonly drainTimeoutSecs: number;
  readonly logDir: string;
  readonly logLevel: LogLevel;
}

/** Requests served together when nothing else is said. */
export const DEFAULT_PARALLEL = 4;
/** Requests that wait behind them when nothing else is said. */
export const DEFAULT_QUEUE_DEPTH = 10;
/** Seconds a remote backend may take to connect, and between two pieces. */
export const DEFAULT_REMOTE_TIMEOUT_SECS = 300;
/** Seconds until every backend has to be ready. */
export const DEFAULT_READY_TIMEOUT_SECS = 30;
/** Seconds running requests get to finish on drain. */
export const DEFAULT_DRAIN_TIMEOUT_SECS = 10;
