/**
 * The daemon's life, from the runtime directory to the last file removed; the numbers are those of "Boot and drain" in
 * docs/operations.md. Builds the rooms and connects them; what they do is theirs. Signals belong to the command line.
 */
import { abortable } from "@std/async";
import { AdminServer } from "./admin/server.ts";
import { StatusBoard } from "./admin/status.ts";
import type { Backend, BackendNotice } from "./backend/backend.ts";
import { LlamaBackend } from "./backend/llama.ts";
import { MockBackend } from "./backend/mock.ts";
import type { BackendConfig, DaemonOptions } from "./config/options.ts";
import { acquireLock } from "./lock.ts";
import { type ActivityLog, openActivityLog } from "./log.ts";
import { builtInModelPath } from "./models/built_in.ts";
import { dropBootPermissions, type PermissionContext } from "./permissions.ts";
import { Admission } from "./pipeline/admission.ts";
import { Pipeline } from "./pipeline/handle.ts";
import { Router } from "./pipeline/router.ts";
import { prepareRuntimeDir } from "./runtime_dir.ts";
import { InferenceServer } from "./server/inference_server.ts";
import { v1Surface } from "./surfaces/v1.ts";

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
    // 2 runtime directory
    prepareRuntimeDir(options.runtimeDir);
    // 3 lock
    const lock = await acquireLock(options.lockPath, Deno.pid);
    built.add(() => lock[Symbol.dispose]());
    // 4 admin socket, `starting`
    const admission = new Admission({ active: options.parallel, depth: options.queueDepth });
    const board = new StatusBoard({ queue: () => admission.status() });
    const log = parts.log ?? openLog(options, board, built);
    log.info("starting", { pid: Deno.pid, runtime_dir: options.runtimeDir });
    const admin = new AdminServer({ path: options.adminSocket, board, log: log.for("admin") });
    built.add(() => admin[Symbol.asyncDispose]());
    await admin.bind();
    return new RunningDaemon(options, parts, { admission, board, log, built });
  } catch (error) {
    await built.dispose(error);
    throw error;
  }
}

function openLog(options: DaemonOptions, board: StatusBoard, built: Disposers): ActivityLog {
  const log = openActivityLog({
    dir: options.logDir,
    level: options.logLevel,
    stderr: true,
    onStopped: (reason) => board.logStopped(reason),
  });
  built.add(() => log[Symbol.asyncDispose]());
  return log;
}

/** What stands when the admin socket stands. */
interface Foundation {
  readonly admission: Admission;
  readonly board: StatusBoard;
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
  readonly #booting = new AbortController();
  readonly #firstBound = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #backends: readonly Backend[] = [];
  #router: Router | undefined;
  #server: InferenceServer | undefined;
  /** Every backend has been ready once: from now on the sockets follow the backends. */
  #booted = false;
  #bound = false;
  #isFollowing = false;
  #following: Promise<void> = Promise.resolve();
  #isReady = false;
  #ending: Promise<void> | undefined;

