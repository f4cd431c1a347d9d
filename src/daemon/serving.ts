/** Routes requests from sockets to backends. Fully built before any backend starts; receives the backends' notices. */
import { abortable } from "@std/async";
import type { LoadPhase } from "@inferd/client/protocol";
import type { StatusBoard } from "../admin/status.ts";
import type { DaemonOptions, Listen, SurfaceName } from "../config/options.ts";
import { type Backend, type BackendNotice, type Service, takesRequests, toStatus } from "../inference/backend.ts";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog } from "../log/log.ts";
import type { ModelHashes } from "../models/file/model_hashes.ts";
import type { LiveRequests } from "../pipeline/live_requests.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { Router } from "../pipeline/router.ts";
import { type Binding, Bindings } from "../server/bindings.ts";
import { DispatchServer } from "../server/dispatch_server.ts";
import { InferenceServer, withPorts } from "../server/inference_server.ts";
import type { Peers } from "../server/peer.ts";
import type { Shared } from "../server/shared.ts";
import { Dispatch } from "../surfaces/dispatch.ts";
import type { Surface } from "../surfaces/surface.ts";
import { SURFACES } from "../surfaces/surfaces.ts";
import type { Admissions } from "./admissions.ts";
import { disposeMembers, type Member } from "./member.ts";
import { DownLimit, timeoutError } from "./not_served.ts";
import { ReadyClock } from "./ready_clock.ts";
import { ServedConfig } from "./served_config.ts";

export interface ServingOptions {
  readonly options: DaemonOptions;
  readonly members: readonly Member[];
  readonly admissions: Admissions;
  readonly live: LiveRequests;
  readonly board: StatusBoard;
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  readonly hashes: ModelHashes;
  /** State shared by the connections of all sockets. */
  readonly shared: Shared;
  /** Receives everything built here, for disposal. */
  readonly built: AsyncDisposableStack;
  /** Clock for the circuit breakers. Default: the process's. */
  readonly now?: () => number;
  /** Milliseconds for which every backend may be down. */
  readonly downLimitMs?: number;
  /** Called with loading phases. */
  readonly onPhase: (phase: LoadPhase) => void;
  /** Called if sockets cannot be bound again, so that the daemon cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export class Serving {
  readonly #options: ServingOptions;
  readonly #engineLog: ActivityLog;
  readonly #router: Router;
  /** Active backends, in order of priority. */
  #members: readonly Member[];
  /** All undisposed backends, including those that finish their requests. */
  readonly #alive = new Set<Member>();
  #settings: DaemonOptions;
  #served: ServedConfig;
  readonly #servers: readonly InferenceServer[];
  readonly #dispatch: DispatchServer;
  readonly #bindings: Bindings;
  readonly #firstBound = Promise.withResolvers<void>();
  /** Whether all backends have been ready once: from then on sockets follow the backends' states. */
  #isOpen = false;
  readonly #down: DownLimit;
  /** Phase in which the last engine restart began. */
  #restarting: LoadPhase | undefined;

