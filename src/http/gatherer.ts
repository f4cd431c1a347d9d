/**
 * Writes pieces of an answer as they come, those that come fast together. A write costs more than all else that a token
 * costs here.
 */

/**
 * What comes within this time after a write, in milliseconds, goes out with the next. Streams of less than 125 tokens a
 * second are not gathered at all, and no answer waits for its end.
 */
const GATHER_MS = 8;
/** More than this is not kept. */
const GATHER_CHARACTERS = 16_384;

const encoder = new TextEncoder();

/** One timer for all streams: with a timer each, many streams would set one for almost every write. */
class SharedTimer {
  readonly #waiting = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Call it within {@linkcode GATHER_MS}, once. */
  add(write: () => void): void {
    this.#waiting.add(write);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const due = [...this.#waiting];
      this.#waiting.clear();
      for (const one of due) one();
    }, GATHER_MS);
  }

  /** Do not call it. */
  delete(write: () => void): void {
    if (!this.#waiting.delete(write) || this.#waiting.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

const timer = new SharedTimer();

/** The source of one response's stream. Takes no piece while its reader has no room. */
export class Gatherer implements UnderlyingDefaultSource<Uint8Array> {
  readonly #pieces: AsyncGenerator<string>;
  readonly #first: IteratorResult<string>;
  readonly #onError: (error: unknown) => string;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #pending = "";
  #writtenAt = 0;
  #isWaiting = false;
  #roomy: (() => void) | undefined;
  #left = false;

  /** @param onError The last piece of a stream that failed. */
  constructor(
    pieces: AsyncGenerator<string>,
    first: IteratorResult<string>,
    onError: (error: unknown) => string,
  ) {
    this.#pieces = pieces;
    this.#first = first;
    this.#onError = onError;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.#first.done) return controller.close();
    this.#controller = controller;
    this.#pending = this.#first.value;
    this.#write();
    void this.#pump(controller);
  }

  pull(): void {
    this.#roomy?.();
  }

  async cancel(): Promise<void> {
    this.#left = true;
    timer.delete(this.#write);
    this.#roomy?.();
    await this.#pieces.return(undefined);
  }

  async #pump(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      for (;;) {
        if ((controller.desiredSize ?? 0) <= 0) await new Promise<void>((resolve) => this.#roomy = resolve);
        const { done, value } = await this.#pieces.next();
        if (this.#left) return;
        if (done) break;
        this.#pending += value;
        const isMuch = this.#pending.length > GATHER_CHARACTERS;
        if (this.#isWaiting && !isMuch) continue;
        if (isMuch || performance.now() - this.#writtenAt >= GATHER_MS) this.#write();
        else this.#wait();
      }
    } catch (error) {
      if (this.#left) return;
      this.#pending += this.#onError(error);
    }
    this.#write();
    controller.close();
  }

  #wait(): void {
    this.#isWaiting = true;
    timer.add(this.#write);
  }

  readonly #write = (): void => {
    if (this.#isWaiting) timer.delete(this.#write);
    this.#isWaiting = false;
    this.#writtenAt = performance.now();
    if (this.#pending !== "") this.#controller?.enqueue(encoder.encode(this.#pending));
    this.#pending = "";
  };
}
