/**
 * Puts running answers into a step: each one's chosen token, forced tokens and drafts, in an order that llama.cpp
 * computes efficiently.
 */
import type { Decoder } from "../native/context.ts";
import { type Guesses, NO_GUESS } from "./ahead/guesses.ts";
import { BESIDE_MS, type Prompts } from "./prompts.ts";
import type { Running } from "./running.ts";
import type { Slot, Slots } from "./slots.ts";
import type { StepBatch } from "./step_batch.ts";

/**
 * With separate KV cells, sequences with consecutive numbers are computed in one pass. With at most this many answers,
 * a saved pass outweighs the padding tokens, up to this many per gap.
 */
const BRIDGED_ANSWERS = 4;
const WIDEST_GAP = 3;

export interface AnswerStepsOptions {
  readonly decoder: Pick<Decoder, "apart">;
  readonly slots: Slots<Running>;
  readonly batch: StepBatch;
  readonly prompts: Prompts;
  readonly contextTokens: number;
  readonly guesses: Guesses;
}

export class AnswerSteps {
  readonly #options: AnswerStepsOptions;

  constructor(options: AnswerStepsOptions) {
    this.#options = options;
  }

  /** Slots whose answer advances in this step. */
  going(): Slot<Running>[] {
    return this.#options.slots.all.filter((slot) => {
      const { job } = slot;
      return job !== undefined && !job.paused && job.chosen.length > 0 && !this.#options.prompts.has(slot);
    });
  }

  /**
   * Whether a prompt after the answers would be computed in one pass with them. With separate KV cells, sequences with
   * consecutive numbers are: first one token of each, then the rest of the prompt, which no longer fills whole tiles.
   */
  wouldJoin(answers: readonly Slot<Running>[]): boolean {
    const last = answers.at(-1);
    return this.#options.decoder.apart && last !== undefined &&
      this.#options.prompts.first?.sequence === last.sequence + 1;
  }

  /** Put each answer's chosen token and as many forced ones as time allows. */
  put(going: readonly Slot<Running>[]): void {
    if (going.length === 0) return;
    let spare = Math.max(0, this.#options.prompts.tokensWithin(BESIDE_MS, going.length) - this.#options.batch.size);
    // Beside prompts a step has work enough.
    const guesses = this.#options.prompts.first === undefined ? this.#options.guesses.of(going) : [];
    for (const [index, slot] of going.entries()) {
      if (going.length >= BRIDGED_ANSWERS) this.#bridge(going[index - 1], slot);
      const running = slot.job as Running;
      const { chosen } = running;
      const put = Math.min(chosen.length, 1 + spare);
      spare -= put - 1;
      const from = slot.tokens.length;
      for (let i = 0; i < put; i++) {
        this.#options.batch.put(slot, chosen[i] as number, from + i, i === chosen.length - 1);
      }
      if (put < chosen.length) continue;
      const { tokens, ...guess } = guesses[index] ?? NO_GUESS;
      const guessed = tokens.slice(0, spare);
      if (guessed.length === 0) continue;
      this.#options.batch.putGuess(slot, { ...guess, tokens: guessed }, from + put);
      spare -= guessed.length;
    }
  }

  /** Fill the gap between two answers, so that they are computed in one pass. */
  #bridge(from: Slot<Running> | undefined, to: Slot<Running>): void {
    if (from === undefined || !this.#options.decoder.apart || to.sequence - from.sequence > WIDEST_GAP + 1) return;
    const between = this.#options.slots.all.slice(from.sequence + 1, to.sequence);
    const mayTake = (slot: Slot<Running>): boolean =>
      slot.tokens.length < this.#options.contextTokens && !this.#options.prompts.has(slot);
    if (between.every(mayTake)) { for (const slot of between) this.#options.batch.bridge(slot); }
  }
}
