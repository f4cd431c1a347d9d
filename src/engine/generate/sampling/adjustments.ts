/**
 * What a request adds to single logits before a token is chosen: `logit_bias`, then penalties for tokens that came
 * lately, as llama.cpp's samplers do it and in their order. Changes the row in place and puts it back afterwards: a copy
 * of a large vocabulary costs more than all of this.
 */
import type { Sampling } from "../../../inference/request.ts";

/** So many tokens count as lately, the prompt's included: llama.cpp's default. */
export const PENALTY_LAST_TOKENS = 64;

/** Adjusts the logits of one request. */
export class Adjustments {
  readonly #bias: Sampling["logitBias"];
  readonly #presence: number;
  readonly #frequency: number;
  readonly #repeat: number;
  /** The last tokens, a ring; empty where nothing is penalised. */
  readonly #last: number[] = [];
  #oldest = 0;
  readonly #counts = new Map<number, number>();
  readonly #changed: number[] = [];
  readonly #before: number[] = [];

  private constructor(sampling: Sampling, prompt: ArrayLike<number>) {
    this.#bias = sampling.logitBias;
    this.#presence = sampling.presencePenalty ?? 0;
    this.#frequency = sampling.frequencyPenalty ?? 0;
    this.#repeat = sampling.repeatPenalty ?? 1;
    if (!this.#penalises) return;
    for (let at = Math.max(0, prompt.length - PENALTY_LAST_TOKENS); at < prompt.length; at++) {
      this.accept(prompt[at] as number);
    }
  }

  /**
   * What a request asks for.
   *
   * @param sampling How the request samples.
   * @param prompt Its prompt, whose end counts as lately.
   * @returns `undefined` where it changes nothing.
   */
  static of(sampling: Sampling, prompt: ArrayLike<number>): Adjustments | undefined {
    const adjustments = new Adjustments(sampling, prompt);
    return adjustments.#penalises || (sampling.logitBias?.length ?? 0) > 0 ? adjustments : undefined;
  }

  get #penalises(): boolean {
    return this.#presence !== 0 || this.#frequency !== 0 || this.#repeat !== 1;
  }

  /** A token was chosen. */
  accept(token: number): void {
    if (!this.#penalises) return;
    this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
    if (this.#last.length < PENALTY_LAST_TOKENS) {
      this.#last.push(token);
      return;
    }
    const forgotten = this.#last[this.#oldest] as number;
    const count = this.#counts.get(forgotten) as number;
    if (count === 1) this.#counts.delete(forgotten);
    else this.#counts.set(forgotten, count - 1);
    this.#last[this.#oldest] = token;
    this.#oldest = (this.#oldest + 1) % PENALTY_LAST_TOKENS;
  }

  /** Change a row. */
  apply(logits: Float32Array): void {
    for (const [token, bias] of this.#bias ?? []) this.#set(logits, token, (logits[token] as number) + bias);
    for (const [token, count] of this.#counts) {
      const logit = logits[token] as number;
      const repeated = logit <= 0 ? logit * this.#repeat : logit / this.#repeat;
      this.#set(logits, token, repeated - count * this.#frequency - this.#presence);
    }
  }

  /** Put the row back that was changed last. */
  restore(logits: Float32Array): void {
    for (let i = this.#changed.length - 1; i >= 0; i--) logits[this.#changed[i] as number] = this.#before[i] as number;
    this.#changed.length = 0;
    this.#before.length = 0;
  }

  #set(logits: Float32Array, token: number, logit: number): void {
    this.#changed.push(token);
    this.#before.push(logits[token] as number);
    logits[token] = logit;
  }
}
