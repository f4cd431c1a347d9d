/**
 * One request to a remote server and its answer, as bytes and events: timeouts, limits of size, and an end that always
 * closes the connection or leaves it fit for the next request. What is said in it is not its business.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { BackendUnavailableError } from "./backend.ts";

/** The largest event, in UTF-16 units. */
const MAX_EVENT_LENGTH = 8 * 1024 * 1024;

/** The largest answer that comes as a whole, in bytes. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** How long the end of an answer is waited for that has already said that nothing follows. */
const LAST_BYTES_MS = 100;

/** How an exchange goes. */
export interface ExchangeOptions {
  /** As messages name the server. */
  readonly backend: string;
  /** For the response's head, and between two pieces of its body. */
  readonly timeoutMs: number;
  /** Told why the connection failed; the caller is not. */
  readonly onBroken: (error: unknown) => void;
  /** Called when it is over, however it ended. */
  readonly onEnd: () => void;
}

/** One exchange. Its end has to be told, by disposal. */
export class Exchange implements AsyncDisposable {
  readonly #caller: AbortSignal;
  readonly #options: ExchangeOptions;
  /** Fires when the connection has to go; its reason is what the consumer gets. */
  readonly #cut = new AbortController();
  readonly #onAbort = (): void => this.cut(this.#caller.reason);
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(caller: AbortSignal, options: ExchangeOptions) {
    this.#caller = caller;
    this.#options = options;
    if (caller.aborted) this.cut(caller.reason);
    else caller.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** End it now; whoever waits for the server gets `reason`. */
  cut(reason: unknown): void {
    this.#cut.abort(reason);
  }

  /**
   * Ask. May be called again where the response before was refused.
   *
   * @returns The response; its body is read by the methods below, and by nothing else.
   * @throws {BackendUnavailableError} If there is none in time.
   */
  async post(url: string, { headers, body }: { headers: Headers; body: string }): Promise<Response> {
    await this.#reader?.cancel().catch(() => {});
    // A redirect may lead to somebody whom the key and the conversation are not for.
    const init: RequestInit = { method: "POST", headers, body, redirect: "manual", signal: this.#cut.signal };
    const response = await this.#waitFor(() => fetch(url, init), "cannot be reached");
    this.#reader = response.body?.getReader();
    return response;
  }

  /**
   * The body as a text.
   *
   * @param options `cutTo`: give so many bytes where it is longer; absent: too long is an error.
   * @throws {BackendUnavailableError} If it breaks off or is too long.
   */
  async text({ cutTo }: { readonly cutTo?: number } = {}): Promise<string> {
    const decoder = new TextDecoder();
    const texts: string[] = [];
    let length = 0;
    for (let bytes = await this.#read(); bytes !== undefined; bytes = await this.#read()) {
      texts.push(decoder.decode(bytes, { stream: true }));
      length += bytes.length;
      if (cutTo !== undefined && length >= cutTo) break;
      if (length > MAX_BODY_BYTES) throw this.#tooLarge();
    }
    return texts.join("") + decoder.decode();
  }

  /**
   * The body as server-sent events, those of one piece together. Reads no further than it is iterated.
   *
   * @throws {BackendUnavailableError} If it breaks off, or an event is too long.
   */
  async *events(): AsyncGenerator<readonly EventSourceMessage[]> {
    let events: EventSourceMessage[] = [];
    let tooLarge = false;
    const parser = createParser({
      maxBufferSize: MAX_EVENT_LENGTH,
      onEvent: (event) => events.push(event),
      onError: ({ type }) => tooLarge ||= type === "max-buffer-size-exceeded",
    });
    const decoder = new TextDecoder();
    for (let ended = false; !ended;) {
      const bytes = await this.#read();
      ended = bytes === undefined;
      // Some servers leave out the blank line behind the last event.
      parser.feed(ended ? `${decoder.decode()}\n\n` : decoder.decode(bytes, { stream: true }));
      const taken = events;
      events = [];
      if (taken.length > 0) yield taken;
      if (tooLarge) throw this.#tooLarge();
    }
  }

  /** All that matters has come: wait a moment for the end, so that the connection can serve the next request. */
  async finish(): Promise<void> {
    const timer = setTimeout(() => this.cut(undefined), LAST_BYTES_MS);
    try {
      while (!(await this.#reader?.read())?.done);
    } catch {
      // It is no use any more, and nothing else.
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#caller.removeEventListener("abort", this.#onAbort);
    await this.#reader?.cancel().catch(() => {});
    this.cut(undefined);
    this.#options.onEnd();
  }

  async #read(): Promise<Uint8Array | undefined> {
    const reader = this.#reader;
    if (reader === undefined) return undefined;
    return (await this.#waitFor(() => reader.read(), "broke off its answer")).value;
  }

  /** What the server owes, or why it does not come. */
  async #waitFor<T>(begin: () => Promise<T>, failure: string): Promise<T> {
    const { backend, timeoutMs, onBroken } = this.#options;
    const { signal } = this.#cut;
    signal.throwIfAborted();
    const timer = setTimeout(
      () => this.cut(new BackendUnavailableError(`Backend "${backend}" sent nothing for ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    try {
      return await begin();
    } catch (error) {
      signal.throwIfAborted();
      onBroken(error);
      throw new BackendUnavailableError(`Backend "${backend}" ${failure}`);
    } finally {
      clearTimeout(timer);
    }
  }

  #tooLarge(): BackendUnavailableError {
    return new BackendUnavailableError(`Backend "${this.#options.backend}" sent a piece that is too large`);
  }
}
