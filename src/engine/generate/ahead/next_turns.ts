/**
 * Next turns that are prefilled in idle time, at most one per slot: first rendered in slices, then decoded in chunks.
 * Never blocks a slot: a request may take it at any time, with whatever is decoded so far. `scheduler.ts` moves the KV
 * cache.
 */
import type { Work } from "../../../work/work.ts";
import { commonPrefix, type Slot } from "../slots.ts";
import { Workbench } from "../work/workbench.ts";

/** A slot and the tokens it should hold. */
export interface NextTurn<J> {
  readonly slot: Slot<J>;
  readonly tokens: Int32Array;
}

export class NextTurns<J> {
  readonly #bench: Workbench;
  /** Rendered turns waiting to be decoded, in order of completion. */
  readonly #found: NextTurn<J>[] = [];
  /** Per slot, the position from which its tokens were prefilled. */
  readonly #from = new Map<Slot<J>, number>();

  constructor(now: () => number) {
    this.#bench = new Workbench(now);
  }

  get busy(): boolean {
    return this.#bench.busy || this.#found.length > 0;
  }

  /** Settles when off-thread work may be done; `undefined` if there is none. */
  get beside(): Promise<void> | undefined {
    return this.#bench.beside;
  }

  /**
   * Prepare the next turn of a finished answer.
   *
   * @param work Renders the next turn. Failures are ignored: nobody asked for it.
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
   * Render for at most this long.
   *
   * @returns The turn to decode next, if any.
   */
  work(ms: number): NextTurn<J> | undefined {
    if (this.#bench.busy) this.#bench.work(ms);
    return this.#found[0];
  }

  /** Record where prefill of this turn starts in its slot. */
  begin({ slot }: NextTurn<J>): void {
    if (!this.#from.has(slot)) this.#from.set(slot, slot.tokens.length);
  }

  dropDecoded(): void {
    const [first] = this.#found;
    // Before it has begun, its slot holds something else.
    if (first === undefined || !this.#from.has(first.slot)) return;
    if (first.slot.tokens.length === first.tokens.length) this.#found.shift();
  }

  /**
   * Stop preparing for a slot that is needed or was emptied.
   *
   * @returns Position from which its tokens were prefilled; absent if none were.
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
