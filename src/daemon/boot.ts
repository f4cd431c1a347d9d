/**
 * Life cycle of the daemon, from the runtime directory to the last file removed; numbers refer to "Boot and drain" in
 * docs/operations.md. Builds and connects the rooms. Signals belong to the command line.
 */
import { abortable } from "@std/async";
import type { LoadPhase } from "@inferd/client/protocol";
import { RequestDesk } from "../admin/requests.ts";
import { AdminServer } from "../admin/server.ts";
import { StatusBoard } from "../admin/status.ts";
import type { DaemonOptions } from "../config/options.ts";
import type { Backend } from "../inference/backend.ts";
import { defined } from "../inference/objects.ts";
import { LibraryFetcher } from "../libraries/fetch/fetcher.ts";
import type { PackageFile } from "../libraries/packages.ts";
import { DownloadLog } from "../log/download_log.ts";
import { errorText } from "../log/error_text.ts";
import { type ActivityLog, openActivityLog, type OpenLog } from "../log/log.ts";
import { hashCachePath, keepsHashes } from "../models/file/hash_cache.ts";
import { ModelHashes } from "../models/file/model_hashes.ts";
import { dropBootPermissions, type PermissionContext } from "../monitor/permissions/permissions.ts";
import { LiveRequests } from "../pipeline/live_requests.ts";
import type { MonitorLink } from "../processes/monitor_link.ts";
import { MonitoredProcess } from "../processes/monitored_process.ts";
import { privateSocketPath } from "../processes/orders.ts";
import { PrivateSocket } from "../processes/private_socket.ts";
import type { StartProcess } from "../processes/process.ts";
import { ConnectionLimit } from "../server/connection_limit.ts";
import { checkSocketPaths, removeStale } from "../server/listener.ts";
import { IdleMemory } from "../server/idle_memory.ts";
import { budgetBytes, MemoryBudget } from "../server/memory_budget.ts";
import { Peers } from "../server/peer.ts";
import { RefusalRate } from "../server/refusal_rate.ts";
import { Pace } from "../ndjson/pace.ts";
import type { Shared } from "../server/shared.ts";
import { Admissions } from "./admissions.ts";
import { LoadedModels } from "../backend/on_demand/loaded_models.ts";
import type { createBackend } from "./backends.ts";
import { disposeAll, endDaemon } from "./drain.ts";
import { acquireLock } from "./lock.ts";
import { makeMembers, type MakeOptions, membersOf } from "./member.ts";
import { NothingServedError, reload } from "./reload.ts";
import { prepareRuntimeDir, warnOfClosedFolders } from "./runtime_dir.ts";
import { Serving } from "./serving.ts";

/** A daemon that has its admin socket and is becoming ready. */
export interface Daemon extends AsyncDisposable {
  /** Current options; a reload changes them. */
  readonly options: DaemonOptions;
  /** Where it listens once it is ready: with the ports that the system chose. */
  listen(): Promise<DaemonOptions["listen"]>;
  /** Capabilities of each backend, as far as known. */
  readonly capabilities: ReturnType<StatusBoard["capabilities"]>;
  /** Resolves when clients can connect; rejects if the daemon could not start, or was drained before. */
  readonly ready: Promise<void>;
  /** Resolves when the daemon has cleaned up; rejects if it failed after it was ready. */
  readonly done: Promise<void>;
  /** Finish running requests, then stop. Idempotent; never rejects, see `done`. */
  drain(): Promise<void>;
  /**
   * Switch to another configuration, after any reload in progress. Of several pending ones the last wins. The outcome
   * is reported in the log and the admin stream.
   *
   * @param read Reads the configuration.
   * @returns Whether it is now in effect; otherwise nothing has changed, or a later one wins.
   */
  reload(read: () => Promise<DaemonOptions>): Promise<boolean>;
}

