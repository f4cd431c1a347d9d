/**
 * The daemon's state as frames of the admin stream: the snapshot, the capabilities known so far, and every event for
 * listeners. Owns which state may follow which; sockets belong to `server.ts`.
 */
import {
  ADMIN_BACKLOG_EVENTS,
  type AdminFrame,
  type BackendStatus,
  type CapabilitiesFrame,
  type LoadPhase,
  type ModelFileFields,
  type QueueStatus,
  type RequestDefaultFields,
} from "@inferd/client/protocol";
import type { BackendCapabilities, ModelFileInfo } from "../inference/backend.ts";
import type { SamplingDefaults } from "../inference/model_settings.ts";
import { defined } from "../inference/objects.ts";

/** The capabilities of a backend that has been ready. */
interface Known {
  readonly capabilities: BackendCapabilities;
  readonly state: BackendStatus;
  /** When it entered this state. */
  readonly since: number;
  /** The phase of loading, when the state is `loading` while the daemon serves. */
  readonly phase?: LoadPhase;
}

const HEAD = { id: "admin", type: "status" } as const;

export interface StatusBoardOptions {
  /** The admission queue, now. */
  readonly queue: () => QueueStatus;
  /** The names of the backends in order of priority, in which they are reported. */
  readonly backends?: readonly string[];
  /** Monotonic clock in milliseconds. */
  readonly now?: () => number;
}

export class StatusBoard {
  readonly #queue: () => QueueStatus;
  readonly #now: () => number;
  readonly #readers = new Set<StatusReader>();
  /** By backend, in the order of their priority; absent: not known yet. */
  readonly #known = new Map<string, Known | undefined>();
  /** The backends whose breaker is open. */
  readonly #open = new Set<string>();
  #snapshot: AdminFrame = { ...HEAD, status: "starting" };
  /** Sent to later listeners, too. */
  #logStopped: string | undefined;
  #reloadFailed: string | undefined;
  #closed = false;

  constructor(options: StatusBoardOptions) {
    this.#queue = options.queue;
    this.#now = options.now ?? ((): number => performance.now());
    for (const name of options.backends ?? []) this.#known.set(name, undefined);
  }

  get state(): AdminFrame["status"] {
    return this.#snapshot.status;
  }

  /** A model is loading. Reported only while nothing serves: a backend that returns beside another is not news. */
  loading(phase: LoadPhase): void {
    if (this.state === "ready" || this.state === "draining") return;
    this.#become({ ...HEAD, status: "loading_model", ...phase });
  }

  /** A backend is ready. Never replaces the snapshot. */
  capable(backend: string, capabilities: BackendCapabilities): void {
    const known = this.#known.get(backend);
    this.#know(backend, { capabilities, state: "ready", since: known?.state === "ready" ? known.since : this.#now() });
  }

  /** The model of a backend is not loaded, and the next request loads it. Never replaces the snapshot. */
  asleep(backend: string, capabilities: BackendCapabilities): void {
    this.#know(backend, { capabilities, state: "asleep", since: this.#now() });
  }

  /** The loading phase or progress of a known backend changed. Never replaces the snapshot. */
  phase(backend: string, phase: LoadPhase): void {
    const known = this.#known.get(backend);
    // Download progress changes many times a second, and is not reported.
    const isNews = known?.phase?.phase !== phase.phase || progressOf(phase) !== undefined;
    if (known?.state === "loading" && isNews) this.#know(backend, { ...known, phase });
  }

  /** A backend that has been ready is in another state. Never replaces the snapshot. */
  changed(backend: string, state: BackendStatus): void {
    const known = this.#known.get(backend);
    if (known !== undefined && known.state !== state) {
      this.#know(backend, { capabilities: known.capabilities, state, since: this.#now() });
    }
  }

  /** Every surface of the backends is served. */
  ready(): void {
    if (this.state !== "draining") this.#become({ ...HEAD, status: "ready" });
  }

  /** A surface is not served until a backend is loaded again; `phase` is the first phase of that. */
  restarting(phase: LoadPhase): void {
    if (this.state !== "draining") this.#become({ ...HEAD, status: "restarting", ...phase });
  }

  draining(): void {
    if (this.state !== "draining") this.#become({ ...HEAD, status: "draining" });
  }

  /** The activity log cannot be written. Never replaces the snapshot. */
  logStopped(reason: string): void {
    this.#logStopped = toLine({ ...HEAD, status: "log_stopped", reason });
    this.#tell(this.#logStopped);
  }

  /** The activity log can be written again; later listeners are not told that it had stopped. */
  logResumed(): void {
    this.#logStopped = undefined;
  }

