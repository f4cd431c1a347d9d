/**
 * Base class of answers in progress: who consumes the events, the result, and cancellation. Subclasses supply the
 * events.
 */
import { CancelledError, TimeoutError, withCallerStack } from "./errors/errors.ts";
import { interruptible } from "./interruptible.ts";
import type { RequestOptions } from "./options.ts";
import { MOST_TIMER_MS } from "./patience.ts";
import { onAbort } from "./signals.ts";

/** Something that can be cancelled. */
export interface Cancellable {
  /** Whether it is answered, failed or cancelled. */
  readonly over: boolean;
  /** Cancel it if it is not over; its consumers get the error. */
  cancel(error: unknown): unknown;
}

/** The context of the call. */
export interface AnswerContext extends RequestOptions {
  /** Created in the call, for the stack traces of errors. */
  readonly call: Error;
  /** Called once, when the answer is over. */
  readonly onSettled: (answer: Cancellable, error?: unknown) => void;
}

/** An answer in progress. */
export abstract class Answer<Event, Result> implements AsyncIterable<Event>, Cancellable {
  readonly #context: AnswerContext;
  readonly #outcome: Promise<Result>;
  #resolve!: (result: Result) => void;
  #reject!: (error: unknown) => void;
  #consumer: "loop" | "result" | undefined;
  #over = false;
  #stopListening: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(context: AnswerContext) {
    this.#context = context;
    this.#outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Consumers of events or the result get the failure; without any, it must not crash the process.
    this.#outcome.catch(() => {});
  }

  /** Whether it is answered, failed or cancelled. */
  get over(): boolean {
    return this.#over;
  }

  /** Obey the signal from now on, where they can be stopped. Returns whether to continue. */
  protected begin(): boolean {
    const { signal, timeoutMs = Infinity } = this.#context;
    this.#stopListening = onAbort(signal, this.#onAbort);
    if (signal?.aborted) this.#onAbort();
    if (!this.#over && timeoutMs <= MOST_TIMER_MS) {
      this.#timer = setTimeout(() => {
        this.cancel(new TimeoutError(`The answer was not complete within ${timeoutMs} ms`));
      }, timeoutMs);
    }
    return !this.#over;
  }

  /** The events, for one consumer, not started; everything it throws has to go through `cancel`. */
  protected abstract events(): AsyncGenerator<Event, void, void>;

  /** Stop `events`: settle what it waits for. */
  protected abstract stop(reason: unknown): void;

  protected succeed(result: Result): void {
    if (this.#over) return;
    this.#settle();
    this.#resolve(result);
  }

  /** @throws The error it was cancelled with, if it was. */
  protected throwIfCancelled(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Cancel the answer if it is not over. Returns the error that consumers get: this one, or an earlier one. */
  cancel(error: unknown): unknown {
    if (!this.#over) {
      this.#failure = { error: withCallerStack(error, this.#context.call) };
      this.stop(error);
      this.#settle();
      this.#reject(error);
    }
    return this.#failure?.error;
  }

  [Symbol.asyncIterator](): AsyncIterator<Event, void> {
    if (this.#consumer === "loop") throw new TypeError("Cannot iterate an answer twice");
    if (this.#consumer === "result") {
      throw new TypeError("Cannot iterate an answer after its result was asked for: the events are gone");
    }
    this.#consumer = "loop";
    return interruptible(this.events(), () => {
      this.cancel(new CancelledError("The answer was cancelled: the loop over its events was left"));
    });
  }

  result(): Promise<Result> {
    if (this.#consumer === undefined) {
      this.#consumer = "result";
      void this.#drain();
    }
    return this.#outcome;
  }

  readonly #onAbort = (): void => {
    this.cancel(this.#context.signal?.reason);
  };

  async #drain(): Promise<void> {
    try {
      for await (const _event of this.events());
    } catch {
      // Reported by the outcome.
    }
  }

  #settle(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#stopListening?.();
    this.#context.onSettled(this, this.#failure?.error);
  }
}
