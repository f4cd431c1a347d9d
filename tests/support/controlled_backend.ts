/** A backend that does what the test says, when it says so: no delays, no guesses. */
import { type Backend, type BackendCapabilities, type BackendState, ONLY_TEXT } from "../../src/inference/backend.ts";
import type { BackendEvent, FinishReason } from "../../src/inference/events.ts";
import type { GenerationRequest } from "../../src/inference/request.ts";
import { Mailbox } from "./mailbox.ts";

type Move = { readonly event: BackendEvent } | { readonly error: unknown };

/** One request as the backend sees it. */
export class ControlledRun {
  readonly request: GenerationRequest;
  readonly signal: AbortSignal;
  /** Resolves when the request is cancelled while it runs. */
  readonly cancelled: Promise<void>;
  /** How many events the daemon has taken. */
  taken = 0;
  readonly #moves = new Mailbox<Move>();

  constructor(request: GenerationRequest, signal: AbortSignal) {
    this.request = request;
    this.signal = signal;
    this.cancelled = new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Yield a text. */
  say(text: string): void {
    this.#moves.put({ event: { type: "text", text } });
  }

  /** Yield that the texts so far were a thought. */
  takeBack(): void {
    this.#moves.put({ event: { type: "text_was_thinking" } });
  }

  /** Yield the last event. */
  finish(
    reason: FinishReason = "end",
    usage = { promptTokens: 1, completionTokens: this.taken, cachedTokens: 0 },
  ): void {
    this.#moves.put({ event: { type: "done", reason, usage } });
  }

  /** Throw. */
  fail(error: unknown): void {
    this.#moves.put({ error });
  }

  /** What the daemon iterates over. */
  async *events(): AsyncGenerator<BackendEvent> {
    while (true) {
      const move = await this.#moves.take(this.signal);
      if ("error" in move) throw move.error;
      this.taken++;
      yield move.event;
      if (move.event.type === "done") return;
    }
  }
}

/** What a controlled backend says it can do. */
export const CONTROLLED_CAPABILITIES: BackendCapabilities = {
  ...ONLY_TEXT,
  accelerator: "none",
  gpuLayers: 0,
  model: "controlled",
  contextTokens: 512,
  parallel: 4,
};

/** Hands every request to the test. */
export class ControlledBackend implements Backend {
  readonly name: string;
  state: BackendState = "ready";
  readonly capabilities: BackendCapabilities;
  readonly #runs = new Mailbox<ControlledRun>();

  constructor(name = "controlled", capabilities = CONTROLLED_CAPABILITIES) {
    this.name = name;
    this.capabilities = capabilities;
  }

  /** The next request that reaches the backend. */
  next(): Promise<ControlledRun> {
    return this.#runs.take();
  }

  /** How many requests have come that `next` has not handed out. */
  get unclaimed(): number {
    return this.#runs.size;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<BackendEvent> {
    const run = new ControlledRun(request, signal);
    this.#runs.put(run);
    return run.events();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