/** Overrides of the daemon's parts. */
export interface StartOptions {
  /** Default: the activity log of `options`, copied to stderr. */
  readonly log?: ActivityLog;
  /** Default: created from `options.backends`. The daemon disposes of them. */
  readonly backends?: readonly Backend[];
  /** Default: creates backends from their configuration. */
  readonly create?: typeof createBackend;
  /** Default: the release's packages of native libraries. */
  readonly packages?: Readonly<Record<string, PackageFile>>;
  /** Monotonic clock in milliseconds, for the circuit breakers. Default: the process's. */
  readonly now?: () => number;
  /** With `exitWhenDown`: how long every backend may be down. Default: five minutes. */
  readonly downLimitMs?: number;
  /** If set, permissions needed only for booting are dropped when the daemon is ready. */
  readonly dropPermissions?: PermissionContext;
  /** The monitor that starts processes. Default: the daemon starts them itself. */
  readonly link?: MonitorLink;
  /** Process id for the pid file, the process to signal. Default: this one. */
  readonly pid?: number;
  /** Starts a companion process once the daemon is certain to start; stopped with the daemon. */
  readonly startBeside?: (log: ActivityLog) => AsyncDisposable;
  /** Given: shows how far the boot is. */
  readonly screen?: BootScreen | undefined;
}

/** Where the operator sees how far the boot is. */
export interface BootScreen {
  show(phase: LoadPhase): void;
  /** A line is about to be written there. */
  clear(): void;
}

/** The daemon was drained before it was ready. */
export class DrainedError extends Error {
  override readonly name = "DrainedError";
}

/**
 * Start a daemon.
 *
 * @returns The daemon, as soon as its admin socket is bound; booting continues, see `ready`.
 * @throws {RuntimeDirError | LockError | BindError} If it cannot start; everything is cleaned up then.
 */
export async function startDaemon(options: DaemonOptions, parts: StartOptions = {}): Promise<Daemon> {
  const built = new AsyncDisposableStack();
  try {
    // 2 runtime directory, and socket path lengths
    checkSocketPaths(options, parts.link === undefined ? undefined : privateSocketPath(options));
    prepareRuntimeDir(options.runtimeDir);
    // 3 lock
    built.use(await acquireLock(options.lockPath, parts.pid ?? Deno.pid, () => removeStale(options.adminSocket)));
    // 4 admin socket, `starting`
    return new RunningDaemon(options, parts, await openAdmin(options, parts, built));
  } catch (error) {
    await disposeAll(built, error);
    throw error;
  }
}

/** Everything created along with the admin socket. */
interface Ground {
  readonly admissions: Admissions;
  readonly live: LiveRequests;
  readonly board: StatusBoard;
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  /** Changes the log level. */
  readonly setLogLevel: (level: DaemonOptions["logLevel"]) => void;
  /** State shared by the connections of all sockets. */
  readonly shared: Required<Shared>;
  readonly built: AsyncDisposableStack;
}

/** Step 4. */
async function openAdmin(options: DaemonOptions, parts: StartOptions, built: AsyncDisposableStack): Promise<Ground> {
  const admissions = new Admissions(options);
  const board = new StatusBoard({
    queue: () => admissions.status(),
    backends: (parts.backends ?? options.backends).map(({ name }) => name),
  });
  const opened: ActivityLog & Partial<Pick<OpenLog, "setLevel">> = parts.log ?? built.use(openActivityLog({
    dir: options.logDir,
    level: options.logLevel,
    stderr: true,
    beforeLine: parts.screen === undefined ? undefined : () => parts.screen?.clear(),
    onStopped: (reason) => board.logStopped(reason),
    onResumed: () => board.logResumed(),
  }));
  const log: ActivityLog = opened;
  log.info("starting", { pid: Deno.pid, runtime_dir: options.runtimeDir });
  warnOfClosedFolders(options, log);
  // Opened once for all sockets, including those bound later, when the permission is gone.
  const peers = built.use(Peers.open(log.for("server")));
  const live = new LiveRequests();
  const desk = new RequestDesk(live, () => admissions.status());
  const admin = built.use(new AdminServer({ path: options.adminSocket, board, peers, log: log.for("admin"), desk }));
  await admin.bind();
  const beside = parts.startBeside?.(log);
  if (beside !== undefined) built.use(beside);
  const idle = built.use(new IdleMemory({ text: false, isBusy: () => live.count > 0 }));
  const shared = {
    limit: new ConnectionLimit(options.maxConnections, log.for("server")),
    memory: new MemoryBudget(budgetBytes(options, 0), () => idle.giveBackSoon()),
    refusals: new RefusalRate(),
    pace: new Pace(() => live.count),
  };
  const setLogLevel = (level: DaemonOptions["logLevel"]): void => opened.setLevel?.(level);
  return { admissions, live, board, peers, log, setLogLevel, shared, built };
}

