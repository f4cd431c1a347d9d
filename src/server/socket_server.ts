/**
 * The sockets of one surface: binds, accepts, and keeps the open connections so that it can drain and close them. What
 * happens on a connection is up to its creator.
 */
import { delay } from "@std/async";
import type { TcpAddress } from "../config/options.ts";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog } from "../log/log.ts";
import { turn } from "../inference/turn.ts";
import type { Accepted, BaseConnection } from "./base_connection.ts";
import type { ConnectionLimit } from "./connection_limit.ts";
import { acceptAll, bindTcp, bindUnix, fileAt, removeSocket } from "./listener.ts";
import type { Peer, Peers } from "./peer.ts";

/**
 * How often the file of a unix socket is looked for, in milliseconds: programs that clean up folders remove it, and
 * then nobody can connect. Looking takes microseconds.
 */
const FILE_CHECK_MS = 2000;

export interface SocketServerOptions {
  /** Name in the log; absent: listening and connections are not logged. */
  readonly name?: string;
  readonly unix?: UnixSocket;
  readonly tcp?: { readonly address: TcpAddress; apiKey(): string | undefined };
  /** Identifies clients; undefined if that is not possible. Not disposed of here. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  /** Absent: limited by descriptors only. */
  readonly limit?: ConnectionLimit;
  /** The last frame for a refused connection, unless it lacks a required key; absent: none. */
  readonly refusal?: (message: string) => string;
  open(accepted: Accepted): BaseConnection;
}

export interface UnixSocket {
  readonly path: string;
  readonly mode: number;
  readonly group?: string;
}

/**
 * A listener is closed when no connection has arrived for this long, in milliseconds: closing resets connections in the
 * kernel's backlog, whose clients may already have sent a request.
 */
const LAST_ACCEPTS_MS = 5;
/** The same for a port: total limit in milliseconds, because clients may keep connecting. */
const MAX_LAST_ACCEPTS_MS = 200;

/** How long a refused connection gets to read its last frame, in milliseconds. */
const REFUSED_MS = 250;
/** Maximum refused connections that get a reason at a time; more are closed immediately. */
const MAX_REFUSED = 64;
/** How many connections are accepted before open ones run again. */
const ACCEPTS_PER_TURN = 8;

type Listener = Deno.UnixListener | Deno.TcpListener;

export class SocketServer implements AsyncDisposable {
  readonly #options: SocketServerOptions;
  readonly #log: ActivityLog;
  /** Open connections, and when each has ended. */
  readonly #connections = new Map<BaseConnection, Promise<void>>();
  readonly #accepting = new Set<Promise<void>>();
  /** The time between `bind` and `unbind`. */
  #bound: AbortController | undefined;
  #draining = false;
  /** Connections whose peer is unknown. */
  #accepts = 0;
  /** Connections accepted in total. */
  #taken = 0;
  /** Accepted since open connections last ran. */
  #sinceTurn = 0;
  /** Refused connections that are still receiving their last frame. */
  readonly #refused = new Map<Deno.Conn, Promise<void>>();
  #idle: PromiseWithResolvers<void> | undefined;
  #port: number | undefined;

  constructor(options: SocketServerOptions) {
    this.#options = options;
    this.#log = options.log.for("server");
  }

