/**
 * The daemon's life, from the runtime directory to the last file removed; the numbers are those of "Boot and drain" in
 * docs/operations.md. Builds the rooms and connects them; what they do is theirs. Signals belong to the command line.
 */
import { abortable } from "@std/async";
import type { LoadPhase } from "@inferd/client/protocol";
import { RequestDesk } from "../admin/requests.ts";
import { AdminServer } from "../admin/server.ts";
import { StatusBoard } from "../admin/status.ts";
import type { DaemonOptions } from "../config/options.ts";
import type { Backend } from "../inference/backend.ts";
import { LibraryFetcher } from "../libraries/fetch/fetcher.ts";
import type { PackageFile } from "../libraries/packages.ts";
import { DownloadLog } from "../log/download_log.ts";
import { type ActivityLog, openActivityLog, type OpenLog } from "../log/log.ts";
import { hashCachePath, keepsHashes } from "../models/file/hash_cache.ts";
import { ModelHashes } from "../models/file/model_hashes.ts";
import { dropBootPermissions, type PermissionContext } from "../monitor/permissions.ts";
import { LiveRequests } from "../pipeline/live_requests.ts";
import { socketsBehindClosedFolders } from "../server/group.ts";
import { ConnectionLimit } from "../server/connection_limit.ts";
import { checkSocketPaths } from "../server/listener.ts";
import { defaultBudgetBytes, MemoryBudget } from "../server/memory_budget.ts";
import { Peers } from "../server/peer.ts";
import { RefusalRate } from "../server/refusal_rate.ts";
import type { Shared } from "../server/shared.ts";
import { Admissions } from "./admissions.ts";
import { LoadedModels } from "../backend/on_demand/loaded_models.ts";
import type { createBackend } from "./backends.ts";
import { disposeAll, endDaemon, textOf } from "./drain.ts";
import { acquireLock } from "./lock.ts";
import { makeMembers, type MakeOptions, Member, memberKey } from "./member.ts";
import { NothingServedError, reload } from "./reload.ts";
import { prepareRuntimeDir } from "./runtime_dir.ts";
import { Serving } from "./serving.ts";

/** A daemon that has its admin socket and is on its way to ready. */
export interface Daemon extends AsyncDisposable {
  /** As they are served: a reload changes them. */
  readonly options: DaemonOptions;
  /** Resolves when clients can connect; rejects when the daemon could not start, or was drained before. */
  readonly ready: Promise<void>;
  /** Resolves when nothing of the daemon is left; rejects when it ended by a failure after it was ready. */
  readonly done: Promise<void>;
  /** Finish what runs, then end. The same promise however often it is called; never rejects, see `done`. */
  drain(): Promise<void>;
  /**
   * Serve another configuration, once the one before is served. Of several that are asked for meanwhile the last is
   * taken. The log and the admin stream say what came of it.
   *
   * @param read Reads it.
   * @returns Whether it is served; otherwise nothing has changed, or a later one is taken.
   */
  reload(read: () => Promise<DaemonOptions>): Promise<boolean>;
}

/** What may be put in from outside. */
export interface StartOptions {
  /** Absent: the activity log of `options`, repeated on stderr for the operator. */
  readonly log?: ActivityLog;
  /** Absent: made as `options.backends` says. The daemon disposes of them. */
  readonly backends?: readonly Backend[];
  /** Absent: backends are made as their configuration says. */
  readonly create?: typeof createBackend;
  /** Absent: the packages of native libraries that the release has. */
  readonly packages?: Readonly<Record<string, PackageFile>>;
  /** Milliseconds of a clock that never goes back, for the breakers. Absent: the process's. */
  readonly now?: () => number;
  /** How long every backend may be down where `exitWhenDown` is set. Absent: five minutes. */
  readonly downLimitMs?: number;
  /** Given: what was needed only for booting is given back when the daemon is ready. */
  readonly dropPermissions?: PermissionContext;
  /** Whom the pid file names: the process to signal. Absent: this one. */
  readonly pid?: number;
  /** Given: starts what runs beside the daemon, once it is sure that the daemon can; ended with it. */
  readonly startBeside?: (log: ActivityLog) => AsyncDisposable;
}

/** The daemon was asked to end before it was ready. */
export class DrainedError extends Error {
  override readonly name = "DrainedError";
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
  const built = new AsyncDisposableStack();
  try {
    // 2 runtime directory, and whether every socket fits
    checkSocketPaths(options);
    prepareRuntimeDir(options.runtimeDir);
    // 3 lock
    built.use(await acquireLock(options.lockPath, parts.pid ?? Deno.pid));
    // 4 admin socket, `starting`
    return new RunningDaemon(options, parts, await openAdmin(options, parts, built));
  } catch (error) {
    await disposeAll(built, error);
    throw error;
  }
}