  constructor(options: DaemonOptions, parts: StartOptions, foundation: Foundation) {
    this.options = options;
    this.#parts = parts;
    this.#foundation = foundation;
    this.#log = foundation.log;
    this.#engineLog = foundation.log.for("engine");
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
      const configs = await Promise.all(this.options.backends.map((config) => this.#locate(config, signal)));
      signal.throwIfAborted();
      // 6 engines: load, `capabilities`; 7 every backend ready
      const timer = setTimeout(() => this.#booting.abort(this.#timeoutError()), this.options.readyTimeoutSecs * 1000);
      try {
        this.#build(this.#parts.backends ?? configs.map((config) => this.#createBackend(config)));
        const starts = this.#backends.map((backend) =>
          backend.start((notice) => this.#onNotice(backend, notice), signal)
        );
        await abortable(Promise.all(starts), signal);
        this.#booted = true;
        // 8 `ready`, bind inference sockets
        this.#follow();
        await abortable(this.#firstBound.promise, signal);
      } finally {
        clearTimeout(timer);
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

  async #locate(config: BackendConfig, signal: AbortSignal): Promise<BackendConfig> {
    if (config.kind !== "llamacpp" || config.modelPath !== undefined || this.#parts.backends !== undefined) {
      return config;
    }
    const modelPath = await builtInModelPath({
      cacheDir: this.options.cacheDir ?? this.options.runtimeDir,
      onPhase: (phase) => this.#foundation.board.loading(phase),
      signal,
    });
    return { ...config, modelPath };
  }

  #createBackend(config: BackendConfig): Backend {
    if (config.kind === "mock") return new MockBackend({ ...config, parallel: this.options.parallel });
    const { modelPath } = config;
    if (modelPath === undefined) throw new Error(`Backend "${config.name}" has no model`);
    return new LlamaBackend({ ...config, modelPath, parallel: this.options.parallel }, {
      loadTimeoutMs: this.options.readyTimeoutSecs * 1000,
    });
  }

  #build(backends: readonly Backend[]): void {
    const { admission, built } = this.#foundation;
    this.#backends = backends;
    for (const backend of backends) built.add(() => backend[Symbol.asyncDispose]());
    const router = this.#router = new Router(backends, {
      onBreaker: (backend, change) => this.#log.warn(`breaker_${change}`, { backend }),
    });
    const { inferSocket, inferTcp, group, apiKey } = this.options;
    const server = new InferenceServer({
      surface: v1Surface,
      pipeline: new Pipeline({ admission, router, log: this.#log }),
      unix: { path: inferSocket, ...(group === undefined ? {} : { group }) },
      ...(inferTcp === undefined ? {} : { tcp: { address: inferTcp, ...(apiKey === undefined ? {} : { apiKey }) } }),
      log: this.#log,
    });
    built.add(() => server[Symbol.asyncDispose]());
    this.#server = server;
  }

  #onNotice(backend: Backend, notice: BackendNotice): void {
    const { board } = this.#foundation;
    switch (notice.type) {
      case "phase":
        board.loading(notice.phase);
        break;
      case "ready":
        this.#router?.revived(backend.name);
        board.capable(backend.name, notice.capabilities);
        this.#follow();
        break;
      case "restarting":
      case "down":
        this.#engineLog.warn(`backend_${notice.type}`, { backend: backend.name, reason: notice.reason });
        if (this.#available()) break;
        this.#follow();
        board.restarting(this.#backends.every(({ state }) => state === "down") ? "down" : "loading_model");
        break;
      case "log":
        this.#engineLog[notice.level](notice.msg, notice.fields);
        break;
    }
  }

  #available(): boolean {
    return this.#backends.some(({ state }) => state === "ready");
  }

  /** Make the sockets follow the backends: they exist exactly while somebody can answer. */
  #follow(): void {
    if (!this.#booted || this.#isFollowing) return;
    this.#isFollowing = true;
    this.#following = this.#followNow();
  }

  async #followNow(): Promise<void> {
    try {
      while (this.#ending === undefined && this.#bound !== this.#available()) {
        if (this.#bound) {
          this.#server?.unbind();
          this.#bound = false;
          continue;
        }
        await this.#server?.bind();
        this.#bound = true;
        if (this.#ending !== undefined || !this.#available()) continue;
        // Only now: whoever hears it can connect.
        this.#foundation.board.ready();
        this.#firstBound.resolve();
      }
    } catch (error) {
      this.#firstBound.reject(error);
      // The sockets cannot stand any more where they stood: there is nothing left to be a daemon for.
      if (this.#isReady) void this.#end(error);
    } finally {
      this.#isFollowing = false;
    }
  }

  #timeoutError(): ReadyTimeoutError {
    const late = this.#backends.filter(({ state }) => state !== "ready").map(({ name }) => `"${name}"`).join(", ");
    const secs = this.options.readyTimeoutSecs;
    return new ReadyTimeoutError(`Not ready within ${secs} s, still waiting for backend ${late}`);
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
      await this.#following;
      await this.#server?.drain(cut.signal);
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
