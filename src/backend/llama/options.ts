/** What a llama backend is made with. */
import type { LoadPhase } from "@inferd/client/protocol";
import type { LlamaBackendConfig } from "../../config/options.ts";
import type { EngineCommand } from "../../engine/ipc/command.ts";
import type { EngineNeed, FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import type { FileIdentity } from "../../models/file/model_file.ts";
import type { ModelHashes } from "../../models/file/model_hashes.ts";
import type { JsonProcess, ProcessListener } from "../../processes/process.ts";

/** What a llama backend needs; the model's path is known by now. */
export type LlamaConfig = LlamaBackendConfig & { readonly parallel: number; readonly modelPath: string };

/** Who is told while something is fetched, and what gives up. */
export interface FetchWatch {
  readonly onPhase: (phase: LoadPhase) => void;
  /** For the operator's log. */
  readonly onNote: (msg: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly signal: AbortSignal;
}

/** Gets what engines need and do not find. */
export interface Fetcher {
  /** Where it puts what it gets. */
  readonly cacheDir: string;
  /** @throws {Error} If it cannot be had; the message is for the operator. */
  fetch(need: EngineNeed, watch: FetchWatch): Promise<void>;
}

/** For tests and for the daemon's timeouts. */
export interface LlamaOptions {
  /** Absent: the engine's own. For engines that this process starts itself. */
  readonly command?: EngineCommand;
  /** Starts an engine. Absent: this process does. */
  readonly spawn?: (listener: ProcessListener<FromEngine>) => JsonProcess<ToEngine>;
  /** Before the first restart, and the longest; it doubles in between. */
  readonly backoffMs?: { readonly first: number; readonly most: number };
  /** The same for a model whose files are missing or wrong, once fast tries have not helped. */
  readonly slowBackoffMs?: { readonly first: number; readonly most: number };
  /** So many deaths within the window leave the backend down. */
  readonly maxDeaths?: number;
  readonly deathWindowMs?: number;
  /** Silence while work is waiting. */
  readonly hangTimeoutMs?: number;
  /** How long a restarted engine may load, the time its files are hashed not counted; absent: without limit. */
  readonly loadTimeoutMs?: number;
  /** Gets what the engine lacks; absent: nobody does. */
  readonly fetcher?: Fetcher;
  /** What the model's files were when somebody else had compared their hashes: as long as they are, they are not read. */
  readonly verified?: readonly FileIdentity[];
  /** Knows what files hash to that the store has by their name. Absent: they are read. */
  readonly hashes?: ModelHashes;
  /** As in `EngineConfig`. */
  readonly reservedBytes?: number;
  readonly wholeContext?: boolean;
  /** Milliseconds, monotonic. */
  readonly now?: () => number;
}
