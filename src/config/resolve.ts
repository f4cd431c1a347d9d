/**
 * From values to `DaemonOptions`: defaults, folders, and conflicts between settings.
 */
import { isAbsolute, join, resolve } from "@std/path";
import { runtimeDirectory, socketPath } from "@inferd/client/paths";
import type { Env } from "./flags.ts";
import {
  type BackendConfig,
  BUILT_IN_MODEL,
  type DaemonOptions,
  DEFAULT_DRAIN_TIMEOUT_SECS,
  DEFAULT_PARALLEL,
  DEFAULT_QUEUE_DEPTH,
  DEFAULT_READY_TIMEOUT_SECS,
} from "./options.ts";
import { type SettingValues, UsageError } from "./settings.ts";

/** What the machine says, passed in so that tests can say otherwise. */
export interface Machine {
  readonly env: Env;
  /** `null` where there is none (Windows). */
  readonly uid: number | null;
  /** `Deno.build.os`. */
  readonly platform: string;
}

/**
 * Fill in what was not given.
 *
 * @param values What was given.
 * @param machine Where the folders are.
 * @returns Everything the daemon needs.
 * @throws {UsageError} If two settings contradict each other.
 */
export function resolveOptions(values: SettingValues, machine: Machine): DaemonOptions {
  const runtimeDir = runtimeDirectory(machine);
  return {
    backends: [backend(values)],
    runtimeDir,
    inferSocket: path(values.uds) ?? socketPath(runtimeDir, "infer"),
    ...(values.tcp === undefined ? {} : { inferTcp: values.tcp }),
    adminSocket: path(values.adminAddr) ?? socketPath(runtimeDir, "admin"),
    ...(values.group === undefined ? {} : { group: values.group }),
    ...(values.apiKey === undefined ? {} : { apiKey: values.apiKey }),
    lockPath: path(values.lock) ?? join(runtimeDir, "inferd.lock"),
    parallel: values.parallel ?? DEFAULT_PARALLEL,
    queueDepth: values.queueDepth ?? DEFAULT_QUEUE_DEPTH,
    readyTimeoutSecs: values.readyTimeoutSecs ?? DEFAULT_READY_TIMEOUT_SECS,
    drainTimeoutSecs: values.drainTimeoutSecs ?? DEFAULT_DRAIN_TIMEOUT_SECS,
    logDir: path(values.logDir) ?? join(homeOr(runtimeDir, machine), "logs"),
    logLevel: values.logLevel ?? "info",
    cacheDir: join(homeOr(runtimeDir, machine), "cache"),
  };
}

/**
 * Whether a value is a path that only means something together with the working directory.
 *
 * @param values What was given.
 * @returns Whether there is one; to resolve it costs the permission to read the working directory.
 */
export function hasRelativePath(values: SettingValues): boolean {
  return [values.model, values.uds, values.adminAddr, values.lock, values.logDir]
    .some((path) => path !== undefined && !isAbsolute(path));
}

function path(given: string | undefined): string | undefined {
  return given === undefined ? undefined : resolve(given);
}

function homeOr(runtimeDir: string, machine: Machine): string {
  const home = machine.env("HOME");
  return home ? join(home, ".inferd") : runtimeDir;
}

function backend(values: SettingValues): BackendConfig {
  const kind = values.backend ?? "llamacpp";
  if (kind === "mock") {
    for (const [name, flag] of [["model", "--model"], ["modelSha256", "--model-sha256"]] as const) {
      if (values[name] !== undefined) throw new UsageError(`${flag} does not go with --backend mock`);
    }
    return { kind, name: "mock", script: values.mockScript ?? {} };
  }
  if (values.mockScript !== undefined) throw new UsageError("--mock-script goes with --backend mock only");
  return {
    kind,
    name: "llamacpp",
    modelName: modelName(values.model),
    ...(values.model === undefined ? {} : { modelPath: resolve(values.model) }),
    ...(values.modelSha256 === undefined ? {} : { modelSha256: values.modelSha256 }),
    ...(values.contextTokens === undefined ? {} : { contextTokens: values.contextTokens }),
    ...(values.gpuLayers === undefined ? {} : { gpuLayers: values.gpuLayers }),
    ...(values.threads === undefined ? {} : { threads: values.threads }),
  };
}

function modelName(modelPath: string | undefined): string {
  if (modelPath === undefined) return BUILT_IN_MODEL;
  return modelPath.split(/[/\\]/).at(-1)?.replace(/\.gguf$/i, "") || modelPath;
}
