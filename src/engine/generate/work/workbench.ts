/**
 * Cooperative multitasking between decoding steps: prepares requests and computes token masks, round robin. The
 * scheduler decides how much time it gets.
 */
import type { Work } from "../../../work/work.ts";

/** How long it works while nothing is decoded, in milliseconds; the engine checks for requests in between. */
const ALONE_MS = 5;

export interface Outcome<T> {
  done(value: T): void;
  failed(error: unknown): void;
}

interface Task {
  readonly id: number;
  next(): { readonly over: boolean; readonly beside?: Promise<unknown> };
  drop(): void;
}

export class Workbench {
  readonly #now: () => number;
  /** Runnable tasks, next first. */
  readonly #ready: Task[] = [];
  /** Tasks blocked on off-thread work, with its promise. */
  readonly #waiting = new Map<Task, Promise<void>>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get busy(): boolean {
    return this.#ready.length > 0;
  }

  /** Settles when a blocked task becomes runnable; `undefined` if none is blocked. */
  get beside(): Promise<void> | undefined {
    return this.#waiting.size === 0 ? undefined : Promise.race(this.#waiting.values());
  }

  /**
   * Add a task.
   *
   * @param work The work, not started yet.
   * @param outcome Called when it ends, unless it is dropped.
   */
  add<T>(id: number, work: Work<T>, outcome: Outcome<T>): void {
    this.#ready.push({
      id,
      next: () => {
        let piece: IteratorResult<Promise<unknown> | void, T>;
        try {
          piece = work.next();
        } catch (error) {
          outcome.failed(error);
          return { over: true };
        }
        if (!piece.done) return piece.value === undefined ? { over: false } : { over: false, beside: piece.value };
        outcome.done(piece.value);
        return { over: true };
      },
      drop: () => void work.return(undefined as T),
    });
  }

  drop(id: number): void {
    for (let at = this.#ready.length - 1; at >= 0; at--) {
      if (this.#ready[at]?.id === id) this.#ready.splice(at, 1)[0]?.drop();
    }
    for (const task of this.#waiting.keys()) {
      if (task.id === id && this.#waiting.delete(task)) task.drop();
    }
  }

  /** Run slices round robin for this many milliseconds; at least one. */
  work(ms = ALONE_MS): void {
    const until = this.#now() + ms;
    for (let task = this.#ready.shift(); task !== undefined; task = this.#ready.shift()) {
      const { over, beside } = task.next();
      if (beside !== undefined) this.#wait(task, beside);
      else if (!over) this.#ready.push(task);
      if (this.#now() >= until) return;
    }
  }

  #wait(task: Task, beside: Promise<unknown>): void {
    const goOn = (): void => {
      if (this.#waiting.delete(task)) this.#ready.push(task);
    };
    // The work itself checks how the promise settled.
    this.#waiting.set(task, beside.then(goOn, goOn));
  }
}
