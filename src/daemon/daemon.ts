/**
 * The daemon's life, from the runtime directory to the last file removed; the numbers are those of "Boot and drain" in
 * docs/operations.md. Builds the rooms and connects them; what they do is theirs. Signals belong to the command line.
 */
import { abortable } from "@std/async";
import type { LoadPhase, QueueStatus } from "@inferd/client/protocol";
import { AdminServer } from "../admin/server.ts";
import { StatusBoard } from "../admin/status.ts";
import { type Backend, type BackendNotice, type Service, toStatus } from "../inference/backend.ts";
import { LlamaBackend } from "../backend/llama/llama.ts";
import { MockBackend } from "../backend/mock.ts";
import type { BackendConfig, DaemonOptions, Listen, SurfaceName } from "../config/options.ts";
import { DownloadLog } from "../log/download_log.ts";
import { LibraryFetcher } from "../libraries/fetch/fetcher.ts";
import type { PackageFile } from "../libraries/packages.ts";
import { acquireLock } from "./lock.ts";
import { type ActivityLog, openActivityLog } from "../log/log.ts";
import { builtInModelPath, isBuiltIn } from "../models/built_in.ts";
import { hashCachePath, keepsHashes } from "../models/file/hash_cache.ts";
import type { FileIdentity } from "../models/file/model_file.ts";
import { ModelHashes } from "../models/file/model_hashes.ts";
import { dropBootPermissions, type PermissionContext } from "../monitor/permissions.ts";
import { Admission } from "../pipeline/admission.ts";
import { Pipeline } from "../pipeline/handle.ts";
import { Router } from "../pipeline/router.ts";
import { ReadyClock } from "./ready_clock.ts";
import { prepareRuntimeDir } from "./runtime_dir.ts";
import { ServedConfig } from "./served_config.ts";
import { type Binding, Bindings } from "../server/bindings.ts";
import { DispatchServer } from "../server/dispatch_server.ts";
import { InferenceServer } from "../server/inference_server.ts";
import { socketsBehindClosedFolders } from "../server/group.ts";
import { checkSocketPaths } from "../server/listener.ts";
import { Peers } from "../server/peer.ts";
import { Dispatch } from "../surfaces/dispatch.ts";
import { embedSurface } from "../surfaces/embed.ts";
import { rerankSurface } from "../surfaces/rerank.ts";
import type { Surface } from "../surfaces/surface.ts";
import { v1Surface } from "../surfaces/v1.ts";
import { v2Surface } from "../surfaces/v2.ts";

const SURFACES: Readonly<Record<SurfaceName, Surface>> = {
  infer: v1Surface,
  v2: v2Surface,
  embed: embedSurface,
  rerank: rerankSurface,
};

/** A daemon that has its admin socket and is on its way to ready. */
export interface Daemon extends AsyncDisposable {
  readonly options: DaemonOptions;
  /** Resolves when clients can connect; rejects when the daemon could not start, or was drained before. */
  readonly ready: Promise<void>;
  /** Resolves when nothing of the daemon is left; rejects when it ended by a failure after it was ready. */
  readonly done: Promise<void>;
  /** Finish what runs, then end. The same promise however often it is called; never rejects, see `done`. */
  drain(): Promise<void>;
}

/** What may be put in from outside. */
export interface StartOptions {
  /** Absent: the activity log of `options`, repeated on stderr for the operator. */
  readonly log?: ActivityLog;
  /** Absent: made as `options.backends` says. The daemon disposes of them. */
  readonly backends?: readonly Backend[];
  /** Absent: the packages of native libraries that the release has. */
  readonly packages?: Readonly<Record<string, PackageFile>>;
  /** Milliseconds of a clock that never goes back, for the breakers. Absent: the process's. */
  readonly now?: () => number;
  /** Given: what was needed only for booting is given back when the daemon is ready. */
  readonly dropPermissions?: PermissionContext;
}

/** The daemon was asked to end before it was ready. */
export class DrainedError extends Error {
  override readonly name = "DrainedError";
}

/** Not every backend was ready in time. */
export class ReadyTimeoutError extends Error {
  override readonly name = "ReadyTimeoutError";
}

/**
 * Start a daemon.
 *
 * @param options Everything it needs to know.
 * @param parts What may be put in from outside.
 * @returns The daemon as soon as its admin socket stands; the rest of the boot goes on, see `ready`.
 * @throws {RuntimeDirError | LockError | BindError} If it cannot stand there; nothing is left of it then.
 */
