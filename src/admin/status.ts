/**
 * Where the daemon is, as the frames of the admin stream: the snapshot, the capabilities known so far, and every event
 * for those who listen. Owns which state may follow which; sockets are `server.ts`'s.
 */
import {
  ADMIN_BACKLOG_EVENTS,
  type AdminFrame,
  type BackendStatus,
  type CapabilitiesFrame,
  type LoadPhase,
  type QueueStatus,
} from "@inferd/client/protocol";
import type { BackendCapabilities } from "../inference/backend.ts";

/** What is known of a backend that has been ready. */
interface Known {
  readonly capabilities: BackendCapabilities;
  readonly state: BackendStatus;
  /** What loading is at, where the state is `loading` beside a daemon that serves. */
  readonly phase?: LoadPhase["phase"];
}

const HEAD = { id: "admin", type: "status" } as const;

/** What has to be known to say where the daemon is. */
export interface StatusBoardOptions {
  /** The admission queue, now. */
  readonly queue: () => QueueStatus;
  /** The names of the backends in the order of their priority, in which they are told. */
  readonly backends?: readonly string[];
}

/** Says where the daemon is. */
export class StatusBoard {
  readonly #queue: () => QueueStatus;
  readonly #readers = new Set<StatusReader>();
  /** By backend, in the order of their priority; absent: not known yet. */
  readonly #known = new Map<string, Known | undefined>();
  /** The backends that requests are kept away from. */
  readonly #open = new Set<string>();
  #snapshot: AdminFrame = { ...HEAD, status: "starting" };
  /** What those who come later are told, too. */
  #logStopped: string | undefined;
  #reloadFailed: string | undefined;
  #closed = false;

  constructor(options: StatusBoardOptions) {
    this.#queue = options.queue;
    for (const name of options.backends ?? []) this.#known.set(name, undefined);
  }

  /** Where the daemon is. */
  get state(): AdminFrame["status"] {
    return this.#snapshot.status;
  }

  /** A model is on its way. Said only while nothing serves: a backend that comes back beside another is no news. */
  loading(phase: LoadPhase): void {
    if (this.state === "ready" || this.state === "draining") return;
    this.#become({ ...HEAD, status: "loading_model", ...phase });
  }

  /** A backend is ready. Never replaces the snapshot. */
  capable(backend: string, capabilities: BackendCapabilities): void {
    this.#know(backend, { capabilities, state: "ready" });
  }

  /** The model of a backend is not loaded, and the next request loads it. Never replaces the snapshot. */
  asleep(backend: string, capabilities: BackendCapabilities): void {
    this.#know(backend, { capabilities, state: "asleep" });
  }

  /** A known backend loads and has come to another phase. Never replaces the snapshot. */
  phase(backend: string, { phase }: LoadPhase): void {
    const known = this.#known.get(backend);
    // Amounts change many times a second, phases a few times in all.
    if (known?.state === "loading" && known.phase !== phase) this.#know(backend, { ...known, phase });
  }

  /** A backend that has been ready is in another state. Never replaces the snapshot. */
  changed(backend: string, state: BackendStatus): void {
    const known = this.#known.get(backend);
    if (known !== undefined && known.state !== state) {
      this.#know(backend, { capabilities: known.capabilities, state });
    }
  }

  /** Everything that backends can be asked for is served. */
  ready(): void {
    if (this.state !== "draining") this.#become({ ...HEAD, status: "ready" });
  }

  /** Something that was served is not, until a backend is loaded again; `phase` is what that begins with. */
  restarting(phase: LoadPhase): void {
    if (this.state !== "draining") this.#become({ ...HEAD, status: "restarting", ...phase });
  }

  /** The daemon is about to end. */
  draining(): void {
    if (this.state !== "draining") this.#become({ ...HEAD, status: "draining" });
  }

  /** The activity log cannot be written. Never replaces the snapshot. */
  logStopped(reason: string): void {
    this.#logStopped = toLine({ ...HEAD, status: "log_stopped", reason });
    this.#tell(this.#logStopped);
  }

  /** The activity log can be written again, so that nobody else is told. */
  logResumed(): void {
    this.#logStopped = undefined;
  }

  /** Requests are kept away from a backend, or let through again. Never replaces the snapshot. */
  breaker(backend: string, change: "opened" | "closed"): void {
    if (change === "opened") this.#open.add(backend);
    else this.#open.delete(backend);
    const known = this.#known.get(backend);
    if (known !== undefined) this.#tell(this.#capabilitiesLine(backend, known));
  }

  /** The configuration was read again, and nothing of it is used. Never replaces the snapshot. */
  reloadFailed(reason: string): void {
    this.#reloadFailed = toLine({ ...HEAD, status: "reload_failed", reason });
    this.#tell(this.#reloadFailed);
  }

