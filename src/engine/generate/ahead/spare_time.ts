/**
 * What is decoded in otherwise idle time: beginnings of prompts that are kept, and next turns of conversations, after a
 * moment in which nobody waited for anything. Never holds up a request: its portions are small, and given up when one
 * comes.
 */
import type { Work } from "../../../work/work.ts";
import { BESIDE_MS, type Prompts } from "../prompts.ts";
import type { Running } from "../running.ts";
import { commonPrefix, type Slot, type Slots } from "../slots.ts";
import type { StepBatch } from "../step_batch.ts";
import { NextTurns } from "./next_turns.ts";

/**
 * A client that asks one thing after the other asks again sooner than this; it would find the engine busy with a turn
 * that never comes. People, and most tools, take longer.
 */
const QUIET_AFTER_MS = 25;
/** Portions of what is done for nobody yet: work, and decoding. */
const QUIET_WORK_MS = 1;
const QUIET_MS = 20;

/** What this needs of whoever schedules. */
export interface SpareTimeOptions {
  readonly slots: Slots<Running>;
  readonly batch: StepBatch;
  readonly prompts: Pick<Prompts, "tokensWithin">;
  /** Keep only so many tokens of a slot. */
  readonly truncate: (slot: Slot<Running>, length: number) => void;
  /** Milliseconds without anything to do for somebody, before next turns are prepared; absent: 25. */
  readonly quietMs?: number;
  readonly now: () => number;
}

/** Uses the time that nobody needs. */
export class SpareTime {
  readonly #options: SpareTimeOptions;
  readonly #quietMs: number;
  readonly #turns: NextTurns<Running>;
  /** Beginnings of prompts to come that are not decoded yet. */
  readonly #keeping: { readonly slot: Slot<Running>; readonly tokens: Int32Array }[] = [];
  /** When somebody last waited for something. */
  #activeAt = -Infinity;

  constructor(options: SpareTimeOptions) {
    this.#options = options;
    this.#quietMs = options.quietMs ?? QUIET_AFTER_MS;
    this.#turns = new NextTurns(options.now);
  }

  /** In how many milliseconds there is something to do; `undefined`: there is nothing. */
  get busyIn(): number | undefined {
    if (this.#keeping.length > 0) return 0;
    return this.#turns.busy ? Math.max(0, this.#activeAt + this.#quietMs - this.#options.now()) : undefined;
  }

  /** Settles when there may be more to do; `undefined` where nothing is computed beside this thread. */
  get beside(): Promise<void> | undefined {
    return this.#turns.beside;
  }

  /** Somebody waits for something. */
  interrupt(): void {
    this.#activeAt = this.#options.now();
  }

  /** The beginning of prompts to come is to be in a slot. */
  keep(slot: Slot<Running>, tokens: Int32Array): void {
    this.#keeping.push({ slot, tokens });
  }

  /** An answer has ended; what the next turn begins with, the work finds out. */
  prepare(slot: Slot<Running>, nextTurn: Work<Int32Array>): void {
    this.#turns.add(slot, nextTurn);
  }

  /**
   * A slot is needed, or holds nothing any more.
   *
   * @returns From where on what it holds was decoded here; absent: nothing was.
   */
  drop(slot: Slot<Running>): number | undefined {
    return this.#turns.drop(slot);
  }

  /**
   * Put a portion into an empty step.
   *
   * @returns Whether the step is given up when a request comes.
   */
  put(): boolean {
    const [kept] = this.#keeping;
    if (kept !== undefined) {
      this.#put(kept, BESIDE_MS);
      return false;
    }
    return this.busyIn === 0 && this.#putNextTurn();
  }

  /** Take off the lists what is decoded. */
  dropDecoded(): void {
    const [first] = this.#keeping;
    if (first !== undefined && first.slot.tokens.length === first.tokens.length) this.#keeping.shift();
    this.#turns.dropDecoded();
  }

  /** Where there is room for it. */
  #putNextTurn(): boolean {
    const { slots, truncate } = this.#options;
    const turn = this.#turns.work(QUIET_WORK_MS);
    if (turn === undefined) return false;
    const { slot, tokens } = turn;
    const shared = commonPrefix(slot.tokens, tokens);
    if (tokens.length - slot.tokens.length > slots.spare) {
      this.#turns.drop(slot);
      return false;
    }
    truncate(slot, shared);
    this.#turns.begin(turn);
    this.#put(turn, QUIET_MS);
    return true;
  }

  /** Nothing is sampled after it. */
  #put({ slot, tokens }: { readonly slot: Slot<Running>; readonly tokens: Int32Array }, ms: number): void {
    const { batch, prompts } = this.#options;
    const from = slot.tokens.length;
    const end = Math.min(tokens.length, from + prompts.tokensWithin(ms, 0));
    for (let at = from; at < end; at++) batch.put(slot, tokens[at] as number, at, false);
  }
}
