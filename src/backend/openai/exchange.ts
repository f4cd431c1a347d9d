/**
 * One request to a remote server and its answer, as bytes and messages: timeouts, limits of size, and an end that
 * always closes the connection. What is said in it is not its business.
 */
import { createParser } from "eventsource-parser";
import { BackendUnavailableError } from "../../inference/errors.ts";

/** The largest event, in UTF-16 units. */
const MAX_EVENT_LENGTH = 8 * 1024 * 1024;

/** The largest answer that comes as a whole, and the most of a stream without progress, in bytes. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** The most white space before an answer, in UTF-16 units. */
const MAX_BLANK_LENGTH = 64 * 1024;

/** How long the end of an answer is waited for that has already said that nothing follows. */
const LAST_BYTES_MS = 100;

/** What a server says at once. */
export interface ServerMessage {
  /** `whole`: nothing follows; `error`: something went wrong. */
  readonly type: "event" | "error" | "whole";
  readonly data: string;
}

/** How an exchange goes. */
export interface ExchangeOptions {
  /** Connects. */
  readonly client: Deno.HttpClient;
  /** As messages name the server. */
  readonly backend: string;
  /** For the response's head, for a body that comes as a whole, and between two pieces of an answer that make progress. */
  readonly timeoutMs: number;
  /** Told why the connection failed; the caller is not. */
  readonly onBroken: (error: unknown) => void;
  /** Called when it is over, however it ended. */
  readonly onEnd: () => void;
}

/** One exchange. Must be disposed of when it is over. */
export class Exchange implements AsyncDisposable {
  readonly #caller: AbortSignal;
  readonly #options: ExchangeOptions;
  /** Fires when the connection has to go; its reason is what the consumer gets. */
  readonly #cut = new AbortController();
  readonly #onAbort = (): void => this.cut(this.#caller.reason);
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** What the server has taken of the time and of the bytes that it has until the answer grows. */
  #spent = { ms: 0, bytes: 0 };

  constructor(caller: AbortSignal, options: ExchangeOptions) {
    this.#caller = caller;
    this.#options = options;
    if (caller.aborted) this.cut(caller.reason);
    else caller.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Abort it; whoever awaits the server gets `reason`. */
  cut(reason: unknown): void {
    this.#cut.abort(reason);
  }

  /** The answer has grown: the server has all of its time again. */
  progressed(): void {
    this.#spent = { ms: 0, bytes: 0 };
  }

  /**
   * Ask. May be called again where the response before was refused.
   *
   * @returns The response; its body is read by the methods below, and by nothing else.
   * @throws {BackendUnavailableError} If there is none in time.
   */
  async post(url: string, { headers, body }: { headers: Headers; body: string }): Promise<Response> {
    await this.#reader?.cancel().catch(() => {});
    // A redirect may lead to a host that must not see the key and the conversation.
    const init = {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal: this.#cut.signal,
      client: this.#options.client,
    } as const;
    this.progressed();
    const response = await this.#waitFor(() => fetch(url, init), "cannot be reached");
    this.progressed();
    this.#reader = response.body?.getReader();
    return response;
  }

  /**
   * The beginning of the body as a text.
   *
   * @param maxBytes Where to stop, at the end of a piece.
   * @throws {BackendUnavailableError} If it breaks off.
   */
  async beginning(maxBytes: number): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let length = 0;
    for (let bytes = await this.#read(); bytes !== undefined; bytes = await this.#read()) {
      text += decoder.decode(bytes, { stream: true });
      length += bytes.length;
      if (length >= maxBytes) break;
    }
    return text + decoder.decode();
  }

