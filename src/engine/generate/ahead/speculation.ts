/**
 * How much of an answer is guessed in a step: more while guesses come true, nothing for a while where a step with them
 * was not worth its time. Pure: the clock is the caller's.
 */

/** Tokens that are guessed for one answer at most. */
export const MOST_GUESSED = 8;
/** With more answers at a time a step has work enough. */
export const MOST_STREAMS = 2;
/** Tokens of the first guess, and of one after a rest. */
const TRIED = 2;
/** A step with guesses has to bring so many times what one without would in its time. */
const WORTH = 1.05;
/** Steps without guesses after they did not pay, for the first time or again after they did; twice as many each time. */
const FIRST_REST = 8;
const REST_AFTER_GAIN = 2;
const LONGEST_REST = 256;
/** Weight of the newest step in what one without guesses takes. */
const NEWEST = 1 / 8;

/** How long steps without guesses take, by the number of answers. */
export class StepTimes {
  readonly #ms = new Map<number, number>();

  /** Record how long a step with a token for each answer took. */
  learn(streams: number, ms: number): void {
    if (streams > MOST_STREAMS) return;
    const before = this.#ms.get(streams) ?? ms;
    this.#ms.set(streams, before + (ms - before) * NEWEST);
  }

  /** How many steps without guesses a step took the time of; 1 where that is not known. */
  stepsIn(streams: number, ms: number): number {
    const plain = this.#ms.get(streams) ?? 0;
    return plain > 0 && ms > 0 ? Math.max(ms / plain, 1) : 1;
  }
}

/** For one answer. */
export class Speculation {
  #most = TRIED;
  #rest = 0;
  #nextRest = FIRST_REST;

  /** How many tokens to guess in this step. */
  most(): number {
    if (this.#rest === 0) return this.#most;
    this.#rest--;
    return 0;
  }

  /**
   * A step with guesses is over.
   *
   * @param guessed How many there were.
   * @param right How many of them came true.
   * @param steps How many steps without guesses it took the time of.
   */
  learn(guessed: number, right: number, steps: number): void {
    if (1 + right > steps * WORTH) {
      this.#nextRest = REST_AFTER_GAIN;
      this.#most = right === guessed ? Math.min(this.#most * 2, MOST_GUESSED) : Math.max(right + 1, TRIED);
      return;
    }
    this.#most = TRIED;
    this.#rest = this.#nextRest;
    this.#nextRest = Math.min(this.#nextRest * 2, LONGEST_REST);
  }
}
