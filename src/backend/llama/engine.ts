/** A running engine: how it is spawned and configured, and how its death is reported. */
import type { LongText } from "@inferd/client/protocol";
import type { EngineConfig, FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import { engineCommand } from "../../engine/ipc/command.ts";
import { BackendUnavailableError, NotEnoughMemoryError } from "../../inference/errors.ts";
import type { NativeSettings } from "../../inference/model_settings.ts";
import type { Accelerator, AcceleratorSetting } from "../../libraries/accelerator.ts";
import type { ModelFile } from "../../models/file/model_file.ts";
import { PipedProcess } from "../../processes/piped_process.ts";
import type { JsonProcess, ProcessExit } from "../../processes/process.ts";
import type { LlamaConfig, LlamaOptions } from "./options.ts";
import { defined } from "../../inference/objects.ts";
import { errorText } from "../../log/error_text.ts";

/** Time limit for an engine's first message, and for code to be compiled. Without local modules, Deno downloads them first. */
const START_TIMEOUT_MS = 10 * 60_000;
/** Last lines of stderr, kept for the report of its death. */
const STDERR_TAIL_LINES = 12;
/** A frame of the stack that native code prints when it aborts, after the reason. */
const STACK_FRAME = /\[0x[0-9a-f]+\]$/;

export interface Engine {
  readonly process: JsonProcess<ToEngine<LongText>>;
  readonly ready: PromiseWithResolvers<Extract<FromEngine, { type: "ready" }>>;
  readonly stderr: string[];
  /** Aborts loading. */
  readonly signal: AbortSignal;
  /** Disposed of at the first message; the load clock is paused until then. */
  readonly starting: DisposableStack;
  /** Disposed of when the engine is ready; the load clock is paused until then. Absent: nothing is compiled. */
  compiling: DisposableStack | undefined;
  readonly inspected: PromiseWithResolvers<Extract<FromEngine, { type: "inspected" }>>;
  /** It has asked for libraries and not been answered. */
  isAsking: boolean;
  fatal: string | undefined;
  /** It exited for lack of memory. */
  outOfMemory: boolean;
  /** The accelerator it reported; undefined: none, or not reported yet. */
  accelerator: Accelerator | undefined;
}

/** An engine exited before it was ready. */
export class EngineDeathError extends BackendUnavailableError {}

export interface SpawnOptions extends Pick<LlamaOptions, "command" | "spawn"> {
  /** The backend's name, for messages. */
  readonly name: string;
  /** Aborts loading. */
  readonly signal: AbortSignal;
  /** Pauses the load clock; the result is disposed of at the engine's first message. */
  readonly pauseLoading: () => Disposable;
  readonly onMessage: (engine: Engine, message: FromEngine) => void;
  readonly onStderr: (line: string) => void;
}

/** @throws {BackendUnavailableError} If it cannot be spawned. */
export function spawnEngine(options: SpawnOptions): Engine {
  const { name, signal } = options;
  const spawn = options.spawn ?? ((listener) => new PipedProcess(options.command ?? engineCommand(), listener));
  const stderr: string[] = [];
  const listener = {
    onMessage: (message: FromEngine): void => options.onMessage(engine, message),
    onStderr: (line: string): void => {
      if (!STACK_FRAME.test(line)) stderr.push(line);
      if (stderr.length > STDERR_TAIL_LINES) stderr.shift();
      options.onStderr(line);
    },
  };
  let process: JsonProcess<ToEngine<LongText>>;
  try {
    process = spawn(listener);
  } catch (error) {
    throw notStartedError(name, error);
  }
  const starting = pauseLoading(process, options.pauseLoading, "start");
  const engine: Engine = {
    process,
    ready: Promise.withResolvers(),
    inspected: Promise.withResolvers(),
    stderr,
    signal,
    starting,
    compiling: undefined,
    isAsking: false,
    fatal: undefined,
    outOfMemory: false,
    accelerator: undefined,
  };
  return engine;
}

/**
 * Pause the load clock while an engine does what depends on the machine's state: starts without local modules, or has its
 * code compiled.
 *
 * @param pause Pauses the clock.
 * @param what What it kills the engine for if it takes too long.
 */
export function pauseLoading(
  process: JsonProcess<ToEngine<LongText>>,
  pause: () => Disposable,
  what: "start" | "compile",
): DisposableStack {
  const stack = new DisposableStack();
  stack.use(pause());
  const timer = setTimeout(() => process.kill(`It did not ${what} within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
  stack.defer(() => clearTimeout(timer));
  return stack;
}

function notStartedError(name: string, error: unknown): BackendUnavailableError {
  return new BackendUnavailableError(`Cannot start the engine of backend "${name}": ${errorText(error)}`, {
    cause: error,
  });
}

function nativeSettings(config: LlamaConfig): NativeSettings {
  const { cacheTypeK, cacheTypeV, flashAttention, lora, mmap, mlock, mainGpu, tensorSplit } = config;
  const { ropeFreqBase, ropeFreqScale, ropeScaling } = config;
  return {
    ...defined({ cacheTypeK, cacheTypeV, flashAttention, lora, mmap, mlock, mainGpu, tensorSplit, ropeFreqBase }),
    ...defined({ ropeFreqScale, ropeScaling }),
  };
}

/** The message that tells an engine which model to load and how. */
export function engineConfig(
  config: LlamaConfig,
  files: readonly ModelFile[],
  { draft, accelerator, cacheDir, reservedBytes, wholeContext }: {
    /** Files of the draft model, if any. */
    readonly draft?: readonly ModelFile[] | undefined;
    readonly accelerator: AcceleratorSetting | undefined;
    readonly cacheDir: string | undefined;
    readonly reservedBytes?: number | undefined;
    readonly wholeContext?: boolean | undefined;
  },
): EngineConfig {
  const [first] = files;
  const { modelName, parallel, contextTokens, threads, libraryDir, gpuLayers, embed, pooling, warm } = config;
  const { fastForward, nextTurn, speculation, sampling, system, templateText } = config;
  const native = nativeSettings(config);
  return {
    modelPath: first?.path ?? config.modelPath,
    ...(files.length > 1 ? { partPaths: files.map(({ path }) => path) } : {}),
    modelName,
    parallel,
    ...defined({ accelerator, cacheDir }),
    ...(Object.keys(native).length === 0 ? {} : { native }),
    ...defined({ sampling, system, chatTemplate: templateText, reservedBytes, wholeContext, contextTokens, threads }),
    ...defined({ libraryDir, gpuLayers, embed, pooling, warm, fastForward, nextTurn, speculation }),
    ...(draft?.[0] === undefined ? {} : {
      draft: {
        modelPath: draft[0].path,
        ...(draft.length > 1 ? { partPaths: draft.map(({ path }) => path) } : {}),
      },
    }),
  };
}

/** Why an engine exited, for the operator. */
export function deathMessage(name: string, engine: Engine, exit: ProcessExit): string {
  if (engine.fatal !== undefined) return engine.fatal;
  const how = exit.killedFor !== undefined
    ? `was killed: ${exit.killedFor}`
    : exit.signal !== null
    ? `died of ${exit.signal}`
    : `exited with code ${exit.code}`;
  // After SIGKILL the last line of stderr cannot be the reason.
  const last = exit.signal === "SIGKILL" ? undefined : engine.stderr.findLast((line) => line.trim() !== "");
  return `The engine of backend "${name}" ${how}${last === undefined ? "" : ` (${last})`}`;
}

/** The error for an engine that exited before it was ready. */
export function deathError(name: string, engine: Engine, exit: ProcessExit): BackendUnavailableError {
  if (exit.notStarted !== undefined) return notStartedError(name, exit.notStarted);
  const message = deathMessage(name, engine, exit);
  return engine.outOfMemory ? new NotEnoughMemoryError(message) : new EngineDeathError(message);
}

/** The same as log fields. */
export function exitFields(engine: Engine, exit: ProcessExit): Record<string, unknown> {
  return { pid: engine.process.pid, code: exit.code, signal: exit.signal, stderr: engine.stderr };
}
