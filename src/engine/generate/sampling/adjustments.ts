/**
 * Logit bias, then presence and frequency penalties, in the order of llama.cpp's samplers. Modifies the row in place
 * and restores it afterwards: copying a large vocabulary would cost more than all of this.
 */
import { PENALTY_TOKENS } from "@inferd/client/protocol";
import type { Sampling } from "../../../inference/request.ts";

export class Adjustments {
  readonly #bias: Sampling["logitBias"];
  readonly #presence: number;
  readonly #frequency: number;
  readonly #repeat: number;
  /** Ring buffer of the last tokens; empty without penalties. */
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
    for (let at = Math.max(0, prompt.length - PENALTY_TOKENS); at < prompt.length; at++) {
      this.accept(prompt[at] as number);
    }
  }

  /**
   * Adjustments for a request.
   *
   * @param prompt Its prompt, whose end is in the penalty window.
   * @returns `undefined` if there are none.
   */
  static of(sampling: Sampling, prompt: ArrayLike<number>): Adjustments | undefined {
    const adjustments = new Adjustments(sampling, prompt);
    return adjustments.#penalises || (sampling.logitBias?.length ?? 0) > 0 ? adjustments : undefined;
  }

  get #penalises(): boolean {
    return this.#presence !== 0 || this.#frequency !== 0 || this.#repeat !== 1;
  }

  accept(token: number): void {
    if (!this.#penalises) return;
    this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
    if (this.#last.length < PENALTY_TOKENS) {
      this.#last.push(token);
      return;
    }
    const forgotten = this.#last[this.#oldest] as number;
    const count = this.#counts.get(forgotten) as number;
    if (count === 1) this.#counts.delete(forgotten);
    else this.#counts.set(forgotten, count - 1);
    this.#last[this.#oldest] = token;
    this.#oldest = (this.#oldest + 1) % PENALTY_TOKENS;
  }

  apply(logits: Float32Array): void {
    for (const [token, bias] of this.#bias ?? []) this.#set(logits, token, (logits[token] as number) + bias);
    for (const [token, count] of this.#counts) {
      const logit = logits[token] as number;
      const repeated = logit <= 0 ? logit * this.#repeat : logit / this.#repeat;
      this.#set(logits, token, repeated - count * this.#frequency - this.#presence);
    }
  }

  /** Restores the row modified last. */
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
