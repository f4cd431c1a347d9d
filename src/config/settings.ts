/**
 * Every setting of the daemon: its flag, its environment variable, what it allows and what it means. This table is the
 * only place that knows them; help texts, parsing and the permission list are made from it.
 */
import {
  DEFAULT_EMBED_PORT,
  DEFAULT_INFER_PORT,
  DEFAULT_RERANK_PORT,
  DEFAULT_TCP_HOSTNAME,
  DEFAULT_V2_PORT,
  parseTcpAddress,
  type TcpAddress,
} from "@inferd/client/paths";
import { ACCELERATOR_SETTINGS, type LogLevel, type MockScript, type MockService } from "./options.ts";

/** Wrong flags, environment or values: the program says this one line and exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Turns a setting's text into its value; throws an `Error` whose message says what is allowed. */
type Parse<T> = (text: string) => T;

/** One setting. */
export interface Setting<T> {
  /** Without the leading dashes. */
  readonly flag: string;
  readonly env: string;
  /** What stands for the value in help texts. */
  readonly metavar: string;
  readonly help: string;
  readonly parse: Parse<T>;
  /** What it may be, where that is a few words. */
  readonly choices?: readonly string[];
  /** What the flag means when it is given without a value; absent: it needs one. */
  readonly bare?: string;
  /** Not to be shown. */
  readonly secret?: boolean;
}

function setting<T>(definition: Setting<T>): Setting<T> {
  return definition;
}

function wholeNumber(least: number, most: number): Parse<number> {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new Error(`must be a whole number from ${least} to ${most}`);
    }
    return value;
  };
}

function oneOf<T extends string>(...choices: readonly T[]): Pick<Setting<T>, "parse" | "choices"> {
  return {
    choices,
    parse: (text) => {
      const found = choices.find((choice) => choice === text);
      if (found === undefined) throw new Error(`must be one of ${choices.join(", ")}`);
      return found;
    },
  };
}

function nonEmpty(what: string): Parse<string> {
  return (text) => {
    if (text.includes("\0")) throw new Error(`must be ${what} without NUL characters`);
    return text;
  };
}

/** A TCP address; what the text leaves out is the loopback host and `port`. */
export function tcpAddress(port: number): Parse<TcpAddress> {
  return (text) => {
    try {
      return parseTcpAddress(text, port);
    } catch {
      throw new Error(`must be HOST:PORT, for example ${DEFAULT_TCP_HOSTNAME}:${port} or [::1]:${port}`);
    }
  };
}

/** A surface's unix socket. */
function socketSetting(flag: string, env: string, what: string, file: string): Setting<string> {
  return {
    flag,
    env,
    metavar: "PATH",
    help: `${what} socket (default: ${file})`,
    parse: nonEmpty("a path"),
  };
}

/** A surface's TCP endpoint. */
function tcpSetting(flag: string, env: string, what: string, port: number): Setting<TcpAddress> {
  const bare = `${DEFAULT_TCP_HOSTNAME}:${port}`;
  return {
    flag,
    env,
    metavar: "HOST:PORT",
    help: `${what} on TCP, too (default: off; without a value ${bare})`,
    parse: tcpAddress(port),
    bare,
  };
}

/** Lower-case hex of a SHA-256. */
export function sha256(text: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new Error("must be 64 hexadecimal digits");
  return text.toLowerCase();
}

const MOCK_SERVICES: readonly MockService[] = ["v1", "v2", "embed", "rerank"];