  /**
   * The configuration was read again, and is what is served now. Never replaces the snapshot.
   *
   * @param unchanged Settings that need a restart.
   */
  reloaded(unchanged: readonly string[]): void {
    this.#reloadFailed = undefined;
    this.#tell(toLine({ ...HEAD, status: "reloaded", needs_restart: [...unchanged] }));
  }

  /** There are other backends, in this order; what is known of those that stay holds. */
  replace(backends: readonly string[]): void {
    const known = backends.map((name) => [name, this.#known.get(name)] as const);
    this.#known.clear();
    for (const [name, one] of known) this.#known.set(name, one);
  }

  /** What is known of what each backend can do, without the head every frame has. */
  capabilities(): Omit<CapabilitiesFrame, keyof typeof HEAD | "status">[] {
    return this.#capabilities().map(([backend, known]) => this.#describe(backend, known));
  }

  /** Listen: what is known, then what happens. */
  subscribe(): StatusReader {
    const reader = new StatusReader(() => this.#readers.delete(reader));
    for (const [backend, known] of this.#capabilities()) reader.push(this.#capabilitiesLine(backend, known));
    // Before the snapshot, at which a reader that wants one look stops.
    if (this.#logStopped !== undefined) reader.push(this.#logStopped);
    if (this.#reloadFailed !== undefined) reader.push(this.#reloadFailed);
    reader.push(toLine(this.#snapshot));
    if (this.#closed) reader.end();
    else this.#readers.add(reader);
    return reader;
  }

  /** Nothing follows: every reader gets what it has not taken yet, and then the end. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
  }

  #become(frame: AdminFrame): void {
    this.#snapshot = frame;
    this.#tell(toLine(frame));
  }

  #tell(line: string): void {
    for (const reader of this.#readers) reader.push(line);
  }

  #know(backend: string, known: Known): void {
    this.#known.set(backend, known);
    this.#tell(this.#capabilitiesLine(backend, known));
  }

  #capabilities(): [string, Known][] {
    return [...this.#known].flatMap(([name, known]) => known === undefined ? [] : [[name, known]]);
  }

  #capabilitiesLine(backend: string, known: Known): string {
    const frame: CapabilitiesFrame = { ...HEAD, status: "capabilities", ...this.#describe(backend, known) };
    return toLine(frame);
  }

  #describe(backend: string, { capabilities, state, phase }: Known): ReturnType<StatusBoard["capabilities"]>[number] {
    const { templateError } = capabilities;
    return {
      backend,
      v2: capabilities.v2,
      vision: capabilities.vision,
      audio: capabilities.audio,
      tools: capabilities.tools,
      thinking: capabilities.thinking,
      embed: capabilities.embed,
      accelerator: capabilities.accelerator,
      gpu_layers: capabilities.gpuLayers,
      rerank: capabilities.rerank,
      model: capabilities.model,
      ...(capabilities.draft === undefined ? {} : { draft: capabilities.draft }),
      n_ctx: capabilities.contextTokens,
      parallel: capabilities.parallel,
      state,
      breaker: this.#open.has(backend) ? "open" : "closed",
      ...(capabilities.memoryBytes === undefined ? {} : { memory_bytes: capabilities.memoryBytes }),
      ...(phase === undefined ? {} : { phase }),
      ...(templateError === undefined ? {} : { template_error: templateError }),
      queue: this.#queue(),
    };
  }
}

/** One who listens, and what was not taken yet. */
export class StatusReader implements Disposable {
  readonly #leave: () => void;
  #lines: string[] = [];
  /** Lines that were taken and of which nobody has said yet that they arrived. */
  #taken = 0;
  #ended = false;
  #overrun = new AbortController();
  #wake: (() => void) | undefined;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  /** Fires when the reader has fallen too far behind. */
  get overrun(): AbortSignal {
    return this.#overrun.signal;
  }

  /** Add a line; for the board. */
  push(line: string): void {
    if (this.#ended) return;
    this.#lines.push(line);
    if (this.#lines.length + this.#taken > ADMIN_BACKLOG_EVENTS) {
      this.#lines = [];
      this[Symbol.dispose]();
      this.#overrun.abort();
    }
    this.#wake?.();
  }

  /** Add the end; for the board. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /**
   * Everything there is, at least one line; what was taken before has arrived.
   *
   * @returns The lines with their newlines, or `undefined` at the end.
   */
  async take(): Promise<string | undefined> {
    this.#taken = 0;
    while (this.#lines.length === 0 && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    this.#wake = undefined;
    if (this.#lines.length === 0) return undefined;
    const lines = this.#lines;
    this.#lines = [];
    this.#taken = lines.length;
    return lines.join("");
  }

  /** Listen no more. */
  [Symbol.dispose](): void {
    this.end();
    this.#leave();
  }
}

function toLine(frame: AdminFrame): string {
  return JSON.stringify(frame) + "\n";
}
