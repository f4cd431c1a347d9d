/**
 * What the connections of every server have in common: the abort signal, which runs from the end of the socket to the
 * backend; how it is noticed that the client is gone or takes nothing; how a connection is cut and closed. What is said
 * on a connection belongs to its class.
 */
import { BackendUnavailableError } from "../inference/errors.ts";
import type { ActivityLog } from "../log/log.ts";
import { ClientGoneError } from "../pipeline/errors.ts";
import { FrameWriter } from "./frame_writer.ts";
import type { Peer } from "./peer.ts";

/** How often a connection that cannot see its end is asked for it, in milliseconds. */
const HANG_UP_POLL_MS = 100;
/** How long a connection that is cut by a drain gets to take its last frame, in milliseconds. */
const LAST_FRAME_MS = 250;

/** A connection that was accepted, and what it has to know of its server. */
export interface Accepted {
  readonly conn: Deno.UnixConn | Deno.TcpConn;
  readonly peer: Peer | undefined;
  /** What the log calls the other side. */
  readonly peerName: string;
  /** As `Caller.name`. */
  readonly callerName: string;
  /** Whether new requests are refused. */
  draining(): boolean;
  /** To be called whenever the connection's `busy` has become false. */
  onIdle(): void;
}

/** What every connection needs. */
export interface BaseOptions extends Accepted {
  readonly log: ActivityLog;
  readonly times: {
    /** How long the client may take nothing of what it is sent; absent: for ever. */
    readonly idleWriteTimeoutMs?: number;
    /** For a client that has ended its side and of which nothing else is known. */
    readonly halfClosedMs: number;
    /** How long no request may come; absent: for ever. */
    readonly idleMs?: number;
    /** Absent: `HANG_UP_POLL_MS`. */
    readonly hangUpPollMs?: number;
  };
  /** A frame as it goes out; absent: as UTF-8. */
  readonly encode?: (frame: string) => Uint8Array;
}

/** Serves one connection. */
export abstract class BaseConnection {
  protected readonly base: BaseOptions;
  protected readonly writer: FrameWriter;
  readonly #abort = new AbortController();
  #closed = false;
  #busy = false;
  /** The client has ended its side, and the kernel cannot be asked whether it is there. */
  #halfClosed = false;
  #hangUpTimer: ReturnType<typeof setTimeout> | undefined;
  #cutTimer: ReturnType<typeof setTimeout> | undefined;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: BaseOptions) {
    const { conn, encode, times: { idleWriteTimeoutMs } } = options;
    this.base = options;
    this.writer = new FrameWriter(conn, {
      ...(idleWriteTimeoutMs === undefined ? {} : { idleTimeoutMs: idleWriteTimeoutMs }),
      ...(encode === undefined ? {} : { encode }),
      onFailure: (why) => this.gone(why === "idle" ? "The client takes nothing" : "The connection broke"),
    });
  }

  /** Whether a request is served or an answer is being sent. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Serve until the client has gone or has broken a rule. The connection is closed then. Never rejects. */
  async run(): Promise<void> {
    this.#waitForRequest();
    try {
      await this.serve();
    } catch (error) {
      this.failed(error);
    } finally {
      this.gone("The connection is closed");
      this.setBusy(false);
    }
  }

  /** Cancel what runs, give its last frame a moment to leave, and close. */
  cut(): void {
    if (!this.#busy) return this.closeNow();
    this.#abort.abort(new BackendUnavailableError("The daemon is shutting down"));
    this.#cutTimer ??= setTimeout(() => this.closeNow(), LAST_FRAME_MS);
  }

  /** Close at once. */
  close(): void {
    this.gone("The daemon closes the connection");
  }

  /** Do what the connection is for; it is closed afterwards. */
  protected abstract serve(): Promise<void>;

  /** Whether the end of the connection would go unnoticed now. */
  protected abstract get blind(): boolean;

  /** Cancels what is done for the client; the reason is a `ClientGoneError` where nobody is left to read a frame. */
  protected get signal(): AbortSignal {
    return this.#abort.signal;
  }

  protected get closed(): boolean {
    return this.#closed;
  }

  /** Serving failed: tell the log. */
  protected failed(error: unknown): void {
    const cause = error instanceof Error ? error.stack ?? String(error) : String(error);
    this.base.log.error("connection_failed", { peer: this.base.peerName, cause });
  }

  /** Send a frame; a client that is gone shows by it. */
  protected send(frame: string): Promise<void> | undefined {
    if (this.#halfClosed) this.#giveTime();
    return this.writer.send(frame);
  }

  protected setBusy(busy: boolean): void {
    if (this.#busy === busy) return;
    this.#busy = busy;
    clearTimeout(this.#idleTimer);
    if (busy) return;
    this.#waitForRequest();
    this.base.onIdle();
  }

  #waitForRequest(): void {
    const { log, peerName, times: { idleMs } } = this.base;
    if (this.#closed || idleMs === undefined) return;
    this.#idleTimer = setTimeout(() => {
      log.info("connection_idle", { peer: peerName, idle_ms: idleMs });
      this.close();
    }, idleMs);
  }

  /** The client sends nothing more; it may be gone altogether. */
  protected inputEnded(): void {
    this.#halfClosed = this.base.peer === undefined;
    if (this.#halfClosed) this.#giveTime();
    else this.lookForHangUp();
  }

  /** Ask whether the client is there, and again while its end would not show by itself. */
  protected lookForHangUp(): void {
    this.stopLooking();
    const { peer, times: { hangUpPollMs = HANG_UP_POLL_MS } } = this.base;
    if (this.#closed || peer === undefined || !this.blind) return;
    if (peer.hungUp()) return this.gone("The client closed the connection");
    this.#hangUpTimer = setTimeout(() => this.lookForHangUp(), hangUpPollMs);
  }

  /** Ask no more, and wait no more for one that has ended its side. */
  protected stopLooking(): void {
    clearTimeout(this.#hangUpTimer);
  }

  /** Nobody is left to answer. */
  protected gone(why: string): void {
    this.#abort.abort(new ClientGoneError(why));
    this.closeNow();
  }

  /** Close without cancelling what runs. */
  protected closeNow(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#hangUpTimer);
    clearTimeout(this.#cutTimer);
    clearTimeout(this.#idleTimer);
    this.writer.close();
    this.base.peer?.release();
    this.base.conn.close();
  }

  /** Nothing but a failed write can tell that the client is gone; without one it is, after a while. */
  #giveTime(): void {
    this.stopLooking();
    if (this.#closed) return;
    const { halfClosedMs } = this.base.times;
    this.#hangUpTimer = setTimeout(() => {
      this.gone(`The client ended its side, and nothing could be sent to it for ${halfClosedMs} ms`);
    }, halfClosedMs);
  }
}
