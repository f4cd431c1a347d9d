/**
 * The parent side of the engine: loads it, tells what it can do, and starts one that dies or hangs again. Its requests
 * are `generations.ts`'s, the process itself `engine_process.ts`'s, the checks on the model file `models/model_file.ts`'s.
 */
import { delay } from "@std/async";
import type { LlamaBackendConfig } from "../config/options.ts";
import { type EngineCommand, engineCommand } from "../engine/command.ts";
import type { EngineConfig, FromEngine, ToEngine } from "../engine/messages.ts";
import {
  checkModel,
  type FileIdentity,
  lookAtModelFile,
  type ModelFile,
  ModelFileError,
  sameBytes,
  sameFile,
  verifyModel,
} from "../models/model_file.ts";
import type { ModelHashes } from "../models/model_hashes.ts";
import {
  type Backend,
  type BackendCapabilities,
  type BackendEvent,
  type BackendNotice,
  type BackendState,
  BackendUnavailableError,
  type EmbedAnswer,
  type EmbedRequest,
  EmbedUnsupportedError,
  type GenerationRequest,
  ONLY_TEXT,
  type RerankAnswer,
  type RerankRequest,
  RerankUnsupportedError,
} from "./backend.ts";
import { Encodings } from "./encodings.ts";
import { type EngineExit, EngineProcess } from "./engine_process.ts";
import { Generations } from "./generations.ts";

const FIRST_BACKOFF_MS = 500;
const MOST_BACKOFF_MS = 30_000;
const MOST_DEATHS = 5;
const DEATH_WINDOW_MS = 5 * 60_000;
const HANG_TIMEOUT_MS = 30_000;
/** A hang is this many looks in a row without a word, so that one late look of a busy daemon counts once. */
const HANG_LOOKS = 10;
const CLOSE_GRACE_MS = 2_000;
/** What the engine printed last, kept for the record of its death. */
const STDERR_TAIL_LINES = 12;

/** What a backend can do whose model was loaded for something. */
const SERVICES = {
  generate: { ...ONLY_TEXT, v2: true },
  embed: { ...ONLY_TEXT, v1: false, embed: true },
  rerank: { ...ONLY_TEXT, v1: false, rerank: true },
} as const;

/** What a llama backend needs; the model's path is known by now. */
export type LlamaConfig = LlamaBackendConfig & { readonly parallel: number; readonly modelPath: string };

/** For tests and for the daemon's timeouts. */
export interface LlamaOptions {
  /** Absent: the engine's own. */
  readonly command?: EngineCommand;
  /** Before the first restart, and the longest; it doubles in between. */
  readonly backoffMs?: { readonly first: number; readonly most: number };
  /** So many deaths within the window leave the backend down. */
  readonly maxDeaths?: number;
  readonly deathWindowMs?: number;
  /** Silence while work is waiting. */
  readonly hangTimeoutMs?: number;
  /** How long a restarted engine may load, the time its files are hashed not counted; absent: without limit. */
  readonly loadTimeoutMs?: number;
  /** What the model's files were when somebody else had compared their hashes: as long as they are, they are not read. */
  readonly verified?: readonly FileIdentity[];
  /** Knows what files hash to that the store has by their name. Absent: they are read. */
  readonly hashes?: ModelHashes;
  /** Milliseconds, monotonic. */
  readonly now?: () => number;
}

/** An engine that is alive, with what is known of it. */
interface Engine {
  readonly process: EngineProcess;
  readonly ready: PromiseWithResolvers<Extract<FromEngine, { type: "ready" }>>;
  readonly stderr: string[];
  fatal: string | undefined;
}

/** A local model in an engine process. */
export class LlamaBackend implements Backend {
  readonly name: string;
  readonly #config: LlamaConfig;
  readonly #options: LlamaOptions;
  readonly #now: () => number;
  readonly #stopping = new AbortController();
  readonly #generations: Generations;
  readonly #encodings: Encodings;
  #notify: (notice: BackendNotice) => void = () => {};
  #state: BackendState = "loading";
  #capabilities: BackendCapabilities | undefined;
  #engine: Engine | undefined;
  /** The first launch, then the watch over what was launched. */
  #work: Promise<void> = Promise.resolve();
  #verified: readonly FileIdentity[] | undefined;
  #deaths: number[] = [];
  #hangTimer: ReturnType<typeof setInterval> | undefined;
  #silentLooks = 0;

