/**
 * A backend whose model is loaded by the first request, and unloaded after an idle time or when another model needs the
 * memory. Engine crashes are handled by `llama.ts`.
 */
import type { LongText } from "@inferd/client/protocol";
import { abortable } from "@std/async";
import type { Backend, BackendCapabilities, BackendNotice, BackendState } from "../../inference/backend.ts";
import {
  BackendUnavailableError,
  EmbedUnsupportedError,
  NotEnoughMemoryError,
  RerankUnsupportedError,
} from "../../inference/errors.ts";
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
import { limitLoading, type LoadClock } from "../llama/watch/load_clock.ts";
import type { LoadedModel, LoadedModels } from "./loaded_models.ts";
import { errorText } from "../../log/error_text.ts";

/** Memory constraints for a load. */
export interface Room {
  /** Bytes used by other models. */
  readonly reservedBytes: number;
  /** Fail instead of shrinking the context. */
  readonly wholeContext: boolean;
}

/** A backend that can report capabilities without loading its model. */
export interface LoadableBackend extends Backend {
  /** An alternative to `start`. */
  inspect(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<BackendCapabilities>;
}

export interface OnDemandOptions {
  readonly name: string;
  readonly loaded: LoadedModels;
  /** Creates a backend for each load. */
  readonly create: (room?: Room) => LoadableBackend;
  readonly isFirstLoadedBy: "boot" | "request";
  /** Whether it may be unloaded when another model needs the memory. */
  readonly leaves: boolean;
  /** Idle time before it is unloaded; default: never. */
  readonly idleMs?: number;
  /** Time limit for loading, excluding hashing and fetching. */
  readonly loadTimeoutMs: number;
  /** Monotonic clock in milliseconds; for tests. */
  readonly now?: () => number;
}

export class OnDemandBackend implements Backend, LoadedModel {
  readonly name: string;
  readonly #options: OnDemandOptions;
  readonly #now: () => number;
  readonly #stopping = new AbortController();
  #notify: (notice: BackendNotice) => void = () => {};
  #capabilities: BackendCapabilities | undefined;
  #isStarted = false;
  /** The backend while its model is loaded. */
  #inner: Backend | undefined;
  /** The latest backend; notices from earlier ones are ignored. */
  #current: Backend | undefined;
  #starting: Promise<void> = Promise.resolve();
  #waking: Promise<Backend> | undefined;
  #unloading: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #active = 0;
  #usedAt: number;
  #weightBytes = 0;

  constructor(options: OnDemandOptions) {
    this.name = options.name;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#usedAt = this.#now();
    options.loaded.add(this);
  }