/** The parts that answer requests, and what is needed to create further backends. */
interface Built {
  readonly serving: Serving;
  readonly make: Omit<MakeOptions, "options" | "signal">;
}

/** Steps 5 and 6: locate models and build everything that answers requests; no backend is started. */
async function build(
  options: DaemonOptions,
  parts: StartOptions,
  { signal, ...ground }: Ground & { readonly signal: AbortSignal; readonly onFailure: (error: unknown) => void },
): Promise<Built> {
  const { board, log } = ground;
  const downloads = new DownloadLog(log);
  const onPhase = (phase: LoadPhase): void => {
    if (board.state !== "ready") parts.screen?.show(phase);
    board.loading(phase);
    downloads.see(phase);
  };
  const hashes = new ModelHashes({ cachePath: hashCachePath(options) });
  if (keepsHashes(options)) hashes.prepare();
  const start = startProcesses(options, parts, ground);
  const fetcher = new LibraryFetcher({
    ...defined({ start, home: options.home, packages: parts.packages }),
    cacheDir: options.cacheDir ?? options.runtimeDir,
  });
  const { create } = parts;
  const { pace } = ground.shared;
  const make = { ...defined({ start, create }), log, onPhase, fetcher, hashes, pace, loaded: new LoadedModels() };
  const members = parts.backends === undefined
    ? await makeMembers(options.backends, { ...make, options, signal })
    : membersOf(parts.backends, options);
  const serving = new Serving({
    ...ground,
    options,
    members,
    hashes,
    onPhase,
    ...defined({ now: parts.now, downLimitMs: parts.downLimitMs }),
  });
  return { serving, make };
}

/** How the monitor starts processes, where there is one. */
function startProcesses(
  options: DaemonOptions,
  { link }: StartOptions,
  { peers, log, built }: Ground,
): StartProcess | undefined {
  if (link === undefined) return undefined;
  const path = privateSocketPath(options);
  const socket = built.use(new PrivateSocket({ path, peers, uid: Deno.uid(), log: log.for("engine") }));
  return (kind, listener) => new MonitoredProcess(kind, listener, { link, socket });
}

class RunningDaemon implements Daemon {
  #options: DaemonOptions;
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
  readonly #parts: StartOptions;
  readonly #ground: Ground;
  readonly #booting = new AbortController();
  readonly #building: Promise<Built>;
  readonly #ended = Promise.withResolvers<void>();
  #isReady = false;
  #ending: Promise<void> | undefined;
  readonly #stopReload = new AbortController();
  #reloading: Promise<unknown> = Promise.resolve();
  /** Number of reloads requested. */
  #asked = 0;
  /** Resolves when all replaced backends are gone. */
  #retired: Promise<unknown> = Promise.resolve();

