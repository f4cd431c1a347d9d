/**
 * Guesses what comes next in an answer: what came the last time after the same few tokens, in the prompt or in the answer.
 * Pure: whether it is right, the model says.
 */

/** Tokens that have to be the same. */
const SAME = 3;
/** Places of a prompt that are read at once, so that a long one does not hold up a step. */
const READ_AT_ONCE = 4096;

/** What came before, to be looked up. */
export class PromptLookup {
  readonly #prompt: Int32Array;
  readonly #answer: number[] = [];
  /** What follows the tokens that end before it, by their hash: the last place. */
  readonly #places = new Map<number, number>();
  /** Places up to here are known. */
  #read = SAME;

  constructor(prompt: Int32Array) {
    this.#prompt = prompt;
  }

  /** The next token of the answer. */
  push(token: number): void {
    this.#answer.push(token);
  }

  /**
   * What may come next.
   *
   * @param most Tokens that are of use.
   * @returns None where nothing of the kind came before.
   */
  guess(most: number): readonly number[] {
    const end = this.#prompt.length + this.#answer.length;
    const until = Math.min(end, this.#read + READ_AT_ONCE);
    for (; this.#read < until; this.#read++) this.#places.set(this.#hashBefore(this.#read), this.#read);
    if (this.#read < end || end < SAME) return [];
    const place = this.#places.get(this.#hashBefore(end));
    if (place === undefined || !this.#isSame(place, end)) return [];
    const guess: number[] = [];
    // What repeats itself goes on with what is guessed.
    for (let at = place; guess.length < most; at++) guess.push(at < end ? this.#at(at) : guess[at - end] as number);
    return guess;
  }

  #at(index: number): number {
    const { length } = this.#prompt;
    return (index < length ? this.#prompt[index] : this.#answer[index - length]) as number;
  }

  #hashBefore(place: number): number {
    let hash = 0;
    for (let back = 1; back <= SAME; back++) hash = Math.imul(hash ^ this.#at(place - back), 0x9e3779b1);
    return hash;
  }

  #isSame(one: number, other: number): boolean {
    for (let back = 1; back <= SAME; back++) if (this.#at(one - back) !== this.#at(other - back)) return false;
    return true;
  }
}
