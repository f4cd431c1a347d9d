/**
 * All settings: key in the configuration file, flag, variable, type, limits, default and help. Flags, file schema,
 * merge, origins, help, completions and `inferd config` are derived from these tables. A new setting is a row here,
 * plus the code that uses it.
 */
import { join } from "node:path";
import { DEFAULT_HTTP_PORT, DEFAULT_TCP_HOSTNAME } from "@inferd/client/paths";
import {
  API_KEY_VARIABLE,
  DEFAULT_NAMESPACE,
  type SurfaceName,
  SURFACES,
  UNIX_SURFACES,
} from "@inferd/client/protocol";
import { DEFAULT_CONTEXT_TOKENS } from "../inference/backend.ts";
import { ACCELERATOR_SETTINGS } from "../libraries/accelerator.ts";
import type { LogLevel } from "../log/log.ts";
import { BUILT_IN_MODEL } from "../models/built_in.ts";
import { DOWN_LIMIT_MINUTES, LEAST_MEMORY_BUDGET_MIB, TCP_IDLE_SECS } from "./defaults.ts";
import { mockScript } from "./backends/mock_script.ts";
import { flagged, inFile, type Places, type Setting, setting, type Settings, type ValueOf } from "./setting/setting.ts";
import { CALLED_AS_VARIABLE, TASK_VARIABLE } from "./setting/typed_command.ts";
import { settingName, surfaceSettings, unixSettings } from "./setting/surface_settings.ts";
import {
  boolean,
  choice,
  jsonObject,
  modelReference,
  path,
  SECONDS_OF_A_DAY,
  sha256,
  tcpAddress,
  text,
  textMap,
  type TextRule,
  texts,
  whole,
} from "./setting/value_types.ts";

const HTTP_ADDRESS = `${DEFAULT_TCP_HOSTNAME}:${DEFAULT_HTTP_PORT}`;

/** An origin as browsers send it. */
const ORIGIN: TextRule = {
  what: 'origins like "https://app.example:8080", or *',
  fits: (text) => text === "*" || (URL.canParse(text) && new URL(text).origin === text),
};