  constructor(options: DaemonOptions, parts: StartOptions, ground: Ground) {
    this.#options = options;
    this.#parts = parts;
    this.#ground = ground;
    this.done = this.#ended.promise;
    this.#building = build(options, parts, {
      ...ground,
      signal: this.#booting.signal,
      onFailure: (error) => {
        if (this.#isReady) void this.#end(error);
      },
    });
    this.ready = this.#boot();
    // Observing these promises is optional.
    this.ready.catch(() => {});
    this.done.catch(() => {});
  }

  get options(): DaemonOptions {
    return this.#options;
  }

  async listen(): Promise<DaemonOptions["listen"]> {
    return (await this.#building).serving.listen;
  }

  get capabilities(): ReturnType<StatusBoard["capabilities"]> {
    return this.#ground.board.capabilities();
  }

  reload(read: () => Promise<DaemonOptions>): Promise<boolean> {
    const asked = ++this.#asked;
    // Skip if another reload follows, which reads the latest state.
    const reloaded = this.#reloading.then(() => asked === this.#asked ? this.#reload(read) : false);
    this.#reloading = reloaded;
    return reloaded;
  }

  drain(): Promise<void> {
    if (this.#ending === undefined) this.#ground.log.info("draining");
    this.#booting.abort(new DrainedError("The daemon was stopped before it was ready"));
    return this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }

  async #boot(): Promise<void> {
    const { log } = this.#ground;
    const { signal } = this.#booting;
    try {
      // 5 models: where they are
      const { serving } = await this.#building;
      signal.throwIfAborted();
      // 6 engines: load, `capabilities`; 7 every backend ready
      await Promise.all([serving.load(signal), this.#sizeMemory()]);
      // 8 `ready`, bind inference sockets
      await serving.open(signal);
      // 9 serve
      this.#isReady = true;
      log.info("ready", { since_process_start_ms: Math.round(performance.now()) });
      this.#dropPermissions();
    } catch (error) {
      if (!(error instanceof DrainedError)) log.error("start_failed", { reason: errorText(error) });
      // Do not wait for backends that are still loading.
      this.#booting.abort(error);
      await this.#end();
      throw error;
    }
  }

  /** Reading the heap limit needs a module that takes milliseconds to import, so it is deferred. */
  async #sizeMemory(): Promise<void> {
    const { getHeapStatistics } = await import("node:v8");
    this.#ground.shared.memory.limitBytes = budgetBytes(this.#options, getHeapStatistics().heap_size_limit);
  }

  #dropPermissions(): void {
    const { dropPermissions } = this.#parts;
    if (dropPermissions === undefined) return;
    this.#ground.log.info("permissions_left", { ...dropBootPermissions(this.#options, dropPermissions) });
  }

  async #reload(read: () => Promise<DaemonOptions>): Promise<boolean> {
    const { log, board, shared, setLogLevel } = this.#ground;
    const { signal } = this.#stopReload;
    const isReady = await abortable(this.ready, signal).then(() => true, () => false);
    if (!isReady) return false;
    log.info("reloading");
    try {
      const next = await read();
      const { serving, make } = await this.#building;
      const { dropPermissions } = this.#parts;
      const { options, needsRestart, retired } = await reload(this.#options, next, {
        serving,
        make,
        log,
        signal,
        ...(dropPermissions === undefined ? {} : { permissions: dropPermissions }),
      });
      this.#options = options;
      setLogLevel(options.logLevel);
      shared.limit.resize(options.maxConnections);
      await this.#sizeMemory();
      if (needsRestart.length > 0) log.warn("needs_restart", { settings: needsRestart });
      log.info("reloaded", { backends: options.backends.map(({ name }) => name) });
      board.reloaded(needsRestart);
      this.#retired = Promise.all([this.#retired, retired]);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      const reason = errorText(error);
      log.error("reload_failed", { reason });
      board.reloadFailed(reason);
      if (error instanceof NothingServedError) void this.#end(error);
      return false;
    }
  }

  #end(failure?: unknown): Promise<void> {
    this.#stopReload.abort(new DrainedError("The daemon is ending"));
    return this.#ending ??= endDaemon({
      ...this.#ground,
      drainTimeoutSecs: this.#options.drainTimeoutSecs,
      failure,
      drain: async (cut) => {
        // If the build failed there is nothing to drain; the boot has reported why.
        const built = await this.#building.catch(() => undefined);
        await this.#reloading;
        // Replaced backends may still be answering.
        await Promise.all([built?.serving.drain(cut), this.#retired]);
      },
    }).then(this.#ended.resolve, this.#ended.reject);
  }
}
