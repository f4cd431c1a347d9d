/**
 * What the connections of all servers share: the abort signal, which runs from the end of the socket to the backend;
 * noticing that the client is gone or does not read; cutting and closing a connection. The protocol spoken on a
 * connection belongs to its class.
 */
import { BackendUnavailableError } from "../inference/errors.ts";
import type { ActivityLog } from "../log/log.ts";
import { ClientGoneError } from "../pipeline/errors.ts";
import { FrameWriter } from "./frame_writer.ts";
import type { Peer } from "./peer.ts";

/** Poll interval for a hang-up that reading does not reveal, in milliseconds. */
const HANG_UP_POLL_MS = 100;
/** How long a client gets to read its last frame when a drain cuts its connection, in milliseconds. */
const LAST_FRAME_MS = 250;

/** An accepted connection, and its context. */
export interface Accepted {
  readonly conn: Deno.UnixConn | Deno.TcpConn;
  readonly peer: Peer | undefined;
  /** The client's name in the log. */
  readonly peerName: string;
  /** As `Caller.name`. */
  readonly callerName: string;
  draining(): boolean;
  /** Call whenever the connection's `busy` becomes false. */
  onIdle(): void;
}

export interface BaseOptions extends Accepted {
  readonly log: ActivityLog;
  readonly times: {
    /** Maximum time without the client reading; absent: unlimited. */
    readonly idleWriteTimeoutMs?: number;
    /** For a client that has closed its sending side where the kernel cannot say whether it is still there. */
    readonly halfClosedMs: number;
    /** Maximum idle time of the connection; absent: unlimited. */
    readonly idleMs?: number;
    /** Absent: `HANG_UP_POLL_MS`. */
    readonly hangUpPollMs?: number;
  };
  /** Encodes a frame; absent: as UTF-8. */
  readonly encode?: (frame: string) => Uint8Array;
}

export abstract class BaseConnection {
  protected readonly base: BaseOptions;
  protected readonly writer: FrameWriter;
  readonly #abort = new AbortController();
  #closed = false;
  #busy = false;
  /** The client has closed its sending side, and the kernel cannot say whether it is still there. */
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

  /** Serve until the client is gone or breaks a rule, then close the connection. Never rejects. */
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

  /** Cancel the running request, allow a moment for the last frame, and close. */
  cut(): void {
    if (!this.#busy) return this.closeNow();
    this.#abort.abort(new BackendUnavailableError("The daemon is shutting down"));
    this.#cutTimer ??= setTimeout(() => this.closeNow(), LAST_FRAME_MS);
  }

  close(): void {
    this.gone("The daemon closes the connection");
  }

  /** Speak the protocol of the connection; it is closed afterwards. */
  protected abstract serve(): Promise<void>;

  /** Whether the end of the connection would go unnoticed now. */
  protected abstract get blind(): boolean;

  /** Cancels the client's work; the reason is a `ClientGoneError` when nobody is left to read a frame. */
  protected get signal(): AbortSignal {
    return this.#abort.signal;
  }

  protected get closed(): boolean {
    return this.#closed;
  }

  protected failed(error: unknown): void {
    const cause = error instanceof Error ? error.stack ?? String(error) : String(error);
    this.base.log.error("connection_failed", { peer: this.base.peerName, cause });
  }

  /** Send a frame; a failure shows that the client is gone. */
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

  /** The client sends nothing more; it may be gone. */
  protected inputEnded(): void {
    this.#halfClosed = this.base.peer === undefined;
    if (this.#halfClosed) this.#giveTime();
    else this.lookForHangUp();
  }

  /** Ask the kernel whether the client is there, repeatedly while reading would not show that it has gone. */
  protected lookForHangUp(): void {
    this.stopLooking();
    const { peer, times: { hangUpPollMs = HANG_UP_POLL_MS } } = this.base;
    if (this.#closed || peer === undefined || !this.blind) return;
    if (peer.hungUp()) return this.gone("The client closed the connection");
    this.#hangUpTimer = setTimeout(() => this.lookForHangUp(), hangUpPollMs);
  }

  /** Stop polling, and stop waiting for a client that has closed its sending side. */
  protected stopLooking(): void {
    clearTimeout(this.#hangUpTimer);
  }

  /** The client is gone: cancel its work. */
  protected gone(why: string): void {
    this.#abort.abort(new ClientGoneError(why));
    this.closeNow();
  }

  /** Close without cancelling the running request. */
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

  /** Only a failed write can show that the client is gone; without one it counts as gone after a while. */
  #giveTime(): void {
    this.stopLooking();
    if (this.#closed) return;
    const { halfClosedMs } = this.base.times;
    this.#hangUpTimer = setTimeout(() => {
      this.gone(`The client ended its side, and nothing could be sent to it for ${halfClosedMs} ms`);
    }, halfClosedMs);
  }
}