  /**
   * Accept connections. The unix socket is bound last: once it is there, everything is. May be called again after
   * `unbind`; does nothing while bound.
   *
   * @throws {BindError} If a socket cannot be bound; none is bound then.
   */
  async bind(): Promise<void> {
    if (this.#bound !== undefined) return;
    const bound = this.#bound = new AbortController();
    const { unix, tcp } = this.#options;
    let tcpListener: Deno.TcpListener | undefined;
    let unixListener: Deno.UnixListener | undefined;
    // The previous listener removes the file at its path once it stops accepting.
    await Promise.all(this.#accepting);
    try {
      if (tcp !== undefined) tcpListener = this.#bindTcp(tcp);
      if (unix !== undefined) unixListener = await bindUnix(unix.path, unix);
    } catch (error) {
      if (this.#bound === bound) this.#bound = undefined;
      tcpListener?.close();
      throw error;
    }
    // `unbind` was called meanwhile.
    if (bound.signal.aborted) {
      tcpListener?.close();
      if (unixListener !== undefined) close(unixListener);
      return;
    }
    if (tcpListener !== undefined) void this.#listen(tcpListener, bound.signal);
    if (unix !== undefined && unixListener !== undefined) {
      this.#track(this.#keepUnix(unix, unixListener, bound.signal));
    }
  }

  /** Listen until `unbind`, on a new socket whenever the file of the current one is lost. */
  async #keepUnix(unix: UnixSocket, first: Deno.UnixListener, bound: AbortSignal): Promise<void> {
    const { path } = unix;
    for (let listener: Deno.UnixListener | undefined = first; listener !== undefined;) {
      const file = fileAt(path);
      const lost = new AbortController();
      const ended = this.#listen(listener, AbortSignal.any([bound, lost.signal]));
      await this.#whileFile(path, bound, (now) => now === file);
      if (bound.aborted) return;
      this.#log.warn("socket_file_lost", { path });
      if (fileAt(path) !== undefined) this.#log.error("socket_not_restored", { path, reason: "Another file is there" });
      // Closing removes any file at the path, once accepting has stopped.
      await this.#whileFile(path, bound, (now) => now !== undefined);
      lost.abort();
      await ended;
      listener = await this.#rebind(unix, bound);
      if (listener !== undefined) this.#log.info("socket_file_restored", { path });
    }
  }

  /** Wait while the file at a path satisfies a condition, at most until `unbind`. */
  async #whileFile(path: string, bound: AbortSignal, isRight: (file: string | undefined) => boolean): Promise<void> {
    while (!bound.aborted && isRight(fileAt(path))) await delay(FILE_CHECK_MS, { signal: bound }).catch(() => {});
  }

  /** Bind again as soon as possible; `undefined` after `unbind`. */
  async #rebind(unix: UnixSocket, bound: AbortSignal): Promise<Deno.UnixListener | undefined> {
    for (let told: string | undefined; !bound.aborted;) {
      try {
        const listener = await bindUnix(unix.path, unix);
        if (!bound.aborted) return listener;
        close(listener);
      } catch (error) {
        const reason = errorText(error);
        if (reason !== told) this.#log.error("socket_not_restored", { path: unix.path, reason });
        told = reason;
        await delay(FILE_CHECK_MS, { signal: bound }).catch(() => {});
      }
    }
    return undefined;
  }

  /** The TCP port that was bound last. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Whether it accepts connections, or is about to. */
  protected get bound(): boolean {
    return this.#bound !== undefined;
  }

  /**
   * Remove the socket file and stop accepting, apart from what the kernel has taken already. Open connections live on.
   */
  unbind(): void {
    this.#bound?.abort();
    this.#bound = undefined;
  }