export async function startDaemon(options: DaemonOptions, parts: StartOptions = {}): Promise<Daemon> {
  const built = new Disposers();
  try {
    // 2 runtime directory, and whether every socket fits
    checkSocketPaths(options);
    prepareRuntimeDir(options.runtimeDir);
    // 3 lock
    const lock = await acquireLock(options.lockPath, Deno.pid);
    built.add(() => lock[Symbol.dispose]());
    // 4 admin socket, `starting`
    const admissions = new Admissions(options);
    const board = new StatusBoard({
      queue: () => admissions.status(),
      backends: (parts.backends ?? options.backends).map(({ name }) => name),
    });
    const log = parts.log ?? openLog(options, board, built);
    log.info("starting", { pid: Deno.pid, runtime_dir: options.runtimeDir });
    warnOfClosedFolders(options, log);
    // Once for all sockets, also those that are bound late: by then the permission is given back.
    const peers = Peers.open(log.for("server"));
    built.add(() => peers?.[Symbol.dispose]());
    const admin = new AdminServer({ path: options.adminSocket, board, peers, log: log.for("admin") });
    built.add(() => admin[Symbol.asyncDispose]());
    await admin.bind();
    return new RunningDaemon(options, parts, { admissions, board, peers, log, built });
  } catch (error) {
    await built.dispose(error);
    throw error;
  }
}

/** A group that cannot enter the folder of a socket has nothing of being given it. */
function warnOfClosedFolders({ group, listen }: DaemonOptions, log: ActivityLog): void {
  for (const [folder, sockets] of socketsBehindClosedFolders(group, Object.values(listen))) {
    log.warn("group_shut_out", {
      group,
      folder,
      sockets,
      reason: "The group may not enter the folder: put the sockets where it may, with --uds PATH",
    });
  }
}

function openLog(options: DaemonOptions, board: StatusBoard, built: Disposers): ActivityLog {
  const log = openActivityLog({
    dir: options.logDir,
    level: options.logLevel,
    stderr: true,
    onStopped: (reason) => board.logStopped(reason),
    onResumed: () => board.logResumed(),
  });
  built.add(() => log[Symbol.asyncDispose]());
  return log;
}

/** What stands when the admin socket stands. */
interface Foundation {
  readonly admissions: Admissions;
  readonly board: StatusBoard;
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  readonly built: Disposers;
}

class RunningDaemon implements Daemon {
  readonly options: DaemonOptions;
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
  readonly #parts: StartOptions;
  readonly #foundation: Foundation;
  readonly #log: ActivityLog;
  readonly #engineLog: ActivityLog;
  readonly #downloads: DownloadLog;
  readonly #fetcher: LibraryFetcher;
  readonly #booting = new AbortController();
  readonly #firstBound = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  /** By backend: model files that were hashed on their way here, so that they are not read again. */
  readonly #verified = new Map<string, readonly FileIdentity[]>();
  readonly #hashes: ModelHashes;
  #backends: readonly Backend[] = [];
  #router: Router | undefined;
  #servers: readonly InferenceServer[] = [];
  #dispatch: DispatchServer | undefined;
  #served: ServedConfig | undefined;
  /** Set once every backend has been ready: from now on the sockets follow the backends. */
  #bindings: Bindings | undefined;
  #clock: ReadyClock | undefined;
  /** What the last restart of an engine began with. */
  #restarting: LoadPhase | undefined;
  #isReady = false;
  #ending: Promise<void> | undefined;