/** Settings of the daemon, in the order of the help text. */
export const SETTINGS = {
  config: setting({
    names: { flag: "config", env: "INFERD_CONFIG" },
    type: path("FILE"),
    otherwise: "~/.inferd/config.json, if it exists",
    help: "configuration file",
    client: true,
  }),
  backend: setting({
    names: { flag: "backend", env: "INFERD_BACKEND" },
    type: choice("mock", "llamacpp"),
    default: "llamacpp",
    help: "backend that answers requests",
    ofBackend: true,
  }),
  model: setting({
    names: { flag: "model", env: "INFERD_MODEL_PATH" },
    type: modelReference(),
    otherwise: BUILT_IN_MODEL,
    help: "GGUF file, or the name of a model in the store or a built-in one",
    ofBackend: true,
  }),
  modelSha256: setting({
    names: { flag: "model-sha256", env: "INFERD_MODEL_SHA256" },
    type: sha256(),
    help: "hash the model must have",
    ofBackend: true,
  }),
  ...surfaceSettings(SURFACES),
  ...unixSettings(UNIX_SURFACES),
  http: setting({
    names: { key: "http", flag: "http", env: "INFERD_HTTP" },
    type: tcpAddress(DEFAULT_HTTP_PORT),
    otherwise: `off for serve, ${HTTP_ADDRESS} for http`,
    bare: HTTP_ADDRESS,
    help: "OpenAI, Anthropic and Ollama APIs over HTTP",
  }),
  httpOrigins: setting({
    names: { key: "http_origins", flag: "http-origins", env: "INFERD_HTTP_ORIGINS" },
    type: texts("ORIGINS", 64, ORIGIN),
    otherwise: "only its own page",
    help: "origins of web pages that may use HTTP, or * for all",
  }),
  httpPull: setting({
    names: { key: "http_pull", flag: "http-pull", env: "INFERD_HTTP_PULL" },
    type: boolean(),
    bare: "true",
    default: false,
    help: "let HTTP clients download models from Hugging Face into the model store",
  }),
  aliases: setting({
    names: { key: "aliases", flag: "aliases", env: "INFERD_ALIASES" },
    type: textMap("NAME=MODEL,..."),
    otherwise: "none",
    help: "names that HTTP clients use for models, and the models or backends they stand for",
  }),
  namespace: setting({
    names: { key: "namespace", flag: "namespace", env: "INFERD_NAMESPACE" },
    type: text("NAME", "a name"),
    default: DEFAULT_NAMESPACE,
    help: "namespace that dispatch requests must name",
    plain: true,
  }),
  group: setting({
    names: { key: "group", flag: "group", env: "INFERD_GROUP" },
    type: text("NAME", "a group's name or number"),
    otherwise: "unchanged",
    help: "group that owns the inference sockets, by name or number",
  }),
  apiKey: setting({
    names: { flag: "api-key", env: API_KEY_VARIABLE },
    type: text("KEY", "a key"),
    otherwise: "none",
    help: "key that TCP and HTTP clients must present",
    secret: true,
    keptIn: "apiKeyFile",
    client: true,
  }),
  apiKeyFile: inFile("api_key_file", {
    type: path("FILE"),
    help: "file with the key that TCP and HTTP clients must present; the key itself is never in the configuration file",
  }),
  lock: setting({
    names: { key: "lock", flag: "lock", env: "INFERD_LOCK" },
    type: path(),
    default: ({ runtimeDir }: Places) => join(runtimeDir, "inferd.lock"),
    otherwise: "inferd.lock in the runtime directory",
    help: "lock file",
  }),
  parallel: setting({
    names: { key: "parallel", flag: "parallel", env: "INFERD_ACTIVE_PERMITS" },
    type: whole(1, 256),
    default: 4,
    help: "requests served at the same time",
    plain: true,
  }),
  queueDepth: setting({
    names: { key: "queue_depth", flag: "queue-depth", env: "INFERD_QUEUE_DEPTH" },
    type: whole(0, 100_000),
    default: 10,
    help: "requests that may wait in the queue",
    plain: true,
  }),
  memoryBudgetMib: setting({
    names: { key: "memory_budget_mib", flag: "memory-budget", env: "INFERD_MEMORY_BUDGET_MIB" },
    type: whole(64, 1_048_576, "MIB"),
    otherwise: `a quarter of what the daemon may use, at least ${LEAST_MEMORY_BUDGET_MIB}`,
    help: "MiB of requests, unfinished or waiting, that the daemon holds",
  }),
  maxConnections: setting({
    names: { key: "max_connections", flag: "max-connections", env: "INFERD_MAX_CONNECTIONS" },
    type: whole(1, 100_000),
    default: 2048,
    help: "connections that may be open; one client may have half of them",
    plain: true,
  }),
  idleTimeoutSecs: setting({
    names: { key: "idle_timeout_secs", flag: "idle-timeout", env: "INFERD_IDLE_TIMEOUT_SECS" },
    type: whole(1, SECONDS_OF_A_DAY, "SECONDS"),
    otherwise: `${TCP_IDLE_SECS} on TCP, none on unix sockets`,
    help: "how many seconds a connection may be open without a request",
  }),
  contextTokens: setting({
    names: { key: "n_ctx", flag: "n-ctx", env: "INFERD_N_CTX" },
    type: whole(16, 10_000_000),
    otherwise: `the model's own, up to ${DEFAULT_CONTEXT_TOKENS}`,
    help: "tokens one request may use, prompt and answer together",
    ofBackend: true,
  }),
  gpuLayers: setting({
    names: { key: "n_gpu_layers", flag: "n-gpu-layers", env: "INFERD_N_GPU_LAYERS" },
    type: whole(0, 10_000),
    otherwise: "all",
    help: "layers to run on the accelerator",
    ofBackend: true,
  }),
  threads: setting({
    names: { key: "threads", flag: "threads", env: "INFERD_THREADS" },
    type: whole(1, 512),
    otherwise: "as many as this process may use and the model benefits from",
    help: "compute threads",
    ofBackend: true,
  }),
  accelerator: setting({
    names: { key: "accelerator", flag: "accelerator", env: "INFERD_ACCELERATOR" },
    type: choice(...ACCELERATOR_SETTINGS),
    default: "auto",
    help: "device to compute on; auto is the GPU if there is one that can be used",
    ofBackend: true,
  }),
  libraryDir: setting({
    names: { key: "library_dir", flag: "library-dir", env: "INFERD_LIBRARY_DIR" },
    type: path("DIR"),
    otherwise: "npm's, made for many processors",
    help: "folder with native libraries of your own build",
    ofBackend: true,
  }),
  fastForward: inFile("fast_forward", {
    type: boolean(),
    default: true,
    help: "decode text that a schema or grammar forces in one batch, without sampling it",
    ofBackend: true,
  }),
  nextTurn: inFile("next_turn", {
    type: boolean(),
    default: true,
    help:
      "when an answer has ended and nobody asks for a moment, decode the conversation with it, so that the next turn begins sooner",
    ofBackend: true,
  }),
  draft: setting({
    names: { flag: "draft", env: "INFERD_DRAFT" },
    type: modelReference(),
    otherwise: "none",
    help: "smaller model with the same vocabulary that guesses tokens for the model to verify",
    ofBackend: true,
  }),
  speculation: inFile("speculation", {
    type: boolean(),
    default: true,
    help: "guess tokens from what came before where that pays, and verify them in one batch; answers stay the same",
    ofBackend: true,
  }),
  readyTimeoutSecs: setting({
    names: { key: "ready_timeout_secs", flag: "ready-timeout", env: "INFERD_READY_TIMEOUT_SECS" },
    type: whole(1, SECONDS_OF_A_DAY, "SECONDS"),
    default: 30,
    help: "how many seconds backends may take to load; downloading and hashing do not count",
    plain: true,
  }),
  drainTimeoutSecs: setting({
    names: { key: "drain_timeout_secs", flag: "drain-timeout", env: "INFERD_DRAIN_TIMEOUT_SECS" },
    type: whole(0, SECONDS_OF_A_DAY, "SECONDS"),
    default: 10,
    help: "how many seconds running requests get to finish after a signal",
    plain: true,
  }),
  exitWhenDown: setting({
    names: { key: "exit_when_down", flag: "exit-when-down", env: "INFERD_EXIT_WHEN_DOWN" },
    type: boolean(),
    bare: "true",
    default: false,
    help: `end with exit code 1 when nothing can be served for ${DOWN_LIMIT_MINUTES} minutes, for service managers`,
    plain: true,
  }),
  logDir: setting({
    names: { key: "log_dir", flag: "log-dir", env: "INFERD_LOG_DIR" },
    type: path("DIR"),
    default: ({ userDir }: Places) => join(userDir, "logs"),
    otherwise: "~/.inferd/logs",
    help: "folder of the activity log",
    plain: true,
  }),
  logLevel: setting({
    names: { key: "log_level", flag: "log-level", env: "INFERD_LOG" },
    type: choice<LogLevel>("debug", "info", "warn", "error"),
    default: "info",
    help: "lowest level that is logged",
    plain: true,
  }),
  modelsHome: inFile("models_home", {
    type: path("DIR"),
    default: ({ modelsHome }: Places) => modelsHome,
    otherwise: "the folder for this user's data",
    help: "folder of the model store",
    variables: (platform: string) => platform === "darwin" ? ["MODELS_HOME"] : ["MODELS_HOME", "XDG_DATA_HOME"],
  }),
  autoPull: inFile("auto_pull", {
    type: boolean(),
    default: true,
    help: "download missing models at boot",
    plain: true,
  }),
  mockScript: setting({
    names: { flag: "mock-script", env: "INFERD_MOCK_SCRIPT" },
    type: jsonObject(mockScript),
    help: "how the mock backend behaves, for tests",
    ofBackend: true,
  }),
} as const;

