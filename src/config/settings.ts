/**
 * Every setting of the daemon: its flag, its environment variable, what it allows and what it means. This table is the
 * only place that knows them; help texts, parsing and the permission list are made from it.
 */
import { DEFAULT_INFER_PORT, DEFAULT_TCP_HOSTNAME, parseTcpAddress, type TcpAddress } from "@inferd/client/paths";
import type { LogLevel, MockScript } from "./options.ts";

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

function oneOf<T extends string>(...choices: readonly T[]): Parse<T> {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new Error(`must be one of ${choices.join(", ")}`);
    return found;
  };
}

function nonEmpty(what: string): Parse<string> {
  return (text) => {
    if (text.includes("\0")) throw new Error(`must be ${what} without NUL characters`);
    return text;
  };
}

function tcpAddress(text: string): TcpAddress {
  try {
    return parseTcpAddress(text);
  } catch {
    throw new Error(
      `must be HOST:PORT, for example ${DEFAULT_TCP_HOSTNAME}:${DEFAULT_INFER_PORT} or [::1]:${DEFAULT_INFER_PORT}`,
    );
  }
}

function sha256(text: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new Error("must be 64 hexadecimal digits");
  return text.toLowerCase();
}

const MOCK_SCRIPT_TYPES: { readonly [Key in keyof Required<MockScript>]: (value: unknown) => boolean } = {
  tokens: (value) => Array.isArray(value) && value.every((token) => typeof token === "string"),
  count: isCount,
  firstDelayMs: isCount,
  delayMs: isCount,
  failBefore: isBoolean,
  failAt: isCount,
  hangAt: isCount,
  neverReady: isBoolean,
};

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

function mockScript(text: string): MockScript {
  const allowed = `must be a JSON object with any of ${Object.keys(MOCK_SCRIPT_TYPES).join(", ")}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(allowed);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(allowed);
  for (const [key, entry] of Object.entries(value)) {
    const check = Object.hasOwn(MOCK_SCRIPT_TYPES, key) ? MOCK_SCRIPT_TYPES[key as keyof MockScript] : undefined;
    if (!check?.(entry)) throw new Error(`${allowed}; ${JSON.stringify(key)} does not fit`);
  }
  return value;
}

/** The settings of `serve`, in the order help shows them. */
export const SETTINGS = {
  backend: setting({
    flag: "backend",
    env: "INFERD_BACKEND",
    metavar: "mock|llamacpp",
    help: "what answers (default: llamacpp)",
    parse: oneOf("mock", "llamacpp"),
  }),
  model: setting({
    flag: "model",
    env: "INFERD_MODEL_PATH",
    metavar: "FILE",
    help: "a GGUF file (default: the built-in inferd-tiny)",
    parse: nonEmpty("a path"),
  }),
  modelSha256: setting({
    flag: "model-sha256",
    env: "INFERD_MODEL_SHA256",
    metavar: "HEX",
    help: "refuse the model file if it hashes to anything else",
    parse: sha256,
  }),
  uds: setting({
    flag: "uds",
    env: "INFERD_UDS",
    metavar: "PATH",
    help: "generation socket (default: infer.sock in the runtime directory)",
    parse: nonEmpty("a path"),
  }),
  tcp: setting({
    flag: "tcp",
    env: "INFERD_TCP",
    metavar: "HOST:PORT",
    help: `also listen on TCP (default: off; without a value ${DEFAULT_TCP_HOSTNAME}:${DEFAULT_INFER_PORT})`,
    parse: tcpAddress,
    bare: `${DEFAULT_TCP_HOSTNAME}:${DEFAULT_INFER_PORT}`,
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
    help: "group that owns the generation socket (default: unchanged)",
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
  threads: setting({
    flag: "threads",
    env: "INFERD_THREADS",
    metavar: "N",
    help: "compute threads (default: what this process may use and the model gains from)",
    parse: wholeNumber(1, 512),
  }),
  readyTimeoutSecs: setting({
    flag: "ready-timeout",
    env: "INFERD_READY_TIMEOUT_SECS",
    metavar: "SECONDS",
    help: "until every backend must be ready (default: 30)",
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
    parse: oneOf("debug", "info", "warn", "error"),
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
export const CLIENT_SETTINGS = ["uds", "tcp", "adminAddr", "apiKey"] as const satisfies readonly SettingName[];

/** Every variable the program reads: those of the settings, and those that say where folders are. */
export const ENVIRONMENT: readonly string[] = [
  ...Object.values(SETTINGS).map(({ env }) => env),
  "HOME",
  "XDG_RUNTIME_DIR",
  "TMPDIR",
];
