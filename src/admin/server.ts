/**
 * The admin socket: reports the daemon's state to everyone who may open it. The frames belong to `status.ts`, requests
 * to `requests.ts`; everything else that a client writes is read and discarded.
 */
import type { ActivityLog } from "../log/log.ts";
import { BaseConnection, type BaseOptions } from "../server/base_connection.ts";
import { ConnectionLimit } from "../server/connection_limit.ts";
import { HALF_CLOSED_MS, type Peers } from "../server/peer.ts";
import { SocketServer } from "../server/socket_server.ts";
import { QuestionReader, type RequestDesk } from "./requests.ts";
import type { StatusBoard, StatusReader } from "./status.ts";

/** Permission bits of the socket file: its owner only. */
const SOCKET_MODE = 0o600;
/** Time for readers to read the remaining lines when the daemon exits. */
const CLOSE_GRACE_MS = 1_000;
const READ_BYTES = 4096;
/** Maximum number of readers, counted apart from clients' connections, so that neither can lock out the other. */
const MAX_CONNECTIONS = 256;
/** How often a reader that has closed its sending side is checked: it may have gone since. */
const HANG_UP_POLL_MS = 1_000;

export interface AdminServerOptions {
  readonly path: string;
  readonly board: StatusBoard;
  /** As in `SocketServerOptions`. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  /** Answers requests; absent: they are ignored. */
  readonly desk?: RequestDesk;
  /** Absent: `HALF_CLOSED_MS`. */
  readonly halfClosedMs?: number;
  /** Connections that may be open; absent: `MAX_CONNECTIONS`. */
  readonly maxConnections?: number;
}

export class AdminServer extends SocketServer {
  readonly #board: StatusBoard;

  constructor({ path, board, peers, log, desk, ...options }: AdminServerOptions) {
    const { halfClosedMs = HALF_CLOSED_MS, maxConnections = MAX_CONNECTIONS } = options;
    const times = { halfClosedMs, hangUpPollMs: HANG_UP_POLL_MS };
    super({
      unix: { path, mode: SOCKET_MODE },
      peers,
      log,
      limit: new ConnectionLimit(maxConnections, log),
      open: (accepted) => new AdminConnection({ ...accepted, board, desk, log, times }),
    });
    this.#board = board;
  }

  /** Stop accepting and remove the socket; readers get what is left and EOF, the slowest after a moment. */
  override async [Symbol.asyncDispose](): Promise<void> {
    if (!this.bound) return;
    this.unbind();
    this.#board.close();
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(), CLOSE_GRACE_MS);
    await this.drain(cut.signal);
    clearTimeout(timer);
    await super[Symbol.asyncDispose]();
  }
}

/** One reader. Nothing ever waits for it: one that falls too far behind is dropped by the board. */
class AdminConnection extends BaseConnection {
  readonly #board: StatusBoard;
  readonly #desk: RequestDesk | undefined;

  constructor(
    { board, desk, ...options }: BaseOptions & { readonly board: StatusBoard; readonly desk: RequestDesk | undefined },
  ) {
    super(options);
    this.#board = board;
    this.#desk = desk;
  }

  override cut(): void {
    this.close();
  }

  /** Only checked once reading has ended. */
  protected override get blind(): boolean {
    return true;
  }

  protected override async serve(): Promise<void> {
    this.setBusy(true);
    using reader = this.#board.subscribe();
    this.signal.addEventListener("abort", () => reader[Symbol.dispose]());
    reader.overrun.addEventListener("abort", () => {
      this.base.log.warn("admin_reader_overrun");
      this.gone("The reader has fallen too far behind");
    });
    const listening = this.#listen(reader);
    for (let lines = await reader.take(); lines !== undefined && !this.closed; lines = await reader.take()) {
      this.writer.send(lines);
      await this.writer.flush();
    }
    this.close();
    await listening;
  }

  /**
   * Read requests. A reader that has closed its sending side may still listen (`socat - UNIX:admin.sock < /dev/null`).
   */
  async #listen(reader: StatusReader): Promise<void> {
    const { conn } = this.base;
    const buffer = new Uint8Array(READ_BYTES);
    const questions = new QuestionReader();
    // The stream continues: a reader that has closed its sending side may still listen.
    let following: Disposable | undefined;
    reader.ended.addEventListener("abort", () => following?.[Symbol.dispose](), { once: true });
    try {
      for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
        for (const line of questions.push(buffer.subarray(0, count))) {
          if (following === undefined && !reader.ended.aborted) {
            following = this.#desk?.follow(line, (frame) => reader.push(frame));
          }
          const answer = this.#desk?.answer(line);
          if (answer !== undefined) reader.push(answer);
        }
      }
      this.inputEnded();
    } catch {
      this.gone("The connection broke");
    }
  }
}
