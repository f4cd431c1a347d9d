/**
 * The resolved configuration as a list of keys, values and origins. Never contains secrets, only whether they are set.
 */
import { redactText } from "../log/redact.ts";
import { isOfAll } from "./backends/backends.ts";
import type { FileBackend } from "./file.ts";
import type { ParsedFlags } from "./flags.ts";
import type { LoadedConfig } from "./load.ts";
import { valueAt } from "./merge.ts";
import type { BackendConfig, DaemonOptions, LlamaBackendConfig } from "./options.ts";
import { type Machine, settle } from "./resolve.ts";
import { TABLES } from "./backends/backend_schema.ts";
import { plainDefault, type Setting, type Tables } from "./setting/setting.ts";

export interface OriginatedValue {
  readonly key: string;
  /** `null` if not set and without default. */
  readonly value: unknown;
  /** `flag --x`, `environment X`, `file /path: key`, or `default`. */
  readonly origin: string;
}

export interface OriginSources {
  readonly flags: ParsedFlags;
  readonly machine: Machine;
  readonly config: LoadedConfig | undefined;
  /** Resolved options, without keys and tokens. */
  readonly options: DaemonOptions;
}

const DEFAULT = "default";

/** @returns The values, backends last. */
export function configValues(sources: OriginSources, tables: Tables = TABLES): OriginatedValue[] {
  const { flags, machine, config, options } = sources;
  const { settings } = tables;
  const values: Readonly<Record<string, unknown>> = settle(flags.values, machine, config, settings).values;
  const from = new Origins(sources, tables);
  return [
    row("runtime_dir", options.runtimeDir, from.variable("XDG_RUNTIME_DIR")),
    ...Object.entries(settings).flatMap(([name, setting]): OriginatedValue[] => {
      const { names: { key, flag }, ofBackend, secret, keptIn = "" } = setting;
      const value = values[name];
      if (secret && flag !== undefined) {
        return [
          row(
            flag.replaceAll("-", "_"),
            isSet(value ?? values[keptIn]),
            from.setting(name, settings[keptIn]?.names.key),
          ),
        ];
      }
      // Settings that only the file can set are hidden unless set.
      const isIdle = value === undefined && flag === undefined && setting.default === undefined;
      if (key === undefined || ofBackend || isIdle) return [];
      return [row(key, shown(setting, value), from.setting(name, key))];
    }),
    ...options.backends.flatMap((backend, index) => backendValues(backend, { sources, tables, from, values, index })),
  ];
}

function row(key: string, value: unknown, origin: string): OriginatedValue {
  return { key, value: typeof value === "string" ? redactText(value) : value, origin };
}

/** The displayed form of a value. */
function shown(setting: Setting, value: unknown): unknown {
  if (setting.shown !== undefined) return setting.shown(value) ?? null;
  if (value === undefined) return null;
  return setting.type.shown === undefined ? value : setting.type.shown(value);
}

class Origins {
  readonly #sources: OriginSources;
  readonly #tables: Tables;

  constructor(sources: OriginSources, tables: Tables) {
    this.#sources = sources;
    this.#tables = tables;
  }

