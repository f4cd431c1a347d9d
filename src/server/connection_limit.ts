/**
 * How many connections a daemon keeps open, in total and per caller, and how often refusals are logged. What a refused
 * connection is sent is not decided here.
 */
import type { ActivityLog } from "../log/log.ts";

/** The share of all connections that one caller may have, so that no caller can lock out the others. */
const CALLER_SHARE = 1 / 2;
/** Refusals are logged at most this often, in milliseconds. */
const RECORD_MS = 1_000;

export class ConnectionLimit {
  #total: number;
  readonly #log: ActivityLog;
  #open = 0;
  readonly #callers = new Map<string, number>();
  /** Refused since the last log record. */
  #unrecorded = 0;
  #recordedAt = -Infinity;

  constructor(total: number, log: ActivityLog) {
    this.#total = total;
    this.#log = log;
  }

  /** Change the limit; connections that are open stay open. */
  resize(total: number): void {
    this.#total = total;
  }

  /**
   * Take a connection into account.
   *
   * @param caller As `Caller.name`.
   * @returns A disposable to dispose of when the connection closes, or the reason why it is refused.
   */
  take(caller: string): Disposable | { readonly refused: string } {
    const has = this.#callers.get(caller) ?? 0;
    if (this.#open >= this.#total) return this.#refuse(caller, `The daemon has ${this.#open} connections`);
    if (has >= Math.ceil(this.#total * CALLER_SHARE)) return this.#refuse(caller, `This client has ${has} connections`);
    this.#open++;
    this.#callers.set(caller, has + 1);
    return { [Symbol.dispose]: () => this.#leave(caller) };
  }

  #leave(caller: string): void {
    this.#open--;
    const left = (this.#callers.get(caller) ?? 1) - 1;
    if (left === 0) this.#callers.delete(caller);
    else this.#callers.set(caller, left);
  }

  #refuse(caller: string, what: string): { readonly refused: string } {
    this.#unrecorded++;
    const now = performance.now();
    if (now - this.#recordedAt >= RECORD_MS) {
      this.#log.warn("connections_refused", { caller, count: this.#unrecorded, open: this.#open });
      this.#recordedAt = now;
      this.#unrecorded = 0;
    }
    return { refused: `${what}, as many as it may have` };
  }
}