  constructor(config: LlamaConfig, options: LlamaOptions = {}) {
    this.name = config.name;
    this.#config = config;
    this.#options = options;
    this.#verified = options.verified;
    this.#now = options.now ?? (() => performance.now());
    let lastId = 0;
    const common = {
      send: (message: ToEngine): void => this.#engine?.process.send(message),
      onBusy: (): void => this.#watchForHang(this.#generations.busy || this.#encodings.waiting),
      nextId: (): number => ++lastId,
    };
    this.#generations = new Generations(common);
    this.#encodings = new Encodings({ ...common, model: config.modelName });
  }

  get state(): BackendState {
    return this.#state;
  }

  get capabilities(): BackendCapabilities | undefined {
    return this.#capabilities;
  }

  /** The engine's process id while one is ready. */
  get enginePid(): number | undefined {
    return this.#engine?.process.pid;
  }

  async start(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<void> {
    this.#notify = notify;
    const started = this.#now();
    const launched = this.#launch(AbortSignal.any([signal, this.#stopping.signal]));
    this.#work = launched.then((engine) => this.#supervise(engine), () => {});
    const { pid } = (await launched).process;
    this.#log("info", "engine_started", { pid, load_ms: Math.round(this.#now() - started) });
  }

  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<BackendEvent> {
    return {
      [Symbol.asyncIterator]: () => {
        try {
          this.#checkReady(signal);
        } catch (error) {
          return failing(error);
        }
        return this.#generations.begin(request, signal);
      },
    };
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer> {
    this.#checkReady(signal);
    if (!this.#capabilities?.embed) throw new EmbedUnsupportedError(`Backend "${this.name}" makes no vectors`);
    return await this.#encodings.embed(request, signal);
  }

  async rerank(request: RerankRequest, signal: AbortSignal): Promise<RerankAnswer> {
    this.#checkReady(signal);
    if (!this.#capabilities?.rerank) throw new RerankUnsupportedError(`Backend "${this.name}" does not rerank`);
    return await this.#encodings.rerank(request, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== "stopped") {
      this.#state = "stopped";
      const stopped = new BackendUnavailableError(`Backend "${this.name}" has been stopped`);
      this.#stopping.abort(stopped);
      this.#failAll(stopped);
    }
    await this.#engine?.process.close(CLOSE_GRACE_MS);
    await this.#work;
  }

  #checkReady(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#engine === undefined) throw new BackendUnavailableError(`Backend "${this.name}" is ${this.#state}`);
  }

  #failAll(error: Error): void {
    this.#generations.failAll(error);
    this.#encodings.failAll(error);
  }

  #watchForHang(busy: boolean): void {
    clearInterval(this.#hangTimer);
    this.#silentLooks = 0;
    if (!busy) return;
    const timeoutMs = this.#options.hangTimeoutMs ?? HANG_TIMEOUT_MS;
    this.#hangTimer = setInterval(() => this.#lookForHang(), timeoutMs / HANG_LOOKS);
  }

  #lookForHang(): void {
    this.#silentLooks = this.#generations.waiting || this.#encodings.waiting ? this.#silentLooks + 1 : 0;
    if (this.#silentLooks >= HANG_LOOKS) this.#engine?.process.kill("It said nothing while work was waiting");
  }

  /**
   * Start an engine and wait until it is ready; no process is left when it does not become so.
   *
   * @param signal Gives up.
   * @param onLoad Told when the files have been looked at.
   */
  async #launch(signal: AbortSignal, onLoad: () => void = () => {}): Promise<Engine> {
    const files = await this.#checkModel(signal);
    onLoad();
    const engine = this.#spawn();
    const abort = (): void => engine.process.kill("Loading was given up");
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      engine.process.send({ op: "load", config: this.#engineConfig(files) });
      const ready = await Promise.race([engine.ready.promise, engine.process.exited]);
      signal.throwIfAborted();
      if (!("type" in ready)) throw new BackendUnavailableError(this.#deathMessage(engine, ready));
      await this.#checkSwap(files);
      signal.throwIfAborted();
      this.#becomeReady(engine, ready, files);
      return engine;
    } catch (error) {
      engine.process.kill("Loading failed");
      await engine.process.exited;
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #spawn(): Engine {
    const { command = engineCommand() } = this.#options;
    const stderr: string[] = [];
    const listener = {
      onMessage: (message: FromEngine): void => this.#onMessage(engine, message),
      onStderr: (line: string): void => {
        stderr.push(line);
        if (stderr.length > STDERR_TAIL_LINES) stderr.shift();
        this.#log("debug", "engine_stderr", { line });
      },
    };
    let process: EngineProcess;
    try {
      process = new EngineProcess(command, listener);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new BackendUnavailableError(`Cannot start the engine of backend "${this.name}": ${reason}`, {
        cause: error,
      });
    }
    const engine: Engine = { process, ready: Promise.withResolvers(), stderr, fatal: undefined };
    return engine;
  }

  #engineConfig(files: readonly ModelFile[]): EngineConfig {
    const [first] = files;
    const { modelName, parallel, contextTokens, threads, libraryDir, gpuLayers, embed, pooling, warm } = this.#config;
    return {
      modelPath: first?.path ?? this.#config.modelPath,
      ...(files.length > 1 ? { partPaths: files.map(({ path }) => path) } : {}),
      modelName,
      parallel,
      ...(contextTokens === undefined ? {} : { contextTokens }),
      ...(threads === undefined ? {} : { threads }),
      ...(libraryDir === undefined ? {} : { libraryDir }),
      ...(gpuLayers === undefined ? {} : { gpuLayers }),
      ...(embed === undefined ? {} : { embed }),
      ...(pooling === undefined ? {} : { pooling }),
      ...(warm === undefined ? {} : { warm }),
    };
  }

  /** Look at the model's files, and compare their hashes where those are known. */
  async #checkModel(signal: AbortSignal): Promise<readonly ModelFile[]> {
    const { modelPath: path, parts, modelSha256: sha256 } = this.#config;
    try {
      this.#notify({ type: "phase", phase: { phase: "checking_local", path } });
      const files = await checkModel(path, parts?.map(({ path }) => path));
      const verified = this.#verified;
      const isKnown = verified !== undefined && files.length === verified.length &&
        files.every(({ identity }, index) => sameFile(identity, verified[index] ?? identity));
      if (sha256 !== undefined && !isKnown) await this.#verify(files, { sha256, signal });
      return files;
    } catch (error) {
      if (!(error instanceof ModelFileError)) throw error;
      throw new BackendUnavailableError(error.message, { cause: error });
    }
  }

  async #verify(
    files: readonly ModelFile[],
    { sha256, signal }: { readonly sha256: string; readonly signal: AbortSignal },
  ): Promise<void> {
    const { modelPath: path, parts, stored } = this.#config;
    const onWork = (): void => this.#notify({ type: "phase", phase: { phase: "verify", path } });
    const { hashes } = this.#options;
    // What an operator has configured is read each time; the store's own names may be trusted as far as the file's times.
    const known = stored !== "name" || hashes === undefined
      ? undefined
      : (file: string): Promise<string> => hashes.file(file, { signal, onWork });
    this.#notify({ type: "preparing" });
    if (known === undefined) onWork();
    await verifyModel(files, {
      sha256,
      parts: parts?.map(({ sha256 }) => sha256),
      signal,
      ...(known === undefined ? {} : { known }),
    });
    this.#notify({ type: "loading" });
    this.#verified = files.map(({ identity }) => identity);
  }

