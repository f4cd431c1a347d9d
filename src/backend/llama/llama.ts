/**
 * The daemon's side of an engine: loads it, reports capabilities, and restarts it after a crash or hang. Requests
 * belong to `generations.ts`, a running engine to `engine.ts`, model files to `model_files.ts`.
 */
import type { LongText } from "@inferd/client/protocol";
import type { EngineNeed, FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import type { Backend, BackendCapabilities, BackendNotice, BackendState } from "../../inference/backend.ts";
import {
  BackendUnavailableError,
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
import { inspectedCapabilities, inspectMessage, readyCapabilities } from "./capabilities.ts";
import { Encodings } from "./encodings.ts";
import { Deaths } from "./watch/deaths.ts";
import { deathError, type Engine, engineConfig, EngineDeathError, pauseLoading, spawnEngine } from "./engine.ts";
import { failing } from "./event_queue.ts";
import { Generations } from "./generations.ts";
import { HangWatch } from "./watch/hang_watch.ts";
import { limitLoading, type LoadClock } from "./watch/load_clock.ts";
import { type FilesWatch, type LoadedFiles, ModelFiles } from "./model_files.ts";
import type { LlamaConfig, LlamaOptions } from "./options.ts";
import { defined } from "../../inference/objects.ts";
import { checkCharacters, checkFits } from "./prompt_limits.ts";
import { Revival } from "./watch/revival.ts";
import { errorText } from "../../log/error_text.ts";

const CLOSE_GRACE_MS = 2_000;

export class LlamaBackend implements Backend {
  readonly name: string;
  readonly #config: LlamaConfig;
  readonly #options: LlamaOptions;
  readonly #now: () => number;
  readonly #stopping = new AbortController();
  readonly #generations: Generations;
  readonly #encodings: Encodings;
  readonly #files: ModelFiles;
  readonly #draftFiles: ModelFiles | undefined;
  readonly #hangs: HangWatch;
  #notify: (notice: BackendNotice) => void = () => {};
  #state: BackendState = "loading";
  #capabilities: BackendCapabilities | undefined;
  /** Length in bytes of the longest token. */
  #longestPiece: number | undefined;
  #engine: Engine | undefined;
  /** The first launch, then supervision. */
  #work: Promise<void> = Promise.resolve();
  /** Number of active pauses of the load clock. */
  #pauses = 0;
  /** Runs while an engine restarts. */
  #clock: LoadClock | undefined;
  /** The accelerator was chosen automatically and has failed. */
  #onlyCpu = false;
  readonly #revival: Revival;

  constructor(config: LlamaConfig, options: LlamaOptions = {}) {
    this.name = config.name;
    this.#config = config;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#revival = new Revival({
      ...options,
      name: this.name,
      deaths: new Deaths(options, this.#now),
      signal: this.#stopping.signal,
      now: this.#now,
      launch: () => this.#relaunch(),
      onExit: () => void (this.#engine = undefined),
      onDeath: () => {
        this.#state = "restarting";
        this.#failAll(
          new BackendUnavailableError(`The engine of backend "${this.name}" died and is being restarted`),
        );
      },
      onRestart: (reason) => {
        this.#notify({ type: "restarting", reason, phase: { phase: "checking_local", path: config.modelPath } });
      },
      onDown: (reason) => {
        this.#state = "down";
        this.#notify({ type: "down", reason });
      },
      log: (level, msg, fields) => this.#log(level, msg, fields),
    });
    let lastId = 0;
    const common = {
      send: (message: ToEngine<LongText>): void => this.#engine?.process.send(message),
      onBusy: (): void => this.#hangs.watch(this.#generations.busy || this.#encodings.waiting),
      nextId: (): number => ++lastId,
    };
    this.#generations = new Generations(common);
    this.#encodings = new Encodings({ ...common, model: config.modelName, ...defined({ pace: options.pace }) });
    this.#hangs = new HangWatch({
      timeoutMs: options.hangTimeoutMs,
      waiting: () => this.#generations.waiting || this.#encodings.waiting,
      onHang: () => this.#engine?.process.kill("It said nothing while work was waiting"),
    });
    const watch: FilesWatch = {
      onPhase: (phase) => this.#notify({ type: "phase", phase }),
      pauseLoading: () => this.#pauseLoading(),
    };
    this.#files = new ModelFiles(config, options, watch);
    const { hashes } = options;
    this.#draftFiles = config.draft && new ModelFiles(
      { ...config.draft, modelPath: config.draft.modelPath ?? "" },
      hashes === undefined ? {} : { hashes },
      watch,
    );
  }

  get state(): BackendState {
    return this.#state;
  }

  get capabilities(): BackendCapabilities | undefined {
    return this.#capabilities;
  }

  /** The engine's process id while it is ready. */
  get enginePid(): number | undefined {
    return this.#engine?.process.pid;
  }

  async start(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<void> {
    this.#notify = notify;
    const started = this.#now();
    const launched = this.#launch(AbortSignal.any([signal, this.#stopping.signal]));
    this.#work = launched.then((engine) => this.#revival.supervise(engine), () => {});
    const { pid } = (await launched).process;
    this.#log("info", "engine_started", { pid, load_ms: Math.round(this.#now() - started) });
  }

  /**
   * Read capabilities from the model file's header, without loading weights; an alternative to `start`.
   *
   * @param notify As in `start`.
   * @throws {BackendUnavailableError} If the model cannot be used.
   */
  async inspect(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<BackendCapabilities> {
    this.#notify = notify;
    const either = AbortSignal.any([signal, this.#stopping.signal]);
    const files = await this.#files.check(either);
    const engine = this.#spawn(either);
    const abort = (): void => engine.process.kill("It was aborted");
    either.addEventListener("abort", abort);
    try {
      either.throwIfAborted();
      engine.process.send(inspectMessage(this.#config, files, this.#options.fetcher?.cacheDir));
      const found = await Promise.race([engine.inspected.promise, engine.process.exited]);
      either.throwIfAborted();
      if (!("type" in found)) throw deathError(this.name, engine, found);
      return inspectedCapabilities(found, this.#config, files);
    } finally {
      engine.process.kill("It has answered");
      await engine.process.exited;
      engine.starting.dispose();
      either.removeEventListener("abort", abort);
    }
  }

  generate(request: GenerationRequest<LongText>, signal: AbortSignal): AsyncIterable<BackendEvent> {
    return {
      [Symbol.asyncIterator]: () => {
        try {
          this.#checkReady(signal);
          checkFits(request, this.#capabilities, this.#longestPiece);
        } catch (error) {
          return failing(error);
        }
        return this.#generations.begin(request, signal);
      },
    };
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer> {
    this.#checkReady(signal);
    if (!this.#capabilities?.embed) throw new EmbedUnsupportedError(`Backend "${this.name}" does not embed`);
    return await this.#encodings.embed(request, signal);
  }

  async rerank(request: RerankRequest, signal: AbortSignal): Promise<RerankAnswer> {
    this.#checkReady(signal);
    if (!this.#capabilities?.rerank) throw new RerankUnsupportedError(`Backend "${this.name}" does not rerank`);
    return await this.#encodings.rerank(request, signal);
  }

  async tokenizer(request: TokenizerRequest<LongText>, signal: AbortSignal): Promise<TokenizerAnswer> {
    this.#checkReady(signal);
    checkCharacters(request, this.#capabilities);
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

  #failAll(error: Error): void {
    this.#generations.failAll(error);
    this.#encodings.failAll(error);
  }

  /**
   * Start an engine and wait until it is ready; kills it if loading fails. If an automatically chosen accelerator
   * fails, retries on the CPU.
   */
  async #launch(signal: AbortSignal): Promise<Engine> {
    const files = {
      model: await this.#files.check(signal),
      draft: await this.#draftFiles?.check(signal),
    };
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

  async #load(engine: Engine, files: LoadedFiles, signal: AbortSignal): Promise<Engine> {
    const abort = (): void => engine.process.kill("Loading was aborted");
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      const accelerator = this.#onlyCpu ? "cpu" : this.#config.accelerator;
      const cacheDir = this.#options.fetcher?.cacheDir;
      const { reservedBytes, wholeContext } = this.#options;
      const place = { draft: files.draft, accelerator, cacheDir, reservedBytes, wholeContext };
      engine.process.send({ op: "load", config: engineConfig(this.#config, files.model, place) });
      const ready = await Promise.race([engine.ready.promise, engine.process.exited]);
      signal.throwIfAborted();
      if (!("type" in ready)) throw deathError(this.name, engine, ready);
      await this.#files.checkSwap(files.model);
      await this.#draftFiles?.checkSwap(files.draft ?? []);
      signal.throwIfAborted();
      this.#becomeReady(engine, ready, files);
      return engine;
    } catch (error) {
      engine.process.kill("Loading failed");
      await engine.process.exited;
      throw error;
    } finally {
      engine.starting.dispose();
      engine.compiling?.dispose();
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

  /** Pause the load clock until the result is disposed of; pauses may overlap. */
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
    { model: files, draft: draftFiles }: LoadedFiles,
  ): void {
    const { templateError } = ready;
    this.#longestPiece = ready.longestPiece;
    this.#capabilities = readyCapabilities(ready, this.#config, files);
    this.#engine = engine;
    this.#state = "ready";
    if (templateError !== undefined) this.#log("warn", "chat_template_unusable", { ...templateError });
    this.#notify({ type: "ready", capabilities: this.#capabilities, files, ...(draftFiles && { draftFiles }) });
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
      case "compiles":
        engine.compiling ??= pauseLoading(engine.process, () => this.#pauseLoading(), "compile");
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
        // Each request starts a process, and engines wait for the answer.
        if (engine.isAsking) engine.process.kill("It asked for libraries again before it was answered");
        else void this.#provide(engine, message.need);
        break;
      case "accelerator":
        engine.accelerator = message.accelerator;
        break;
      case "ready":
        engine.compiling?.dispose();
        engine.ready.resolve(message);
        break;
      case "inspected":
        engine.inspected.resolve(message);
        break;
      case "fatal":
        engine.fatal = message.message;
        engine.outOfMemory = message.outOfMemory === true;
        engine.process.kill("It reported a fatal error");
        break;
    }
  }

  /** Fetch a library the engine needs and tell the engine. The load clock is paused meanwhile. */
  async #provide(engine: Engine, need: EngineNeed): Promise<void> {
    const { fetcher } = this.#options;
    engine.isAsking = true;
    using _paused = this.#pauseLoading();
    let failure: string | undefined;
    try {
      if (fetcher === undefined) throw new Error("Downloads are not available here");
      const started = this.#now();
      await fetcher.fetch(need, {
        onPhase: (phase) => this.#notify({ type: "phase", phase }),
        onNote: (msg, fields) => this.#log("warn", msg, fields),
        signal: engine.signal,
      });
      this.#log("info", "library_fetched", { ...need, ms: Math.round(this.#now() - started) });
    } catch (error) {
      failure = errorText(error);
    }
    engine.isAsking = false;
    engine.process.send({ op: "fetched", ...(failure === undefined ? {} : { failure }) });
  }

  async #relaunch(): Promise<Engine> {
    const limit = new AbortController();
    const { loadTimeoutMs } = this.#options;
    using clock = loadTimeoutMs === undefined ? undefined : limitLoading("The engine", loadTimeoutMs, limit);
    this.#clock = clock;
    return await this.#launch(AbortSignal.any([limit.signal, this.#stopping.signal]));
  }

  #log(level: "debug" | "info" | "warn" | "error", msg: string, fields: Record<string, unknown>): void {
    this.#notify({ type: "log", level, msg, fields: { backend: this.name, ...fields } });
  }
}