  get state(): BackendState {
    if (this.#stopping.signal.aborted) return "stopped";
    if (this.#inner !== undefined) return this.#inner.state;
    if (!this.#isStarted) return "loading";
    return this.#waking === undefined ? "asleep" : "waking";
  }

  get capabilities(): BackendCapabilities | undefined {
    return this.#capabilities;
  }

  get weightBytes(): number {
    return this.#weightBytes;
  }

  get idleSince(): number | undefined {
    const canLeave = this.#options.leaves && this.#active === 0 && this.#inner?.state === "ready";
    return canLeave ? this.#usedAt : undefined;
  }

  async start(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<void> {
    this.#notify = notify;
    const either = AbortSignal.any([signal, this.#stopping.signal]);
    const starting = this.#options.isFirstLoadedBy === "boot" ? this.#load(either) : this.#inspect(either);
    this.#starting = starting.then(() => {}, () => {});
    const found = await starting;
    if ("start" in found) {
      this.#inner = found;
      this.#isStarted = true;
      return this.#awaitLeave();
    }
    this.#capabilities = found;
    this.#isStarted = true;
    notify({ type: "asleep", capabilities: found });
  }

  async *generate(request: GenerationRequest<LongText>, signal: AbortSignal): AsyncGenerator<BackendEvent> {
    using _use = this.#use();
    const backend = await this.#awake(signal);
    yield* backend.generate(request, signal);
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer> {
    using _use = this.#use();
    const backend = await this.#awake(signal);
    if (backend.embed === undefined) throw new EmbedUnsupportedError(`Backend "${this.name}" does not embed`);
    return await backend.embed(request, signal);
  }

  async rerank(request: RerankRequest, signal: AbortSignal): Promise<RerankAnswer> {
    using _use = this.#use();
    const backend = await this.#awake(signal);
    if (backend.rerank === undefined) throw new RerankUnsupportedError(`Backend "${this.name}" does not rerank`);
    return await backend.rerank(request, signal);
  }

  async tokenizer(request: TokenizerRequest<LongText>, signal: AbortSignal): Promise<TokenizerAnswer> {
    using _use = this.#use();
    const backend = await this.#awake(signal);
    if (backend.tokenizer === undefined) throw new BackendUnavailableError(`Backend "${this.name}" has no tokenizer`);
    return await backend.tokenizer(request, signal);
  }

  async unload(reason: "idle" | "memory"): Promise<void> {
    const inner = this.#inner;
    const capabilities = this.#capabilities;
    if (inner === undefined || capabilities === undefined || this.idleSince === undefined) return;
    clearTimeout(this.#timer);
    this.#inner = undefined;
    this.#current = undefined;
    this.#log("info", "model_unloaded", { reason });
    this.#notify({ type: "asleep", capabilities });
    this.#unloading = this.#end(inner);
    await this.#unloading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopping.abort(new BackendUnavailableError(`Backend "${this.name}" has been stopped`));
    await this.#starting;
    await this.#waking?.catch(() => {});
    await this.#unloading;
    await this.#inner?.[Symbol.asyncDispose]();
  }

  async #inspect(signal: AbortSignal): Promise<BackendCapabilities> {
    await using backend = this.#options.create();
    return await backend.inspect(this.#notify, signal);
  }

  async #end(inner: Backend): Promise<void> {
    await inner[Symbol.asyncDispose]();
    this.#weightBytes = 0;
  }

  /** Keeps the model loaded until disposed of. */
  #use(): Disposable {
    clearTimeout(this.#timer);
    this.#active++;
    this.#usedAt = this.#now();
    const use = new DisposableStack();
    use.defer(() => {
      this.#active--;
      this.#usedAt = this.#now();
      this.#awaitLeave();
    });
    return use;
  }

  #awaitLeave(): void {
    const { idleMs } = this.#options;
    clearTimeout(this.#timer);
    if (idleMs === undefined || this.#active > 0 || this.#inner === undefined) return;
    if (this.#stopping.signal.aborted) return;
    this.#timer = setTimeout(() => {
      // An engine that is restarting is checked again later.
      if (this.idleSince === undefined) this.#awaitLeave();
      else void this.unload("idle");
    }, idleMs);
  }

  /** @throws The signal's reason; the load continues for other callers. */
  async #awake(signal: AbortSignal): Promise<Backend> {
    signal.throwIfAborted();
    this.#stopping.signal.throwIfAborted();
    if (this.#inner !== undefined) return this.#inner;
    if (this.#waking === undefined) {
      const waking = this.#wake();
      this.#waking = waking;
      // There may be no caller left.
      waking.catch(() => {});
      this.#notify({ type: "waking" });
    }
    return await abortable(this.#waking, signal);
  }

  async #wake(): Promise<Backend> {
    const started = this.#now();
    const limit = new AbortController();
    try {
      await this.#unloading;
      return await this.#options.loaded.inTurn(async () => {
        using clock = limitLoading(`Backend "${this.name}"`, this.#options.loadTimeoutMs, limit);
        const signal = AbortSignal.any([limit.signal, this.#stopping.signal]);
        signal.throwIfAborted();
        const inner = await this.#load(signal, clock);
        this.#inner = inner;
        this.#waking = undefined;
        this.#log("info", "model_loaded", { load_ms: Math.round(this.#now() - started) });
        // All callers may have left.
        this.#awaitLeave();
        return inner;
      });
    } catch (error) {
      this.#waking = undefined;
      const reason = errorText(error);
      const { signal } = this.#stopping;
      if (!signal.aborted && this.#capabilities !== undefined) {
        this.#log("error", "model_not_loaded", { reason });
        this.#notify({ type: "asleep", capabilities: this.#capabilities });
      }
      if (error instanceof BackendUnavailableError) throw error;
      throw new BackendUnavailableError(`Cannot load the model of backend "${this.name}": ${reason}`, { cause: error });
    }
  }

  /** Load the model; while it does not fit, unload the models idle longest. */
  async #load(signal: AbortSignal, clock?: LoadClock): Promise<Backend> {
    const { create, loaded } = this.#options;
    for (;;) {
      const backend = create({ reservedBytes: loaded.bytesBeside(this), wholeContext: loaded.canFree(this) });
      let pause: Disposable | undefined;
      this.#current = backend;
      try {
        await backend.start((notice) => {
          if (notice.type === "preparing") pause ??= clock?.pause();
          if (notice.type === "loading") {
            pause?.[Symbol.dispose]();
            pause = undefined;
          }
          this.#pass(backend, notice);
        }, signal);
        return backend;
      } catch (error) {
        await backend[Symbol.asyncDispose]();
        signal.throwIfAborted();
        if (!(error instanceof NotEnoughMemoryError) || !(await loaded.free(this))) throw error;
      }
    }
  }

  #pass(backend: Backend, notice: BackendNotice): void {
    if (this.#current !== backend && notice.type !== "log") return;
    if (notice.type === "ready") {
      this.#capabilities = notice.capabilities;
      const files = [...notice.files ?? [], ...notice.draftFiles ?? []];
      this.#weightBytes = files.reduce((sum, { identity }) => sum + identity.size, 0);
    }
    this.#notify(notice);
  }

  #log(level: "info" | "error", msg: string, fields: Record<string, unknown>): void {
    this.#notify({ type: "log", level, msg, fields: { backend: this.name, ...fields } });
  }
}
