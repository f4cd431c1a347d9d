/**
 * The sockets of one surface: binds, accepts, and keeps the open connections so that it can drain and close them. What
 * is said on a connection belongs to whoever opens it.
 */
import { delay } from "@std/async";
import type { TcpAddress } from "../config/options.ts";
import type { ActivityLog } from "../log/log.ts";
import type { Accepted, BaseConnection } from "./base_connection.ts";
import { bindTcp, bindUnix, removeSocket } from "./listener.ts";
import type { Peer, Peers } from "./peer.ts";

/** How long accepting rests after it failed (out of descriptors, say), in milliseconds. */
const ACCEPT_REST_MS = 100;

/** What a server of sockets needs. */
export interface SocketServerOptions {
  /** What the log calls the surface; absent: it says nothing of who listens and who connects. */
  readonly name?: string;
  readonly unix?: {
    readonly path: string;
    /** Permission bits of the socket file. */
    readonly mode: number;
    readonly group?: string;
  };
  readonly tcp?: { readonly address: TcpAddress; readonly apiKey?: string };
  /** Finds who connects; undefined where that cannot be. The server does not dispose of it. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  open(accepted: Accepted): BaseConnection;
}

type Listener = Deno.UnixListener | Deno.TcpListener;

/** Serves connections. */
export class SocketServer implements AsyncDisposable {
  readonly #options: SocketServerOptions;
  readonly #log: ActivityLog;
  /** Open connections, and when each has ended. */
  readonly #connections = new Map<BaseConnection, Promise<void>>();
  readonly #accepting = new Set<Promise<void>>();
  /** The time between `bind` and `unbind`. */
  #bound: AbortController | undefined;
  #draining = false;
  /** Connections of which nothing is known. */
  #accepts = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: SocketServerOptions) {
    this.#options = options;
    this.#log = options.log.for("server");
  }

  /**
   * Accept connections. The unix socket comes last: where it stands, everything stands. May be called again after
   * `unbind`; does nothing while bound.
   *
   * @throws {BindError} If a socket cannot stand where it should; none stands then.
   */
  async bind(): Promise<void> {
    if (this.#bound !== undefined) return;
    const bound = this.#bound = new AbortController();
    const listeners: Listener[] = [];
    try {
      const { unix, tcp } = this.#options;
      if (tcp !== undefined) listeners.push(this.#bindTcp(tcp));
      if (unix !== undefined) listeners.push(await bindUnix(unix.path, unix));
    } catch (error) {
      if (this.#bound === bound) this.#bound = undefined;
      for (const listener of listeners) close(listener);
      throw error;
    }
    for (const listener of listeners) {
      // Unbound while it was being bound.
      if (bound.signal.aborted) close(listener);
      else this.#listen(listener, bound.signal);
    }
  }

  /** Whether it accepts connections, or is about to. */
  protected get bound(): boolean {
    return this.#bound !== undefined;
  }

  /** Stop accepting and remove the socket file. Open connections live on. */
  unbind(): void {
    this.#bound?.abort();
    this.#bound = undefined;
  }

  /**
   * Stop accepting, refuse what is new, let what runs or waits finish.
   *
   * @param cut Cancels what is left and closes its connections.
   */
  async drain(cut: AbortSignal): Promise<void> {
    this.#draining = true;
    this.unbind();
    if (this.#busy.length === 0) return;
    this.#idle ??= Promise.withResolvers();
    const idle = this.#idle;
    const stop = (): void => idle.resolve();
    cut.addEventListener("abort", stop);
    if (!cut.aborted) await idle.promise;
    cut.removeEventListener("abort", stop);
    await Promise.all(this.#busy.map(([connection, ended]) => {
      connection.cut();
      return ended;
    }));
  }

  /** Close everything at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.unbind();
    for (const connection of this.#connections.keys()) connection.close();
    await Promise.all([...this.#accepting, ...this.#connections.values()]);
  }

  get #busy(): [BaseConnection, Promise<void>][] {
    return [...this.#connections].filter(([connection]) => connection.busy);
  }

  #bindTcp({ address, apiKey }: NonNullable<SocketServerOptions["tcp"]>): Deno.TcpListener {
    const listener = bindTcp(address, apiKey === undefined ? {} : { apiKey });
    if (apiKey === undefined) this.#log.warn("tcp_without_key", { address: nameOf(listener.addr) });
    return listener;
  }

  #listen(listener: Listener, bound: AbortSignal): void {
    bound.addEventListener("abort", () => close(listener), { once: true });
    const { name } = this.#options;
    if (name !== undefined) this.#log.info("listening", { surface: name, address: nameOf(listener.addr) });
    const accepting = this.#accept(listener, bound);
    this.#accepting.add(accepting);
    accepting.finally(() => this.#accepting.delete(accepting));
  }

  async #accept(listener: Listener, bound: AbortSignal): Promise<void> {
    while (!bound.aborted) {
      try {
        this.#accepted(await listener.accept());
      } catch (error) {
        if (bound.aborted) return;
        this.#log.error("accept_failed", { address: nameOf(listener.addr), cause: String(error) });
        await delay(ACCEPT_REST_MS, { signal: bound }).catch(() => {});
      }
    }
  }

  #accepted(conn: Deno.UnixConn | Deno.TcpConn): void {
    const peer = this.#options.peers?.identify(conn);
    const transport = conn.localAddr.transport;
    if ("setNoDelay" in conn) sendAtOnce(conn);
    const peerName = nameOfPeer(conn, peer);
    if (this.#options.name !== undefined) {
      this.#log.info("connection_accepted", { transport, peer: peerName, ...peer?.credentials });
    }
    const connection = this.#options.open({
      conn,
      peer,
      peerName,
      callerName: callerOf(conn, peer) ?? `connection ${this.#accepts++}`,
      draining: () => this.#draining,
      onIdle: () => this.#idled(),
    });
    this.#connections.set(connection, connection.run().finally(() => this.#connections.delete(connection)));
  }

  #idled(): void {
    if (this.#idle !== undefined && this.#busy.length === 0) this.#idle.resolve();
  }
}

function close(listener: Listener): void {
  listener.close();
  if ("path" in listener.addr) removeSocket(listener.addr.path);
}

/** Frames are small, and each is awaited. */
function sendAtOnce(conn: Deno.TcpConn): void {
  try {
    conn.setNoDelay(true);
  } catch {
    // Reset already, which the first read will tell.
  }
}

function nameOf(addr: Deno.NetAddr | Deno.UnixAddr): string {
  return "path" in addr ? addr.path : `${addr.hostname}:${addr.port}`;
}

/** An address for TCP; for unix the process, which has none. */
function nameOfPeer(conn: Deno.UnixConn | Deno.TcpConn, peer: Peer | undefined): string {
  if ("setNoDelay" in conn) return nameOf(conn.remoteAddr);
  return peer?.credentials === undefined ? "unknown" : `pid ${peer.credentials.pid}`;
}

/** The program of one user on a unix socket, the host on TCP; undefined where the kernel does not tell. */
function callerOf(conn: Deno.UnixConn | Deno.TcpConn, peer: Peer | undefined): string | undefined {
  if ("setNoDelay" in conn) return conn.remoteAddr.hostname;
  return peer?.credentials && `uid ${peer.credentials.uid} pid ${peer.credentials.pid}`;
}
