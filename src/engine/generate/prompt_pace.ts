/**
 * How many prompt tokens a step may have to stay within a time budget. Large steps compute a token faster than small
 * ones, so the rate is learned for each size. Pure: the clock is the caller's.
 */

/** The largest step of each size, in tokens. The first is always allowed. */
const SIZES = [16, 32, 63, 128, 256, 512] as const;
/** From this size on ggml computes attention in tiles: behind a long context such a step takes less time than a smaller one. */
const TILED = SIZES.indexOf(128);
/** A first step, while no rate is known: small, in case the model is slow. */
const FIRST_TOKENS = 32;
/** Weight of the newest step in a rate. What has become slower counts sooner: other streams wait for the next step. */
const FASTER = 1 / 4;
const SLOWER = 1 / 2;

/** With every step just below it, the cost of the smallest tiled size is taken to be this much lower, until it is tried. */
const TRUST = 0.98;

/** Learns how long steps with prompt take. */
export class PromptPace {
  /** Milliseconds per token for each size, a moving average; 0: there was no such step yet. */
  readonly #costs: number[] = SIZES.map(() => 0);

  /** Tokens of the largest step that takes no longer than `ms`, going by the steps of late. */
  tokensWithin(ms: number): number {
    let cost = 0;
    let tokens: number = SIZES[0];
    for (const [i, size] of SIZES.entries()) {
      cost = this.#costs[i] || cost;
      const fitting = cost === 0 ? 0 : Math.min(size, Math.floor(ms / cost));
      // Steps that are smaller than others of this size have another cost.
      if (fitting > (SIZES[i - 1] ?? 0)) tokens = Math.max(tokens, fitting);
    }
    return cost === 0 ? FIRST_TOKENS : tokens;
  }

  /** Record how long a step of this many tokens took. */
  learn(tokens: number, ms: number): void {
    const size = SIZES.findIndex((largest) => tokens <= largest);
    if (size < 0) return;
    const newest = Math.max(ms, 0.001) / tokens;
    const before = this.#costs[size] || newest;
    const cost = before + (newest - before) * (newest > before ? SLOWER : FASTER);
    // The other sizes may have been learned while the machine was faster, or slower. What this size costs more or less
    // than before, the larger ones do too. A token of a larger step costs no more, and one of a smaller step no less.
    const trend = cost / before;
    for (const [i, other] of this.#costs.entries()) {
      if (i === size) this.#costs[i] = cost;
      else if (i === TILED && size === TILED - 1) this.#costs[i] = Math.min((other || cost) * trend * TRUST, cost);
      else if (other > 0) this.#costs[i] = i < size ? Math.max(other, cost) : Math.min(other * trend, cost);
    }
  }
}
