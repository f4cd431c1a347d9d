/**
 * The requests that run and wait now, of all callers, and totals of those that have ended: for the admin socket, which
 * can also cancel one. Knows nothing of prompts and answers but their lengths.
 */
import type { BackendTotals, RequestFrame, RequestStatus, RequestTotals } from "@inferd/client/protocol";
import type { Service } from "../inference/backend.ts";
import type { Usage } from "../inference/events.ts";

/** The operator cancelled the request. */
export class RequestCancelledError extends Error {
  override readonly name = "RequestCancelledError";
}

const HEAD = { id: "admin", type: "status", status: "request" } as const;

/** How much of a caller's id is shown, in UTF-16 units. */
const ID_LENGTH = 128;

export interface BeginningRequest {
  /** The caller's name for it. */
  readonly id: string;
  readonly service: Service;
  /** The caller's: {@linkcode LiveRequest.signal} follows it. */
  readonly signal: AbortSignal;
}

/** What became of a request. */
export type RequestChange = "waiting" | "running" | "done" | "failed";

/** One request under way. Disposal ends it. */
export class LiveRequest implements Disposable {
  readonly #id: string;
  readonly #service: Service;
  readonly #asker: AbortSignal;
  readonly #abort = new AbortController();
  readonly #onAbort = (): void => this.#abort.abort(this.#asker.reason);
  readonly #onChange: (change: RequestChange) => void;
  readonly #startedAt = performance.now();
  #backend: string | undefined;
  #firstAt: number | undefined;
  #pieces = 0;
  #usage: Usage | undefined;

  constructor({ id, service, signal }: BeginningRequest, onChange: (change: RequestChange) => void) {
    this.#id = id.length > ID_LENGTH ? `${id.slice(0, ID_LENGTH)}…` : id;
    this.#service = service;
    this.#asker = signal;
    this.#onChange = onChange;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Fires when the caller's does, and when the request is cancelled. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What it was given, once it is done; absent: it failed, or has not ended. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /** Milliseconds to the first piece; `undefined` while there is none. */
  get firstTokenMs(): number | undefined {
    return this.#firstAt === undefined ? undefined : this.#firstAt - this.#startedAt;
  }

  /** The backend that answers; `undefined` while it waits. */
  get backend(): string | undefined {
    return this.#backend;
  }

  /** Milliseconds since the first piece; `undefined` before it. */
  get generationMs(): number | undefined {
    return this.#firstAt === undefined ? undefined : performance.now() - this.#firstAt;
  }

  /** It has left the queue. */
  running(backend: string): void {
    this.#backend = backend;
    this.#onChange("running");
  }

  /** A piece of its answer has been produced. */
  stepped(): void {
    this.#pieces++;
    this.#firstAt ??= performance.now();
  }

  /** It has been answered. */
  done(usage: Usage): void {
    this.#usage = usage;
  }

  cancel(): void {
    this.#abort.abort(new RequestCancelledError("The operator cancelled the request"));
  }

  /** As the admin socket reports it. */
  describe(number: number): RequestStatus {
    const { firstTokenMs } = this;
    return {
      number,
      id: this.#id,
      service: this.#service,
      state: this.#backend === undefined ? "waiting" : "running",
      ...(this.#backend === undefined ? {} : { backend: this.#backend }),
      age_ms: Math.round(performance.now() - this.#startedAt),
      ...(firstTokenMs === undefined ? {} : { first_token_ms: Math.round(firstTokenMs) }),
      pieces: this.#pieces,
    };
  }

  [Symbol.dispose](): void {
    this.#asker.removeEventListener("abort", this.#onAbort);
    this.#onChange(this.#usage === undefined ? "failed" : "done");
  }
}

/** Knows every request from its arrival to its last frame. */
export class LiveRequests {
  readonly #live = new Map<number, LiveRequest>();
  readonly #totals = { done: 0, failed: 0, prompt_tokens: 0, completion_tokens: 0, first_tokens: 0, first_token_ms: 0 };
  readonly #followers = new Set<(frame: RequestFrame) => void>();
  readonly #byBackend = new Map<string, BackendTotals>();
  #next = 1;

  /** How many run and wait. */
  get count(): number {
    return this.#live.size;
  }

  begin(request: BeginningRequest): LiveRequest {
    const number = this.#next++;
    const live: LiveRequest = new LiveRequest(request, (change) => {
      if (change !== "running") {
        if (!this.#live.delete(number)) return;
        this.#count(live);
      }
      this.#tell(change, number, live);
    });
    this.#live.set(number, live);
    this.#tell("waiting", number, live);
    return live;
  }

  /**
   * Tell of those under way, and of each that comes, runs or ends.
   *
   * @param follower Told in the middle of serving a request.
   * @returns Disposal ends it.
   */
  follow(follower: (frame: RequestFrame) => void): Disposable {
    for (const [number, live] of this.#live) {
      const request = live.describe(number);
      follower({ ...HEAD, change: request.state, request });
    }
    this.#followers.add(follower);
    return { [Symbol.dispose]: () => void this.#followers.delete(follower) };
  }

  #tell(change: RequestChange, number: number, live: LiveRequest): void {
    if (this.#followers.size === 0) return;
    const { usage } = live;
    const frame: RequestFrame = {
      ...HEAD,
      change,
      request: live.describe(number),
      ...(usage === undefined ? {} : { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens }),
    };
    for (const follower of this.#followers) follower(frame);
  }

  /** The requests in progress, oldest first. */
  list(): RequestStatus[] {
    return [...this.#live].map(([number, request]) => request.describe(number));
  }

  /** Totals of the requests that have ended since the daemon started. */
  totals(): RequestTotals {
    return { ...this.#totals };
  }

  /** The same by backend, the first to have answered first. */
  totalsByBackend(): BackendTotals[] {
    return [...this.#byBackend.values()].map((totals) => ({ ...totals }));
  }

  /**
   * Cancel one.
   *
   * @param number As {@linkcode list} tells it.
   * @returns Whether it was under way.
   */
  cancel(number: number): boolean {
    const request = this.#live.get(number);
    request?.cancel();
    return request !== undefined;
  }

  #count({ usage, firstTokenMs, backend, generationMs }: LiveRequest): void {
    const totals = this.#totals;
    if (usage === undefined) {
      totals.failed++;
    } else {
      totals.done++;
      totals.prompt_tokens += usage.promptTokens;
      totals.completion_tokens += usage.completionTokens;
      if (backend !== undefined) {
        const own = this.#byBackend.get(backend) ?? { backend, done: 0, later_tokens: 0, generation_ms: 0 };
        own.done++;
        own.later_tokens += Math.max(0, usage.completionTokens - 1);
        own.generation_ms += generationMs ?? 0;
        this.#byBackend.set(backend, own);
      }
    }
    if (firstTokenMs !== undefined) {
      totals.first_tokens++;
      totals.first_token_ms += firstTokenMs;
    }
  }
}
