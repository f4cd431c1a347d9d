/**
 * Prompt-lookup decoding: drafts the tokens that followed the last occurrence of the same n-gram in the prompt or the
 * answer. Pure; the model verifies the draft.
 */

/** Length of the n-gram to match. */
const SAME = 3;
/** Prompt positions indexed per step, so that a long prompt does not delay one. */
const READ_AT_ONCE = 4096;

/** N-gram index of the prompt and the answer. */
export class PromptLookup {
  readonly #prompt: Int32Array;
  readonly #answer: number[] = [];
  /** Hash of an n-gram to the last position after it. */
  readonly #places = new Map<number, number>();
  /** Positions before this one are indexed. */
  #read = SAME;

  constructor(prompt: Int32Array) {
    this.#prompt = prompt;
  }

  push(token: number): void {
    this.#answer.push(token);
  }

  /**
   * Draft the next tokens.
   *
   * @returns Empty if the last n-gram is new.
   */
  guess(most: number): readonly number[] {
    const end = this.#prompt.length + this.#answer.length;
    const until = Math.min(end, this.#read + READ_AT_ONCE);
    for (; this.#read < until; this.#read++) this.#places.set(this.#hashBefore(this.#read), this.#read);
    if (this.#read < end || end < SAME) return [];
    const place = this.#places.get(this.#hashBefore(end));
    if (place === undefined || !this.#isSame(place, end)) return [];
    const guess: number[] = [];
    // A repetition continues with the draft itself.
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