  /** Origin of a setting: flag, variable, the first of these file keys, or the variables that determine its default. */
  setting(name: string, ...keys: readonly (string | undefined)[]): string {
    const { values, fromFlags }: { readonly values: object; readonly fromFlags: ReadonlySet<string> } =
      this.#sources.flags;
    const { names: { flag, env } = {}, variables } = this.#tables.settings[name] ?? {};
    if (fromFlags.has(name)) return `flag --${flag}`;
    if (name in values) return `environment ${env}`;
    const found = this.file(...keys);
    return found === DEFAULT ? this.variable(...variables?.(this.#sources.machine.platform) ?? []) : found;
  }

  /** The first of these keys that the file has. */
  file(...keys: readonly (string | undefined)[]): string {
    const { config } = this.#sources;
    const key = config && keys.find((key) => key !== undefined && valueAt(config.content, key) !== undefined);
    return config === undefined || key === undefined ? DEFAULT : `file ${config.path}: ${key}`;
  }

  /** The first of these variables that is set. */
  variable(...names: readonly string[]): string {
    const name = names.find((name) => this.#sources.machine.env(name));
    return name === undefined ? DEFAULT : `environment ${name}`;
  }
}

interface BackendContext {
  readonly sources: OriginSources;
  readonly tables: Tables;
  readonly from: Origins;
  /** The daemon's values, by setting. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly index: number;
}

function backendValues(backend: BackendConfig, context: BackendContext): OriginatedValue[] {
  const { sources, from, index } = context;
  const entry = fileEntry(sources, index);
  const prefix = `backends[${index}].`;
  // With only a model configured, the backend has no keys of its own.
  const own = (key: string): string | undefined => typeof entry === "object" ? `${prefix}${key}` : undefined;
  const kind = entry === undefined ? from.setting("backend") : from.file(own("kind"));
  return [
    row("kind", backend.kind, kind),
    row("name", backend.name, from.file(own("name"))),
    ...backend.kind === "llamacpp" ? modelValues(backend, entry === "model" ? "model" : own("model"), context) : [],
    ...backend.kind === "llamacpp" ? draftValues(backend, entry === "model" ? "draft" : own("draft"), context) : [],
    ...backendSettingValues(backend, own, context),
  ].map(({ key, ...value }) => ({ key: `${prefix}${key}`, ...value }));
}

function modelValues(
  { modelName, modelPath, modelSha256 }: LlamaBackendConfig,
  inFile: string | undefined,
  { sources, from }: BackendContext,
): OriginatedValue[] {
  const origin = (key: string, name: "model" | "modelSha256"): string =>
    inFile === undefined ? from.setting(name) : from.file(`${inFile}.${key}`);
  const isPath = inFile === undefined
    ? modelPath !== undefined
    : valueAt(sources.config?.content, `${inFile}.path`) !== undefined;
  return [
    row("model.name", modelName, origin(isPath ? "path" : "name", "model")),
    row("model.path", modelPath ?? null, isPath ? origin("path", "model") : DEFAULT),
    row("model.sha256", modelSha256 ?? null, origin("sha256", "modelSha256")),
  ];
}

function draftValues(
  { draft }: LlamaBackendConfig,
  inFile: string | undefined,
  { from }: BackendContext,
): OriginatedValue[] {
  if (draft === undefined) return [];
  const origin = (key: string): string => inFile === undefined ? from.setting("draft") : from.file(`${inFile}.${key}`);
  const { modelName, modelPath, modelSha256 } = draft;
  return [
    row("draft.name", modelName, inFile === undefined ? origin("name") : from.file(`${inFile}.name`, `${inFile}.path`)),
    row("draft.path", modelPath ?? null, origin("path")),
    row("draft.sha256", modelSha256 ?? null, inFile === undefined ? DEFAULT : origin("sha256")),
  ];
}

function backendSettingValues(
  backend: BackendConfig,
  own: (key: string) => string | undefined,
  { sources, tables, from, values }: BackendContext,
): OriginatedValue[] {
  const config: Readonly<Record<string, unknown>> = { ...backend };
  return Object.entries(tables.backends[backend.kind]?.settings ?? {}).flatMap(([name, setting]) => {
    const { names: { key = name }, sameAs = "" } = setting;
    const value = config[name] ?? values[sameAs] ?? plainDefault(setting);
    const ofFile = from.file(own(key));
    const origin = isOfAll(name, setting, tables.settings)
      ? from.setting(name, own(key), key)
      : ofFile === DEFAULT
      ? from.setting(sameAs, tables.settings[sameAs]?.names.key)
      : ofFile;
    const shownRow = row(key, shown(setting, value), origin);
    if (name !== "apiKeyEnv" || typeof value !== "string") return [shownRow];
    return [shownRow, row("api_key", isSet(sources.machine.env(value) || undefined), `environment ${value}`)];
  });
}

/**
 * The backend's entry in the file; `model`: only a model is configured; `undefined`: the backend comes from flags and
 * environment.
 */
function fileEntry({ config, flags }: OriginSources, index: number): FileBackend | "model" | undefined {
  const { values } = flags;
  if (config === undefined || values.backend !== undefined || values.model !== undefined) return undefined;
  if (config.content.model !== undefined) return "model";
  return config.content.backends?.[index];
}

function isSet(secret: unknown): string {
  return secret === undefined ? "not set" : "set";
}
