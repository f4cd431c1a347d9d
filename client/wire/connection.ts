/**
 * One connection to a daemon: lines out, lines in. Handles framing (newline, UTF-8, the frame limit) only; frames are
 * opaque.
 */
import { type AuthFrame, MAX_FRAME_BYTES } from "../protocol/mod.ts";
import { ConnectionClosedError, ProtocolError } from "../errors/errors.ts";
import { type Endpoint, endpointName } from "../endpoints.ts";
import type { ByteStream, OpenTransport, TransportTarget } from "../options.ts";
import { Transport } from "./transport.ts";

const NEWLINE = 10;

/**
 * Turns chunks of bytes into lines. Only whole lines are decoded, so a character may lie across chunks; a line is
 * held as bytes until it is whole, and never beyond the frame limit.
 */
export class LineBuffer {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #limit: number;
  /** Complete lines, decoded together; those before `#at` are consumed. */
  #text = "";
  #at = 0;
  /** The start of an incomplete line. */
  #rest: Uint8Array[] = [];
  #restBytes = 0;

  /** @param limit Maximum bytes of one line, without its newline. */
  constructor(limit: number = MAX_FRAME_BYTES) {
    this.#limit = limit;
  }

  /** Whether all received bytes were consumed. */
  get empty(): boolean {
    return this.#restBytes === 0 && this.#at === this.#text.length;
  }

  /**
   * Add received bytes, no more of them than the limit. The chunk is not kept.
   *
   * @throws {ProtocolError} If a line is over the limit, or not UTF-8.
   */
  push(chunk: Uint8Array): void {
    const last = chunk.lastIndexOf(NEWLINE);
    if (last === -1) return this.#keep(chunk.slice());
    if (this.#restBytes > 0) {
      const first = chunk.indexOf(NEWLINE);
      this.#keep(chunk.slice(0, first + 1), this.#limit + 1);
      this.#decodeRest();
      if (first < last) this.#decode(chunk.subarray(first + 1, last + 1));
    } else {
      this.#decode(chunk.subarray(0, last + 1));
    }
    if (last + 1 < chunk.length) this.#keep(chunk.slice(last + 1));
  }

  /** End of the stream: the rest counts as a line, unless it was cut within a character. */
  end(): void {
    if (this.#restBytes === 0) return;
    try {
      this.#decodeRest();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  }

  /** @returns The next line that is not blank, without its newline; `undefined` if none is whole. */
  take(): string | undefined {
    while (this.#at < this.#text.length) {
      const newline = this.#text.indexOf("\n", this.#at);
      const end = newline === -1 ? this.#text.length : newline;
      const line = this.#text.slice(this.#at, end);
      this.#at = Math.min(end + 1, this.#text.length);
      if (line.trim() !== "") return line;
    }
    return undefined;
  }

  #keep(bytes: Uint8Array, limit: number = this.#limit): void {
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
    if (this.#restBytes > limit) {
      throw new ProtocolError(`The daemon sent a frame of more than ${this.#limit} bytes`);
    }
  }

  #decodeRest(): void {
    const [only] = this.#rest;
    let bytes = only;
    if (bytes === undefined || this.#rest.length > 1) {
      bytes = new Uint8Array(this.#restBytes);
      let at = 0;
      for (const part of this.#rest) {
        bytes.set(part, at);
        at += part.length;
      }
    }
    this.#rest = [];
    this.#restBytes = 0;
    this.#decode(bytes);
  }

  #decode(bytes: Uint8Array): void {
    let text: string;
    try {
      text = this.#decoder.decode(bytes);
    } catch (cause) {
      throw new ProtocolError("The daemon sent a frame that is not UTF-8", { cause });
    }
    this.#text = this.#at === this.#text.length ? text : this.#text.slice(this.#at) + text;
    this.#at = 0;
  }
}

/** One connection; its holder closes it. */
export class Connection {
  /** For messages. */
  readonly name: string;
  readonly #transport: ByteStream;
  readonly #lines = new LineBuffer();
  #unwritten = 0;
  #received = 0;
  #ended = false;
  #closed = false;
  #cause: unknown;

  private constructor(transport: ByteStream, name: string) {
    this.#transport = transport;
    this.name = name;
  }