  /** A backend's breaker has opened or closed. Never replaces the snapshot. */
  breaker(backend: string, change: "opened" | "closed"): void {
    if (change === "opened") this.#open.add(backend);
    else this.#open.delete(backend);
    const known = this.#known.get(backend);
    if (known !== undefined) this.#tell(this.#capabilitiesLine(backend, known));
  }

  /** A reload failed, and the old configuration stays. Never replaces the snapshot. */
  reloadFailed(reason: string): void {
    this.#reloadFailed = toLine({ ...HEAD, status: "reload_failed", reason });
    this.#tell(this.#reloadFailed);
  }

  /**
   * A reload succeeded, and the new configuration is served. Never replaces the snapshot.
   *
   * @param unchanged Settings that need a restart.
   */
  reloaded(unchanged: readonly string[]): void {
    this.#reloadFailed = undefined;
    this.#tell(toLine({ ...HEAD, status: "reloaded", needs_restart: [...unchanged] }));
  }

  /** Replace the list of backends, in this order; the state of those that stay is kept. */
  replace(backends: readonly string[]): void {
    const known = backends.map((name) => [name, this.#known.get(name)] as const);
    this.#known.clear();
    for (const [name, one] of known) this.#known.set(name, one);
  }

  /** The capabilities of each backend, without the fields that every frame has. */
  capabilities(): Omit<CapabilitiesFrame, keyof typeof HEAD | "status">[] {
    return this.#capabilities().map(([backend, known]) => this.#describe(backend, known));
  }

  /** Listen: the current state first, then events. */
  subscribe(): StatusReader {
    const reader = new StatusReader(() => this.#readers.delete(reader));
    for (const [backend, known] of this.#capabilities()) reader.push(this.#capabilitiesLine(backend, known));
    // Before the snapshot, where a reader that wants only the current state stops.
    if (this.#logStopped !== undefined) reader.push(this.#logStopped);
    if (this.#reloadFailed !== undefined) reader.push(this.#reloadFailed);
    reader.push(toLine(this.#snapshot));
    if (this.#closed) reader.end();
    else this.#readers.add(reader);
    return reader;
  }

  /** End the stream: every reader gets what it has not read yet, then the end. */
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

  #describe(backend: string, known: Known): ReturnType<StatusBoard["capabilities"]>[number] {
    const { capabilities, state, phase, since } = known;
    const { templateError, memoryBytes, infill, modelFile, defaults } = capabilities;
    const progress = progressOf(phase);
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
      ...defined({
        // Without an engine it takes no memory.
        memory_bytes: state === "ready" ? memoryBytes : undefined,
        uptime_ms: state === "ready" ? Math.round(this.#now() - since) : undefined,
        phase: phase?.phase,
        progress,
        template_error: templateError,
        infill,
        model_file: modelFile && fileFields(modelFile),
        defaults: defaults && defaultFields(defaults),
      }),
      queue: this.#queue(),
    };
  }
}

function fileFields({ sizeBytes, modifiedAt, metadata, ...rest }: ModelFileInfo): ModelFileFields {
  return { size_bytes: sizeBytes, modified_at: modifiedAt.toISOString(), ...rest, metadata: { ...metadata } };
}

function defaultFields({ topP, topK, minP, maxTokens, ...rest }: SamplingDefaults): RequestDefaultFields {
  const { presencePenalty, frequencyPenalty, repeatPenalty, temperature, seed, stop } = rest;
  return defined({
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    presence_penalty: presencePenalty,
    frequency_penalty: frequencyPenalty,
    repeat_penalty: repeatPenalty,
    seed,
    max_tokens: maxTokens,
    stop: stop && [...stop],
  });
}

/** One listener, and the lines it has not read yet. */
export class StatusReader implements Disposable {
  readonly #leave: () => void;
  #lines: string[] = [];
  /** Lines that were taken but are not confirmed yet. */
  #taken = 0;
  #ended = false;
  readonly #overrun = new AbortController();
  readonly #end = new AbortController();
  #wake: (() => void) | undefined;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  /** Aborted after the last line. */
  get ended(): AbortSignal {
    return this.#end.signal;
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
    this.#end.abort();
    this.#wake?.();
  }

  /**
   * All pending lines, at least one; confirms those taken before.
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

  [Symbol.dispose](): void {
    this.end();
    this.#leave();
  }
}

/** Progress of loading weights, if known. */
function progressOf(phase: LoadPhase | undefined): number | undefined {
  return phase?.phase === "mmap" ? phase.progress : undefined;
}

function toLine(frame: AdminFrame): string {
  return JSON.stringify(frame) + "\n";
}
