/**
 * A queue between a producer that cannot wait and one consumer that can: back-pressure tells the producer when to pause and when
 * to go on. Knows nothing of what is queued.
 */

/** Where the producer is paused and resumed. */
export interface EventQueueOptions {
  /** More untaken events than this: `onFull`. */
  readonly most: number;
  /** Called once until `onDrained`. */
  readonly onFull: () => void;
  /** Called after `onFull`, when everything has been taken. */
  readonly onDrained: () => void;
  /** Called when the consumer leaves before the end. */
  readonly onLeft: () => void;
}

/** Pushed into by the producer, iterated by the consumer. */
export class EventQueue<T> implements AsyncIterator<T, undefined> {
  readonly #options: EventQueueOptions;
  #events: T[] = [];
  /** Index of the first untaken event: shifting an array would move what is behind it. */
  #head = 0;
  #full = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<T, undefined>> | undefined;

  constructor(options: EventQueueOptions) {
    this.#options = options;
  }

  /** Add an event; ignored after the end. */
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

  /** No event follows; those already queued are still delivered. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#settle();
  }

  /** No event follows; after those already queued the consumer gets `error`. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failure = { error };
    this.end();
  }

  /** The consumer gets `error` at once, what is queued is dropped. */
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
    // Overlapping calls are legal for an iterator, though `for await` makes none: the later one waits its turn.
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

  /** What an ended queue answers: the failure once, then nothing more. */
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
