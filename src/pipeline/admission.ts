/**
 * Who may run now, who waits, and who is turned away. Owns the count of active requests and the queue behind them;
 * knows nothing of what a request is.
 */
import type { QueueStatus } from "@inferd/client/protocol";

/** No place, neither to run nor to wait. */
export class QueueFullError extends Error {
  override readonly name = "QueueFullError";
}

/** The right to run one request. Given back by disposal, once; disposing again does nothing. */
export type Permit = Disposable;

interface Waiter {
  admit(): void;
}

/** Admits `active` requests at a time and lets `depth` more wait, first come first served. */
export class Admission {
  readonly #limit: number;
  readonly #depth: number;
  #active = 0;
  /** In order of arrival; a set so that one in the middle leaves without a search. */
  readonly #waiting = new Set<Waiter>();

  constructor(options: { readonly active: number; readonly depth: number }) {
    this.#limit = options.active;
    this.#depth = options.depth;
  }

  /**
   * Wait for a permit.
   *
   * @param signal Leaves the queue at once; the promise rejects with its reason.
   * @throws {QueueFullError} At once, when as many wait as may.
   */
  acquire(signal: AbortSignal): Promise<Permit> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#active < this.#limit) {
      this.#active++;
      return Promise.resolve(this.#permit());
    }
    if (this.#waiting.size >= this.#depth) {
      return Promise.reject(
        new QueueFullError(`All ${this.#limit} places are taken and ${this.#waiting.size} requests wait`),
      );
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        admit: () => {
          signal.removeEventListener("abort", leave);
          resolve(this.#permit());
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.add(waiter);
    });
  }

  /** The queue, seen once. */
  status(): QueueStatus {
    return { active: this.#active, waiting: this.#waiting.size, depth: this.#depth };
  }

  #permit(): Permit {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#release();
      },
    };
  }

  /** The place goes from hand to hand: it is never free while somebody waits, so no newcomer overtakes. */
  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#active--;
      return;
    }
    this.#waiting.delete(next);
    next.admit();
  }
}
