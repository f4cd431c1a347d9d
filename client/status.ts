/** The state of a client's connections and requests, for `status()` and for the `debug` hook. */
import { interruptible } from "./interruptible.ts";

/**
 * An event of a client's connections.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import type { ClientStatus } from "@inferd/client";
 *
 * export function show(status: ClientStatus): string {
 *   return status.type === "retrying" ? `again in ${status.delayMs} ms` : status.type;
 * }
 * ```
 */
export type ClientStatus =
  | {
    /** The first connection to an endpoint was made. */
    readonly type: "connected";
    /** Where: `unix:<path>` or `tcp:<host>:<port>`. */
    readonly endpoint: string;
  }
  | {
    /** The daemon closed a connection, or connecting failed. */
    readonly type: "disconnected";
    /** Where. */
    readonly endpoint: string;
  }
  | {
    /** A request failed before its first event, and will be sent again. */
    readonly type: "retrying";
    /** The request. */
    readonly id: string;
    /** Number of attempts so far. */
    readonly attempt: number;
    /** Delay before the next attempt, in milliseconds. */
    readonly delayMs: number;
    /** The error. */
    readonly error: Error;
  }
  | {
    /** The client was closed; the last one. */
    readonly type: "closed";
  };

/**
 * What the `debug` hook gets: {@linkcode ClientStatus}, and every request as it is sent and ends.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import { type Client, connect } from "@inferd/client";
 *
 * export function verbose(): Promise<Client> {
 *   return connect({ debug: (event) => console.error(event.type, "id" in event ? event.id : "") });
 * }
 * ```
 */
export type DebugEvent =
  | ClientStatus
  | {
    /** A request was sent. */
    readonly type: "sent";
    /** The request. */
    readonly id: string;
    /** Its size. */
    readonly bytes: number;
  }
  | {
    /** A request is over. */
    readonly type: "settled";
    /** The request. */
    readonly id: string;
    /** How long it took, in milliseconds. */
    readonly ms: number;
    /** The error, if it failed. */
    readonly error?: unknown;
  };

/** Maximum events kept for a slow loop; the oldest are dropped. */
const MOST_KEPT = 256;

/** Distributes status events to followers. */
export class StatusHub {
  readonly #debug: ((event: DebugEvent) => void) | undefined;
  readonly #followers = new Set<(status: ClientStatus) => void>();
  /** Whether an endpoint answered when it was last tried. */
  readonly #connected = new Map<string, boolean>();

  constructor(debug?: (event: DebugEvent) => void) {
    this.#debug = debug;
  }

  tell(event: DebugEvent): void {
    this.#debug?.(event);
    if (event.type === "sent" || event.type === "settled") return;
    for (const follower of [...this.#followers]) follower(event);
  }

  /** Report that one is connected, or no longer. */
  connection(endpoint: string, connected: boolean): void {
    if (this.#connected.get(endpoint) === connected) return;
    this.#connected.set(endpoint, connected);
    this.tell({ type: connected ? "connected" : "disconnected", endpoint });
  }

  /** @returns The events from now on; ends with the client. */
  follow(): AsyncIterator<ClientStatus, void> {
    const kept: ClientStatus[] = [];
    let wake: (() => void) | undefined;
    let left = false;
    const take = (status: ClientStatus): void => {
      kept.push(status);
      if (kept.length > MOST_KEPT) kept.shift();
      wake?.();
    };
    const leave = (): void => {
      left = true;
      this.#followers.delete(take);
      wake?.();
    };
    this.#followers.add(take);
    const events = async function* (): AsyncGenerator<ClientStatus, void, void> {
      while (!left) {
        const status = kept.shift();
        if (status === undefined) {
          await new Promise<void>((resolve) => wake = resolve);
          continue;
        }
        if (status.type === "closed") leave();
        yield status;
      }
    };
    return interruptible(events(), leave);
  }
}
