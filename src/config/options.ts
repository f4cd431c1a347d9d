/**
 * What the daemon can be told, as types, and every default, in one room. Where a value comes from (flag, environment)
 * is not known here.
 */

import type { TcpAddress } from "@inferd/client/paths";

export type { TcpAddress };

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
}

/** A backend that computes nothing. */
export interface MockBackendConfig {
  readonly kind: "mock";
  readonly name: string;
  /** Told to clients in `capabilities`; absent: 1. */
  readonly parallel?: number;
  readonly script: MockScript;
}

/** A local model in an engine process. */
export interface LlamaBackendConfig {
  readonly kind: "llamacpp";
  readonly name: string;
  /** Told to clients in `capabilities`. */
  readonly modelName: string;
  /** Path of a GGUF file; absent: the built-in model. */
  readonly modelPath?: string;
  /** 64 hex digits the file must hash to. */
  readonly modelSha256?: string;
  /** Tokens one request may use. */
  readonly contextTokens?: number;
  readonly gpuLayers?: number;
  readonly threads?: number;
}

/** Any backend; the order of a list of them is their priority. */
export type BackendConfig = MockBackendConfig | LlamaBackendConfig;

/** How much is logged. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Everything the daemon needs to run. */
export interface DaemonOptions {
  /** At least one; order is priority. */
  readonly backends: readonly BackendConfig[];
  /** Holds the sockets, the lock and the pid file; made 0700. */
  readonly runtimeDir: string;
  /** Generation v1 unix socket. */
  readonly inferSocket: string;
  /** Generation v1 TCP endpoint; absent: none. */
  readonly inferTcp?: TcpAddress;
  /** Admin unix socket. */
  readonly adminSocket: string;
  /** Group that owns the inference sockets; absent: unchanged. */
  readonly group?: string;
  /** What TCP clients must present; absent: nothing. */
  readonly apiKey?: string;
  readonly lockPath: string;
  /** Keeps the built-in model where the program itself does not lie on a disk; absent: the runtime directory. */
  readonly cacheDir?: string;
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
/** Seconds until every backend has to be ready. */
export const DEFAULT_READY_TIMEOUT_SECS = 30;
/** Seconds running requests get to finish on drain. */
export const DEFAULT_DRAIN_TIMEOUT_SECS = 10;
/** The model name of the built-in model. */
export const BUILT_IN_MODEL = "inferd-tiny";
