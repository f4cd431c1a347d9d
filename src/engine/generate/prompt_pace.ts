/**
 * How many prompt tokens a step may have to stay within a time budget. Large steps compute a token faster than small
 * ones, so the rate is learned for each size. Pure: the clock is the caller's.
 */

/**
 * From this many tokens on ggml computes attention in tiles of so many. Behind a long context a token costs half as much
 * then, and the rest of a step that is not a multiple as much as a whole tile.
 */
export const TILE = 64;
/** The largest step of each size, in tokens. The first is always allowed. */
const SIZES = [16, 32, TILE - 1, TILE, 128, 256, 512] as const;
const TILED = SIZES.indexOf(TILE);
/** A first step, while no rate is known: small, in case the model is slow. */
const FIRST_TOKENS = 32;
/** Weight of the newest step in a rate. What has become slower counts sooner: other streams wait for the next step. */
const FASTER = 1 / 4;
const SLOWER = 1 / 2;
/** So much longer than asked a step of one tile may take, as all smaller ones are a waste. */
const OVER = 1.15;
/** With every smaller step, the cost of tiles is taken to be this much lower, until they are tried. */
const TRUST = 0.98;

/** Learns how long steps with prompt take. */
export class PromptPace {
  /** Milliseconds per token for each size, a moving average; 0: there was no such step yet. */
  readonly #costs: number[] = SIZES.map(() => 0);

  /** Tokens of the largest step that takes no longer than `ms`, going by the steps of late; whole tiles, if any. */
  tokensWithin(ms: number): number {
    let cost = 0;
    let tokens: number = SIZES[0];
    for (const [i, size] of SIZES.entries()) {
      cost = this.#costs[i] || cost;
      if (cost === 0) continue;
      const time = size === TILE ? ms * OVER : ms;
      const fitting = inTiles(Math.min(size, Math.floor(time / cost)));
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
    // than before, the larger ones do too, unless they compute otherwise. A token of a larger step costs no more, and one
    // of a smaller step no less.
    const trend = cost / before;
    for (const [i, other] of this.#costs.entries()) {
      if (i === size) this.#costs[i] = cost;
      else if (i >= TILED && size < TILED) this.#costs[i] = Math.min((other || cost) * TRUST, cost);
      else if (other > 0) this.#costs[i] = i < size ? Math.max(other, cost) : Math.min(other * trend, cost);
    }
  }
}

/** Without what would begin another tile. */
export function inTiles(tokens: number): number {
  return tokens < TILE ? tokens : tokens - tokens % TILE;
}