  /**
   * What the server says, those messages of one piece together: server-sent events, or JSON as a whole from a server
   * that does not stream, whatever type it gives. Reads no further than it is iterated.
   *
   * @throws {BackendUnavailableError} If it breaks off, or a message is too long.
   */
  async *messages(): AsyncGenerator<readonly ServerMessage[]> {
    const decoder = new TextDecoder();
    let begun = "";
    let bytes: Uint8Array | undefined;
    let isBlank = true;
    do {
      bytes = await this.#read();
      const text = bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
      begun += text;
      isBlank = text.trim() === "";
      if (isBlank && begun.length > MAX_BLANK_LENGTH) throw this.#tooLarge();
    } while (bytes !== undefined && isBlank);
    // No line of an event begins like that.
    if (/^\s*[{[]/.test(begun)) yield [{ type: "whole", data: await this.#rest(begun, decoder) }];
    else yield* this.#events(begun, { decoder, ended: bytes === undefined });
  }

  async #rest(begun: string, decoder: TextDecoder): Promise<string> {
    const texts = [begun];
    for (let bytes = await this.#read(); bytes !== undefined; bytes = await this.#read()) {
      texts.push(decoder.decode(bytes, { stream: true }));
    }
    return texts.join("") + decoder.decode();
  }

  async *#events(
    begun: string,
    from: { readonly decoder: TextDecoder; readonly ended: boolean },
  ): AsyncGenerator<readonly ServerMessage[]> {
    let messages: ServerMessage[] = [];
    let tooLarge = false;
    const parser = createParser({
      maxBufferSize: MAX_EVENT_LENGTH,
      onEvent: ({ event, data }) => messages.push({ type: event === "error" ? "error" : "event", data }),
      onError: ({ type, field, value }) => {
        tooLarge ||= type === "max-buffer-size-exceeded";
        // llama-server has written its errors so.
        if (type === "unknown-field" && field === "error") messages.push({ type: "error", data: value ?? "" });
      },
    });
    let { ended } = from;
    for (let text = begun;;) {
      // Some servers leave out the blank line behind the last event.
      parser.feed(ended ? `${text}\n\n` : text);
      const taken = messages.filter(({ data }) => data.trim() !== "");
      messages = [];
      if (taken.length > 0) yield taken;
      if (tooLarge) throw this.#tooLarge();
      if (ended) return;
      const bytes = await this.#read();
      ended = bytes === undefined;
      text = bytes === undefined ? from.decoder.decode() : from.decoder.decode(bytes, { stream: true });
    }
  }

  /**
   * All that matters has come: wait a moment for the end. A server whose last bytes nobody takes believes that the
   * request was cancelled.
   */
  async finish(): Promise<void> {
    const timer = setTimeout(() => this.cut(undefined), LAST_BYTES_MS);
    try {
      while (!(await this.#reader?.read())?.done);
    } catch {
      // It can no longer be used, and that is all.
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
    const { value } = await this.#waitFor(() => reader.read(), "broke off its answer");
    this.#spent.bytes += value?.length ?? 0;
    if (this.#spent.bytes > MAX_BODY_BYTES) throw this.#tooLarge();
    return value;
  }

  /** What the server owes, or why it does not come. */
  async #waitFor<T>(begin: () => Promise<T>, failure: string): Promise<T> {
    const { backend, timeoutMs, onBroken } = this.#options;
    const { signal } = this.#cut;
    signal.throwIfAborted();
    const { ms, bytes } = this.#spent;
    const what = bytes === 0 ? "sent nothing" : "made no progress";
    const timer = setTimeout(
      () => this.cut(new BackendUnavailableError(`Backend "${backend}" ${what} for ${timeoutMs / 1000} s`)),
      timeoutMs - ms,
    );
    const began = performance.now();
    try {
      return await begin();
    } catch (error) {
      signal.throwIfAborted();
      onBroken(error);
      throw new BackendUnavailableError(`Backend "${backend}" ${failure}`);
    } finally {
      clearTimeout(timer);
      this.#spent.ms += performance.now() - began;
    }
  }

  #tooLarge(): BackendUnavailableError {
    return new BackendUnavailableError(`Backend "${this.#options.backend}" sent a piece that is too large`);
  }
}