  constructor(options: DaemonOptions, parts: StartOptions, foundation: Foundation) {
    this.options = options;
    this.#parts = parts;
    this.#foundation = foundation;
    this.#log = foundation.log;
    this.#engineLog = foundation.log.for("engine");
    this.#hashes = new ModelHashes({ cachePath: hashCachePath(options) });
    this.#downloads = new DownloadLog(this.#log);
    this.#fetcher = new LibraryFetcher({
      cacheDir: options.cacheDir ?? options.runtimeDir,
      ...(options.home === undefined ? {} : { home: options.home }),
      ...(parts.packages === undefined ? {} : { packages: parts.packages }),
    });
    this.ready = this.#boot();
    this.done = this.#ended.promise;
    // Both are told to whoever asks; nobody has to.
    this.ready.catch(() => {});
    this.done.catch(() => {});
    this.#firstBound.promise.catch(() => {});
  }

  drain(): Promise<void> {
    if (this.#ending === undefined) this.#log.info("draining");
    this.#booting.abort(new DrainedError("The daemon was stopped before it was ready"));
    return this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }

  async #boot(): Promise<void> {
    const { signal } = this.#booting;
    try {
      // 5 models: where they are
      if (keepsHashes(this.options)) this.#hashes.prepare();
      const configs = await Promise.all(this.options.backends.map((config) => this.#locate(config, signal)));
      signal.throwIfAborted();
      // 6 engines: load, `capabilities`; 7 every backend ready
      this.#build(
        this.#parts.backends ?? await Promise.all(configs.map((config) => this.#createBackend(config))),
        configs,
      );
      const clock = this.#clock = new ReadyClock({
        limitMs: this.options.readyTimeoutSecs * 1000,
        backends: this.#backends.map(({ name }) => name),
        onLate: () => this.#booting.abort(this.#timeoutError()),
      });
      try {
        const starts = this.#backends.map((backend) =>
          backend.start((notice) => this.#onNotice(backend, notice), signal)
        );
        await abortable(Promise.all(starts), signal);
        // 8 `ready`, bind inference sockets
        await this.#served?.settled();
        this.#bindings = this.#bind();
        this.#bindings.follow();
        await abortable(this.#firstBound.promise, signal);
      } finally {
        clock[Symbol.dispose]();
      }
      // 9 serve
      this.#isReady = true;
      this.#log.info("ready", { since_process_start_ms: Math.round(performance.now()) });
      this.#dropPermissions();
    } catch (error) {
      if (!(error instanceof DrainedError)) this.#log.error("start_failed", { reason: textOf(error) });
      // Those that are still loading are not waited for.
      this.#booting.abort(error);
      await this.#end();
      throw error;
    }
  }

  /** Where a backend's model is; fetched first where it may be, and then nobody removes it while it is served. */
  async #locate(config: BackendConfig, signal: AbortSignal): Promise<BackendConfig> {
    if (config.kind !== "llamacpp" || this.#parts.backends !== undefined) return config;
    if (config.missing !== undefined) throw new Error(config.missing);
    if (config.source !== undefined || config.stored !== undefined) {
      // Loaded where it is needed, as the backends are.
      const { holdModel } = await import("./models_at_boot.ts");
      const held = await holdModel(config, this.options, {
        onPhase: (phase) => this.#onPhase(phase),
        log: this.#log,
        signal,
      });
      this.#foundation.built.add(() => held[Symbol.dispose]());
      if (held.verified !== undefined) this.#verified.set(config.name, held.verified);
      return { ...config, ...held.located };
    }
    if (config.modelPath !== undefined) return config;
    const { modelName: name } = config;
    if (!isBuiltIn(name)) throw new Error(`Backend "${config.name}" has no model`);
    const modelPath = await builtInModelPath({
      name,
      cacheDir: this.options.cacheDir ?? this.options.runtimeDir,
      onPhase: (phase) => this.#onPhase(phase),
      signal,
    });
    return { ...config, modelPath };
  }

  async #createBackend(config: BackendConfig): Promise<Backend> {
    if (config.kind === "mock") return new MockBackend({ ...config, parallel: this.options.parallel });
    if (config.kind === "openai-compat") {
      // Loaded where it is needed: most daemons have no use for it, and for the libraries it brings.
      const { OpenAiBackend } = await import("../backend/openai/openai.ts");
      return new OpenAiBackend(config, { parallel: this.options.parallel });
    }
    const { modelPath } = config;
    if (modelPath === undefined) throw new Error(`Backend "${config.name}" has no model`);
    const verified = this.#verified.get(config.name);
    return new LlamaBackend({ parallel: this.options.parallel, ...config, modelPath }, {
      loadTimeoutMs: this.options.readyTimeoutSecs * 1000,
      fetcher: this.#fetcher,
      hashes: this.#hashes,
      ...(verified === undefined ? {} : { verified }),
    });
  }

  #build(backends: readonly Backend[], configs: readonly BackendConfig[]): void {
    const { built } = this.#foundation;
    this.#backends = backends;
    for (const backend of backends) built.add(() => backend[Symbol.asyncDispose]());
    const router = this.#router = new Router(backends, {
      ...(this.#parts.now === undefined ? {} : { now: this.#parts.now }),
      onBreaker: (backend, change) => this.#log.warn(`breaker_${change}`, { backend }),
    });
    this.#servers = Object.entries(SURFACES).map(([name, surface]) =>
      this.#serve(surface, this.options.listen[name as SurfaceName], router)
    );
    this.#dispatch = this.#serveDispatch(router, configs);
  }

  #serveDispatch(router: Router, configs: readonly BackendConfig[]): DispatchServer {
    const { admissions, board, peers, built } = this.#foundation;
    const { rpcSocket, namespace } = this.options;
    const served = this.#served = new ServedConfig({
      ...this.options,
      backends: configs,
      log: this.#log,
      hashes: this.#hashes,
      onChange: () => this.#bindings?.follow(),
    });
    built.add(() => served[Symbol.asyncDispose]());
    const pipeline = (service: Service): Pipeline =>
      new Pipeline({ service, admission: admissions.of(service), router, log: this.#log });
    const dispatch = new Dispatch({
      namespace,
      backends: this.#backends,
      pipelines: { v1: pipeline("v1"), v2: pipeline("v2"), embed: pipeline("embed"), rerank: pipeline("rerank") },
      configId: () => served.id,
      state: () => board.state,
      queue: () => admissions.status(),
      capabilities: () => board.capabilities(),
      modelSha256: (backend) => served.modelSha256(backend),
    });
    const server = new DispatchServer({ path: rpcSocket, dispatch, peers, log: this.#log });
    built.add(() => server[Symbol.asyncDispose]());
    return server;
  }

  #serve(surface: Surface, { socket, tcp }: Listen, router: Router): InferenceServer {
    const { admissions, peers, built } = this.#foundation;
    const { group, apiKey } = this.options;
    const { service } = surface;
    const server = new InferenceServer({
      surface,
      pipeline: new Pipeline({ service, admission: admissions.of(service), router, log: this.#log }),
      unix: { path: socket, ...(group === undefined ? {} : { group }) },
      ...(tcp === undefined ? {} : { tcp: { address: tcp, ...(apiKey === undefined ? {} : { apiKey }) } }),
      peers,
      log: this.#log,
    });
    built.add(() => server[Symbol.asyncDispose]());
    return server;
  }

  /** Each surface on its sockets while a backend can serve it. */
  #bind(): Bindings {
    const { board } = this.#foundation;
    const bindings = this.#servers.map((server): Binding => ({
      server,
      serves: () => this.#serves(server.service),
      awaited: () => this.#may(server.service),
    }));
    const dispatch = this.#dispatch;
    // While a model file is hashed there is no dispatch, and everything else.
    if (dispatch !== undefined) {
      bindings.push({ server: dispatch, serves: () => this.#dispatches(), awaited: () => false });
    }
    return new Bindings(bindings, {
      onChange: (complete) => {
        if (!complete) return this.#tellLoss();
        board.ready();
        this.#firstBound.resolve();
      },
      onFailure: (error) => {
        this.#firstBound.reject(error);
        // The sockets cannot stand any more where they stood: there is nothing left to be a daemon for.
        if (this.#isReady) void this.#end(error);
      },
    });
  }

  #onPhase(phase: LoadPhase): void {
    this.#foundation.board.loading(phase);
    this.#downloads.see(phase);
  }

  #onNotice(backend: Backend, notice: BackendNotice): void {
    const { board } = this.#foundation;
    switch (notice.type) {
      case "phase":
        this.#onPhase(notice.phase);
        break;
      case "preparing":
        this.#clock?.pause(backend.name);
        break;
      case "loading":
        this.#clock?.resume(backend.name);
        break;
      case "ready":
        this.#clock?.done(backend.name);
        this.#router?.revived(backend.name);
        board.capable(backend.name, notice.capabilities);
        this.#served?.ready(backend.name, notice.capabilities.contextTokens, notice.files);
        this.#bindings?.follow();
        break;
      case "restarting":
      case "down":
        this.#engineLog.warn(`backend_${notice.type}`, { backend: backend.name, reason: notice.reason });
        if (notice.type === "restarting") this.#restarting = notice.phase;
        board.changed(backend.name, toStatus(backend.state));
        this.#bindings?.follow();
        this.#tellLoss();
        break;
      case "log":
        this.#engineLog[notice.level](notice.msg, notice.fields);
        break;
    }
  }

  /** Something that was served is not; told once until it is loaded again. */
  #tellLoss(): void {
    const { board } = this.#foundation;
    if (this.#restarting === undefined || this.#bindings?.complete !== false || board.state === "restarting") return;
    board.restarting(this.#restarting);
  }

  /** Whether a backend can answer such requests now. */
  #serves(service: Service): boolean {
    return this.#backends.some(({ state, capabilities }) => state === "ready" && capabilities?.[service]);
  }

  /** Whether one could that has not failed for good. */
  #may(service: Service): boolean {
    return this.#backends.some(({ state, capabilities }) => toStatus(state) !== "down" && capabilities?.[service]);
  }

  /** Whether dispatch has anything to offer, and can say whom it speaks for. */
  #dispatches(): boolean {
    return this.#served?.identified === true && this.#backends.some(({ state }) => state === "ready");
  }

  #timeoutError(): ReadyTimeoutError {
    const late = this.#backends.filter(({ state }) => state !== "ready").map(({ name }) => `"${name}"`).join(", ");
    const secs = this.options.readyTimeoutSecs;
    return new ReadyTimeoutError(
      `Not ready within ${secs} s, still waiting for backend ${late}; --ready-timeout SECONDS gives it more time`,
    );
  }

  #dropPermissions(): void {
    const { dropPermissions } = this.#parts;
    if (dropPermissions === undefined) return;
    this.#log.info("permissions_left", { ...dropBootPermissions(this.options, dropPermissions) });
  }

  #end(failure?: unknown): Promise<void> {
    return this.#ending ??= this.#endNow(failure);
  }

  async #endNow(failure: unknown): Promise<void> {
    const { board, built } = this.#foundation;
    // 10 `draining`: no new request, running ones finish in time or are cut
    board.draining();
    if (failure !== undefined) this.#log.error("failed", { reason: textOf(failure) });
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(), this.options.drainTimeoutSecs * 1000);
    try {
      await this.#bindings?.stop();
      const servers = this.#dispatch === undefined ? this.#servers : [...this.#servers, this.#dispatch];
      await Promise.all(servers.map((server) => server.drain(cut.signal)));
    } catch (error) {
      failure ??= error;
    } finally {
      clearTimeout(timer);
    }
    // 11 engines stopped, sockets and pid file removed
    this.#log.info("stopped");
    try {
      await built.dispose(failure);
      if (failure !== undefined) throw failure;
      this.#ended.resolve();
    } catch (error) {
      this.#ended.reject(error);
    }
  }
}

