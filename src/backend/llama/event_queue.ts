/**
 * A queue between a producer that cannot wait and a single consumer; back-pressure callbacks pause and resume the
 * producer.
 */

export interface EventQueueOptions {
  /** `onFull` is called above this many queued events. */
  readonly most: number;
  /** Called once per `onDrained`. */
  readonly onFull: () => void;
  /** Called after `onFull` once the queue is empty. */
  readonly onDrained: () => void;
  /** Called when the consumer leaves early. */
  readonly onLeft: () => void;
}

/** Pushed into by the producer, iterated by the consumer. */
export class EventQueue<T> implements AsyncIterator<T, undefined> {
  readonly #options: EventQueueOptions;
  #events: T[] = [];
  /** Index of the first queued event; `Array.shift` would move all others. */
  #head = 0;
  #full = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<T, undefined>> | undefined;

  constructor(options: EventQueueOptions) {
    this.#options = options;
  }

  /** Push an event; ignored after the end. */
  push(event: T): void {
    if (this.#ended) return;
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve({ value: event, done: false });
      return;
    }
    this.#events.push(event);
    if (!this.#full && this.#events.length - this.#head > this.#options.most) {
      this.#full = true;
      this.#options.onFull();
    }
  }

  /** End the queue; queued events are still delivered. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#settle();
  }

  /** Fail the queue: the consumer gets `error` after the queued events. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failure = { error };
    this.end();
  }

  /** Fail the queue immediately: queued events are dropped. */
  abort(error: unknown): void {
    this.#clear();
    if (this.#ended) this.#failure = { error };
    else this.fail(error);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const events = this.#events;
    if (this.#head < events.length) {
      const value = events[this.#head++] as T;
      if (this.#head === events.length) {
        this.#clear();
        if (this.#full) {
          this.#full = false;
          if (!this.#ended) this.#options.onDrained();
        }
      }
      return Promise.resolve({ value, done: false });
    }
    if (this.#ended) return this.#last();
    // Overlapping calls of `next` are legal, though `for await` makes none; they are served in order.
    if (this.#waiting !== undefined) return this.#waiting.promise.then(() => this.next());
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#clear();
    this.#failure = undefined;
    if (!this.#ended) {
      this.end();
      this.#options.onLeft();
    }
    return Promise.resolve({ value: undefined, done: true });
  }

  #clear(): void {
    this.#events.length = 0;
    this.#head = 0;
  }

  /** Result after the end: the failure once, then `done`. */
  #last(): Promise<IteratorResult<T, undefined>> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) return Promise.reject(failure.error);
    return Promise.resolve({ value: undefined, done: true });
  }

  #settle(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.#last().then(waiting.resolve, waiting.reject);
  }
}

/** Events of a request that failed before it began. */
export function failing<T>(error: unknown): AsyncIterator<T, undefined> {
  return { next: () => Promise.reject(error) };
}
