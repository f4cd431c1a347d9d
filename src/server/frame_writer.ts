/**
 * Writes frames: frames that arrive during a write are sent together in the next one, the producer waits while too much
 * is unsent, and a client that does not read is noticed.
 */

export interface ByteSink {
  write(bytes: Uint8Array): Promise<number>;
}

/** Unsent frames beyond this make a producer wait, in UTF-16 units. */
const HIGH_WATER = 256 * 1024;

const encoder = new TextEncoder();

function encodeText(frames: string): Uint8Array {
  return encoder.encode(frames);
}

export interface FrameWriterOptions {
  /** How long the client may go without reading while data waits to be sent; absent: for ever. */
  readonly idleTimeoutMs?: number;
  /** Encodes frames that are sent together; absent: as UTF-8. */
  readonly encode?: (frames: string) => Uint8Array;
  /** Called at most once, when that time is over or a write failed; the writer is closed then. */
  onFailure(why: "idle" | "broken"): void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

export class FrameWriter {
  readonly #sink: ByteSink;
  readonly #options: FrameWriterOptions;
  readonly #now: () => number;
  readonly #encode: (frames: string) => Uint8Array;
  #queued = "";
  /** Size of what is queued and of what is being written. */
  #unsent = 0;
  #writing: Promise<void> | undefined;
  #closed = false;
  /** When the client last read something, or the first frame began to wait. */
  #progressAt = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(sink: ByteSink, options: FrameWriterOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#now = options.now ?? ((): number => performance.now());
    this.#encode = options.encode ?? encodeText;
  }

  /** Queue a frame; after `close` it is dropped. Where too much is unsent, wait for the promise before the next. */
  send(frame: string): Promise<void> | undefined {
    if (this.#closed) return undefined;
    this.#queued += frame;
    this.#unsent += frame.length;
    this.#writing ??= this.#write();
    if (this.#unsent < HIGH_WATER) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Resolves when everything is sent, or nothing more can be. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Discard what is unsent. Closing the sink afterwards ends a write that is in progress. */
  close(): void {
    this.#closed = true;
    this.#queued = "";
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    this.#release();
  }

  async #write(): Promise<void> {
    this.#progressAt = this.#now();
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs !== undefined) this.#idleTimer ??= this.#watch(idleTimeoutMs, idleTimeoutMs);
    try {
      while (this.#queued !== "") {
        const size = this.#queued.length;
        let bytes = this.#encode(this.#queued);
        this.#queued = "";
        while (bytes.length > 0) {
          bytes = bytes.subarray(await this.#sink.write(bytes));
          this.#progressAt = this.#now();
        }
        this.#unsent -= size;
        if (this.#unsent < HIGH_WATER) this.#release();
      }
    } catch {
      this.#fail("broken");
    } finally {
      this.#writing = undefined;
    }
  }

  /** One timer for many writes: it checks when the last progress was, and waits for the remaining time. */
  #watch(limitMs: number, afterMs: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.#idleTimer = undefined;
      if (this.#writing === undefined) return;
      const leftMs = this.#progressAt + limitMs - this.#now();
      if (leftMs > 0) this.#idleTimer = this.#watch(limitMs, leftMs);
      else this.#fail("idle");
    }, afterMs);
  }

  #release(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  #fail(why: "idle" | "broken"): void {
    if (this.#closed) return;
    this.close();
    this.#options.onFailure(why);
  }
}
