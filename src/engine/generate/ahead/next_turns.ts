/**
 * The next turns that are prepared in quiet moments, one for each slot at most: first found out, in pieces, then decoded
 * in portions. Never holds a slot: whoever needs it takes it, with what was decoded so far. The memory itself is moved by
 * `scheduler.ts`.
 */
import type { Work } from "../../../work/work.ts";
import { commonPrefix, type Slot } from "../slots.ts";
import { Workbench } from "../work/workbench.ts";

/** A slot, and what it is to hold. */
export interface NextTurn<J> {
  readonly slot: Slot<J>;
  readonly tokens: Int32Array;
}

/** Next turns of the slots of a context. */
export class NextTurns<J> {
  readonly #bench: Workbench;
  /** To be decoded; the first that ended is the first. */
  readonly #found: NextTurn<J>[] = [];
  /** From where on what a slot holds was decoded here. */
  readonly #from = new Map<Slot<J>, number>();

  constructor(now: () => number) {
    this.#bench = new Workbench(now);
  }

  /** Whether there is something to do. */
  get busy(): boolean {
    return this.#bench.busy || this.#found.length > 0;
  }

  /** Settles when there may be more to do; `undefined` where nothing is computed beside this thread. */
  get beside(): Promise<void> | undefined {
    return this.#bench.beside;
  }

  /**
   * An answer has ended.
   *
   * @param slot Where.
   * @param work Finds out what the next turn begins with. If it cannot, nothing is prepared: nobody asked for it.
   */
  add(slot: Slot<J>, work: Work<Int32Array>): void {
    this.#bench.add(slot.sequence, work, {
      done: (tokens) => {
        const shared = commonPrefix(slot.tokens, tokens);
        if (shared < tokens.length) this.#found.push({ slot, tokens });
      },
      failed: () => {},
    });
  }

  /**
   * Work on it for a while.
   *
   * @returns What is to be decoded next, if anything is.
   */
  work(ms: number): NextTurn<J> | undefined {
    if (this.#bench.busy) this.#bench.work(ms);
    return this.#found[0];
  }

  /** What is to be decoded begins here in its slot. */
  begin({ slot }: NextTurn<J>): void {
    if (!this.#from.has(slot)) this.#from.set(slot, slot.tokens.length);
  }

  /** Take what is decoded off the list. */
  dropDecoded(): void {
    const [first] = this.#found;
    // Before it has begun, its slot holds something else.
    if (first === undefined || !this.#from.has(first.slot)) return;
    if (first.slot.tokens.length === first.tokens.length) this.#found.shift();
  }

  /**
   * A slot is needed, or holds nothing any more.
   *
   * @returns From where on what it holds was decoded here; absent: nothing was.
   */
  drop(slot: Slot<J>): number | undefined {
    this.#bench.drop(slot.sequence);
    const found = this.#found.findIndex((turn) => turn.slot === slot);
    if (found >= 0) this.#found.splice(found, 1);
    const from = this.#from.get(slot);
    this.#from.delete(slot);
    return from;
  }
}
