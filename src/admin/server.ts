/**
 * The admin socket: everyone who may open it hears where the daemon is. Nothing can be asked for here; what a client
 * writes is read and thrown away. What is said is `status.ts`'s.
 */
import { delay } from "@std/async";
import type { ActivityLog } from "../log/log.ts";
import { bindUnix, removeSocket } from "../server/listener.ts";
import { HALF_CLOSED_MS, type Peer, type Peers } from "../server/peer.ts";
import type { StatusBoard } from "./status.ts";

const MODE = 0o600;
/** How long readers get to take what is left when the daemon ends. */
const CLOSE_GRACE_MS = 1_000;
const DISCARD_BYTES = 4096;
/** How often one who has only closed its writing side is looked after: it may have gone altogether since. */
const HANG_UP_POLL_MS = 1_000;

/** What an admin server needs. */
export interface AdminServerOptions {
  readonly path: string;
  readonly board: StatusBoard;
  /** Finds who connects; undefined where that cannot be. The server does not dispose of it. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  /** Absent: `HALF_CLOSED_MS`. */
  readonly halfClosedMs?: number;
}

/** Serves the admin stream. */
export class AdminServer implements AsyncDisposable {
  readonly #options: AdminServerOptions;
  readonly #connections = new Set<Deno.UnixConn>();
  readonly #work = new Set<Promise<void>>();
  #listener: Deno.UnixListener | undefined;

  constructor(options: AdminServerOptions) {
    this.#options = options;
  }

  /** @throws {BindError} If the socket cannot stand there. */
  async bind(): Promise<void> {
    this.#listener = await bindUnix(this.#options.path, { mode: MODE });
    this.#track(this.#accept(this.#listener));
  }

  /** Stop accepting and remove the socket; readers get what is left and EOF, the slowest after a moment. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#listener === undefined) return;
    this.#listener.close();
    this.#listener = undefined;
    removeSocket(this.#options.path);
    this.#options.board.close();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) close(connection);
    }, CLOSE_GRACE_MS);
    await Promise.all(this.#work);
    clearTimeout(timer);
  }

  /** One reader's trouble is never the daemon's. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error) =>
        this.#options.log.error("connection_failed", { socket: this.#options.path, cause: String(error) })
      )
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }

  async #accept(listener: Deno.UnixListener): Promise<void> {
    for (;;) {
      let connection: Deno.UnixConn;
      try {
        connection = await listener.accept();
      } catch (error) {
        // The listener was closed; anything else (no descriptors left) is one connection's matter.
        if (this.#listener !== listener) return;
        this.#options.log.warn("accept_failed", { socket: this.#options.path, error: String(error) });
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      this.#track(this.#serve(connection));
    }
  }

  async #serve(connection: Deno.UnixConn): Promise<void> {
    this.#connections.add(connection);
    const peer = this.#options.peers?.identify(connection);
    const board = this.#options.board;
    using reader = board.subscribe();
    const left = new AbortController();
    const leave = (): void => {
      left.abort();
      peer?.release();
      close(connection);
    };
    reader.overrun.addEventListener("abort", () => {
      this.#options.log.warn("admin_reader_overrun");
      leave();
    });
    const { halfClosedMs = HALF_CLOSED_MS } = this.#options;
    const listening = discard(connection, peer, { left: left.signal, halfClosedMs })
      .then(() => reader[Symbol.dispose]());
    try {
      const encoder = new TextEncoder();
      for (let lines = await reader.take(); lines !== undefined; lines = await reader.take()) {
        const bytes = encoder.encode(lines);
        for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
      }
    } catch {
      // The reader is gone.
    } finally {
      leave();
      await listening;
      this.#connections.delete(connection);
    }
  }
}

/** Read and forget; resolves when the other side is gone or `left` fires. */
async function discard(
  connection: Deno.UnixConn,
  peer: Peer | undefined,
  { left, halfClosedMs }: { readonly left: AbortSignal; readonly halfClosedMs: number },
): Promise<void> {
  const buffer = new Uint8Array(DISCARD_BYTES);
  try {
    while (await connection.read(buffer) !== null);
    // It has nothing more to say, which is not yet that it has gone (`socat - UNIX:admin.sock < /dev/null`).
    if (peer === undefined) await delay(halfClosedMs, { signal: left });
    while (peer !== undefined && !peer.hungUp()) await delay(HANG_UP_POLL_MS, { signal: left });
  } catch {
    // Closed on this side, or the connection broke.
  }
}

function close(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch {
    // Closed before.
  }
}
