/**
 * The base of everything that is in progress and yields events: who takes the events, its result, and cancelling it.
 * Subclasses say where the events come from.
 */
import { CancelledError, TimeoutError, withCallerStack } from "./errors/errors.ts";
import { interruptible } from "./interruptible.ts";
import type { RequestOptions } from "./options.ts";
import { onAbort } from "./signals.ts";

/** What can be ended from outside. */
export interface Cancellable {
  /** Whether it is answered, failed or cancelled. */
  readonly over: boolean;
  /** End it if it is not over yet; its consumers get the error. */
  cancel(error: unknown): unknown;
}

/** What an answer needs to know of its caller. */
export interface AnswerContext extends RequestOptions {
  /** Made where the call came in, for the stacks of errors. */
  readonly call: Error;
  /** Called once, when the answer is over. */
  readonly onSettled: (answer: Cancellable, error?: unknown) => void;
}

/** The longest time a timer can be set to, in milliseconds; a longer wait is one without end. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/** An answer under way. */
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
    // Whoever takes events or asks for the result gets the failure; that nobody does is not a crash.
    this.#outcome.catch(() => {});
  }

  /** Whether it is answered, failed or cancelled. */
  get over(): boolean {
    return this.#over;
  }

  /**
   * Heed the signal from now on. Heirs call it when they are ready to be stopped.
   *
   * @returns Whether it may go on.
   */
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

  /**
   * The events. Taken by one consumer; whatever it throws has to go through `cancel`.
   *
   * @returns The generator, not started.
   */
  protected abstract events(): AsyncGenerator<Event, void, void>;

  /** Make what `events` waits for settle, because the answer is no longer wanted. */
  protected abstract stop(reason: unknown): void;

  protected succeed(result: Result): void {
    if (this.#over) return;
    this.#settle();
    this.#resolve(result);
  }

  /** @throws What it was cancelled with, if it was. */
  protected throwIfCancelled(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /**
   * End the answer if it is not over yet.
   *
   * @returns What consumers get: this error, or an earlier one.
   */
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
      // Told by the outcome.
    }
  }

  #settle(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#stopListening?.();
    this.#context.onSettled(this, this.#failure?.error);
  }
}
