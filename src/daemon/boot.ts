/**
 * The daemon's life, from the runtime directory to the last file removed; the numbers are those of "Boot and drain" in
 * docs/operations.md. Builds the rooms and connects them; what they do is theirs. Signals belong to the command line.
 */
import type { LoadPhase } from "@inferd/client/protocol";
import { RequestDesk } from "../admin/requests.ts";
import { AdminServer } from "../admin/server.ts";
import { StatusBoard } from "../admin/status.ts";
import type { DaemonOptions } from "../config/options.ts";
import type { Backend } from "../inference/backend.ts";
import { LibraryFetcher } from "../libraries/fetch/fetcher.ts";
import type { PackageFile } from "../libraries/packages.ts";
import { DownloadLog } from "../log/download_log.ts";
import { type ActivityLog, openActivityLog } from "../log/log.ts";
import { hashCachePath, keepsHashes } from "../models/file/hash_cache.ts";
import { ModelHashes } from "../models/file/model_hashes.ts";
import { dropBootPermissions, type PermissionContext } from "../monitor/permissions.ts";
import { LiveRequests } from "../pipeline/live_requests.ts";
import { socketsBehindClosedFolders } from "../server/group.ts";
import { ConnectionLimit } from "../server/connection_limit.ts";
import { checkSocketPaths } from "../server/listener.ts";
import { defaultBudgetBytes, MemoryBudget } from "../server/memory_budget.ts";
import { Peers } from "../server/peer.ts";
import type { Shared } from "../server/shared.ts";
import { Admissions } from "./admissions.ts";
import { LoadedModels } from "../backend/on_demand/loaded_models.ts";
import { createBackend, loadsOnDemand, locateModel } from "./backends.ts";
import { disposeAll, endDaemon, textOf } from "./drain.ts";
import { acquireLock } from "./lock.ts";
import { prepareRuntimeDir } from "./runtime_dir.ts";
import { Serving } from "./serving.ts";

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
  const log = parts.log ?? built.use(openActivityLog({
    dir: options.logDir,
    level: options.logLevel,
    stderr: true,
    onStopped: (reason) => board.logStopped(reason),
    onResumed: () => board.logResumed(),
  }));
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
  };
  return { admissions, live, board, peers, log, shared, built };
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

/** Steps 5 and 6: models located, and everything built that answers requests; no backend is started. */
async function build(
  options: DaemonOptions,
  parts: StartOptions,
  { signal, ...ground }: Ground & { readonly signal: AbortSignal; readonly onFailure: (error: unknown) => void },
): Promise<Serving> {
  const { board, log, built } = ground;
  const downloads = new DownloadLog(log);
  const onPhase = (phase: LoadPhase): void => {
    board.loading(phase);
    downloads.see(phase);
  };
  const hashes = new ModelHashes({ cachePath: hashCachePath(options) });
  if (keepsHashes(options)) hashes.prepare();
  const locate = { options, log, onPhase, signal, built };
  const located = parts.backends === undefined
    ? await Promise.all(options.backends.map((config) => locateModel(config, locate)))
    : options.backends.map((config) => ({ config }));
  signal.throwIfAborted();
  const fetcher = new LibraryFetcher({
    cacheDir: options.cacheDir ?? options.runtimeDir,
    ...(options.home === undefined ? {} : { home: options.home }),
    ...(parts.packages === undefined ? {} : { packages: parts.packages }),
  });
  const loaded = loadsOnDemand(options.backends) ? { loaded: new LoadedModels() } : {};
  const backends = parts.backends ??
    await Promise.all(located.map((one, index) => createBackend(one, { options, fetcher, hashes, ...loaded }, index)));
  return new Serving({
    ...ground,
    options,
    backends,
    configs: located.map(({ config }) => config),
    hashes,
    onPhase,
    ...(parts.now === undefined ? {} : { now: parts.now }),
    ...(parts.downLimitMs === undefined ? {} : { downLimitMs: parts.downLimitMs }),
  });
}

function budgetBytes({ memoryBudgetMib }: DaemonOptions, heapBytes: number): number {
  return memoryBudgetMib === undefined ? defaultBudgetBytes(heapBytes) : memoryBudgetMib * 1024 * 1024;
}

class RunningDaemon implements Daemon {
  readonly options: DaemonOptions;
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
  readonly #parts: StartOptions;
  readonly #ground: Ground;
  readonly #booting = new AbortController();
  readonly #serving: Promise<Serving>;
  readonly #ended = Promise.withResolvers<void>();
  #isReady = false;
  #ending: Promise<void> | undefined;

  constructor(options: DaemonOptions, parts: StartOptions, ground: Ground) {
    this.options = options;
    this.#parts = parts;
    this.#ground = ground;
    this.done = this.#ended.promise;
    this.#serving = build(options, parts, {
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
      const serving = await this.#serving;
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
    this.#ground.shared.memory.limitBytes = budgetBytes(this.options, getHeapStatistics().heap_size_limit);
  }

  #dropPermissions(): void {
    const { dropPermissions } = this.#parts;
    if (dropPermissions === undefined) return;
    this.#ground.log.info("permissions_left", { ...dropBootPermissions(this.options, dropPermissions) });
  }

  #end(failure?: unknown): Promise<void> {
    return this.#ending ??= endDaemon({
      ...this.#ground,
      drainTimeoutSecs: this.options.drainTimeoutSecs,
      failure,
      drain: async (cut) => {
        // What was not built serves nothing; why, the boot has told.
        const serving = await this.#serving.catch(() => undefined);
        await serving?.drain(cut);
      },
    }).then(this.#ended.resolve, this.#ended.reject);
  }
}
