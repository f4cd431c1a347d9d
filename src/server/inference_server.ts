/**
 * One surface on its sockets: binds, accepts, and keeps the open connections so that it can drain and close them. What
 * is said on a connection belongs to `connection.ts`.
 */
import { delay } from "@std/async";
import type { TcpAddress } from "../config/options.ts";
import type { ActivityLog } from "../log.ts";
import type { Pipeline } from "../pipeline/handle.ts";
import type { Surface } from "../surfaces/surface.ts";
import { Authenticator } from "./auth.ts";
import { Connection, type ConnectionTimes, DEFAULT_TIMES } from "./connection.ts";
import { bindTcp, bindUnix, removeSocket } from "./listener.ts";
import { type Peer, Peers } from "./peer.ts";

/** Permission bits of the socket file: its owner and its group may ask. */
const SOCKET_MODE = 0o660;

/** How long accepting rests after it failed (out of descriptors, say), in milliseconds. */
const ACCEPT_REST_MS = 100;

/** What an inference server needs. */
export interface InferenceServerOptions extends Partial<ConnectionTimes> {
  readonly surface: Surface;
  readonly pipeline: Pipeline;
  readonly unix?: { readonly path: string; readonly group?: string };
  readonly tcp?: { readonly address: TcpAddress; readonly apiKey?: string };
  readonly log: ActivityLog;
}

type Listener = Deno.UnixListener | Deno.TcpListener;

/** Serves one surface. */
export class InferenceServer implements AsyncDisposable {
  readonly #options: InferenceServerOptions;
  readonly #log: ActivityLog;
  readonly #times: ConnectionTimes;
  readonly #authenticator: Authenticator | undefined;
  /** Open connections, and when each has ended. */
  readonly #connections = new Map<Connection, Promise<void>>();
  readonly #accepting = new Set<Promise<void>>();
  #peers: Peers | undefined;
  /** The time between `bind` and `unbind`. */
  #bound: AbortController | undefined;
  #draining = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: InferenceServerOptions) {
    this.#options = options;
    this.#log = options.log.for("server");
    this.#times = {
      idleWriteTimeoutMs: options.idleWriteTimeoutMs ?? DEFAULT_TIMES.idleWriteTimeoutMs,
      authTimeoutMs: options.authTimeoutMs ?? DEFAULT_TIMES.authTimeoutMs,
      lingerMs: options.lingerMs ?? DEFAULT_TIMES.lingerMs,
    };
    const apiKey = options.tcp?.apiKey;
    this.#authenticator = apiKey === undefined ? undefined : new Authenticator(apiKey);
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
    this.#peers ??= Peers.open(this.#log);
    const listeners: Listener[] = [];
    try {
      const { unix, tcp } = this.#options;
      if (tcp !== undefined) listeners.push(this.#bindTcp(tcp));
      if (unix !== undefined) listeners.push(await this.#bindUnix(unix));
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
    this.#peers?.[Symbol.dispose]();
    this.#peers = undefined;
  }

  get #busy(): [Connection, Promise<void>][] {
    return [...this.#connections].filter(([connection]) => connection.busy);
  }

  #bindTcp({ address, apiKey }: NonNullable<InferenceServerOptions["tcp"]>): Deno.TcpListener {
    const listener = bindTcp(address, apiKey === undefined ? {} : { apiKey });
    if (apiKey === undefined) this.#log.warn("tcp_without_key", { address: nameOf(listener.addr) });
    return listener;
  }

  #bindUnix({ path, group }: NonNullable<InferenceServerOptions["unix"]>): Promise<Deno.UnixListener> {
    return bindUnix(path, { mode: SOCKET_MODE, ...(group === undefined ? {} : { group }) });
  }

  #listen(listener: Listener, bound: AbortSignal): void {
    bound.addEventListener("abort", () => close(listener), { once: true });
    this.#log.info("listening", { surface: this.#options.surface.name, address: nameOf(listener.addr) });
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
    const peer = this.#peers?.identify(conn);
    const transport = conn.localAddr.transport;
    const tcp = "setNoDelay" in conn;
    if (tcp) sendAtOnce(conn);
    const peerName = nameOfPeer(conn, peer);
    this.#log.info("connection_accepted", { transport, peer: peerName, ...peer?.credentials });
    const connection = new Connection({
      conn,
      surface: this.#options.surface,
      pipeline: this.#options.pipeline,
      log: this.#log,
      peer,
      peerName,
      times: this.#times,
      ...(tcp && this.#authenticator !== undefined ? { authenticator: this.#authenticator } : {}),
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