/** Objects in the file that group settings, with descriptions for editors. */
export const GROUPS: Readonly<Record<string, string>> = { listen: "Where the surfaces are" };

export type SettingName = keyof typeof SETTINGS;

/** Parsed values of flags and environment; unset ones are absent. */
export type SettingValues = { [Name in SettingName]?: ValueOf<(typeof SETTINGS)[Name]["type"]> };

/** Type of a setting's resolved value; settings of backends have none of their own. */
type Settled<Row extends Setting> = Row extends { readonly ofBackend: true } ? ValueOf<Row["type"]> | undefined
  : Row extends { readonly default: infer Default }
    ? ValueOf<Row["type"]> | (Default extends (places: never) => infer Computed ? Extract<Computed, undefined> : never)
  : ValueOf<Row["type"]> | undefined;

export type SettledValues = { readonly [Name in SettingName]: Settled<(typeof SETTINGS)[Name]> };

/** Values that the daemon uses as they are. */
export type PlainValues = {
  readonly [Name in SettingName as (typeof SETTINGS)[Name] extends { readonly plain: true } ? Name : never]:
    SettledValues[Name];
};

/** Selects the values that the daemon uses as they are. */
export function plainValues(values: SettledValues, table: Settings = SETTINGS): PlainValues {
  return Object.fromEntries(Object.entries(values).filter(([name]) => table[name]?.plain)) as PlainValues;
}

export const SERVE_SETTINGS: readonly SettingName[] = flagged(SETTINGS);

/** Settings that clients of the daemon accept. */
export const CLIENT_SETTINGS: readonly SettingName[] = SERVE_SETTINGS.filter((name) =>
  (SETTINGS[name] as Setting).client
);

/** Client settings for some surfaces only; the first is the default one. */
export function clientSettings(...surfaces: readonly SurfaceName[]): readonly SettingName[] {
  const others = Object.entries(SURFACES).filter(([name]) => name !== "infer" && !surfaces.some((own) => own === name));
  const left = [...others.flatMap(([, { flag, tcp }]) => [flag, tcp.flag]), UNIX_SURFACES.dispatch.flag];
  return CLIENT_SETTINGS.filter((name) => !left.some((flag) => settingName(flag) === name));
}

/** Settings of the HTTP bridge: address, origins, pulls, aliases, and the client settings. */
export const HTTP_SETTINGS: readonly SettingName[] = ["http", "httpOrigins", "httpPull", "aliases", ...CLIENT_SETTINGS];

/**
 * Every variable the program reads: those of the settings, and those for folders, the terminal and how commands are
 * typed.
 */
export function environment(table: Settings = SETTINGS): readonly string[] {
  const own = Object.values(table).flatMap(({ names }) => names.env ?? []);
  return [
    ...own,
    "HOME",
    "MODELS_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "TMPDIR",
    "TERM",
    CALLED_AS_VARIABLE,
    TASK_VARIABLE,
  ];
}
