/** Options of a llama backend. */
import type { LoadPhase, LongText } from "@inferd/client/protocol";
import type { LlamaBackendConfig } from "../../config/options.ts";
import type { EngineCommand } from "../../engine/ipc/command.ts";
import type { EngineNeed, FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import type { FileIdentity } from "../../models/file/model_file.ts";
import type { ModelHashes } from "../../models/file/model_hashes.ts";
import type { Pace } from "../../ndjson/pace.ts";
import type { JsonProcess, ProcessListener } from "../../processes/process.ts";

/** Configuration with a resolved model path. */
export type LlamaConfig = LlamaBackendConfig & { readonly parallel: number; readonly modelPath: string };

export interface FetchWatch {
  readonly onPhase: (phase: LoadPhase) => void;
  /** Writes to the operator's log. */
  readonly onNote: (msg: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly signal: AbortSignal;
}

export interface Fetcher {
  readonly cacheDir: string;
  /** @throws {Error} If it cannot be fetched; the message is for the operator. */
  fetch(need: EngineNeed, watch: FetchWatch): Promise<void>;
}

/** Overrides for tests, and the daemon's timeouts. */
export interface LlamaOptions {
  /** Command for engines spawned by this process; default: the built-in engine. */
  readonly command?: EngineCommand;
  /** Spawns an engine; default: as a child of this process. */
  readonly spawn?: (listener: ProcessListener<FromEngine>) => JsonProcess<ToEngine<LongText>>;
  /** First and longest restart delay; doubles in between. */
  readonly backoffMs?: { readonly first: number; readonly most: number };
  /** The same for missing or wrong model files, after quick retries failed. */
  readonly slowBackoffMs?: { readonly first: number; readonly most: number };
  /** This many deaths within the window mark the backend as down. */
  readonly maxDeaths?: number;
  readonly deathWindowMs?: number;
  /** Longest silence while work is pending. */
  readonly hangTimeoutMs?: number;
  /** Time limit for loading after a restart, without time for hashing; default: no limit. */
  readonly loadTimeoutMs?: number;
  /** How fast long answers are made while others run; default: as fast as possible. */
  readonly pace?: Pace;
  /** Fetches libraries the engine lacks; default: nothing is fetched. */
  readonly fetcher?: Fetcher;
  /** Identities of model files verified elsewhere; they are not hashed again while unchanged. */
  readonly verified?: readonly FileIdentity[];
  /** Cached hashes of store files; default: the files are hashed. */
  readonly hashes?: ModelHashes;
  /** As in `EngineConfig`. */
  readonly reservedBytes?: number;
  readonly wholeContext?: boolean;
  /** Monotonic clock in milliseconds. */
  readonly now?: () => number;
}
