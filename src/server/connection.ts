/**
 * One client on one connection: lines in, requests in order, frames out, and how all of it ends. Owns the connection's
 * abort signal, which runs from the end of the socket to the backend.
 */
import { AUTH_TIMEOUT_MS, MAX_FRAME_BYTES } from "@inferd/client/protocol";
import { BackendUnavailableError } from "../inference/errors.ts";
import type { ActivityLog } from "../log/log.ts";
import { ClientGoneError, FrameTooLargeError } from "../pipeline/errors.ts";
import type { Caller, Pipeline } from "../pipeline/handle.ts";
import { idOf, type ResolvedRequest } from "../pipeline/resolve.ts";
import type { Surface } from "../surfaces/surface.ts";
import { type Authenticator, isAuthFrame } from "./auth.ts";
import { FrameReader, type ReadEnd } from "./framing.ts";
import { FrameWriter } from "./frame_writer.ts";
import { parseLine } from "./json_line.ts";
import { HALF_CLOSED_MS, type Peer } from "./peer.ts";

/** How much of further requests is read while one is served, in bytes. */
const READ_AHEAD_BYTES = 256 * 1024;
/** How often a connection that cannot see its end is asked for it, in milliseconds. */
const HANG_UP_POLL_MS = 100;
/** How long a client that broke a rule may go on sending before it is cut, in milliseconds. */
const LINGER_MS = 10_000;
/** How long a connection that is cut by a drain gets to take its last frame, in milliseconds. */
const LAST_FRAME_MS = 250;

/** The times a connection keeps, in milliseconds. */
export interface ConnectionTimes {
  readonly idleWriteTimeoutMs: number;
  readonly authTimeoutMs: number;
  readonly lingerMs: number;
  /** For a client that has ended its side and of which nothing else is known. */
  readonly halfClosedMs: number;
}

/** The times outside of tests. */
export const DEFAULT_TIMES: ConnectionTimes = {
  idleWriteTimeoutMs: 30_000,
  authTimeoutMs: AUTH_TIMEOUT_MS,
  lingerMs: LINGER_MS,
  halfClosedMs: HALF_CLOSED_MS,
};

/** What a connection needs. */
export interface ConnectionOptions {
  readonly conn: Deno.UnixConn | Deno.TcpConn;
  readonly surface: Surface;
  readonly pipeline: Pipeline;
  readonly log: ActivityLog;
  readonly peer: Peer | undefined;
  /** What the log calls the other side. */
  readonly peerName: string;
  /** As `Caller.name`. */
  readonly callerName: string;
  /** Absent: no authentication line is asked for. */
  readonly authenticator?: Authenticator;
  readonly times: ConnectionTimes;
  /** Whether new requests are refused. */
  draining(): boolean;
  /** Called whenever `busy` has become false. */
  onIdle(): void;
}

