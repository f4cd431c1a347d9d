/**
 * Work in pieces between two steps of the model: requests that are prepared, masks that are computed. How much time there
 * is for it, the scheduler decides; here it is shared out.
 */
import type { Work } from "../../../work/work.ts";

/** What becomes of work. */
export interface Outcome<T> {
  /** It is done. */
  done(value: T): void;
  /** It threw. */
  failed(error: unknown): void;
}

interface Task {
  readonly id: number;
  /** Do a piece. */
  next(): { readonly over: boolean; readonly beside?: Promise<unknown> };
  /** Nobody needs it any more. */
  drop(): void;
}

/** The work that is under way. */
export class Workbench {
  readonly #now: () => number;
  /** Work with a piece to do; the next in turn first. */
  readonly #ready: Task[] = [];
  /** Work that waits for something that is computed beside this thread, and what for. */
  readonly #waiting = new Map<Task, Promise<void>>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether there is a piece to do. */
  get busy(): boolean {
    return this.#ready.length > 0;
  }

  /** Settles when there is a piece to do of what now waits for a promise; `undefined` where nothing does. */
  get beside(): Promise<void> | undefined {
    return this.#waiting.size === 0 ? undefined : Promise.race(this.#waiting.values());
  }

  /**
   * Take work on.
   *
   * @param id The request it is for.
   * @param work The work; nothing is done of it yet.
   * @param outcome Told what becomes of it, unless it is dropped.
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

  /** Nobody waits for this request any more. */
  drop(id: number): void {
    for (let at = this.#ready.length - 1; at >= 0; at--) {
      if (this.#ready[at]?.id === id) this.#ready.splice(at, 1)[0]?.drop();
    }
    for (const task of this.#waiting.keys()) {
      if (task.id === id && this.#waiting.delete(task)) task.drop();
    }
  }

  /** Do pieces, one of each request in turn, for so many milliseconds; at least one. */
  work(ms: number): void {
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
    // The work itself looks at how it ended.
    this.#waiting.set(task, beside.then(goOn, goOn));
  }
}