  /**
   * Connect, once, and present the API key where there is one.
   *
   * @param open Makes the stream; absent: `node:net` does.
   * @throws {ConnectError} If none can be made.
   */
  static async open(endpoint: Endpoint, signal: AbortSignal, open?: OpenTransport): Promise<Connection> {
    const stream = open === undefined ? await Transport.open(endpoint, signal) : await open(targetOf(endpoint), signal);
    const connection = new Connection(stream, endpointName(endpoint));
    if ("apiKey" in endpoint && endpoint.apiKey !== undefined) {
      connection.send(encodeFrame({ type: "auth", key: endpoint.apiKey } satisfies AuthFrame));
    }
    return connection;
  }

  /** Number of bytes received so far. */
  get received(): number {
    return this.#received;
  }

  /** Whether all data is sent and consumed, so that it can serve another request. */
  get quiet(): boolean {
    return !this.#ended && !this.#closed && this.#unwritten === 0 && this.#lines.empty;
  }

  /**
   * Send whole lines after those sent before. Returns at once, because a daemon may answer before it has read it all; a
   * failure shows as the end of what comes.
   */
  send(bytes: Uint8Array): void {
    this.#unwritten++;
    this.#transport.write(bytes).then(() => this.#unwritten--, (error: unknown) => this.#cause ??= error);
  }

  /**
   * The same for a long line in pieces, each made when the one before is written. Ends early if the connection does.
   *
   * @param onSent Called with the number of bytes once all are written.
   * @param onFailure Called with what the pieces or the connection throw.
   */
  sendGradually(
    pieces: Iterable<Uint8Array>,
    { onSent, onFailure }: {
      readonly onSent: (bytes: number) => void;
      readonly onFailure: (error: unknown) => void;
    },
  ): void {
    this.#unwritten++;
    this.#write(pieces).then((bytes) => {
      if (this.#closed) return;
      this.#unwritten--;
      onSent(bytes);
    }).catch((error: unknown) => {
      this.#cause ??= error;
      onFailure(error);
    });
  }

  /** @returns The number of bytes. */
  async #write(pieces: Iterable<Uint8Array>): Promise<number> {
    let bytes = 0;
    for (const piece of pieces) {
      if (this.#closed) break;
      await this.#transport.write(piece);
      bytes += piece.length;
    }
    return bytes;
  }

  /** @returns The next line, if it has arrived already. */
  take(): string | undefined {
    return this.#lines.take();
  }

  /**
   * Wait for more. One call at a time.
   *
   * @returns Whether there may be a line to take; `false` once the end has come and everything was offered.
   * @throws {ProtocolError} If what came is no line of ours.
   */
  async fill(): Promise<boolean> {
    if (this.#ended || this.#closed) return false;
    let chunk: Uint8Array | null;
    try {
      chunk = await this.#transport.read();
    } catch (error) {
      this.#cause ??= error;
      chunk = null;
    }
    if (chunk !== null) {
      this.#received += chunk.length;
      this.#lines.push(chunk);
      return true;
    }
    this.#ended = true;
    this.#lines.end();
    return !this.#lines.empty;
  }

  /**
   * Read a line that was taken.
   *
   * @throws {ConnectionClosedError} If it makes no sense because the connection ended within it.
   */
  read<T>(parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      // Complete lines are consumed before the end is noticed: the rest is a line without its newline.
      throw this.#ended && error instanceof ProtocolError ? this.closedError() : error;
    }
  }

  closedError(): ConnectionClosedError {
    const hint = this.name.startsWith("tcp:") && this.#received === 0 ? "; a missing or wrong API key does that" : "";
    return new ConnectionClosedError(
      `The daemon at "${this.name}" closed the connection before the answer was complete${hint}`,
      { cause: this.#cause },
    );
  }

  /** @param on Whether the process has to stay alive for this connection. */
  keepAlive(on: boolean): void {
    if (this.#transport instanceof Transport) this.#transport.keepAlive(on);
  }

  /** @param listener Called when the daemon ends the connection while it lies idle. */
  whenEnded(listener: (() => void) | undefined): void {
    if (this.#transport instanceof Transport) this.#transport.onEnd = listener;
  }

  /** Close immediately; the daemon then cancels the request of this connection. */
  close(): void {
    this.#closed = true;
    this.#transport.close();
  }
}

/** The endpoint without its key. */
function targetOf(endpoint: Endpoint): TransportTarget {
  if ("path" in endpoint) return { path: endpoint.path };
  const { hostname, port } = endpoint;
  return { hostname, port };
}

/** One line with its newline, as UTF-8. */
export function encodeFrame(frame: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(frame) + "\n");
}
