/**
 * What answers requests, built whole before any backend is started: router, servers, dispatch, and the sockets that
 * follow what can be served. Hears what backends say, and tells the admin stream.
 */
import { abortable } from "@std/async";
import type { LoadPhase } from "@inferd/client/protocol";
import type { StatusBoard } from "../admin/status.ts";
import type { BackendConfig, DaemonOptions, Listen, SurfaceName } from "../config/options.ts";
import { type Backend, type BackendNotice, type Service, takesRequests, toStatus } from "../inference/backend.ts";
import type { ActivityLog } from "../log/log.ts";
import type { ModelHashes } from "../models/file/model_hashes.ts";
import type { LiveRequests } from "../pipeline/live_requests.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { Router } from "../pipeline/router.ts";
import { type Binding, Bindings } from "../server/bindings.ts";
import { DispatchServer } from "../server/dispatch_server.ts";
import { InferenceServer } from "../server/inference_server.ts";
import type { Peers } from "../server/peer.ts";
import type { Shared } from "../server/shared.ts";
import { Dispatch } from "../surfaces/dispatch.ts";
import { embedSurface } from "../surfaces/embed.ts";
import { rerankSurface } from "../surfaces/rerank.ts";
import type { Surface } from "../surfaces/surface.ts";
import { v1Surface } from "../surfaces/v1.ts";
import { v2Surface } from "../surfaces/v2.ts";
import type { Admissions } from "./admissions.ts";
import { ReadyClock } from "./ready_clock.ts";
import { ServedConfig } from "./served_config.ts";

const SURFACES: Readonly<Record<SurfaceName, Surface>> = {
  infer: v1Surface,
  v2: v2Surface,
  embed: embedSurface,
  rerank: rerankSurface,
};

/** How long nothing can be served before a daemon ends that is to end then, in milliseconds. */
const DOWN_LIMIT_MS = 5 * 60_000;

/** Every backend has been down for long. */
export class AllDownError extends Error {
  override readonly name = "AllDownError";
}

/** Not every backend was ready in time. */
export class ReadyTimeoutError extends Error {
  override readonly name = "ReadyTimeoutError";
}

/** What it is built from. */
export interface ServingOptions {
  readonly options: DaemonOptions;
  readonly backends: readonly Backend[];
  /** The configurations of the backends, with their models located. */
  readonly configs: readonly BackendConfig[];
  readonly admissions: Admissions;
  readonly live: LiveRequests;
  readonly board: StatusBoard;
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  readonly hashes: ModelHashes;
  /** What the connections of all sockets share. */
  readonly shared: Shared;
  /** Disposes of what is built here, too. */
  readonly built: AsyncDisposableStack;
  /** Milliseconds of a clock that never goes back, for the breakers. Absent: the process's. */
  readonly now?: () => number;
  /** How long every backend may be down where `exitWhenDown` is set, in milliseconds. Absent: five minutes. */
  readonly downLimitMs?: number;
  /** A model is on its way. */
  readonly onPhase: (phase: LoadPhase) => void;
  /** The sockets cannot stand any more where they stood: there is nothing left to be a daemon for. */
  readonly onFailure: (error: unknown) => void;
}

/** Serves requests. */
export class Serving {
  readonly #options: ServingOptions;
  readonly #engineLog: ActivityLog;
  readonly #router: Router;
  readonly #served: ServedConfig;
  readonly #servers: readonly InferenceServer[];
  readonly #dispatch: DispatchServer;
  readonly #bindings: Bindings;
  readonly #firstBound = Promise.withResolvers<void>();
  /** Every backend has been ready: from now on the sockets follow the backends. */
  #isOpen = false;
  /** Runs while every backend is down. */
  #downTimer: ReturnType<typeof setTimeout> | undefined;
  /** What the last restart of an engine began with. */
  #restarting: LoadPhase | undefined;