const MOCK_SCRIPT_TYPES: { readonly [Key in keyof Required<MockScript>]: (value: unknown) => boolean } = {
  tokens: isTexts,
  count: isCount,
  firstDelayMs: isCount,
  delayMs: isCount,
  failBefore: isBoolean,
  failAt: isCount,
  hangAt: isCount,
  neverReady: isBoolean,
  thinking: isTexts,
  calls: (value) => Array.isArray(value) && value.every(isCall),
  services: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((service) => MOCK_SERVICES.includes(service)),
  vision: isBoolean,
  audio: isBoolean,
  dimensions: (value) => isCount(value) && value !== 0,
};

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function isCall(value: unknown): boolean {
  return isObject(value) && "name" in value && typeof value.name === "string" && "input" in value &&
    isObject(value.input);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

/** How a mock behaves, from its JSON. */
export function mockScript(text: string): MockScript {
  const allowed = `must be a JSON object with any of ${Object.keys(MOCK_SCRIPT_TYPES).join(", ")}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(allowed);
  }
  if (!isObject(value)) throw new Error(allowed);
  for (const [key, entry] of Object.entries(value)) {
    const check = Object.hasOwn(MOCK_SCRIPT_TYPES, key) ? MOCK_SCRIPT_TYPES[key as keyof MockScript] : undefined;
    if (!check?.(entry)) throw new Error(`${allowed}; ${JSON.stringify(key)} does not fit`);
  }
  return value;
}

/** The settings of `serve`, in the order help shows them. */
export const SETTINGS = {
  config: setting({
    flag: "config",
    env: "INFERD_CONFIG",
    metavar: "FILE",
    help: "configuration file (default: ~/.inferd/config.json, if there is one)",
    parse: nonEmpty("a path"),
  }),
  backend: setting({
    flag: "backend",
    env: "INFERD_BACKEND",
    metavar: "mock|llamacpp",
    help: "what answers (default: llamacpp)",
    ...oneOf("mock", "llamacpp"),
  }),
  model: setting({
    flag: "model",
    env: "INFERD_MODEL_PATH",
    metavar: "FILE|NAME",
    help: "a GGUF file, or the name of a model in the store or a built-in one (default: inferd-tiny)",
    parse: nonEmpty("a path or a name"),
  }),
  modelSha256: setting({
    flag: "model-sha256",
    env: "INFERD_MODEL_SHA256",
    metavar: "HEX",
    help: "fail if the model's hash differs",
    parse: sha256,
  }),
  uds: socketSetting("uds", "INFERD_UDS", "generation", "infer.sock in the runtime directory"),
  tcp: tcpSetting("tcp", "INFERD_TCP", "generation", DEFAULT_INFER_PORT),
  v2Addr: socketSetting("v2-addr", "INFERD_V2_ADDR", "generation v2", "infer.v2.sock next to infer.sock"),
  v2Tcp: tcpSetting("v2-tcp", "INFERD_V2_TCP", "generation v2", DEFAULT_V2_PORT),
  embedAddr: socketSetting("embed-addr", "INFERD_EMBED_ADDR", "embeddings", "infer.embed.sock next to infer.sock"),
  embedTcp: tcpSetting("embed-tcp", "INFERD_EMBED_TCP", "embeddings", DEFAULT_EMBED_PORT),
  rerankAddr: socketSetting("rerank-addr", "INFERD_RERANK_ADDR", "rerank", "infer.rerank.sock next to infer.sock"),
  rerankTcp: tcpSetting("rerank-tcp", "INFERD_RERANK_TCP", "rerank", DEFAULT_RERANK_PORT),
  rpcAddr: socketSetting("rpc-addr", "INFERD_RPC_ADDR", "dispatch", "rpc.sock in the runtime directory"),
  namespace: setting({
    flag: "namespace",
    env: "INFERD_NAMESPACE",
    metavar: "NAME",
    help: "what dispatch requests have to name (default: default)",
    parse: nonEmpty("a name"),
  }),
  adminAddr: setting({
    flag: "admin-addr",
    env: "INFERD_ADMIN_ADDR",
    metavar: "PATH",
    help: "admin socket (default: admin.sock in the runtime directory)",
    parse: nonEmpty("a path"),
  }),
  group: setting({
    flag: "group",
    env: "INFERD_GROUP",
    metavar: "NAME",
    help: "group that owns the inference sockets (default: unchanged)",
    parse: nonEmpty("a group's name or number"),
  }),
  apiKey: setting({
    flag: "api-key",
    env: "INFERD_API_KEY",
    metavar: "KEY",
    help: "what TCP clients must present (default: nothing)",
    parse: nonEmpty("a key"),
    secret: true,
  }),
  lock: setting({
    flag: "lock",
    env: "INFERD_LOCK",
    metavar: "PATH",
    help: "lock file (default: inferd.lock in the runtime directory)",
    parse: nonEmpty("a path"),
  }),
  parallel: setting({
    flag: "parallel",
    env: "INFERD_ACTIVE_PERMITS",
    metavar: "N",
    help: "requests served together (default: 4)",
    parse: wholeNumber(1, 256),
  }),
  queueDepth: setting({
    flag: "queue-depth",
    env: "INFERD_QUEUE_DEPTH",
    metavar: "N",
    help: "requests that may wait behind them (default: 10)",
    parse: wholeNumber(0, 100_000),
  }),
  contextTokens: setting({
    flag: "n-ctx",
    env: "INFERD_N_CTX",
    metavar: "N",
    help: "tokens one request may use (default: the model's own up to 8192)",
    parse: wholeNumber(16, 10_000_000),
  }),
  gpuLayers: setting({
    flag: "n-gpu-layers",
    env: "INFERD_N_GPU_LAYERS",
    metavar: "N",
    help: "layers on the accelerator (default: as many as it takes)",
    parse: wholeNumber(0, 10_000),
  }),
  accelerator: setting({
    flag: "accelerator",
    env: "INFERD_ACCELERATOR",
    metavar: "auto|cpu|cuda|vulkan|metal",
    help: "what computes (default: auto, the GPU if there is one that can be used)",
    ...oneOf(...ACCELERATOR_SETTINGS),
  }),
  threads: setting({
    flag: "threads",
    env: "INFERD_THREADS",
    metavar: "N",
    help: "compute threads (default: what this process may use and the model gains from)",
    parse: wholeNumber(1, 512),
  }),
  libraryDir: setting({
    flag: "library-dir",
    env: "INFERD_LIBRARY_DIR",
    metavar: "DIR",
    help: "native libraries of your own build (default: those of npm, made for many processors)",
    parse: nonEmpty("a path"),
  }),
  readyTimeoutSecs: setting({
    flag: "ready-timeout",
    env: "INFERD_READY_TIMEOUT_SECS",
    metavar: "SECONDS",
    help: "how long backends may load; downloading and hashing do not count (default: 30)",
    parse: wholeNumber(1, 86_400),
  }),
  drainTimeoutSecs: setting({
    flag: "drain-timeout",
    env: "INFERD_DRAIN_TIMEOUT_SECS",
    metavar: "SECONDS",
    help: "running requests get to finish on a signal (default: 10)",
    parse: wholeNumber(0, 86_400),
  }),
  logDir: setting({
    flag: "log-dir",
    env: "INFERD_LOG_DIR",
    metavar: "DIR",
    help: "activity log (default: ~/.inferd/logs)",
    parse: nonEmpty("a path"),
  }),
  logLevel: setting<LogLevel>({
    flag: "log-level",
    env: "INFERD_LOG",
    metavar: "LEVEL",
    help: "debug, info, warn or error (default: info)",
    ...oneOf<LogLevel>("debug", "info", "warn", "error"),
  }),
  mockScript: setting({
    flag: "mock-script",
    env: "INFERD_MOCK_SCRIPT",
    metavar: "JSON",
    help: "how the mock backend behaves, for tests",
    parse: mockScript,
  }),
} as const;

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;

/** The values that were given, each parsed; what was not given is absent. */
export type SettingValues = { [Name in SettingName]?: ReturnType<typeof SETTINGS[Name]["parse"]> };

/** The settings a client of the daemon takes too. */
export const CLIENT_SETTINGS = [
  "config",
  "uds",
  "tcp",
  "v2Addr",
  "v2Tcp",
  "embedAddr",
  "embedTcp",
  "rerankAddr",
  "rerankTcp",
  "rpcAddr",
  "adminAddr",
  "apiKey",
] as const satisfies readonly SettingName[];

/** Every variable the program reads: those of the settings, and those that say where folders are. */
export const ENVIRONMENT: readonly string[] = [
  ...Object.values(SETTINGS).map(({ env }) => env),
  "HOME",
  "MODELS_HOME",
  "XDG_DATA_HOME",
  "XDG_RUNTIME_DIR",
  "TMPDIR",
];
