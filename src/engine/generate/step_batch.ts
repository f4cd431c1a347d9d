/**
 * What is decoded in one step: tokens, the slots they go to, and the rows of logits that come of it. Knows nothing of why
 * they are put.
 */
import type { Decoder } from "../native/context.ts";
import type { Running } from "./running.ts";
import type { Slot } from "./slots.ts";

/** The rows of logits of a slot: one after what was chosen, and one after each token that is guessed to follow. */
export interface Rows {
  readonly slot: Slot<Running>;
  readonly guess: readonly number[];
  /** The first of them. */
  readonly row: number;
}

/** The batch of a step. */
export class StepBatch {
  readonly #decoder: Decoder;
  readonly #tokens: number[] = [];
  readonly #slots: Slot<Running>[] = [];
  readonly #rows: Rows[] = [];
  #rowCount = 0;
  /** Slots that got a token only so that those beside them are computed together. */
  readonly #bridges: Slot<Running>[] = [];

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
  }

  /** How many tokens there are. */
  get size(): number {
    return this.#tokens.length;
  }

  /** The slot of each token. */
  get slots(): readonly Slot<Running>[] {
    return this.#slots;
  }

  /** In the order they come in. */
  get rows(): readonly Rows[] {
    return this.#rows;
  }

  /** Begin the next step. */
  clear(): void {
    this.#tokens.length = 0;
    this.#slots.length = 0;
    this.#rows.length = 0;
    this.#rowCount = 0;
    this.#bridges.length = 0;
  }

  /** Put a token that is known. */
  put(slot: Slot<Running>, token: number, position: number, output: boolean): void {
    this.#decoder.put(token, position, slot.sequence, output);
    this.#tokens.push(token);
    this.#slots.push(slot);
    if (output) this.#rows.push({ slot, guess: [], row: this.#rowCount++ });
  }

  /** Put what may follow the token that was put last, and had a row. */
  putGuess(slot: Slot<Running>, guess: readonly number[], position: number): void {
    for (const [i, token] of guess.entries()) {
      this.#decoder.put(token, position + i, slot.sequence, true);
      this.#tokens.push(token);
      this.#slots.push(slot);
    }
    const { row } = this.#rows.pop() as Rows;
    this.#rows.push({ slot, guess, row });
    this.#rowCount += guess.length;
  }

  /**
   * Put any token into a slot that has no other in this step. Nothing comes of it; it is taken away again afterwards,
   * however the step ended.
   */
  bridge(slot: Slot<Running>): void {
    this.#decoder.put(0, slot.tokens.length, slot.sequence, false);
    this.#bridges.push(slot);
  }

  /** Slots that hold a token too many since the step. */
  get bridges(): readonly Slot<Running>[] {
    return this.#bridges;
  }

  /** It was decoded: the slots hold the tokens, also those that are only guessed. */
  note(): void {
    for (const [i, { tokens, job }] of this.#slots.entries()) {
      tokens.push(this.#tokens[i] as number);
      // What is decoded of a prefix was not chosen in this step.
      if (job !== undefined && tokens.length > job.prefix.length) job.chosen.shift();
    }
  }
}