/** What stands when the admin socket stands. */
interface Ground {
  readonly admissions: Admissions;
  readonly live: LiveRequests;
  readonly board: StatusBoard;
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  /** Log as much from now on. */
  readonly setLogLevel: (level: DaemonOptions["logLevel"]) => void;
  /** What the connections of all sockets share. */
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
    onStopped: (reason) => board.logStopped(reason),
    onResumed: () => board.logResumed(),
  }));
  const log: ActivityLog = opened;
  log.info("starting", { pid: Deno.pid, runtime_dir: options.runtimeDir });
  warnOfClosedFolders(options, log);
  // Once for all sockets, also those that are bound late: by then the permission is given back.
  const peers = built.use(Peers.open(log.for("server")));
  const live = new LiveRequests();
  const desk = new RequestDesk(live, () => admissions.status());
  const admin = built.use(new AdminServer({ path: options.adminSocket, board, peers, log: log.for("admin"), desk }));
  await admin.bind();
  const beside = parts.startBeside?.(log);
  if (beside !== undefined) built.use(beside);
  const shared = {
    limit: new ConnectionLimit(options.maxConnections, log.for("server")),
    memory: new MemoryBudget(budgetBytes(options, 0)),
    refusals: new RefusalRate(),
  };
  const setLogLevel = (level: DaemonOptions["logLevel"]): void => opened.setLevel?.(level);
  return { admissions, live, board, peers, log, setLogLevel, shared, built };
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

/** What answers requests, and what backends are made with: also later ones. */
interface Built {
  readonly serving: Serving;
  readonly make: Omit<MakeOptions, "options" | "signal">;
}

/** Steps 5 and 6: models located, and everything built that answers requests; no backend is started. */
async function build(
  options: DaemonOptions,
  parts: StartOptions,
  { signal, ...ground }: Ground & { readonly signal: AbortSignal; readonly onFailure: (error: unknown) => void },
): Promise<Built> {
  const { board, log } = ground;
  const downloads = new DownloadLog(log);
  const onPhase = (phase: LoadPhase): void => {
    board.loading(phase);
    downloads.see(phase);
  };
  const hashes = new ModelHashes({ cachePath: hashCachePath(options) });
  if (keepsHashes(options)) hashes.prepare();
  const fetcher = new LibraryFetcher({
    cacheDir: options.cacheDir ?? options.runtimeDir,
    ...(options.home === undefined ? {} : { home: options.home }),
    ...(parts.packages === undefined ? {} : { packages: parts.packages }),
  });
  const { create } = parts;
  const make = {
    log,
    onPhase,
    fetcher,
    hashes,
    loaded: new LoadedModels(),
    ...(create === undefined ? {} : { create }),
  };
  const members = parts.backends === undefined
    ? await makeMembers(options.backends, { ...make, options, signal })
    : membersOf(parts.backends, options);
  const serving = new Serving({
    ...ground,
    options,
    members,
    hashes,
    onPhase,
    ...(parts.now === undefined ? {} : { now: parts.now }),
    ...(parts.downLimitMs === undefined ? {} : { downLimitMs: parts.downLimitMs }),
  });
  return { serving, make };
}

/** Backends that were put in, as if they had been made from what is configured. */
function membersOf(backends: readonly Backend[], options: DaemonOptions): Member[] {
  return backends.map((backend, index) => {
    const config = options.backends[index];
    return new Member(
      backend,
      config === undefined ? { key: backend.name } : { key: memberKey(config, options), config },
    );
  });
}

function budgetBytes({ memoryBudgetMib }: DaemonOptions, heapBytes: number): number {
  return memoryBudgetMib === undefined ? defaultBudgetBytes(heapBytes) : memoryBudgetMib * 1024 * 1024;
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
  /** Counts reloads that were asked for. */
  #asked = 0;
  /** Resolves when no backend is left that was replaced. */
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
    // Both are told to whoever asks; nobody has to.
    this.ready.catch(() => {});
    this.done.catch(() => {});
  }

  get options(): DaemonOptions {
    return this.#options;
  }

  reload(read: () => Promise<DaemonOptions>): Promise<boolean> {
    const asked = ++this.#asked;
    // Where another one follows, that one reads what there is then.
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
      if (!(error instanceof DrainedError)) log.error("start_failed", { reason: textOf(error) });
      // Those that are still loading are not waited for.
      this.#booting.abort(error);
      await this.#end();
      throw error;
    }
  }

  /** How large the heap may become is known only by what takes milliseconds to load, and no client needs. */
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
      const reason = textOf(error);
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
        // What was not built serves nothing; why, the boot has told.
        const built = await this.#building.catch(() => undefined);
        await this.#reloading;
        // What was replaced may still answer.
        await Promise.all([built?.serving.drain(cut), this.#retired]);
      },
    }).then(this.#ended.resolve, this.#ended.reject);
  }
}
