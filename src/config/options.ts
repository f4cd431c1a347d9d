/** Types of the daemon's options, independent of where values come from and how they are validated. */
import type { TcpAddress } from "@inferd/client/paths";
import type { SurfaceName } from "@inferd/client/protocol";
import type { Pooling } from "../inference/request.ts";
import type { LogLevel } from "../log/log.ts";
import type { HuggingFaceToken, TokenFault } from "../models/transfer/access.ts";
import type { MockScript } from "./backends/mock_script.ts";
import type { BackendValues } from "./backends/backend_schema.ts";
import type { PlainValues } from "./schema.ts";

export { type Accelerator, ACCELERATOR_SETTINGS, type AcceleratorSetting } from "../libraries/accelerator.ts";
export { DEFAULT_CONTEXT_TOKENS } from "../inference/backend.ts";
export { LOG_FILE } from "../log/log_file.ts";
export { BUILT_IN_MODEL } from "../models/built_in.ts";
export type { LogLevel, MockScript, Pooling, SurfaceName, TcpAddress };

export interface MockBackendConfig extends BackendValues<"mock"> {
  readonly kind: "mock";
  readonly name: string;
  /** Reported to clients in `capabilities`; default 1. */
  readonly parallel?: number;
}

/** A file of a split model in the store. */
export interface ModelPart {
  readonly path: string;
  readonly sha256: string;
}

export interface ModelOrigin {
  readonly url: string;
  readonly sizeBytes?: number;
  readonly license?: string;
}

/** A second model with the same vocabulary, which guesses what comes next: in the words of `LlamaBackendConfig`. */
export type DraftConfig = Pick<
  LlamaBackendConfig,
  "modelName" | "modelPath" | "parts" | "modelSha256" | "source" | "stored" | "missing"
>;

/** A local model in an engine process; `parallel` defaults to the daemon's. */
export interface LlamaBackendConfig extends BackendValues<"llamacpp"> {
  readonly kind: "llamacpp";
  readonly name: string;
  /** Reported to clients in `capabilities`. */
  readonly modelName: string;
  /**
   * Path of the GGUF file, or the first file of a split model; absent: the built-in model `modelName`, or one still to
   * be fetched from `source`.
   */
  readonly modelPath?: string;
  /** All files of a split model in the store, in order; absent: they are next to `modelPath`. */
  readonly parts?: readonly ModelPart[];
  /** Expected SHA-256 of the file, 64 hex digits; for split models see `modelHash` in `models/file/shards.ts`. */
  readonly modelSha256?: string;
  /** Where to download it from if the store lacks it. */
  readonly source?: ModelOrigin;
  /** Set if it is in the store, found by name (the hash is then the store's) or by the configured hash. */
  readonly stored?: "name" | "hash";
  /** Content of the file `chatTemplate`, once read. */
  readonly templateText?: string;
  /** Hashes of the files of `lora`, in order, once read. */
  readonly loraSha256?: readonly string[];
  /** Set if the model does not exist and cannot be fetched: the message for the operator. */
  readonly missing?: string;
  /** Absent: there is none. */
  readonly draft?: DraftConfig;
}

/** A remote server with an OpenAI-compatible API; its URL has no trailing slash. */
export interface OpenAiBackendConfig extends BackendValues<"openai-compat"> {
  readonly kind: "openai-compat";
  readonly name: string;
  /** The key, read from the variable `apiKeyEnv`. */
  readonly apiKey?: string;
}

/** Any backend; lists are in order of priority. */
export type BackendConfig = MockBackendConfig | LlamaBackendConfig | OpenAiBackendConfig;

export interface Listen {
  readonly socket: string;
  /** Absent: no TCP. */
  readonly tcp?: TcpAddress;
}

export interface HttpListen {
  /** Whether `serve` also starts it. */
  readonly enabled: boolean;
  readonly address: TcpAddress;
  /** Allowed origins of web pages, besides its own. */
  readonly origins: readonly string[];
  /** Model names of clients, and the daemon's names for them. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Model store that clients may download into; absent: none. */
  readonly pullInto?: string;
}

export interface HuggingFaceOptions {
  /** Replaces the default endpoint. */
  readonly endpoint?: string;
  /** File the token may be stored in. */
  readonly tokenPath?: string;
  /** The token and its origin, or why it cannot be used. */
  readonly token?: HuggingFaceToken | TokenFault;
}

/** All options of the daemon: settings used as they are, and values derived from others. */
export interface DaemonOptions extends PlainValues {
  /** At least one, in order of priority. */
  readonly backends: readonly BackendConfig[];
  /** Folder of the sockets, the lock and the pid file; created with mode 0700. */
  readonly runtimeDir: string;
  readonly listen: Readonly<Record<SurfaceName, Listen>>;
  readonly http: HttpListen;
  readonly rpcSocket: string;
  readonly adminSocket: string;
  /** Group that owns the inference sockets; absent: unchanged. */
  readonly group?: string;
  /** API key required of TCP clients; absent: none. */
  readonly apiKey?: string;
  /** File that `apiKey` is read from. */
  readonly apiKeyFile?: string;
  readonly lockPath: string;
  /** Memory budget for requests in MiB; absent: derived from the heap limit. */
  readonly memoryBudgetMib?: number;
  /** Idle timeout of connections; default: see `InferenceServerOptions`. */
  readonly idleTimeoutSecs?: number;
  readonly home?: string;
  /**
   * Cache for downloaded native libraries, and for the built-in model if the program is not on a local disk; absent:
   * the runtime directory.
   */
  readonly cacheDir?: string;
  readonly modelsHome?: string;
  /** Options of downloads from Hugging Face; absent: no downloads. */
  readonly huggingFace?: HuggingFaceOptions;
  /** Whether the model was chosen by available memory. */
  readonly autoselected?: boolean;
}