  /** The engine opened the files by their paths: they are what was looked at only if that never changed. */
  async #checkSwap(files: readonly ModelFile[]): Promise<void> {
    const isPinned = this.#config.modelSha256 !== undefined;
    const isSame = isPinned ? sameFile : sameBytes;
    for (const { path, identity } of files) {
      const same = await lookAtModelFile(path).then((now) => isSame(now, identity), () => false);
      if (!same) {
        const when = isPinned ? "after its SHA-256 was checked" : "while it was loaded";
        throw new BackendUnavailableError(`Cannot load model "${path}": it was replaced ${when}`);
      }
    }
  }

  #becomeReady(
    engine: Engine,
    ready: Extract<FromEngine, { type: "ready" }>,
    files: readonly ModelFile[],
  ): void {
    const { templateError } = ready;
    this.#capabilities = {
      ...SERVICES[ready.purpose],
      tools: ready.tools,
      thinking: ready.thinking,
      accelerator: ready.accelerator,
      gpuLayers: ready.gpuLayers,
      model: this.#config.modelName,
      contextTokens: ready.contextTokens,
      parallel: ready.parallel,
      ...(templateError === undefined ? {} : { templateError }),
    };
    this.#engine = engine;
    this.#state = "ready";
    if (templateError !== undefined) this.#log("warn", "chat_template_unusable", { ...templateError });
    this.#notify({ type: "ready", capabilities: this.#capabilities, files });
  }

  #onMessage(engine: Engine, message: FromEngine): void {
    this.#silentLooks = 0;
    switch (message.type) {
      case "step":
        this.#generations.deliver(message.events);
        this.#encodings.deliver(message.events);
        break;
      case "beat":
        break;
      case "phase": {
        const { type: _, ...phase } = message;
        this.#notify({ type: "phase", phase });
        break;
      }
      case "warning":
        this.#log("warn", message.msg, message.fields);
        break;
      case "ready":
        engine.ready.resolve(message);
        break;
      case "fatal":
        engine.fatal = message.message;
        engine.process.kill("It said that it cannot go on");
        break;
    }
  }

  /** Wait for deaths and mend them, until the backend is stopped or down. */
  async #supervise(first: Engine): Promise<void> {
    const signal = this.#stopping.signal;
    for (let engine = first;;) {
      const exit = await engine.process.exited;
      this.#engine = undefined;
      if (signal.aborted) return;
      const next = await this.#restart(this.#deathMessage(engine, exit), this.#exitFields(engine, exit));
      if (next === undefined) return;
      engine = next;
    }
  }

  /** After a death: try until one lives, or give up. */
  async #restart(reason: string, fields: Record<string, unknown>): Promise<Engine | undefined> {
    const signal = this.#stopping.signal;
    const died = this.#now();
    this.#state = "restarting";
    this.#failAll(
      new BackendUnavailableError(`The engine of backend "${this.name}" died and is being restarted`),
    );
    for (let attempt = 1; !signal.aborted; attempt++) {
      const deaths = this.#countDeath();
      this.#log("error", "engine_exited", { ...fields, reason, deaths });
      if (deaths >= (this.#options.maxDeaths ?? MOST_DEATHS)) {
        this.#state = "down";
        this.#notify({ type: "down", reason: `${reason}; it died ${deaths} times and is not started again` });
        return undefined;
      }
      this.#notify({ type: "restarting", reason });
      const { first, most } = this.#options.backoffMs ?? { first: FIRST_BACKOFF_MS, most: MOST_BACKOFF_MS };
      try {
        await delay(Math.min(first * 2 ** (deaths - 1), most), { signal });
        const engine = await this.#relaunch();
        this.#log("info", "engine_restarted", {
          pid: engine.process.pid,
          attempt,
          after_ms: Math.round(this.#now() - died),
        });
        return engine;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
        fields = {};
      }
    }
    return undefined;
  }

  async #relaunch(): Promise<Engine> {
    const limit = new AbortController();
    const { loadTimeoutMs } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const startClock = (): void => {
      if (loadTimeoutMs === undefined) return;
      timer = setTimeout(() => {
        const secs = loadTimeoutMs / 1000;
        limit.abort(new BackendUnavailableError(`The engine did not load within ${secs} s (--ready-timeout)`));
      }, loadTimeoutMs);
    };
    try {
      return await this.#launch(AbortSignal.any([limit.signal, this.#stopping.signal]), startClock);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns How many deaths there were within the window, this one counted. */
  #countDeath(): number {
    const now = this.#now();
    const since = now - (this.#options.deathWindowMs ?? DEATH_WINDOW_MS);
    this.#deaths = [...this.#deaths.filter((at) => at > since), now];
    return this.#deaths.length;
  }

  #deathMessage(engine: Engine, exit: EngineExit): string {
    if (engine.fatal !== undefined) return engine.fatal;
    const how = exit.killedFor !== undefined
      ? `was killed: ${exit.killedFor}`
      : exit.signal !== null
      ? `died of ${exit.signal}`
      : `exited with code ${exit.code}`;
    // Of SIGKILL nobody can say a last word: what was printed before is about something else.
    const last = exit.signal === "SIGKILL" ? undefined : engine.stderr.findLast((line) => line.trim() !== "");
    return `The engine of backend "${this.name}" ${how}${last === undefined ? "" : ` (${last})`}`;
  }

  #exitFields(engine: Engine, exit: EngineExit): Record<string, unknown> {
    return { pid: engine.process.pid, code: exit.code, signal: exit.signal, stderr: engine.stderr };
  }

  #log(level: "debug" | "info" | "warn" | "error", msg: string, fields: Record<string, unknown>): void {
    this.#notify({ type: "log", level, msg, fields: { backend: this.name, ...fields } });
  }
}

function failing(error: unknown): AsyncIterator<BackendEvent, undefined> {
  return { next: () => Promise.reject(error) };
}
