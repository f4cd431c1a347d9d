/**
 * The connection pool of one client: a request has a connection to itself; a few are kept between requests, because a
 * new one costs a round trip and an accept.
 */
import { Connection } from "./connection.ts";
import type { Endpoint } from "../endpoints.ts";
import { MOST_IDLE_CONNECTIONS } from "../options.ts";

/** A connection on loan. */
export interface Lease {
  readonly connection: Connection;
  /** It lay idle before, so it may have died unnoticed. */
  readonly reused: boolean;
}

/** Lends connections. */
export class Pool {
  readonly #endpoint: Endpoint;
  readonly #idle: Connection[];
  #closed = false;

  /**
   * @param endpoint Where connections lead.
   * @param first One that stands already.
   */
  constructor(endpoint: Endpoint, first?: Connection) {
    this.#endpoint = endpoint;
    first?.keepAlive(false);
    this.#idle = first === undefined ? [] : [first];
  }

  /**
   * Lend the connection that was idle for the shortest time, or a new one.
   *
   * @param signal Gives up connecting.
   * @returns The connection; give it back with `release`, or close it.
   * @throws {ConnectError} If no connection can be made. One attempt is made.
   */
  async lease(signal: AbortSignal): Promise<Lease> {
    const idle = this.#idle.pop();
    if (idle === undefined) return await this.leaseNew(signal);
    idle.keepAlive(true);
    return { connection: idle, reused: true };
  }

  /**
   * Lend a new connection.
   *
   * @param signal Gives up connecting.
   * @returns The connection; give it back with `release`, or close it.
   * @throws {ConnectError} If no connection can be made. One attempt is made.
   */
  async leaseNew(signal: AbortSignal): Promise<Lease> {
    return { connection: await Connection.open(this.#endpoint, signal), reused: false };
  }

  /** @param connection One whose request is answered; kept if it may serve another, else closed. */
  release(connection: Connection): void {
    if (this.#closed || !connection.quiet || this.#idle.length >= MOST_IDLE_CONNECTIONS) return connection.close();
    connection.keepAlive(false);
    this.#idle.push(connection);
  }

  /** Close those that are idle now and every one that is given back later. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }
}
