/**
 * The unix socket on which processes that the monitor started meet the daemon. It is there only while one is awaited, for
 * this user alone, and takes a process for what it says to be only if the kernel says so, too.
 */
import { abortable } from "@std/async";
import type { ActivityLog } from "../log/log.ts";
import { bindUnix, removeSocket } from "../server/listener.ts";
import type { Peer, Peers } from "../server/peer.ts";

const SOCKET_MODE = 0o600;
/** How long a process may take to say its number, in milliseconds. */
const HELLO_MS = 10_000;
const NEWLINE = 0x0a;
/** A number and its newline. */
const MOST_HELLO_BYTES = 17;

/** What it is made with. */
export interface PrivateSocketOptions {
  readonly path: string;
  /** Absent: nobody can ask the kernel, and the folder's mode alone keeps others out. */
  readonly peers: Peers | undefined;
  /** This user. */
  readonly uid: number | null;
  readonly log: ActivityLog;
}

/** A connection to a process. */
export interface Met extends Disposable {
  readonly conn: Deno.UnixConn;
  /** What came with its number. */
  readonly first: Uint8Array<ArrayBuffer>;
}

/** A process that is to connect. */
export interface Awaited extends Disposable {
  readonly met: Promise<Met>;
}

interface Expected {
  readonly pid: Promise<number>;
  readonly met: PromiseWithResolvers<Met>;
  readonly forgotten: PromiseWithResolvers<undefined>;
}

/** Meets processes. */
export class PrivateSocket implements Disposable {
  readonly #options: PrivateSocketOptions;
  readonly #expected = new Map<number, Expected>();
  #binding: Promise<void> | undefined;
  #bound: Deno.UnixListener | undefined;

  constructor(options: PrivateSocketOptions) {
    this.#options = options;
  }

  /**
   * Wait for a process. To be disposed of when it has connected, or will not.
   *
   * @param number What it will say.
   * @param pid Which it is, once that is known.
   * @returns When it can connect.
   * @throws {BindError} If there is no socket.
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
    this.#bound = await bindUnix(this.#options.path, { mode: SOCKET_MODE });
    void this.#accept(this.#bound);
    // Meanwhile whoever waited may have given up.
    if (this.#expected.size === 0) this.#close();
  }

  #close(): void {
    const bound = this.#bound;
    if (bound === undefined) return;
    this.#bound = undefined;
    this.#binding = undefined;
    bound.close();
    removeSocket(this.#options.path);
  }

  async #accept(listener: Deno.UnixListener): Promise<void> {
    try {
      for await (const conn of listener) {
        // At once: the kernel is asked about the connection that was accepted last.
        const peer = this.#options.peers?.identify(conn);
        void this.#greet(conn, peer);
      }
    } catch (error) {
      this.#options.log.warn("private_socket_failed", { reason: String(error) });
    }
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
      reason = error instanceof Error ? error.message : String(error);
    }
    this.#options.log.warn("connection_refused", { ...peer?.credentials, reason });
    close();
  }

  /** Why it is not who it says it is. */
  async #fault(expected: Expected | undefined, peer: Peer | undefined): Promise<string | undefined> {
    if (expected === undefined) return "nobody is awaited by that number";
    const { peers, uid } = this.#options;
    if (peers === undefined) return undefined;
    const credentials = peer?.credentials;
    if (credentials === undefined) return "the kernel does not say who it is";
    if (uid !== null && credentials.uid !== uid) return "it is another user's";
    const pid = await Promise.race([expected.pid, expected.forgotten.promise]);
    return credentials.pid === pid ? undefined : "it is another process than the one that was started";
  }
}

/** What a process says first: its number. */
async function hello(
  conn: Deno.UnixConn,
): Promise<{ readonly number: number; readonly rest: Uint8Array<ArrayBuffer> }> {
  const buffer = new Uint8Array(1024);
  let used = 0;
  const late = AbortSignal.timeout(HELLO_MS);
  for (;;) {
    const count = await abortable(conn.read(buffer.subarray(used)), late);
    if (count === null) throw new Error("it said no number");
    used += count;
    const end = buffer.subarray(0, Math.min(used, MOST_HELLO_BYTES)).indexOf(NEWLINE);
    if (end >= 0) {
      const number = Number(new TextDecoder().decode(buffer.subarray(0, end)));
      return { number, rest: buffer.slice(end + 1, used) };
    }
    if (used >= MOST_HELLO_BYTES) throw new Error("it said no number");
  }
}