/** Places for requests: generation shares its own, whatever the surface, because it shares the models. */
class Admissions {
  readonly #generation: Admission;
  readonly #embed: Admission;
  readonly #rerank: Admission;

  constructor({ parallel, queueDepth }: DaemonOptions) {
    const places = { active: parallel, depth: queueDepth };
    this.#generation = new Admission(places);
    this.#embed = new Admission(places);
    this.#rerank = new Admission(places);
  }

  of(service: Service): Admission {
    return service === "embed" ? this.#embed : service === "rerank" ? this.#rerank : this.#generation;
  }

  /** All queues together; `depth` is that of each. */
  status(): QueueStatus {
    const [first, ...others] = [this.#generation, this.#embed, this.#rerank].map((admission) => admission.status());
    return others.reduce(
      (sum, { active, waiting }) => ({ ...sum, active: sum.active + active, waiting: sum.waiting + waiting }),
      first as QueueStatus,
    );
  }
}

/** What has been built and has to go, the last first. */
class Disposers {
  readonly #list: (() => void | PromiseLike<void>)[] = [];

  add(dispose: () => void | PromiseLike<void>): void {
    this.#list.push(dispose);
  }

  /**
   * Dispose of everything, also past those that fail.
   *
   * @param failure Why, if something failed before; it is thrown with what fails here.
   * @throws {AggregateError} If a disposer fails.
   */
  async dispose(failure?: unknown): Promise<void> {
    const errors: unknown[] = [];
    for (let next = this.#list.pop(); next !== undefined; next = this.#list.pop()) {
      try {
        await next();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 0) return;
    if (failure !== undefined) errors.unshift(failure);
    throw new AggregateError(errors, `Could not clean up: ${errors.map(textOf).join("; ")}`);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
