/**
 * Admission control: a queue that is fair between callers, so that a caller with many requests delays only itself. Owns
 * the count of active requests and the queue behind them; knows nothing of what a request is.
 */
import type { QueueStatus } from "@inferd/client/protocol";

export class QueueFullError extends Error {
  override readonly name = "QueueFullError";
}

/** The right to run one request. Disposal gives it back; disposing again does nothing. */
export type Permit = Disposable;

interface Waiter {
  /** Whether it had a permit before; then it is never evicted. */
  readonly isBack: boolean;
  admit(): void;
  turnAway(): void;
}

/**
 * Admits `active` requests at a time and lets `depth` more wait. A free slot goes to the caller that runs the fewest
 * requests, round robin among equals; the requests of one caller are taken in order of arrival. In a full queue a
 * caller with fewer requests evicts one of the caller with the most.
 */
export class Admission {
  #limit: number;
  #depth: number;
  #waiting = 0;
  #active = 0;
  /** Active requests by caller. */
  readonly #running = new Map<string, number>();
  /** Waiting requests by caller, in order of service; each set in order of arrival, so that removal needs no search. */
  readonly #queues = new Map<string, Set<Waiter>>();

  constructor(options: { readonly active: number; readonly depth: number }) {
    this.#limit = options.active;
    this.#depth = options.depth;
  }

  /**
   * Wait for a permit.
   *
   * @param signal Removes the request from the queue at once; the promise rejects with its reason.
   * @param caller Whose request it is: requests of one name share one turn.
   * @param isBack Whether it had a permit and gave it up for a while: it is queued even when the queue is full.
   * @throws {QueueFullError} At once when the queue is full; later when a caller with fewer requests evicts it.
   */
  acquire(signal: AbortSignal, caller = "", isBack = false): Promise<Permit> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#active < this.#limit) return Promise.resolve(this.#permit(caller));
    if (!isBack && this.#waiting >= this.#depth && !this.#makeRoomFor(caller)) return Promise.reject(this.#full());
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#remove(caller, waiter);
        reject(signal.reason);
      };
      const settle = (): void => {
        this.#remove(caller, waiter);
        signal.removeEventListener("abort", leave);
      };
      const waiter: Waiter = {
        isBack,
        admit: () => {
          settle();
          resolve(this.#permit(caller));
        },
        turnAway: () => {
          settle();
          reject(this.#full());
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#queues.getOrInsertComputed(caller, () => new Set()).add(waiter);
      this.#waiting++;
    });
  }

  /** Change the limits; running and waiting requests stay. */
  resize(options: { readonly active: number; readonly depth: number }): void {
    this.#limit = options.active;
    this.#depth = options.depth;
    while (this.#active < this.#limit && this.#admitNext()) {
      // One after the other.
    }
  }

  status(): QueueStatus {
    return { active: this.#active, waiting: this.#waiting, depth: this.#depth };
  }

  #full(): QueueFullError {
    return new QueueFullError(`The queue is full: ${this.#limit} running, ${this.#waiting} waiting`);
  }

  /** Evict the newest request of the caller with the most, if it has more than this caller would then have. */
  #makeRoomFor(caller: string): boolean {
    let largest: ReadonlySet<Waiter> = new Set();
    for (const queue of this.#queues.values()) if (queue.size > largest.size) largest = queue;
    if (largest.size <= (this.#queues.get(caller)?.size ?? 0) + 1) return false;
    const newest = [...largest].findLast((waiter) => !waiter.isBack);
    newest?.turnAway();
    return newest !== undefined;
  }

  #remove(caller: string, waiter: Waiter): void {
    const queue = this.#queues.get(caller);
    if (queue?.delete(waiter) !== true) return;
    this.#waiting--;
    if (queue.size === 0) this.#queues.delete(caller);
  }

  #permit(caller: string): Permit {
    this.#active++;
    this.#running.set(caller, this.#runs(caller) + 1);
    const permit = new DisposableStack();
    permit.defer(() => this.#release(caller));
    return permit;
  }

  #runs(caller: string): number {
    return this.#running.get(caller) ?? 0;
  }

  /** Hand the permit over directly: it is never free while a request waits, so that no newcomer overtakes. */
  #release(caller: string): void {
    this.#active--;
    const left = this.#runs(caller) - 1;
    if (left === 0) this.#running.delete(caller);
    else this.#running.set(caller, left);
    // The limit was lowered.
    if (this.#active < this.#limit) this.#admitNext();
  }

  /** @returns Whether a request was waiting. */
  #admitNext(): boolean {
    let next: string | undefined;
    for (const waiting of this.#queues.keys()) {
      if (next === undefined || this.#runs(waiting) < this.#runs(next)) next = waiting;
    }
    if (next === undefined) return false;
    const queue = this.#queues.get(next) ?? new Set();
    const [first] = queue;
    first?.admit();
    // Move to the end of the round.
    if (this.#queues.delete(next)) this.#queues.set(next, queue);
    return true;
  }
}
