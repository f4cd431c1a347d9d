/** What the daemon can be told, as types. Where a value comes from, and what it may be, is not known here. */
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

/** A backend that computes nothing. */
export interface MockBackendConfig extends BackendValues<"mock"> {
  readonly kind: "mock";
  readonly name: string;
  /** Told to clients in `capabilities`; absent: 1. */
  readonly parallel?: number;
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

/** A local model in an engine process; without `parallel` as many requests are decoded together as the daemon serves. */
export interface LlamaBackendConfig extends BackendValues<"llamacpp"> {
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
  /** What the file `chatTemplate` says, once it was read. */
  readonly templateText?: string;
  /** What the files of `lora` hash to, in their order, once they were read. */
  readonly loraSha256?: readonly string[];
  /** There is no such model, and it cannot be fetched: why, for the operator. */
  readonly missing?: string;
}

/** A server elsewhere that speaks OpenAI's protocol; its address has no slash at its end. */
export interface OpenAiBackendConfig extends BackendValues<"openai-compat"> {
  readonly kind: "openai-compat";
  readonly name: string;
  /** The key itself, read from the variable `apiKeyEnv`. */
  readonly apiKey?: string;
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

/** The bridge to HTTP, as far as it is configured. */
export interface HttpListen {
  /** Whether `serve` starts it, too. */
  readonly enabled: boolean;
  readonly address: TcpAddress;
  /** Origins of web pages, besides its own, that may use it. */
  readonly origins: readonly string[];
  /** Names that clients use for models, and what the daemon calls them. */
  readonly aliases: Readonly<Record<string, string>>;
}

/** Address and credentials of Hugging Face. */
export interface HuggingFaceOptions {
  /** In its place. */
  readonly endpoint?: string;
  /** Where the token may be kept. */
  readonly tokenPath?: string;
  /** The token itself and what it is from, or why it cannot be used. */
  readonly token?: HuggingFaceToken | TokenFault;
}

/** Everything the daemon needs to run: the settings it takes as they are, and what comes of the others. */
export interface DaemonOptions extends PlainValues {
  /** At least one; order is priority. */
  readonly backends: readonly BackendConfig[];
  /** Holds the sockets, the lock and the pid file; made 0700. */
  readonly runtimeDir: string;
  readonly listen: Readonly<Record<SurfaceName, Listen>>;
  /** The bridge to HTTP. */
  readonly http: HttpListen;
  /** Dispatch unix socket. */
  readonly rpcSocket: string;
  /** Admin unix socket. */
  readonly adminSocket: string;
  /** Group that owns the inference sockets; absent: unchanged. */
  readonly group?: string;
  /** What TCP clients must present; absent: nothing. */
  readonly apiKey?: string;
  /** The file `apiKey` is read from. */
  readonly apiKeyFile?: string;
  readonly lockPath: string;
  /** MiB of requests that may be held; absent: what the heap allows. */
  readonly memoryBudgetMib?: number;
  /** How long a connection may be without a request; absent: as `InferenceServerOptions` says. */
  readonly idleTimeoutSecs?: number;
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
}
