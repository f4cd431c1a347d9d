/**
 * A request to a remote server and its response, as bytes and messages: timeouts, size limits, and a connection that is
 * always closed at the end. Knows nothing of the content.
 */
import { createParser } from "eventsource-parser";
import { BackendUnavailableError } from "../../inference/errors.ts";
import { MOST_PAUSED_MS } from "./large_body.ts";

/** Largest event in UTF-16 units. */
const MAX_EVENT_LENGTH = 8 * 1024 * 1024;

/** Largest unstreamed answer, and most bytes of a stream without progress. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** Most white space before an answer, in UTF-16 units. */
const MAX_BLANK_LENGTH = 64 * 1024;

/** How long to wait for counts or EOF after the answer's end, where the server sends no end marker. */
const LAST_CHUNKS_MS = 10_000;

/** How long to wait for EOF after the last message. */
const LAST_BYTES_MS = 100;

export interface ServerMessage {
  /** `whole`: the complete body; `error`: a failure; `other`: an event of another name. */
  readonly type: "event" | "error" | "other" | "whole";
  readonly data: string;
}

export interface ExchangeOptions {
  readonly client: Deno.HttpClient;
  /** The server's name in messages. */
  readonly backend: string;
  /** Limit for the response headers, for an unstreamed body, and between two pieces that make progress. */
  readonly timeoutMs: number;
  /** Receives the cause of a connection failure, which the caller does not see. */
  readonly onBroken: (error: unknown) => void;
  /** Called at the end, however it ended. */
  readonly onEnd: () => void;
  /** Monotonic clock in milliseconds. */
  readonly now: () => number;
}

/** A single exchange. Must be disposed of. */
export class Exchange implements AsyncDisposable {
  readonly #caller: AbortSignal;
  readonly #options: ExchangeOptions;
  /** Aborts the connection; the consumer gets its reason. */
  readonly #cut = new AbortController();
  readonly #onAbort = (): void => this.cut(this.#caller.reason);
  /** The answer has ended: a connection that breaks or stalls from now on is an end like EOF. */
  mayEnd = false;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Time and bytes spent since the answer last grew. */
  #spent = { ms: 0, bytes: 0 };

  constructor(caller: AbortSignal, options: ExchangeOptions) {
    this.#caller = caller;
    this.#options = options;
    if (caller.aborted) this.cut(caller.reason);
    else caller.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Abort; pending reads reject with `reason`. */
  cut(reason: unknown): void {
    this.#cut.abort(reason);
  }

  /** The answer grew: reset the time and byte budget. */
  progressed(): void {
    this.#spent = { ms: 0, bytes: 0 };
  }

  /**
   * Send the request. May be repeated after a refusal.
   *
   * @returns The response; read its body only by the methods below.
   * @throws {BackendUnavailableError} If no response arrives in time.
   */
  async post(url: string, { headers, body }: { headers: Headers; body: string | Blob }): Promise<Response> {
    await this.#reader?.cancel().catch(() => {});
    // A redirect could send the key and the conversation to another host.
    const init = {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal: this.#cut.signal,
      client: this.#options.client,
    } as const;
    this.progressed();
    this.mayEnd = false;
    const response = await this.#waitFor(() => fetch(url, init), {
      failure: "cannot be reached",
      // A large body is sent with pauses.
      slackMs: typeof body === "string" ? 0 : MOST_PAUSED_MS,
    });
    this.progressed();
    this.#reader = response.body?.getReader();
    return response;
  }

  /**
   * Read the beginning of the body as text.
   *
   * @param maxBytes Stops at the end of the piece that exceeds this.
   * @throws {BackendUnavailableError} If the connection breaks.
   */
  beginning(maxBytes: number): Promise<string> {
    return this.#text("", { decoder: new TextDecoder(), maxBytes });
  }

  /**
   * Iterate over the messages, grouped by the pieces received: server-sent events, or a complete JSON body from a
   * server that does not stream, whatever its content type. Reads on demand only.
   *
   * @throws {BackendUnavailableError} If the connection breaks or a message is too long.
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
    // No line of an event starts like this.
    if (/^\s*[{[]/.test(begun)) yield [{ type: "whole", data: await this.#text(begun, { decoder }) }];
    else yield* this.#events(begun, { decoder, ended: bytes === undefined });
  }

  async #text(
    begun: string,
    { decoder, maxBytes = Infinity }: { readonly decoder: TextDecoder; readonly maxBytes?: number },
  ): Promise<string> {
    const texts = [begun];
    let length = 0;
    while (length < maxBytes) {
      const bytes = await this.#read();
      if (bytes === undefined) break;
      texts.push(decoder.decode(bytes, { stream: true }));
      length += bytes.length;
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
      onEvent: ({ event = "message", data }) =>
        messages.push({ type: event === "error" ? event : event === "message" ? "event" : "other", data }),
      onError: ({ type, field, value, line = "" }) => {
        tooLarge ||= type === "max-buffer-size-exceeded";
        // Some servers write an error as bare JSON.
        if (type === "unknown-field" && line.startsWith("{")) messages.push({ type: "event", data: line });
        // The form of llama-server's errors in older versions.
        if (type === "unknown-field" && field === "error") messages.push({ type: "error", data: value ?? "" });
      },
    });
    let { ended } = from;
    for (let text = begun;;) {
      // Some servers omit the blank line after the last event.
      parser.feed(ended ? `${text}\n\n` : text);
      const taken = messages.filter(({ type, data }) => type === "error" || data.trim() !== "");
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
   * Everything needed has arrived; wait briefly for EOF. A server whose last bytes are not read assumes that the
   * request was cancelled.
   */
  async finish(): Promise<void> {
    const timer = setTimeout(() => this.cut(undefined), LAST_BYTES_MS);
    try {
      while (!(await this.#reader?.read())?.done);
    } catch {
      // A failure only means that the connection cannot be reused.
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
    const { value } = await this.#waitFor(() => reader.read(), { failure: "broke off its answer" }).catch((error) => {
      if (this.mayEnd && !this.#caller.aborted) return { value: undefined };
      throw error;
    });
    this.#spent.bytes += value?.length ?? 0;
    if (this.#spent.bytes > MAX_BODY_BYTES) throw this.#tooLarge();
    return value;
  }

  /** Wait for the server within the remaining time and `slackMs`; a failure is reported and converted. */
  async #waitFor<T>(
    begin: () => Promise<T>,
    { failure, slackMs = 0 }: { readonly failure: string; readonly slackMs?: number },
  ): Promise<T> {
    const { backend, timeoutMs, onBroken, now } = this.#options;
    const { signal } = this.#cut;
    signal.throwIfAborted();
    const { ms, bytes } = this.#spent;
    const what = bytes === 0 ? "sent nothing" : "made no progress";
    const timer = setTimeout(
      () => this.cut(new BackendUnavailableError(`Backend "${backend}" ${what} for ${timeoutMs / 1000} s`)),
      Math.min(timeoutMs - ms + slackMs, this.mayEnd ? LAST_CHUNKS_MS : Infinity),
    );
    const began = now();
    try {
      return await begin();
    } catch (error) {
      signal.throwIfAborted();
      onBroken(error);
      throw new BackendUnavailableError(`Backend "${backend}" ${failure}`);
    } finally {
      clearTimeout(timer);
      this.#spent.ms += now() - began;
    }
  }

  #tooLarge(): BackendUnavailableError {
    return new BackendUnavailableError(`Backend "${this.#options.backend}" sent a piece that is too large`);
  }
}
