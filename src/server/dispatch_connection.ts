/**
 * One client of dispatch: a length and a frame in, the same out, close. Owns the framing, what a client may cost while
 * it has not asked yet, and the connection's abort signal; what is asked and answered is `surfaces/dispatch.ts`'s.
 */
import { MAX_DISPATCH_BYTES } from "@inferd/client/protocol";
import { BackendUnavailableError, InvalidRequestError } from "../inference/errors.ts";
import type { ActivityLog } from "../log/log.ts";
import { ClientGoneError } from "../pipeline/errors.ts";
import { type Dispatch, readDispatchRequest } from "../surfaces/dispatch.ts";
import { parseLine } from "./json_line.ts";
import { HALF_CLOSED_MS } from "./peer.ts";
import type { Accepted, ServedConnection } from "./socket_server.ts";

/** Bytes of a frame's length. */
const HEADER_BYTES = 4;
/** How much is made room for at a time while a frame arrives, whatever length it claims, in bytes. */
const CHUNK_BYTES = 64 * 1024;
/** How often a connection is asked whether the client is gone while its calls run, in milliseconds. */
const HANG_UP_POLL_MS = 100;
/** How long a connection that is cut by a drain gets to take its answer, in milliseconds. */
const LAST_FRAME_MS = 250;

/** The times a connection keeps, in milliseconds. */
export interface DispatchTimes {
  /** From accepting to the last byte of the request. */
  readonly requestTimeoutMs: number;
  /** How long the client may take nothing of its answer. */
  readonly idleWriteTimeoutMs: number;
  /** How long a client that has ended its side counts as there, where the kernel cannot be asked. */
  readonly halfClosedMs: number;
}

/** The times outside of tests. */
export const DEFAULT_DISPATCH_TIMES: DispatchTimes = {
  requestTimeoutMs: 30_000,
  idleWriteTimeoutMs: 30_000,
  halfClosedMs: HALF_CLOSED_MS,
};

/** What a connection needs. */
export interface DispatchConnectionOptions extends Accepted {
  readonly dispatch: Dispatch;
  readonly log: ActivityLog;
  readonly times: DispatchTimes;
}

/** What came cannot be answered; the message is for the log, and repeats nothing of it. */
class BadFrameError extends Error {
  override readonly name = "BadFrameError";
}

