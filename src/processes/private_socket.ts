/**
 * The unix socket on which processes started by the monitor connect to the daemon. It exists only while a connection is
 * expected, is accessible to this user only, and accepts a process only if its peer credentials match the process id
 * the monitor reported.
 */
import { abortable } from "@std/async";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog } from "../log/log.ts";
import { acceptAll, bindUnix, removeSocket } from "../server/listener.ts";
import type { Peer, Peers } from "../server/peer.ts";

const SOCKET_MODE = 0o600;
/** Time limit for a process to send its number, in milliseconds. */
const HELLO_MS = 10_000;
const NEWLINE = 0x0a;
/** A number and a newline. */
const MOST_HELLO_BYTES = 17;

export interface PrivateSocketOptions {
  readonly path: string;
  /** Absent: no peer credentials; only the folder's mode keeps others out. */
  readonly peers: Peers | undefined;
  /** This process's user id. */
  readonly uid: number | null;
  readonly log: ActivityLog;
}

/** A connection to a process. */
export interface Met extends Disposable {
  readonly conn: Deno.UnixConn;
  /** Bytes received along with the number. */
  readonly first: Uint8Array<ArrayBuffer>;
}

/** A process expected to connect. */
export interface Awaited extends Disposable {
  readonly met: Promise<Met>;
}

interface Expected {
  readonly pid: Promise<number>;
  readonly met: PromiseWithResolvers<Met>;
  readonly forgotten: PromiseWithResolvers<undefined>;
}

/** Accepts connections of expected processes. */
export class PrivateSocket implements Disposable {
  readonly #options: PrivateSocketOptions;
  readonly #expected = new Map<number, Expected>();
  #binding: Promise<void> | undefined;
  #bound: { readonly listener: Deno.UnixListener; readonly over: AbortController } | undefined;

  constructor(options: PrivateSocketOptions) {
    this.#options = options;
  }

  /**
   * Expect a process. Dispose of the result once it has connected, or will not.
   *
   * @returns Resolves when the process can connect.
   * @throws {BindError} If the socket cannot be bound.
   */
  async expect(number: number, pid: Promise<number>): Promise<Awaited> {
    const expected = { pid, met: Promise.withResolvers<Met>(), forgotten: Promise.withResolvers<undefined>() };
    this.#expected.set(number, expected);
    const awaited = { met: expected.met.promise, [Symbol.dispose]: () => this.#forget(number) };
    try {
      await (this.#binding ??= this.#bind());
      return awaited;
    } catch (error) {
      this.#binding = undefined;
      this.#forget(number);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const number of [...this.#expected.keys()]) this.#forget(number);
  }

  #forget(number: number): void {
    this.#expected.get(number)?.forgotten.resolve(undefined);
    this.#expected.delete(number);
    if (this.#expected.size === 0) this.#close();
  }

  async #bind(): Promise<void> {
    const { path, peers, log } = this.#options;
    const listener = await bindUnix(path, { mode: SOCKET_MODE });
    const over = new AbortController();
    this.#bound = { listener, over };
    void acceptAll(listener, over.signal, {
      // Immediately: peer credentials are looked up for the connection accepted last.
      accepted: (conn) => void this.#greet(conn, peers?.identify(conn)),
      failed: (error) => log.warn("private_socket_failed", { reason: String(error) }),
    });
    // The caller may have given up meanwhile.
    if (this.#expected.size === 0) this.#close();
  }

  #close(): void {
    const bound = this.#bound;
    if (bound === undefined) return;
    this.#bound = undefined;
    this.#binding = undefined;
    bound.over.abort();
    bound.listener.close();
    removeSocket(this.#options.path);
  }

  async #greet(conn: Deno.UnixConn, peer: Peer | undefined): Promise<void> {
    const close = (): void => {
      peer?.release();
      conn.close();
    };
    let reason: string | undefined;
    try {
      const { number, rest } = await hello(conn);
      const expected = this.#expected.get(number);
      reason = await this.#fault(expected, peer);
      if (expected !== undefined && reason === undefined) {
        return expected.met.resolve({ conn, first: rest, [Symbol.dispose]: close });
      }
    } catch (error) {
      reason = errorText(error);
    }
    this.#options.log.warn("connection_refused", { ...peer?.credentials, reason });
    close();
  }

  /** Why the peer is refused; undefined if it is the expected process. */
  async #fault(expected: Expected | undefined, peer: Peer | undefined): Promise<string | undefined> {
    if (expected === undefined) return "no process is expected under that number";
    const { peers, uid } = this.#options;
    if (peers === undefined) return undefined;
    const credentials = peer?.credentials;
    if (credentials === undefined) return "its peer credentials are not available";
    if (uid !== null && credentials.uid !== uid) return "it belongs to another user";
    const pid = await Promise.race([expected.pid, expected.forgotten.promise]);
    return credentials.pid === pid ? undefined : "it is not the process that was started";
  }
}

/** Read the number a process sends first. */
async function hello(
  conn: Deno.UnixConn,
): Promise<{ readonly number: number; readonly rest: Uint8Array<ArrayBuffer> }> {
  const buffer = new Uint8Array(1024);
  let used = 0;
  const late = AbortSignal.timeout(HELLO_MS);
  for (;;) {
    const count = await abortable(conn.read(buffer.subarray(used)), late);
    if (count === null) throw new Error("it sent no number");
    used += count;
    const end = buffer.subarray(0, Math.min(used, MOST_HELLO_BYTES)).indexOf(NEWLINE);
    if (end >= 0) {
      const number = Number(new TextDecoder().decode(buffer.subarray(0, end)));
      return { number, rest: buffer.slice(end + 1, used) };
    }
    if (used >= MOST_HELLO_BYTES) throw new Error("it sent no number");
  }
}