  constructor(options: ServingOptions) {
    const { members, built, log } = options;
    this.#options = options;
    this.#settings = options.options;
    this.#members = members;
    this.#engineLog = log.for("engine");
    for (const member of members) this.#alive.add(member);
    built.defer(() => disposeMembers(this.#alive));
    this.#router = new Router(members.map(({ backend }) => backend), {
      ...(options.now === undefined ? {} : { now: options.now }),
      onBreaker: (backend, change) => {
        log.warn(`breaker_${change}`, { backend });
        options.board.breaker(backend, change);
      },
    });
    const { listen } = options.options;
    this.#servers = Object.entries(SURFACES).map(([name, surface]) =>
      built.use(this.#serverOf(surface, listen[name as SurfaceName]))
    );
    this.#served = this.#servedConfig(members, options.options);
    built.defer(() => this.#served[Symbol.asyncDispose]());
    this.#dispatch = built.use(this.#dispatchServer());
    this.#bindings = this.#bindingsOf();
    this.#down = built.use(new DownLimit({ onFailure: options.onFailure, limitMs: options.downLimitMs }));
    // Observed by `open`; others may ignore it.
    this.#firstBound.promise.catch(() => {});
  }

  /** Steps 6 and 7: {@linkcode start} every backend. */
  load(signal: AbortSignal): Promise<void> {
    return this.start(this.#members, this.#settings, signal);
  }

  /**
   * Start backends, active ones or replacements, and wait until all are ready.
   *
   * @throws {ReadyTimeoutError} If one takes too long.
   * @throws {BackendUnavailableError} If one cannot become ready.
   */
  async start(members: readonly Member[], options: DaemonOptions, signal: AbortSignal): Promise<void> {
    const { readyTimeoutSecs } = options;
    const late = new AbortController();
    using clock = new ReadyClock({
      limitMs: readyTimeoutSecs * 1000,
      backends: members.map(({ backend }) => backend.name),
      onLate: () => late.abort(timeoutError(members, readyTimeoutSecs)),
    });
    const either = AbortSignal.any([signal, late.signal]);
    for (const member of members) this.#alive.add(member);
    const start = (one: Member): Promise<void> => one.backend.start((what) => this.#onNotice(one, what, clock), either);
    await abortable(Promise.all(members.map(start)), either);
  }

  /** Where surfaces listen, with the ports that the system chose. */
  get listen(): DaemonOptions["listen"] {
    return withPorts(this.#options.options.listen, Object.keys(SURFACES) as SurfaceName[], this.#servers);
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  /**
   * Stop routing requests to backends, let them finish until `cut` fires, and dispose of them.
   *
   * @param gone The backends; need not be active.
   * @param why Phase to report for services that are lost meanwhile.
   */
  async retire(gone: readonly Member[], cut: AbortSignal, why?: LoadPhase): Promise<void> {
    const stay = this.#members.filter((member) => !gone.includes(member));
    if (why !== undefined) this.#restarting = why;
    const idle = this.#router.replace(stay.map(({ backend }) => backend));
    this.#members = stay;
    this.#bindings.follow();
    this.#tellLoss();
    await this.#dispose(gone, idle, cut);
  }

  /**
   * Switch to these backends and options.
   *
   * @param members In order of priority; all ready.
   * @param cut Cancels remaining requests of the replaced backends.
   * @returns Resolves when the replaced backends are gone; the new ones answer before that.
   */
  async change(
    members: readonly Member[],
    options: DaemonOptions,
    cut: AbortSignal,
  ): Promise<{ retired: Promise<void> }> {
    const { admissions, board } = this.#options;
    const served = this.#servedConfig(members, options);
    for (const member of members) member.tellServed(served);
    // Hash model files before requests are routed to the new backends.
    await served.known();
    const before = this.#served;
    const gone = this.#members.filter((member) => !members.includes(member));
    this.#served = served;
    this.#settings = options;
    this.#members = members;
    const idle = this.#router.replace(members.map(({ backend }) => backend));
    admissions.reconfigure(options);
    board.replace(members.map(({ backend }) => backend.name));
    for (const { backend, ready } of members) {
      if (ready !== undefined) board.capable(backend.name, ready.capabilities);
      if (backend.state !== "ready") board.changed(backend.name, toStatus(backend.state));
    }
    const { apiKey, idleTimeoutSecs } = options;
    for (const server of this.#servers) {
      server.configure({
        ...(apiKey === undefined ? {} : { apiKey }),
        ...(idleTimeoutSecs === undefined ? {} : { idleMs: idleTimeoutSecs * 1000 }),
      });
    }
    this.#bindings.follow();
    await this.#bindings.settled();
    await before[Symbol.asyncDispose]();
    return { retired: this.#dispose(gone, idle, cut) };
  }

  /** Tracks the `config_id` of these backends. */
  #servedConfig(members: readonly Member[], { parallel, queueDepth }: DaemonOptions): ServedConfig {
    const { log, hashes } = this.#options;
    const served: ServedConfig = new ServedConfig({
      backends: members.flatMap(({ config }) => config ?? []),
      parallel,
      queueDepth,
      log,
      hashes,
      onChange: () => {
        if (served === this.#served) this.#bindings.follow();
      },
    });
    return served;
  }

  /** Disposes of backends once they are idle, or `cut` fires. */
  async #dispose(
    gone: readonly Member[],
    idle: ReadonlyMap<Backend, Promise<void>>,
    cut: AbortSignal,
  ): Promise<void> {
    await Promise.all(gone.map(async (member) => {
      await abortable(Promise.resolve(idle.get(member.backend)), cut).catch(() => {});
      try {
        await member[Symbol.asyncDispose]();
      } catch (error) {
        this.#engineLog.error("backend_not_disposed", { backend: member.backend.name, reason: errorText(error) });
      } finally {
        this.#alive.delete(member);
      }
    }));
  }

  /**
   * Step 8: bind the sockets of available services.
   *
   * @throws {BindError} If one cannot be bound.
   */
  async open(signal: AbortSignal): Promise<void> {
    await this.#served.settled();
    this.#isOpen = true;
    this.#bindings.follow();
    await abortable(this.#firstBound.promise, signal);
  }

  /** Step 10: stop accepting, and let running requests finish until `cut` fires. */
  async drain(cut: AbortSignal): Promise<void> {
    await this.#bindings.stop();
    await Promise.all([...this.#servers, this.#dispatch].map((server) => server.drain(cut)));
  }

  #pipeline(service: Service): Pipeline {
    const { admissions, live, log, shared: { pace } } = this.#options;
    return new Pipeline({
      service,
      admission: (backend) => admissions.of(service, backend),
      router: this.#router,
      log,
      live,
      ...(pace === undefined ? {} : { rest: (workMs: number) => pace.rest(workMs, 1) }),
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
    const { admissions, board, peers, log, shared, options: { rpcSocket } } = this.#options;
    const dispatch = new Dispatch({
      namespace: () => this.#settings.namespace,
      backends: () => this.#backends,
      pipelines: {
        v1: this.#pipeline("v1"),
        v2: this.#pipeline("v2"),
        embed: this.#pipeline("embed"),
        rerank: this.#pipeline("rerank"),
      },
      configId: () => this.#served.id,
      state: () => board.state,
      queue: () => admissions.status(),
      capabilities: () => board.capabilities(),
      modelSha256: (backend) => this.#served.modelSha256(backend),
    });
    return new DispatchServer({ ...shared, path: rpcSocket, dispatch, peers, log });
  }

  /** Binds each surface's sockets while a backend can serve it. */
  #bindingsOf(): Bindings {
    const { board, onFailure, log } = this.#options;
    let hasStood = false;
    const told = new Set<string>();
    const surfaces = this.#servers.map((server): Binding => ({
      server,
      serves: () => this.#isOpen && this.#serves(server.service),
      awaited: () => this.#may(server.service),
    }));
    // Dispatch is unavailable while a model file is hashed.
    const dispatch = { server: this.#dispatch, serves: () => this.#isOpen && this.#dispatches(), awaited: () => false };
    return new Bindings([...surfaces, dispatch], {
      onChange: (complete) => {
        if (!complete) return this.#tellLoss();
        hasStood = true;
        told.clear();
        board.ready();
        this.#firstBound.resolve();
      },
      onFailure: (error) => {
        if (hasStood) {
          // What is in the way may go again. It is told once.
          const reason = errorText(error);
          if (!told.has(reason)) log.for("server").error("socket_not_restored", { reason });
          told.add(reason);
          return true;
        }
        this.#firstBound.reject(error);
        onFailure(error);
        return false;
      },
    });
  }

  get #backends(): readonly Backend[] {
    return this.#members.map(({ backend }) => backend);
  }

  #onNotice(member: Member, notice: BackendNotice, clock: ReadyClock): void {
    const { board, onPhase } = this.#options;
    const { backend } = member;
    // A replacement that is loading, or a retired one: not active.
    const isServing = this.#members.includes(member);
    switch (notice.type) {
      case "phase":
        onPhase(notice.phase);
        if (backend.state === "waking") board.phase(backend.name, notice.phase);
        break;
      case "preparing":
        clock.pause(backend.name);
        break;
      case "loading":
        clock.resume(backend.name);
        break;
      case "ready":
        member.ready = notice;
        if (!isServing) return clock.done(backend.name);
        this.#down.clear();
        clock.done(backend.name);
        this.#router.revived(backend.name);
        board.capable(backend.name, notice.capabilities);
        member.tellServed(this.#served);
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
        if (!isServing) return;
        if (notice.type === "restarting") this.#restarting = notice.phase;
        board.changed(backend.name, toStatus(backend.state));
        this.#bindings.follow();
        this.#tellLoss();
        if (this.#settings.exitWhenDown) this.#down.look(this.#backends.map(({ state }) => toStatus(state)));
        break;
      case "log":
        this.#engineLog[notice.level](notice.msg, notice.fields);
        break;
    }
  }

  /** Reports lost services, once until they are back. */
  #tellLoss(): void {
    const { board } = this.#options;
    if (!this.#isOpen || this.#restarting === undefined || this.#bindings.complete) return;
    if (board.state !== "restarting") board.restarting(this.#restarting);
  }

  /** Whether a backend can serve this now. */
  #serves(service: Service): boolean {
    return this.#backends.some(({ state, capabilities }) => takesRequests(state) && capabilities?.[service]);
  }

  /** Whether a backend that is not down for good could serve this. */
  #may(service: Service): boolean {
    return this.#backends.some(({ state, capabilities }) => toStatus(state) !== "down" && capabilities?.[service]);
  }

  /** Whether dispatch has a backend, and a `config_id` to identify the configuration. */
  #dispatches(): boolean {
    return this.#served.identified && this.#backends.some(({ state }) => takesRequests(state));
  }
}
