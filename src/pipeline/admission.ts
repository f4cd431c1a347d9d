/**
 * Who may run now, who waits, and who is turned away: a fair queue over callers, so that one who asks for much makes only
 * itself wait. Owns the count of active requests and the queue behind them; knows nothing of what a request is.
 */
import type { QueueStatus } from "@inferd/client/protocol";

/** No place, neither to run nor to wait. */
export class QueueFullError extends Error {
  override readonly name = "QueueFullError";
}

/** The right to run one request. Given back by disposal, once; disposing again does nothing. */
export type Permit = Disposable;

interface Waiter {
  /** It has had a place before, and is not turned away. */
  readonly isBack: boolean;
  admit(): void;
  turnAway(): void;
}

/**
 * Admits `active` requests at a time and lets `depth` more wait. A free place goes to the caller that runs the fewest
 * requests, round robin among equals, and the requests of one caller are taken in the order they came. In a full queue a
 * caller with fewer requests takes a place of the one with the most.
 */
export class Admission {
  #limit: number;
  #depth: number;
  #waiting = 0;
  #active = 0;
  /** Of each caller that has any. */
  readonly #running = new Map<string, number>();
  /** By caller, the next to be served first; each in order of arrival, a set so that one leaves without a search. */
  readonly #queues = new Map<string, Set<Waiter>>();

  constructor(options: { readonly active: number; readonly depth: number }) {
    this.#limit = options.active;
    this.#depth = options.depth;
  }

  /**
   * Wait for a permit.
   *
   * @param signal Leaves the queue at once; the promise rejects with its reason.
   * @param caller Whose request it is: those of one name share one place in the round.
   * @param isBack Whether it had a place and gave it up for a while: it waits in any case.
   * @throws {QueueFullError} At once, when as many wait as may; later, when the place goes to a caller with fewer requests.
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
      const queue = this.#queues.get(caller) ?? new Set();
      this.#queues.set(caller, queue.add(waiter));
      this.#waiting++;
    });
  }

  /** Have other limits from now on: nobody who runs or waits is turned away. */
  resize(options: { readonly active: number; readonly depth: number }): void {
    this.#limit = options.active;
    this.#depth = options.depth;
    while (this.#active < this.#limit && this.#admitNext()) {
      // One after the other.
    }
  }

  /** The queue, seen once. */
  status(): QueueStatus {
    return { active: this.#active, waiting: this.#waiting, depth: this.#depth };
  }

  #full(): QueueFullError {
    return new QueueFullError(`The queue is full: ${this.#limit} running, ${this.#waiting} waiting`);
  }

  /** Turn away the newest request of the caller with the most, if it has more than this one would have then. */
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
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#release(caller);
      },
    };
  }

  #runs(caller: string): number {
    return this.#running.get(caller) ?? 0;
  }

  /** The place goes from hand to hand: it is never free while somebody waits, so no newcomer overtakes. */
  #release(caller: string): void {
    this.#active--;
    const left = this.#runs(caller) - 1;
    if (left === 0) this.#running.delete(caller);
    else this.#running.set(caller, left);
    // Fewer may run than did.
    if (this.#active < this.#limit) this.#admitNext();
  }

  /** @returns Whether anybody waited. */
  #admitNext(): boolean {
    let next: string | undefined;
    for (const waiting of this.#queues.keys()) {
      if (next === undefined || this.#runs(waiting) < this.#runs(next)) next = waiting;
    }
    if (next === undefined) return false;
    const queue = this.#queues.get(next) ?? new Set();
    const [first] = queue;
    first?.admit();
    // To the end of the round.
    if (this.#queues.delete(next)) this.#queues.set(next, queue);
    return true;
  }
}
