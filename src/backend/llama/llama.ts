/**
 * The parent side of the engine: loads it, tells what it can do, and starts one that dies or hangs again. Its requests
 * are `generations.ts`'s, one engine is `engine.ts`'s, the model's files are `model_files.ts`'s.
 */
import { delay } from "@std/async";
import type { EngineNeed, FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import {
  type Backend,
  type BackendCapabilities,
  type BackendNotice,
  type BackendState,
  DEFAULT_CONTEXT_TOKENS,
  ONLY_TEXT,
} from "../../inference/backend.ts";
import { leastTokens, tooLongMessage } from "../../inference/prompt_size.ts";
import {
  BackendUnavailableError,
  ContextLengthError,
  EmbedUnsupportedError,
  NotEnoughMemoryError,
  RerankUnsupportedError,
} from "../../inference/errors.ts";
import type { BackendEvent } from "../../inference/events.ts";
import type {
  EmbedAnswer,
  EmbedRequest,
  GenerationRequest,
  RerankAnswer,
  RerankRequest,
  TokenizerAnswer,
  TokenizerRequest,
} from "../../inference/request.ts";
import type { ModelFile } from "../../models/file/model_file.ts";
import { Encodings } from "./encodings.ts";
import { BACKOFF_MS, Deaths, SLOW_BACKOFF_MS } from "./deaths.ts";
import {
  deathError,
  deathMessage,
  type Engine,
  engineConfig,
  EngineDeathError,
  exitFields,
  spawnEngine,
} from "./engine.ts";
import { Generations } from "./generations.ts";
import { HangWatch } from "./hang_watch.ts";
import { LoadClock } from "./load_clock.ts";
import { isModelFault, ModelFiles } from "./model_files.ts";
import type { LlamaConfig, LlamaOptions } from "./options.ts";
import { isShortage } from "./shortage.ts";

const CLOSE_GRACE_MS = 2_000;

/** What a backend can do whose model was loaded for something. */
const SERVICES = {
  generate: { ...ONLY_TEXT, v2: true },
  embed: { ...ONLY_TEXT, v1: false, embed: true },
  rerank: { ...ONLY_TEXT, v1: false, rerank: true },
} as const;

/** A local model in an engine process. */
export class LlamaBackend implements Backend {
  readonly name: string;
  readonly #config: LlamaConfig;
  readonly #options: LlamaOptions;
  readonly #now: () => number;
  readonly #stopping = new AbortController();
  readonly #generations: Generations;
  readonly #encodings: Encodings;
  readonly #files: ModelFiles;
  readonly #hangs: HangWatch;
  #notify: (notice: BackendNotice) => void = () => {};
  #state: BackendState = "loading";
  #capabilities: BackendCapabilities | undefined;
  /** Bytes of the longest text that a token stands for. */
  #longestPiece: number | undefined;
  #engine: Engine | undefined;
  /** The first launch, then the watch over what was launched. */
  #work: Promise<void> = Promise.resolve();
  /** How much of what happens now does not count as loading. */
  #pauses = 0;
  /** Counts while an engine is started again. */
  #clock: LoadClock | undefined;
  /** The accelerator was left to us, and has failed. */
  #onlyCpu = false;
  readonly #deaths: Deaths;

  constructor(config: LlamaConfig, options: LlamaOptions = {}) {
    this.name = config.name;
    this.#config = config;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#deaths = new Deaths(options, this.#now);
    let lastId = 0;
    const common = {
      send: (message: ToEngine): void => this.#engine?.process.send(message),
      onBusy: (): void => this.#hangs.watch(this.#generations.busy || this.#encodings.waiting),
      nextId: (): number => ++lastId,
    };
    this.#generations = new Generations(common);
    this.#encodings = new Encodings({ ...common, model: config.modelName });
    this.#hangs = new HangWatch({
      timeoutMs: options.hangTimeoutMs,
      waiting: () => this.#generations.waiting || this.#encodings.waiting,
      onHang: () => this.#engine?.process.kill("It said nothing while work was waiting"),
    });
    this.#files = new ModelFiles(config, options, {
      onPhase: (phase) => this.#notify({ type: "phase", phase }),
      pauseLoading: () => this.#pauseLoading(),
    });
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

  /**
   * Instead of `start`: learn from the header of the model's file what the backend could do. No weights are read.
   *
   * @param notify As in `start`.
   * @param signal Gives up.
   * @throws {BackendUnavailableError} If the model cannot be used.
   */
  async inspect(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<BackendCapabilities> {
    this.#notify = notify;
    const either = AbortSignal.any([signal, this.#stopping.signal]);
    const files = await this.#files.check(either);
    const engine = this.#spawn(either);
    const abort = (): void => engine.process.kill("It was given up");
    either.addEventListener("abort", abort);
    try {
      either.throwIfAborted();
      const { modelName, parallel, accelerator, embed, pooling, libraryDir, contextTokens, templateText } =
        this.#config;
      const cacheDir = this.#options.fetcher?.cacheDir;
      const [first] = files;
      engine.process.send({
        op: "inspect",
        modelPath: first?.path ?? this.#config.modelPath,
        ...(files.length > 1 ? { partPaths: files.map(({ path }) => path) } : {}),
        ...(accelerator === undefined ? {} : { accelerator }),
        ...(cacheDir === undefined ? {} : { cacheDir }),
        ...(libraryDir === undefined ? {} : { libraryDir }),
        ...(embed === undefined ? {} : { embed }),
        ...(pooling === undefined ? {} : { pooling }),
        ...(templateText === undefined ? {} : { chatTemplate: templateText }),
      });
      const found = await Promise.race([engine.inspected.promise, engine.process.exited]);
      either.throwIfAborted();
      if (!("type" in found)) throw deathError(this.name, engine, found);
      const { tools, thinking, templateError, trainedContextTokens: trained, purpose } = found;
      const usual = purpose === "generate" ? Math.min(trained, DEFAULT_CONTEXT_TOKENS) : trained;
      return {
        ...SERVICES[purpose],
        tools,
        thinking,
        accelerator: "none",
        gpuLayers: 0,
        model: modelName,
        contextTokens: contextTokens ?? usual,
        parallel,
        ...(templateError === undefined ? {} : { templateError }),
      };
    } finally {
      engine.process.kill("It has said what was asked");
      await engine.process.exited;
      engine.starting.dispose();
      either.removeEventListener("abort", abort);
    }
  }

  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<BackendEvent> {
    return {
      [Symbol.asyncIterator]: () => {
        try {
          this.#checkReady(signal);
          this.#refuseHopeless(request);
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

  async tokenizer(request: TokenizerRequest, signal: AbortSignal): Promise<TokenizerAnswer> {
    this.#checkReady(signal);
    return await this.#encodings.tokenizer(request, signal);
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

  /** What cannot fit does not reach the engine, which answers others. */
  #refuseHopeless(request: GenerationRequest): void {
    const { contextTokens } = this.#capabilities ?? {};
    if (contextTokens === undefined || this.#longestPiece === undefined) return;
    const least = leastTokens(request, this.#longestPiece);
    if (least >= contextTokens) throw new ContextLengthError(tooLongMessage(`more than ${least}`, contextTokens));
  }

  #failAll(error: Error): void {
    this.#generations.failAll(error);
    this.#encodings.failAll(error);
  }

  /**
   * Start an engine and wait until it is ready; no process is left when it does not become so. Where nobody asked for
   * the accelerator that it fails with, the CPU takes its place.
   */
  async #launch(signal: AbortSignal): Promise<Engine> {
    const files = await this.#files.check(signal);
    const engine = this.#spawn(signal);
    try {
      return await this.#load(engine, files, signal);
    } catch (error) {
      const { accelerator } = engine;
      const isChoice = this.#config.accelerator === undefined || this.#config.accelerator === "auto";
      const isCpu = accelerator === undefined || accelerator === "cpu";
      const isEngines = error instanceof EngineDeathError || error instanceof NotEnoughMemoryError;
      if (isCpu || !isChoice || signal.aborted || !isEngines) throw error;
      this.#log("warn", "accelerator_unusable", { accelerator, reason: error.message });
      this.#onlyCpu = true;
      return await this.#load(this.#spawn(signal), files, signal);
    }
  }

  async #load(engine: Engine, files: readonly ModelFile[], signal: AbortSignal): Promise<Engine> {
    const abort = (): void => engine.process.kill("Loading was given up");
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      const accelerator = this.#onlyCpu ? "cpu" : this.#config.accelerator;
      const cacheDir = this.#options.fetcher?.cacheDir;
      const { reservedBytes, wholeContext } = this.#options;
      const place = { accelerator, cacheDir, reservedBytes, wholeContext };
      engine.process.send({ op: "load", config: engineConfig(this.#config, files, place) });
      const ready = await Promise.race([engine.ready.promise, engine.process.exited]);
      signal.throwIfAborted();
      if (!("type" in ready)) throw deathError(this.name, engine, ready);
      await this.#files.checkSwap(files);
      signal.throwIfAborted();
      this.#becomeReady(engine, ready, files);
      return engine;
    } catch (error) {
      engine.process.kill("Loading failed");
      await engine.process.exited;
      throw error;
    } finally {
      engine.starting.dispose();
      signal.removeEventListener("abort", abort);
    }
  }

  #spawn(signal: AbortSignal): Engine {
    return spawnEngine({
      ...this.#options,
      name: this.name,
      signal,
      pauseLoading: () => this.#pauseLoading(),
      onMessage: (engine, message) => this.#onMessage(engine, message),
      onStderr: (line) => this.#log("debug", "engine_stderr", { line }),
    });
  }

  /** What is done until the answer is disposed of does not count as loading; several may hold it at a time. */
  #pauseLoading(): Disposable {
    const pause = new DisposableStack();
    pause.use(this.#clock?.pause());
    if (this.#pauses++ === 0) this.#notify({ type: "preparing" });
    pause.defer(() => {
      if (--this.#pauses === 0) this.#notify({ type: "loading" });
    });
    return pause;
  }

  #becomeReady(
    engine: Engine,
    ready: Extract<FromEngine, { type: "ready" }>,
    files: readonly ModelFile[],
  ): void {
    const { templateError } = ready;
    this.#longestPiece = ready.longestPiece;
    this.#capabilities = {
      ...SERVICES[ready.purpose],
      tools: ready.tools,
      thinking: ready.thinking,
      accelerator: ready.accelerator,
      gpuLayers: ready.gpuLayers,
      model: this.#config.modelName,
      contextTokens: ready.contextTokens,
      parallel: ready.parallel,
      memoryBytes: ready.residentBytes,
      ...(templateError === undefined ? {} : { templateError }),
    };
    this.#engine = engine;
    this.#state = "ready";
    if (templateError !== undefined) this.#log("warn", "chat_template_unusable", { ...templateError });
    this.#notify({ type: "ready", capabilities: this.#capabilities, files });
  }

  #onMessage(engine: Engine, message: FromEngine): void {
    this.#hangs.heard();
    switch (message.type) {
      case "started":
        engine.starting.dispose();
        break;
      case "step":
        for (const event of message.events) {
          if (!this.#generations.deliver(event)) this.#encodings.deliver(event);
        }
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
      case "needs":
        void this.#provide(engine, message.need);
        break;
      case "accelerator":
        engine.accelerator = message.accelerator;
        break;
      case "ready":
        engine.ready.resolve(message);
        break;
      case "inspected":
        engine.inspected.resolve(message);
        break;
      case "fatal":
        engine.fatal = message.message;
        engine.outOfMemory = message.outOfMemory === true;
        engine.process.kill("It said that it cannot go on");
        break;
    }
  }

  /** Have fetched what an engine needs, and tell it. Meanwhile the time of loading stands still. */
  async #provide(engine: Engine, need: EngineNeed): Promise<void> {
    const { fetcher } = this.#options;
    using _paused = this.#pauseLoading();
    let failure: string | undefined;
    try {
      if (fetcher === undefined) throw new Error("What is not on this machine is not fetched here");
      const started = this.#now();
      await fetcher.fetch(need, {
        onPhase: (phase) => this.#notify({ type: "phase", phase }),
        onNote: (msg, fields) => this.#log("warn", msg, fields),
        signal: engine.signal,
      });
      this.#log("info", "library_fetched", { ...need, ms: Math.round(this.#now() - started) });
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    engine.process.send({ op: "fetched", ...(failure === undefined ? {} : { failure }) });
  }

  /** Wait for deaths and mend them, until the backend is stopped or down. */
  async #supervise(first: Engine): Promise<void> {
    const signal = this.#stopping.signal;
    for (let engine = first;;) {
      const exit = await engine.process.exited;
      this.#engine = undefined;
      if (signal.aborted) return;
      const next = await this.#restart(deathMessage(this.name, engine, exit), exitFields(engine, exit));
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
    let deaths = this.#deaths.count();
    let isFault = false;
    this.#log("error", "engine_exited", { ...fields, reason, deaths });
    for (let attempt = 1; !signal.aborted; attempt++) {
      if (this.#deaths.tooMany) {
        // No engine died of it, and it can be mended.
        if (isFault) return await this.#restartSlowly(reason, died);
        this.#state = "down";
        this.#notify({ type: "down", reason: `${reason}; it died ${deaths} times and is not started again` });
        return undefined;
      }
      this.#notify({ type: "restarting", reason, phase: { phase: "checking_local", path: this.#config.modelPath } });
      const { first, most } = this.#options.backoffMs ?? BACKOFF_MS;
      try {
        await delay(Math.min(first * 2 ** (Math.max(deaths, attempt) - 1), most), { signal });
        return await this.#revive(died, attempt);
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
        if (signal.aborted) break;
        // The machine is out of something, and no engine has died of it.
        if (isShortage(error)) {
          this.#log("warn", "engine_not_started", { reason, attempt });
          continue;
        }
        deaths = this.#deaths.count();
        isFault = isModelFault(error);
        this.#log("error", "engine_exited", { reason, deaths });
      }
    }
    return undefined;
  }

  /** The model's files are not what they should be: the backend is down until they are. */
  async #restartSlowly(reason: string, died: number): Promise<Engine | undefined> {
    const signal = this.#stopping.signal;
    const { first, most } = this.#options.slowBackoffMs ?? SLOW_BACKOFF_MS;
    this.#state = "down";
    for (let attempt = 1; !signal.aborted; attempt++) {
      const waitMs = Math.min(first * 2 ** (attempt - 1), most);
      this.#notify({ type: "down", reason: `${reason}; it is tried again in ${waitMs / 1000} s` });
      try {
        await delay(waitMs, { signal });
        return await this.#revive(died, attempt);
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
    return undefined;
  }

  async #revive(died: number, attempt: number): Promise<Engine> {
    const engine = await this.#relaunch();
    const after_ms = Math.round(this.#now() - died);
    this.#log("info", "engine_restarted", { pid: engine.process.pid, attempt, after_ms });
    return engine;
  }

  async #relaunch(): Promise<Engine> {
    const limit = new AbortController();
    const { loadTimeoutMs } = this.#options;
    using clock = loadTimeoutMs === undefined ? undefined : new LoadClock(loadTimeoutMs, () => {
      const secs = loadTimeoutMs / 1000;
      limit.abort(new BackendUnavailableError(`The engine did not load within ${secs} s (--ready-timeout)`));
    });
    this.#clock = clock;
    return await this.#launch(AbortSignal.any([limit.signal, this.#stopping.signal]));
  }

  #log(level: "debug" | "info" | "warn" | "error", msg: string, fields: Record<string, unknown>): void {
    this.#notify({ type: "log", level, msg, fields: { backend: this.name, ...fields } });
  }
}

function failing(error: unknown): AsyncIterator<BackendEvent, undefined> {
  return { next: () => Promise.reject(error) };
}
