/** One step's batch: tokens, their slots, and the logits rows to read. Does not know why tokens are in it. */
import type { Decoder } from "../native/context.ts";
import type { Running } from "./running.ts";
import { type Guess, NO_GUESS } from "./ahead/guesses.ts";
import type { Slot } from "./slots.ts";

/** Logits rows of a slot: one for the chosen token, and one for each drafted token. */
export interface Rows {
  readonly slot: Slot<Running>;
  readonly guess: Guess;
  readonly row: number;
}

export class StepBatch {
  readonly #decoder: Decoder;
  readonly #tokens: number[] = [];
  readonly #slots: Slot<Running>[] = [];
  readonly #rows: Rows[] = [];
  #rowCount = 0;
  /** Slots that got a padding token so that their neighbours are computed in one pass. */
  readonly #bridges: Slot<Running>[] = [];

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
  }

  get size(): number {
    return this.#tokens.length;
  }

  get slots(): readonly Slot<Running>[] {
    return this.#slots;
  }

  /** Rows in output order. */
  get rows(): readonly Rows[] {
    return this.#rows;
  }

  clear(): void {
    this.#tokens.length = 0;
    this.#slots.length = 0;
    this.#rows.length = 0;
    this.#rowCount = 0;
    this.#bridges.length = 0;
  }

  put(slot: Slot<Running>, token: number, position: number, output: boolean): void {
    this.#decoder.put(token, position, slot.sequence, output);
    this.#tokens.push(token);
    this.#slots.push(slot);
    if (output) this.#rows.push({ slot, guess: NO_GUESS, row: this.#rowCount++ });
  }

  /** Puts a draft after the last token, which must have a row. */
  putGuess(slot: Slot<Running>, guess: Guess, position: number): void {
    for (const [i, token] of guess.tokens.entries()) {
      this.#decoder.put(token, position + i, slot.sequence, true);
      this.#tokens.push(token);
      this.#slots.push(slot);
    }
    const { row } = this.#rows.pop() as Rows;
    this.#rows.push({ slot, guess, row });
    this.#rowCount += guess.tokens.length;
  }

  /**
   * Put a padding token into a slot that has no other token in this step. It is removed after the step, whatever the
   * outcome.
   */
  bridge(slot: Slot<Running>): void {
    this.#decoder.put(0, slot.tokens.length, slot.sequence, false);
    this.#bridges.push(slot);
  }

  /** Slots with a padding token to remove. */
  get bridges(): readonly Slot<Running>[] {
    return this.#bridges;
  }

  /** Records a decoded batch: slots hold its tokens, including drafts. */
  note(): void {
    for (const [i, { tokens, job }] of this.#slots.entries()) {
      tokens.push(this.#tokens[i] as number);
      // Tokens of a prefix were not chosen in this step.
      if (job !== undefined && tokens.length > job.prefix.length) job.chosen.shift();
    }
  }
}