  /**
   * Stop accepting, refuse new requests, let running and waiting ones finish.
   *
   * @param cut Cancels the remaining requests and closes their connections.
   */
  async drain(cut: AbortSignal): Promise<void> {
    this.#draining = true;
    this.unbind();
    await Promise.all(this.#accepting);
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.unbind();
    await Promise.all(this.#accepting);
    for (const connection of this.#connections.keys()) connection.close();
    await Promise.all([...this.#connections.values(), ...this.#refused.values()]);
  }

  get #busy(): [BaseConnection, Promise<void>][] {
    return [...this.#connections].filter(([connection]) => connection.busy);
  }

  #bindTcp(tcp: NonNullable<SocketServerOptions["tcp"]>): Deno.TcpListener {
    const { address } = tcp;
    const apiKey = tcp.apiKey();
    const listener = bindTcp(address, apiKey === undefined ? {} : { apiKey });
    this.#port = listener.addr.port;
    if (apiKey === undefined) this.#log.warn("tcp_without_key", { address: nameOf(listener.addr) });
    return listener;
  }

  /** Accept until `bound` fires; resolves when it has ended. */
  #listen(listener: Listener, bound: AbortSignal): Promise<void> {
    bound.addEventListener("abort", () => void this.#closeWhenTaken(listener), { once: true });
    const { name } = this.#options;
    if (name !== undefined) this.#log.info("listening", { surface: name, address: nameOf(listener.addr) });
    const accepting = this.#accept(listener, bound);
    this.#track(accepting);
    return accepting;
  }

  #track(accepting: Promise<void>): void {
    this.#accepting.add(accepting);
    void accepting.finally(() => this.#accepting.delete(accepting));
  }

  /** Remove a listener's file, and close it once all pending connections are accepted. */
  async #closeWhenTaken(listener: Listener): Promise<void> {
    const isUnix = "path" in listener.addr;
    try {
      if (isUnix) removeSocket(listener.addr.path);
    } catch {
      // Closing tries to remove it again.
    }
    const until = isUnix ? Infinity : performance.now() + MAX_LAST_ACCEPTS_MS;
    for (let taken = -1; taken !== this.#taken && performance.now() < until;) {
      taken = this.#taken;
      await delay(LAST_ACCEPTS_MS);
      // After a pause of the whole process the timer is due before the sockets are looked at.
      await turn();
    }
    listener.close();
  }

  /** Accept until the listener is closed. */
  #accept(listener: Listener, bound: AbortSignal): Promise<void> {
    const address = nameOf(listener.addr);
    return acceptAll(listener, bound, {
      accepted: (conn: Deno.UnixConn | Deno.TcpConn) => {
        this.#accepted(conn);
        this.#taken++;
        if (++this.#sinceTurn < ACCEPTS_PER_TURN) return;
        this.#sinceTurn = 0;
        return turn();
      },
      failed: (error) => this.#log.error("accept_failed", { address, cause: String(error) }),
      resumed: (failures) => this.#log.info("accept_resumed", { address, failures }),
    });
  }

  #accepted(conn: Deno.UnixConn | Deno.TcpConn): void {
    const peer = this.#options.peers?.identify(conn);
    const callerName = callerOf(conn, peer) ?? `connection ${this.#accepts++}`;
    const taken = this.#options.limit?.take(callerName);
    if (taken !== undefined && "refused" in taken) {
      peer?.release();
      return this.#refuse(conn, taken.refused);
    }
    const transport = conn.localAddr.transport;
    if ("setNoDelay" in conn) prepare(conn);
    if (transport === "tcp") peer?.keepAlive();
    const peerName = nameOfPeer(conn, peer);
    if (this.#options.name !== undefined) {
      this.#log.limited(callerName).info("connection_accepted", { transport, peer: peerName, ...peer?.credentials });
    }
    const connection = this.#options.open({
      conn,
      peer,
      peerName,
      callerName,
      draining: () => this.#draining,
      onIdle: () => this.#idled(),
    });
    const ended = connection.run().finally(() => {
      this.#connections.delete(connection);
      taken?.[Symbol.dispose]();
    });
    this.#connections.set(connection, ended);
  }

  #refuse(conn: Deno.UnixConn | Deno.TcpConn, message: string): void {
    const { refusal, tcp } = this.#options;
    const isStranger = "setNoDelay" in conn && tcp?.apiKey() !== undefined;
    if (refusal === undefined || isStranger || this.#refused.size >= MAX_REFUSED) return conn.close();
    const telling = tell(conn, refusal(message)).finally(() => this.#refused.delete(conn));
    this.#refused.set(conn, telling);
  }

  #idled(): void {
    if (this.#idle !== undefined && this.#busy.length === 0) this.#idle.resolve();
  }
}

function close(listener: Listener): void {
  listener.close();
  if ("path" in listener.addr) removeSocket(listener.addr.path);
}

/** Send a last frame and close once it was read, or after a moment. */
async function tell(conn: Deno.UnixConn | Deno.TcpConn, frame: string): Promise<void> {
  let open = true;
  const close = (): void => {
    if (open) conn.close();
    open = false;
  };
  const timer = setTimeout(close, REFUSED_MS);
  try {
    await conn.write(new TextEncoder().encode(frame));
    await conn.closeWrite();
    // Unread bytes would turn the close into a reset, which would overtake the frame.
    const waste = new Uint8Array(1024);
    while (await conn.read(waste) !== null) await turn();
  } catch {
    // Gone, or closed by the timer.
  } finally {
    clearTimeout(timer);
    close();
  }
}

/** Frames are small, and each is awaited; a client whose machine is gone shows some time. */
function prepare(conn: Deno.TcpConn): void {
  try {
    conn.setNoDelay(true);
    conn.setKeepAlive(true);
  } catch {
    // Reset already; the first read will report it.
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

/** The program of a user on a unix socket, the host on TCP; undefined if the kernel does not report it. */
function callerOf(conn: Deno.UnixConn | Deno.TcpConn, peer: Peer | undefined): string | undefined {
  if ("setNoDelay" in conn) return conn.remoteAddr.hostname;
  return peer?.credentials && `uid ${peer.credentials.uid} pid ${peer.credentials.pid}`;
}
