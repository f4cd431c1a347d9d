/**
 * The requests an engine is working on: each with its queue of events, paused while its reader is slow, cancelled when
 * its reader goes. Which engine that is, and whether it lives, is `llama.ts`'s.
 */
import type { EngineEvent, ToEngine } from "../engine/messages.ts";
import { type BackendEvent, type GenerationRequest, InvalidRequestError } from "./backend.ts";
import { EventQueue } from "./event_queue.ts";

/** Events of one request that may wait for their reader before the engine pauses it. */
const MOST_UNTAKEN_EVENTS = 64;

/** How requests reach the engine. */
export interface GenerationsOptions {
  readonly send: (message: ToEngine) => void;
  /** Called when the first request comes, and when the last one has gone. */
  readonly onBusy: (busy: boolean) => void;
}

interface Running {
  readonly queue: EventQueue<BackendEvent>;
  paused: boolean;
  /** Stops listening to the request's signal. */
  readonly release: () => void;
}

/** The requests of one backend. */
export class Generations {
  readonly #options: GenerationsOptions;
  readonly #running = new Map<number, Running>();
  #nextId = 1;

  constructor(options: GenerationsOptions) {
    this.#options = options;
  }

  /** Whether the engine owes somebody something. */
  get waiting(): boolean {
    for (const { paused } of this.#running.values()) if (!paused) return true;
    return false;
  }

  /** Hand a request to the engine. */
  begin(request: GenerationRequest, signal: AbortSignal): AsyncIterator<BackendEvent, undefined> {
    const { send, onBusy } = this.#options;
    const id = this.#nextId++;
    const queue = new EventQueue<BackendEvent>({
      most: MOST_UNTAKEN_EVENTS,
      onFull: () => {
        if (!this.#running.has(id)) return;
        running.paused = true;
        send({ op: "pause", id });
      },
      onDrained: () => {
        running.paused = false;
        send({ op: "resume", id });
      },
      onLeft: () => this.#cancel(id),
    });
    const abort = (): void => {
      this.#cancel(id);
      queue.abort(signal.reason);
    };
    const running: Running = { queue, paused: false, release: () => signal.removeEventListener("abort", abort) };
    if (signal.aborted) {
      queue.fail(signal.reason);
      return queue;
    }
    signal.addEventListener("abort", abort);
    this.#running.set(id, running);
    send({ op: "generate", id, request });
    if (this.#running.size === 1) onBusy(true);
    return queue;
  }

  /** What happened in one step; what is said of requests that are gone is ignored. */
  deliver(events: readonly EngineEvent[]): void {
    for (const event of events) {
      if ("t" in event) this.#running.get(event.id)?.queue.push({ type: "text", text: event.t });
      else this.#end(event);
    }
  }

  /** The engine is gone. */
  failAll(error: Error): void {
    for (const id of [...this.#running.keys()]) this.#forget(id)?.queue.fail(error);
  }

  #end(event: Exclude<EngineEvent, { t: string }>): void {
    const queue = this.#forget(event.id)?.queue;
    if (queue === undefined) return;
    if ("error" in event) {
      const { error, message } = event;
      queue.fail(
        error === "invalid_request" ? new InvalidRequestError(message) : new Error(`Engine failed: ${message}`),
      );
      return;
    }
    queue.push({
      type: "done",
      reason: event.done,
      usage: { promptTokens: event.prompt, completionTokens: event.completion, cachedTokens: event.cached },
    });
    queue.end();
  }

  #cancel(id: number): void {
    if (this.#forget(id) !== undefined) this.#options.send({ op: "cancel", id });
  }

  #forget(id: number): Running | undefined {
    const running = this.#running.get(id);
    if (running === undefined) return undefined;
    this.#running.delete(id);
    running.release();
    if (this.#running.size === 0) this.#options.onBusy(false);
    return running;
  }
}
