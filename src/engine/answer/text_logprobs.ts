/**
 * Maps sent text to its tokens. Text is held back until it is known to be text, and markers, thoughts and calls are
 * never sent; tokens wait here until their text is.
 */
import type { TokenLogprob } from "../../inference/events.ts";

/** A token's log probability (natural logarithm), before sampling adjustments. */
export interface TokenOdds {
  readonly logprob: number;
  /** Most likely tokens, in descending order. */
  readonly top: readonly (readonly [token: number, logprob: number])[];
}

interface Waiting {
  readonly entry: TokenLogprob;
  /** Range of its text in the unsent text. */
  readonly from: number;
  readonly to: number;
}

export class TextLogprobs {
  #text = "";
  #waiting: Waiting[] = [];

  /** @param text The characters completed by it; may be empty. */
  add(entry: TokenLogprob, text: string): void {
    const from = this.#text.length;
    this.#text += text;
    this.#waiting.push({ entry, from, to: this.#text.length });
  }

  /**
   * Take the tokens of a sent text.
   *
   * @returns Tokens that begin in it. Earlier tokens are dropped, later ones stay.
   */
  take(text: string): TokenLogprob[] {
    const at = this.#text.indexOf(text);
    const from = Math.max(at, 0);
    const to = at < 0 ? this.#text.length : at + text.length;
    const taken: TokenLogprob[] = [];
    const left: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.from >= to) left.push({ ...waiting, from: waiting.from - to, to: waiting.to - to });
      else if (waiting.to > from || waiting.from === from) taken.push(waiting.entry);
    }
    this.#waiting = left;
    this.#text = this.#text.slice(to);
    return taken;
  }

  /** Drops all pending tokens: their text was not sent as text. */
  drop(): void {
    this.#text = "";
    this.#waiting = [];
  }
}