/** Serves one connection. */
export class DispatchConnection implements ServedConnection {
  readonly #options: DispatchConnectionOptions;
  readonly #abort = new AbortController();
  #busy = false;
  #closed = false;
  #hangUpTimer: ReturnType<typeof setTimeout> | undefined;
  #cutTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: DispatchConnectionOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#busy;
  }

  async run(): Promise<void> {
    const { log, peerName } = this.#options;
    try {
      await this.#serve();
    } catch (error) {
      const fields = { peer: peerName };
      if (error instanceof BadFrameError) log.debug("dispatch_frame_refused", { ...fields, reason: error.message });
      else if (this.#abort.signal.aborted) log.info("dispatch_cancelled", { ...fields, reason: reasonOf(this.#abort) });
      else log.error("connection_failed", { ...fields, cause: causeOf(error) });
    } finally {
      this.close();
      this.#busy = false;
      this.#options.onIdle();
    }
  }

  cut(): void {
    if (!this.#busy) return this.close();
    this.#abort.abort(new BackendUnavailableError("The daemon is shutting down"));
    this.#cutTimer ??= setTimeout(() => this.#close(), LAST_FRAME_MS);
  }

  close(): void {
    this.#abort.abort(new ClientGoneError("The connection is closed"));
    this.#close();
  }

  async #serve(): Promise<void> {
    const { dispatch, log, peerName } = this.#options;
    // No frame is kept in a variable here: it may be 8 MiB, and would live as long as its calls run.
    const request = readRequest(await this.#read());
    // Whoever is not answered helps itself.
    if (this.#options.draining()) throw new BadFrameError("The daemon is shutting down");
    this.#busy = true;
    const start = performance.now();
    this.#watch();
    const response = await dispatch.answer(request, { signal: this.#abort.signal, name: this.#options.callerName });
    clearTimeout(this.#hangUpTimer);
    await this.#write(encodeFrame(response));
    log.info("dispatch_done", {
      peer: peerName,
      ok: response.ok,
      ...(response.namespace_mismatch ? { refused: "namespace" } : {}),
      ...(response.config_mismatch ? { refused: "config_id" } : {}),
      total_ms: Math.round((performance.now() - start) * 1000) / 1000,
    });
  }

  /** The bytes of the one frame; what comes after it is never read. */
  async #read(): Promise<readonly Uint8Array[]> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.close();
    }, this.#options.times.requestTimeoutMs);
    try {
      const header = new Uint8Array(HEADER_BYTES);
      await this.#fill(header, "before its length was complete");
      const length = new DataView(header.buffer).getUint32(0);
      if (length > MAX_DISPATCH_BYTES) {
        const { log, peerName } = this.#options;
        log.warn("request_oversized", { peer: peerName, limit_bytes: MAX_DISPATCH_BYTES });
      }
      if (length === 0 || length > MAX_DISPATCH_BYTES) {
        throw new BadFrameError(`The length must be 1 to ${MAX_DISPATCH_BYTES}, got ${length}`);
      }
      const parts: Uint8Array[] = [];
      for (let left = length; left > 0;) {
        const part = new Uint8Array(Math.min(left, CHUNK_BYTES));
        await this.#fill(part, `${left} bytes before the frame was complete`);
        parts.push(part);
        left -= part.length;
      }
      return parts;
    } catch (error) {
      if (late) throw new BadFrameError("The frame did not come in time");
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Fill the whole of a buffer. */
  async #fill(buffer: Uint8Array, where: string): Promise<void> {
    for (let filled = 0; filled < buffer.length;) {
      let count: number | null;
      try {
        count = await this.#options.conn.read(buffer.subarray(filled));
      } catch {
        // Reset, or closed by us.
        count = null;
      }
      if (count === null) throw new BadFrameError(`The connection ended ${where}`);
      filled += count;
    }
  }

  /** Notice when the client is gone: its end shows as the end of what it sends, or only when it is asked for. */
  #watch(): void {
    this.#options.conn.read(new Uint8Array(1)).catch(() => null).then((count) => {
      // More bytes than there should be mean nothing; after them an end would not show.
      if (count === null) this.#ended();
    });
    this.#lookForHangUp();
  }

  /** The client sends nothing more; it may be gone altogether. */
  #ended(): void {
    if (this.#options.peer !== undefined) return this.#lookForHangUp();
    const { halfClosedMs } = this.#options.times;
    if (this.#closed || !this.#busy) return;
    this.#hangUpTimer = setTimeout(() => {
      this.#gone(`The client ended its side, and nothing could be sent to it for ${halfClosedMs} ms`);
    }, halfClosedMs);
  }

  #lookForHangUp(): void {
    clearTimeout(this.#hangUpTimer);
    const { peer } = this.#options;
    if (this.#closed || peer === undefined) return;
    if (peer.hungUp()) return this.#gone("The client closed the connection");
    this.#hangUpTimer = setTimeout(() => this.#lookForHangUp(), HANG_UP_POLL_MS);
  }

  #gone(why: string): void {
    this.#abort.abort(new ClientGoneError(why));
    this.#close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { conn, times } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const giveUp = (): void => this.#gone("The client takes nothing");
    try {
      for (let sent = 0; sent < bytes.length;) {
        timer = setTimeout(giveUp, times.idleWriteTimeoutMs);
        sent += await conn.write(bytes.subarray(sent));
        clearTimeout(timer);
      }
    } catch (error) {
      // Whatever a write fails with, nobody is left to answer.
      this.#abort.abort(new ClientGoneError("The connection broke"));
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#hangUpTimer);
    clearTimeout(this.#cutTimer);
    this.#options.peer?.release();
    this.#options.conn.close();
  }
}

function readRequest(parts: readonly Uint8Array[]): ReturnType<typeof readDispatchRequest> {
  // A byte order mark is no part of JSON: it is kept, and refused as such.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text: string;
  try {
    text = parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
  } catch {
    throw new BadFrameError("The frame is not valid UTF-8");
  }
  let value: unknown;
  try {
    value = parseLine(text);
  } catch (error) {
    if (!(error instanceof InvalidRequestError)) throw error;
    throw new BadFrameError("The frame is not valid JSON, or holds too many values");
  }
  try {
    return readDispatchRequest(value);
  } catch (error) {
    if (!(error instanceof InvalidRequestError)) throw error;
    throw new BadFrameError("The frame is no dispatch request");
  }
}

function encodeFrame(value: unknown): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(value));
  const frame = new Uint8Array(HEADER_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, HEADER_BYTES);
  return frame;
}

function reasonOf({ signal }: AbortController): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : String(error);
}
