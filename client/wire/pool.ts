/**
 * The connection pool of a client: a request has a connection to itself; a few are kept for reuse, because a new one
 * costs a round trip and an accept.
 */
import { Connection } from "./connection.ts";
import { type Endpoint, endpointName } from "../endpoints.ts";
import { MOST_IDLE_CONNECTIONS, type OpenTransport } from "../options.ts";
import type { StatusHub } from "../status.ts";

/** A leased connection. */
export interface Lease {
  readonly connection: Connection;
  /** Whether it was idle before, so it may have died unnoticed. */
  readonly reused: boolean;
}

/** The parts of a pool. */
export interface PoolParts {
  /** Distributes events of connections. */
  readonly hub: StatusHub;
  /** Opens connections; absent: `node:net`. */
  readonly transport?: OpenTransport | undefined;
  /** An open connection. */
  readonly first?: Connection;
}

/** Lends connections. */
export class Pool {
  readonly #endpoint: Endpoint;
  readonly #idle: Connection[];
  readonly #hub: StatusHub;
  readonly #transport: OpenTransport | undefined;
  #closed = false;

  constructor(endpoint: Endpoint, { first, hub, transport }: PoolParts) {
    this.#endpoint = endpoint;
    this.#hub = hub;
    this.#transport = transport;
    this.#idle = [];
    if (first !== undefined) this.#lay(first);
  }

  /** Keep an idle connection, and notice when the daemon ends it. */
  #lay(connection: Connection): void {
    connection.keepAlive(false);
    connection.whenEnded(() => this.#hub.connection(endpointName(this.#endpoint), false));
    this.#idle.push(connection);
  }

  /**
   * Lend the connection that was idle for the shortest time, or a new one; give it back with `release`, or close it.
   *
   * @throws {ConnectError} If no connection can be made. One attempt is made.
   */
  async lease(signal: AbortSignal): Promise<Lease> {
    const idle = this.#idle.pop();
    if (idle === undefined) return await this.leaseNew(signal);
    idle.whenEnded(undefined);
    idle.keepAlive(true);
    return { connection: idle, reused: true };
  }

  /**
   * Lend a new connection; give it back with `release`, or close it.
   *
   * @throws {ConnectError} If no connection can be made. One attempt is made.
   */
  async leaseNew(signal: AbortSignal): Promise<Lease> {
    const name = endpointName(this.#endpoint);
    try {
      const connection = await Connection.open(this.#endpoint, signal, this.#transport);
      this.#hub.connection(name, true);
      return { connection, reused: false };
    } catch (error) {
      if (!signal.aborted) this.#hub.connection(name, false);
      throw error;
    }
  }

  /** @param connection One whose request is answered; kept if it may serve another, else closed. */
  release(connection: Connection): void {
    if (this.#closed || !connection.quiet || this.#idle.length >= MOST_IDLE_CONNECTIONS) return connection.close();
    this.#lay(connection);
  }

  /** Close idle connections now, and the others when they are released. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) {
      connection.whenEnded(undefined);
      connection.close();
    }
  }
}