/** Serves one connection. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #isTcp: boolean;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #abort = new AbortController();
  readonly #caller: Caller;
  #closed = false;
  #busy = false;
  #hangUpTimer: ReturnType<typeof setTimeout> | undefined;
  /** The client has ended its side, and the kernel cannot be asked whether it is there. */
  #halfClosed = false;
  #cutTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#isTcp = options.conn.localAddr.transport === "tcp";
    this.#writer = new FrameWriter(options.conn, {
      idleTimeoutMs: options.times.idleWriteTimeoutMs,
      onFailure: (why) => this.#gone(why === "idle" ? "The client takes nothing" : "The connection broke"),
    });
    this.#caller = {
      signal: this.#abort.signal,
      name: options.callerName,
      send: (frame) => {
        // A client that is gone shows by it.
        if (this.#halfClosed) this.#giveTime();
        return this.#writer.send(frame);
      },
    };
    // Nobody unknown has anything read ahead.
    const limits = options.authenticator === undefined
      ? { maxBytes: MAX_FRAME_BYTES, readAheadBytes: READ_AHEAD_BYTES }
      : { maxBytes: options.authenticator.maxLineBytes, readAheadBytes: 0 };
    this.#reader = new FrameReader(options.conn, limits, {
      onDry: () => this.#allAnswered(),
      onPause: () => this.#lookForHangUp(),
      onEnd: (end) => this.#readEnded(end),
    });
  }

  /** Whether a request is served or an answer is being sent. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Serve until the client has gone or has broken a rule. The connection is closed then. Never rejects. */
  async run(): Promise<void> {
    try {
      if (await this.#admitted()) await this.#serve();
    } catch (error) {
      this.#options.log.error("connection_failed", { peer: this.#options.peerName, cause: String(error) });
    } finally {
      this.#gone("The connection is closed");
      this.#setBusy(false);
    }
  }

  /** Cancel what runs, give its last frame a moment to leave, and close. */
  cut(): void {
    if (!this.#busy) return this.#close();
    this.#abort.abort(new BackendUnavailableError("The daemon is shutting down"));
    this.#cutTimer ??= setTimeout(() => this.#close(), LAST_FRAME_MS);
  }

  /** Close at once. */
  close(): void {
    this.#gone("The daemon closes the connection");
  }

  /** Whether the client may ask at all. Those who may not are told nothing. */
  async #admitted(): Promise<boolean> {
    const { authenticator, times } = this.#options;
    if (authenticator === undefined) return true;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#close();
    }, times.authTimeoutMs);
    try {
      const line = await this.#reader.next();
      if (late) return this.#rejected("late");
      const { violation } = this.#reader;
      if (line === undefined && violation === undefined) return this.#rejected("missing");
      if (line === undefined && violation instanceof FrameTooLargeError) return this.#rejected("too large");
      if (line === undefined || !await authenticator.accepts(line)) return this.#rejected("wrong");
    } finally {
      clearTimeout(timer);
    }
    this.#reader.allow({ maxBytes: MAX_FRAME_BYTES, readAheadBytes: READ_AHEAD_BYTES });
    return true;
  }

  #rejected(reason: string): false {
    this.#options.log.warn("tcp_auth_rejected", { peer: this.#options.peerName, reason });
    return false;
  }

  async #serve(): Promise<void> {
    const { pipeline, log, peerName } = this.#options;
    const { signal } = this.#abort;
    for (let first = true; !signal.aborted; first = false) {
      // No line is kept in a variable here: it may be 64 MiB, and would live as long as its request runs.
      const step = this.#resolve(await this.#reader.next(), first);
      if (signal.aborted || step === "end") break;
      if (step === "unreadable") return await this.#closeGently();
      if (step !== "answered") await pipeline.handle(step, this.#caller);
    }
    const { violation } = this.#reader;
    if (!signal.aborted && violation !== undefined) {
      if (violation instanceof FrameTooLargeError) {
        log.warn("request_oversized", { peer: peerName, limit_bytes: MAX_FRAME_BYTES });
      }
      pipeline.reject("", this.#caller, { error: violation });
      return await this.#closeGently();
    }
    await this.#writer.flush();
  }

  /** A line into a request; what cannot become one is answered here. */
  #resolve(line: string | undefined, first: boolean): ResolvedRequest | "end" | "unreadable" | "answered" {
    const { pipeline, surface, authenticator, draining } = this.#options;
    if (line === undefined) return "end";
    this.#setBusy(true);
    let value: unknown;
    try {
      value = parseLine(line);
    } catch (error) {
      pipeline.reject("", this.#caller, { error });
      return "unreadable";
    }
    // A client that was given a key sends it; a daemon without one has no use for it.
    if (first && this.#isTcp && authenticator === undefined && isAuthFrame(value)) return "answered";
    try {
      if (draining()) throw new BackendUnavailableError("The daemon is shutting down");
      return surface.resolve(value);
    } catch (error) {
      pipeline.reject(idOf(value), this.#caller, { error });
      return "answered";
    }
  }

  async #allAnswered(): Promise<void> {
    await this.#writer.flush();
    this.#setBusy(false);
  }

  #readEnded(end: ReadEnd): void {
    // A TCP client that has sent its end has closed; one on a unix socket may just have no more to ask.
    if (end === "broken" || (end === "eof" && this.#isTcp)) return this.#gone("The client closed the connection");
    this.#halfClosed = end === "eof" && this.#options.peer === undefined;
    if (this.#halfClosed) this.#giveTime();
    else this.#lookForHangUp();
  }

  /** Ask now, and again while the end would not show by itself. */
  #lookForHangUp(): void {
    clearTimeout(this.#hangUpTimer);
    const { peer } = this.#options;
    if (this.#closed || peer === undefined || !this.#reader.blind) return;
    if (peer.hungUp()) return this.#gone("The client closed the connection");
    this.#hangUpTimer = setTimeout(() => this.#lookForHangUp(), HANG_UP_POLL_MS);
  }

  /** Nothing but a failed write can tell that the client is gone; without one it is, after a while. */
  #giveTime(): void {
    clearTimeout(this.#hangUpTimer);
    if (this.#closed) return;
    const { halfClosedMs } = this.#options.times;
    this.#hangUpTimer = setTimeout(() => {
      this.#gone(`The client ended its side, and nothing could be sent to it for ${halfClosedMs} ms`);
    }, halfClosedMs);
  }

  /**
   * Close so that the last frame can be read: bytes of the client's left unread would turn the close into a reset,
   * which overtakes the frame.
   */
  async #closeGently(): Promise<void> {
    await this.#allAnswered();
    const timer = setTimeout(() => this.#close(), this.#options.times.lingerMs);
    try {
      await this.#options.conn.closeWrite();
      await this.#reader.discard();
    } catch {
      // Closed meanwhile.
    } finally {
      clearTimeout(timer);
    }
  }

  #gone(why: string): void {
    this.#abort.abort(new ClientGoneError(why));
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#hangUpTimer);
    clearTimeout(this.#cutTimer);
    this.#writer.close();
    this.#options.peer?.release();
    this.#options.conn.close();
  }

  #setBusy(busy: boolean): void {
    if (this.#busy === busy) return;
    this.#busy = busy;
    if (!busy) this.#options.onIdle();
  }
}
