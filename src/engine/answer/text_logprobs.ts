/**
 * Which tokens are behind a piece of an answer's text. Text is held back until it is known to be text, and what turns out
 * to be a marker, a thought or a call is never sent: tokens wait here for the text they became.
 */
import type { TokenLogprob } from "../../inference/events.ts";

/** How likely the model found a token, as natural logarithms of probabilities, before any sampling. */
export interface TokenOdds {
  readonly logprob: number;
  /** The likeliest tokens, the likeliest first. */
  readonly top: readonly (readonly [token: number, logprob: number])[];
}

interface Waiting {
  readonly entry: TokenLogprob;
  /** Where its text begins and ends in what came and was not sent. */
  readonly from: number;
  readonly to: number;
}

/** Gives each piece of text the tokens it is made of. */
export class TextLogprobs {
  /** What came and was not sent. */
  #text = "";
  #waiting: Waiting[] = [];

  /**
   * A token came.
   *
   * @param entry How likely it was.
   * @param text The characters that are whole by it; empty where it holds only a part of one.
   */
  add(entry: TokenLogprob, text: string): void {
    const from = this.#text.length;
    this.#text += text;
    this.#waiting.push({ entry, from, to: this.#text.length });
  }

  /**
   * A text is sent.
   *
   * @param text The text.
   * @returns The tokens that began in it. Those before it became no text; those after it wait on.
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

  /** What came was no text. */
  drop(): void {
    this.#text = "";
    this.#waiting = [];
  }
}