  constructor(options: ServingOptions) {
    const { backends, built, configs, log, hashes } = options;
    this.#options = options;
    this.#engineLog = log.for("engine");
    for (const backend of backends) built.use(backend);
    this.#router = new Router(backends, {
      ...(options.now === undefined ? {} : { now: options.now }),
      onBreaker: (backend, change) => {
        log.warn(`breaker_${change}`, { backend });
        options.board.breaker(backend, change);
      },
    });
    const { listen, parallel, queueDepth } = options.options;
    this.#servers = Object.entries(SURFACES).map(([name, surface]) =>
      built.use(this.#serverOf(surface, listen[name as SurfaceName]))
    );
    const onChange = (): void => this.#bindings.follow();
    this.#served = built.use(new ServedConfig({ backends: configs, parallel, queueDepth, log, hashes, onChange }));
    this.#dispatch = built.use(this.#dispatchServer());
    this.#bindings = this.#bindingsOf();
    built.defer(() => clearTimeout(this.#downTimer));
    // Told to who opens; nobody has to.
    this.#firstBound.promise.catch(() => {});
  }

  /**
   * Steps 6 and 7: start every backend, and wait until all are ready.
   *
   * @throws {ReadyTimeoutError} If one takes too long.
   */
  async load(signal: AbortSignal): Promise<void> {
    const { backends, options: { readyTimeoutSecs } } = this.#options;
    const late = new AbortController();
    using clock = new ReadyClock({
      limitMs: readyTimeoutSecs * 1000,
      backends: backends.map(({ name }) => name),
      onLate: () => late.abort(this.#timeoutError()),
    });
    const either = AbortSignal.any([signal, late.signal]);
    const starts = backends.map((backend) => backend.start((notice) => this.#onNotice(backend, notice, clock), either));
    await abortable(Promise.all(starts), either);
  }

  /**
   * Step 8: bind the sockets of what can be served.
   *
   * @throws {BindError} If one cannot stand where it should.
   */
  async open(signal: AbortSignal): Promise<void> {
    await this.#served.settled();
    this.#isOpen = true;
    this.#bindings.follow();
    await abortable(this.#firstBound.promise, signal);
  }

  /** Step 10: accept nothing new, and let what runs finish until `cut` fires. */
  async drain(cut: AbortSignal): Promise<void> {
    await this.#bindings.stop();
    await Promise.all([...this.#servers, this.#dispatch].map((server) => server.drain(cut)));
  }

  #pipeline(service: Service): Pipeline {
    const { admissions, live, log } = this.#options;
    return new Pipeline({
      service,
      admission: (backend) => admissions.of(service, backend),
      router: this.#router,
      log,
      live,
    });
  }

  #serverOf(surface: Surface, { socket, tcp }: Listen): InferenceServer {
    const { peers, log, shared, options: { group, apiKey, idleTimeoutSecs } } = this.#options;
    return new InferenceServer({
      ...shared,
      ...(idleTimeoutSecs === undefined ? {} : { idleMs: idleTimeoutSecs * 1000 }),
      surface,
      pipeline: this.#pipeline(surface.service),
      unix: { path: socket, ...(group === undefined ? {} : { group }) },
      ...(tcp === undefined ? {} : { tcp: { address: tcp, ...(apiKey === undefined ? {} : { apiKey }) } }),
      peers,
      log,
    });
  }

  #dispatchServer(): DispatchServer {
    const { admissions, backends, board, peers, log, shared, options: { namespace, rpcSocket } } = this.#options;
    const served = this.#served;
    const dispatch = new Dispatch({
      namespace,
      backends,
      pipelines: {
        v1: this.#pipeline("v1"),
        v2: this.#pipeline("v2"),
        embed: this.#pipeline("embed"),
        rerank: this.#pipeline("rerank"),
      },
      configId: () => served.id,
      state: () => board.state,
      queue: () => admissions.status(),
      capabilities: () => board.capabilities(),
      modelSha256: (backend) => served.modelSha256(backend),
    });
    return new DispatchServer({ ...shared, path: rpcSocket, dispatch, peers, log });
  }

  /** Each surface on its sockets while a backend can serve it. */
  #bindingsOf(): Bindings {
    const { board, onFailure } = this.#options;
    const surfaces = this.#servers.map((server): Binding => ({
      server,
      serves: () => this.#isOpen && this.#serves(server.service),
      awaited: () => this.#may(server.service),
    }));
    // While a model file is hashed there is no dispatch, and everything else.
    const dispatch = { server: this.#dispatch, serves: () => this.#isOpen && this.#dispatches(), awaited: () => false };
    return new Bindings([...surfaces, dispatch], {
      onChange: (complete) => {
        if (!complete) return this.#tellLoss();
        board.ready();
        this.#firstBound.resolve();
      },
      onFailure: (error) => {
        this.#firstBound.reject(error);
        onFailure(error);
      },
    });
  }

  #onNotice(backend: Backend, notice: BackendNotice, clock: ReadyClock): void {
    const { board, onPhase } = this.#options;
    switch (notice.type) {
      case "phase":
        onPhase(notice.phase);
        board.phase(backend.name, notice.phase);
        break;
      case "preparing":
        clock.pause(backend.name);
        break;
      case "loading":
        clock.resume(backend.name);
        break;
      case "ready":
        clearTimeout(this.#downTimer);
        this.#downTimer = undefined;
        clock.done(backend.name);
        this.#router.revived(backend.name);
        board.capable(backend.name, notice.capabilities);
        this.#served.ready(backend.name, notice.capabilities.contextTokens, notice.files);
        this.#bindings.follow();
        break;
      case "asleep":
        clock.done(backend.name);
        board.asleep(backend.name, notice.capabilities);
        this.#served.asleep(backend.name, notice.capabilities.contextTokens);
        this.#bindings.follow();
        break;
      case "waking":
        board.changed(backend.name, toStatus(backend.state));
        break;
      case "restarting":
      case "down":
        this.#engineLog.warn(`backend_${notice.type}`, { backend: backend.name, reason: notice.reason });
        if (notice.type === "restarting") this.#restarting = notice.phase;
        board.changed(backend.name, toStatus(backend.state));
        this.#bindings.follow();
        this.#tellLoss();
        this.#limitDown();
        break;
      case "log":
        this.#engineLog[notice.level](notice.msg, notice.fields);
        break;
    }
  }

  /** Where every backend is down, and a service manager would start the daemon again: end it, after a while. */
  #limitDown(): void {
    const { backends, downLimitMs: limitMs = DOWN_LIMIT_MS, onFailure, options: { exitWhenDown } } = this.#options;
    if (!exitWhenDown || this.#downTimer !== undefined) return;
    if (!backends.every(({ state }) => toStatus(state) === "down")) return;
    this.#downTimer = setTimeout(() => {
      onFailure(new AllDownError(`Every backend has been down for ${limitMs / 1000} s (--exit-when-down)`));
    }, limitMs);
  }

  /** Something that was served is not; told once until it is loaded again. */
  #tellLoss(): void {
    const { board } = this.#options;
    if (!this.#isOpen || this.#restarting === undefined || this.#bindings.complete) return;
    if (board.state !== "restarting") board.restarting(this.#restarting);
  }

  /** Whether a backend can answer such requests now. */
  #serves(service: Service): boolean {
    return this.#options.backends.some(({ state, capabilities }) => takesRequests(state) && capabilities?.[service]);
  }

  /** Whether one could that has not failed for good. */
  #may(service: Service): boolean {
    return this.#options.backends.some(({ state, capabilities }) =>
      toStatus(state) !== "down" && capabilities?.[service]
    );
  }

  /** Whether dispatch has anything to offer, and can say whom it speaks for. */
  #dispatches(): boolean {
    return this.#served.identified && this.#options.backends.some(({ state }) => takesRequests(state));
  }

  #timeoutError(): ReadyTimeoutError {
    const { backends, options: { readyTimeoutSecs: secs } } = this.#options;
    const late = backends.filter(({ state }) => !takesRequests(state)).map(({ name }) => `"${name}"`).join(", ");
    return new ReadyTimeoutError(
      `Not ready within ${secs} s, still waiting for backend ${late}; --ready-timeout SECONDS gives it more time`,
    );
  }
}
