/**
 * The generations in progress on an engine: each has an event queue, is paused while its reader is slow and cancelled
 * when its reader leaves. The engine's lifecycle belongs to `llama.ts`.
 */
import type { LongText } from "@inferd/client/protocol";
import type { Counts, EngineEvent, ToEngine } from "../../engine/ipc/messages.ts";
import { callId, callsIn } from "../../inference/call_ids.ts";
import {
  AttachmentUnsupportedError,
  ContextLengthError,
  InvalidRequestError,
  ToolCallMalformedError,
} from "../../inference/errors.ts";
import type { BackendEvent, Progress } from "../../inference/events.ts";
import type { GenerationRequest } from "../../inference/request.ts";
import { EventQueue } from "./event_queue.ts";
import { defined } from "../../inference/objects.ts";

/** Queued events per request above which the engine is told to pause it. */
const MOST_UNTAKEN_EVENTS = 64;

export interface GenerationsOptions {
  readonly send: (message: ToEngine<LongText>) => void;
  /** Called when the first request starts and when the last one ends. */
  readonly onBusy: (busy: boolean) => void;
  /** A request id that is unique for this engine. */
  readonly nextId: () => number;
}

interface Running {
  readonly queue: EventQueue<BackendEvent>;
  paused: boolean;
  /** Tool calls in the conversation so far; ids of further calls continue this count. */
  calls: number;
  readonly request: GenerationRequest<LongText>;
  /** Pending validation of a call; later events wait for it. */
  waiting: Promise<void> | undefined;
  /** Removes the listener from the request's signal. */
  readonly release: () => void;
}

export class Generations {
  readonly #options: GenerationsOptions;
  readonly #running = new Map<number, Running>();

  constructor(options: GenerationsOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#running.size > 0;
  }

  /** Whether a request that is not paused waits for the engine. */
  get waiting(): boolean {
    for (const { paused } of this.#running.values()) if (!paused) return true;
    return false;
  }

  begin(request: GenerationRequest<LongText>, signal: AbortSignal): AsyncIterator<BackendEvent, undefined> {
    const { send, onBusy, nextId } = this.#options;
    const id = nextId();
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
    const running: Running = {
      queue,
      paused: false,
      calls: callsIn(request.messages).length,
      request,
      waiting: undefined,
      release: () => signal.removeEventListener("abort", abort),
    };
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

  /** @returns Whether the request is a known generation; otherwise the event is ignored. */
  deliver(event: EngineEvent): boolean {
    const running = this.#running.get(event.id);
    if (running === undefined) return false;
    if (running.waiting === undefined && !("call" in event && event.unchecked)) {
      this.#take(running, event);
      return true;
    }
    running.waiting = (running.waiting ?? Promise.resolve()).then(() => this.#check(running, event)).catch(
      (error: unknown) => this.#fail(event.id, error),
    );
    return true;
  }

  /** Deliver an event after validating it if it is a tool call. */
  async #check(running: Running, event: EngineEvent): Promise<void> {
    if ("call" in event && event.unchecked) {
      const { toolCallFault } = await import("./call_check.ts");
      const fault = toolCallFault(running.request.tools, event.call, event.input);
      if (fault !== undefined) throw new ToolCallMalformedError(fault);
    }
    // The request may have been cancelled or failed meanwhile.
    if (this.#running.get(event.id) === running) this.#take(running, event);
  }

  #fail(id: number, error: unknown): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#cancel(id);
    running.queue.fail(error instanceof Error ? error : new Error(String(error)));
  }

  #take(running: Running, event: EngineEvent): void {
    if ("t" in event) {
      const { t: text, lp: logprobs } = event;
      running.queue.push({ type: "text", text, ...(logprobs === undefined ? {} : { logprobs }) });
    } else if ("think" in event) running.queue.push({ type: "thinking", text: event.think });
    else if ("processed" in event) {
      running.queue.push({ type: "progress", processedTokens: event.processed, ...countsOf(event) });
    } else if ("misread" in event) running.queue.push({ type: "text_was_thinking" });
    else if ("call" in event) {
      const toolCallId = callId(++running.calls);
      running.queue.push({ type: "tool_use", toolCallId, name: event.call, input: event.input });
    } else if ("done" in event || "error" in event) this.#end(event);
  }

  /** Fail all requests: the engine is gone. */
  failAll(error: Error): void {
    for (const id of [...this.#running.keys()]) this.#forget(id)?.queue.fail(error);
  }

  #end(event: Extract<EngineEvent, { done: unknown } | { error: unknown }>): void {
    const queue = this.#forget(event.id)?.queue;
    if (queue === undefined) return;
    if ("error" in event) {
      queue.fail(toError(event));
      return;
    }
    queue.push({
      type: "done",
      reason: event.done,
      ...(event.stop === undefined ? {} : { stop: event.stop }),
      ...countsOf(event),
      ...(event.unsatisfied ? { toolChoiceUnsatisfied: true } : {}),
      ...(event.tokens === undefined ? {} : { tokens: event.tokens }),
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

function countsOf(event: Counts): Pick<Progress, "usage" | "timings"> {
  const [queueMs, promptMs, generationMs] = event.ms;
  return {
    usage: {
      promptTokens: event.prompt,
      completionTokens: event.completion,
      cachedTokens: event.cached,
      ...defined({ forcedTokens: event.forced, preparedTokens: event.prepared, draftedTokens: event.drafted }),
      ...defined({ acceptedTokens: event.accepted }),
    },
    timings: { queueMs, promptMs, generationMs },
  };
}

export function toError({ error, message, size }: Extract<EngineEvent, { error: unknown }>): Error {
  switch (error) {
    case "invalid_request":
      return new InvalidRequestError(message);
    case "context_length":
      return new ContextLengthError(message, size);
    case "tool_call_malformed":
      return new ToolCallMalformedError(message);
    case "attachment_unsupported":
      return new AttachmentUnsupportedError(message);
    case "internal":
      return new Error(`Engine failed: ${message}`);
  }
}
