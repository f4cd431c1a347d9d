/**
 * The parent side of the engine: loads it, tells what it can do, and starts one that dies or hangs again. Its requests
 * are `generations.ts`'s, the process itself `engine_process.ts`'s, the checks on the model file `models/file/model_file.ts`'s.
 */
import { delay } from "@std/async";
import type { LoadPhase } from "@inferd/client/protocol";
import type { LlamaBackendConfig } from "../../config/options.ts";
import { type EngineCommand, engineCommand } from "../../engine/ipc/command.ts";
import type { EngineConfig, EngineNeed, FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import type { Accelerator } from "../../libraries/accelerator.ts";
import {
  checkModel,
  type FileIdentity,
  lookAtModelFile,
  type ModelFile,
  ModelFileError,
  sameBytes,
  sameFile,
  verifyModel,
} from "../../models/file/model_file.ts";
import type { ModelHashes } from "../../models/file/model_hashes.ts";
import {
  type Backend,
  type BackendCapabilities,
  type BackendNotice,
  type BackendState,
  ONLY_TEXT,
} from "../../inference/backend.ts";
import { BackendUnavailableError, EmbedUnsupportedError, RerankUnsupportedError } from "../../inference/errors.ts";
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
import { Encodings } from "./encodings.ts";
import { type EngineExit, type EngineListener, EngineProcess } from "./engine_process.ts";
import { Generations } from "./generations.ts";
import { LoadClock } from "./load_clock.ts";
import { isShortage } from "./shortage.ts";

const FIRST_BACKOFF_MS = 500;
const MOST_BACKOFF_MS = 30_000;
const MOST_DEATHS = 5;
const DEATH_WINDOW_MS = 5 * 60_000;
/** Until an engine says its first word: where the program is not on a disk, Deno fetches its modules before. */
const START_TIMEOUT_MS = 10 * 60_000;
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

/** Who is told while something is fetched, and what gives up. */
export interface FetchWatch {
  readonly onPhase: (phase: LoadPhase) => void;
  /** For the operator's log. */
  readonly onNote: (msg: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly signal: AbortSignal;
}

/** Gets what engines need and do not find. */
export interface Fetcher {
  /** Where it puts what it gets. */
  readonly cacheDir: string;
  /** @throws {Error} If it cannot be had; the message is for the operator. */
  fetch(need: EngineNeed, watch: FetchWatch): Promise<void>;
}

/** For tests and for the daemon's timeouts. */
export interface LlamaOptions {
  /** Absent: the engine's own. */
  readonly command?: EngineCommand;
  /** Absent: a process of its own. */
  readonly spawn?: (command: EngineCommand, listener: EngineListener) => EngineProcess;
  /** Before the first restart, and the longest; it doubles in between. */
  readonly backoffMs?: { readonly first: number; readonly most: number };
  /** So many deaths within the window leave the backend down. */
  readonly maxDeaths?: number;
  readonly deathWindowMs?: number;
  /** Silence while work is waiting. */
  readonly hangTimeoutMs?: number;
  /** How long a restarted engine may load, the time its files are hashed not counted; absent: without limit. */
  readonly loadTimeoutMs?: number;
  /** Gets what the engine lacks; absent: nobody does. */
  readonly fetcher?: Fetcher;
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
  /** Gives up loading it. */
  readonly signal: AbortSignal;
  /** Disposed of when it has said its first word: until then the time of loading stands still. */
  readonly starting: DisposableStack;
  fatal: string | undefined;
  /** What it said that it computes with; absent: nothing yet, or no accelerator. */
  accelerator: Accelerator | undefined;
}

/** An engine that ended before it was ready. */
class EngineDeathError extends BackendUnavailableError {}

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
  /** How much of what happens now does not count as loading. */
  #pauses = 0;
  /** Counts while an engine is started again. */
  #clock: LoadClock | undefined;
  /** The accelerator was left to us, and has failed. */
  #onlyCpu = false;
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
  /**
   * Start an engine and wait until it is ready; no process is left when it does not become so. Where nobody asked for
   * the accelerator that it fails with, the CPU takes its place.
   */
  async #launch(signal: AbortSignal): Promise<Engine> {
    const files = await this.#checkModel(signal);
    const engine = this.#spawn(signal);
    try {
      return await this.#load(engine, files, signal);
    } catch (error) {
      const { accelerator } = engine;
      const isChoice = this.#config.accelerator === undefined || this.#config.accelerator === "auto";
      const isCpu = accelerator === undefined || accelerator === "cpu";
      if (isCpu || !isChoice || signal.aborted || !(error instanceof EngineDeathError)) throw error;
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
      engine.process.send({ op: "load", config: this.#engineConfig(files) });
      const ready = await Promise.race([engine.ready.promise, engine.process.exited]);
      signal.throwIfAborted();
      if (!("type" in ready)) throw new EngineDeathError(this.#deathMessage(engine, ready));
      await this.#checkSwap(files);
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
    const { command = engineCommand(), spawn = (...args) => new EngineProcess(...args) } = this.#options;
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
      process = spawn(command, listener);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new BackendUnavailableError(`Cannot start the engine of backend "${this.name}": ${reason}`, {
        cause: error,
      });
    }
    const starting = new DisposableStack();
    starting.use(this.#pauseLoading());
    const timer = setTimeout(() => process.kill(`It did not start within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    starting.defer(() => clearTimeout(timer));
    const engine: Engine = {
      process,
      ready: Promise.withResolvers(),
      stderr,
      signal,
      starting,
      fatal: undefined,
      accelerator: undefined,
    };
    return engine;
  }

  #engineConfig(files: readonly ModelFile[]): EngineConfig {
    const [first] = files;
    const { modelName, parallel, contextTokens, threads, libraryDir, gpuLayers, embed, pooling, warm } = this.#config;
    const accelerator = this.#onlyCpu ? "cpu" : this.#config.accelerator;
    const { fetcher } = this.#options;
    return {
      modelPath: first?.path ?? this.#config.modelPath,
      ...(files.length > 1 ? { partPaths: files.map(({ path }) => path) } : {}),
      modelName,
      parallel,
      ...(accelerator === undefined ? {} : { accelerator }),
      ...(fetcher === undefined ? {} : { cacheDir: fetcher.cacheDir }),
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
    using _paused = this.#pauseLoading();
    if (known === undefined) onWork();
    await verifyModel(files, {
      sha256,
      parts: parts?.map(({ sha256 }) => sha256),
      signal,
      ...(known === undefined ? {} : { known }),
    });
    this.#verified = files.map(({ identity }) => identity);
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
      case "fatal":
        engine.fatal = message.message;
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
    let deaths = this.#countDeath();
    this.#log("error", "engine_exited", { ...fields, reason, deaths });
    for (let attempt = 1; !signal.aborted; attempt++) {
      if (deaths >= (this.#options.maxDeaths ?? MOST_DEATHS)) {
        this.#state = "down";
        this.#notify({ type: "down", reason: `${reason}; it died ${deaths} times and is not started again` });
        return undefined;
      }
      this.#notify({ type: "restarting", reason, phase: { phase: "checking_local", path: this.#config.modelPath } });
      const { first, most } = this.#options.backoffMs ?? { first: FIRST_BACKOFF_MS, most: MOST_BACKOFF_MS };
      try {
        await delay(Math.min(first * 2 ** (Math.max(deaths, attempt) - 1), most), { signal });
        const engine = await this.#relaunch();
        this.#log("info", "engine_restarted", {
          pid: engine.process.pid,
          attempt,
          after_ms: Math.round(this.#now() - died),
        });
        return engine;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
        if (signal.aborted) break;
        // The machine is out of something, and no engine has died of it.
        if (isShortage(error)) {
          this.#log("warn", "engine_not_started", { reason, attempt });
          continue;
        }
        deaths = this.#countDeath();
        this.#log("error", "engine_exited", { reason, deaths });
      }
    }
    return undefined;
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
