/**
 * Decoding in idle time: kept prompt prefixes, and next turns of conversations after a short quiet period. Never delays
 * a request: chunks are small, and aborted when a request arrives.
 */
import { BESIDE_MS, type Prompts } from "../prompts.ts";
import type { Running } from "../running.ts";
import { commonPrefix, type Slot, type Slots } from "../slots.ts";
import type { StepBatch } from "../step_batch.ts";
import { NextTurns } from "./next_turns.ts";

/**
 * A client that sends requests back to back sends the next one sooner than this, and would find the engine busy with a
 * turn that never comes. People and most tools take longer.
 */
const QUIET_AFTER_MS = 25;
/** Time slices of speculative work and decoding. */
const QUIET_WORK_MS = 1;
const QUIET_MS = 20;

export interface SpareTimeOptions {
  readonly slots: Slots<Running>;
  readonly batch: StepBatch;
  readonly prompts: Pick<Prompts, "tokensWithin">;
  /** Truncates a slot to this many tokens. */
  readonly truncate: (slot: Slot<Running>, length: number) => void;
  /** Idle time before next turns are prepared; default 25. */
  readonly quietMs?: number;
  readonly now: () => number;
}

export class SpareTime {
  readonly #options: SpareTimeOptions;
  readonly #quietMs: number;
  readonly turns: NextTurns<Running>;
  /** Prompt prefixes that are not fully decoded yet. */
  readonly #keeping: { readonly slot: Slot<Running>; readonly tokens: Int32Array }[] = [];
  #activeAt = -Infinity;

  constructor(options: SpareTimeOptions) {
    this.#options = options;
    this.#quietMs = options.quietMs ?? QUIET_AFTER_MS;
    this.turns = new NextTurns(options.now);
  }

  /** Milliseconds until there is work to do; `undefined` if there is none. */
  get busyIn(): number | undefined {
    if (this.#keeping.length > 0) return 0;
    return this.turns.busy ? Math.max(0, this.#activeAt + this.#quietMs - this.#options.now()) : undefined;
  }

  /** Records activity, which restarts the quiet period. */
  interrupt(): void {
    this.#activeAt = this.#options.now();
  }

  /** Decodes a prompt prefix into a slot and keeps it there. */
  keep(slot: Slot<Running>, tokens: Int32Array): void {
    this.#keeping.push({ slot, tokens });
  }

  /**
   * Add a chunk to an empty step.
   *
   * @returns Whether to abort the step when a request arrives.
   */
  put(): boolean {
    const [kept] = this.#keeping;
    if (kept !== undefined) {
      this.#put(kept, BESIDE_MS);
      return false;
    }
    return this.busyIn === 0 && this.#putNextTurn();
  }

  dropDecoded(): void {
    const [first] = this.#keeping;
    if (first !== undefined && first.slot.tokens.length === first.tokens.length) this.#keeping.shift();
    this.turns.dropDecoded();
  }

  /** Only into free cells. */
  #putNextTurn(): boolean {
    const { slots, truncate } = this.#options;
    const turn = this.turns.work(QUIET_WORK_MS);
    if (turn === undefined) return false;
    const { slot, tokens } = turn;
    const shared = commonPrefix(slot.tokens, tokens);
    if (tokens.length - slot.tokens.length > slots.spare) {
      this.turns.drop(slot);
      return false;
    }
    truncate(slot, shared);
    this.turns.begin(turn);
    this.#put(turn, QUIET_MS);
    return true;
  }

  /** No logits are requested. */
  #put({ slot, tokens }: { readonly slot: Slot<Running>; readonly tokens: Int32Array }, ms: number): void {
    const { batch, prompts } = this.#options;
    const from = slot.tokens.length;
    const end = Math.min(tokens.length, from + prompts.tokensWithin(ms, 0));
    for (let at = from; at < end; at++) batch.put(slot, tokens[at] as number, at, false);
  }
}
