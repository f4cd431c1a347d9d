/**
 * Number of prompt tokens that fit a step's time budget. Larger steps cost less per token, so the rate is learned per
 * step size. Pure; the caller passes the time.
 */

/**
 * From this many tokens on, ggml computes attention in tiles of this size. With a long context that halves the cost per
 * token, and a partial tile costs as much as a whole one.
 */
export const TILE = 64;
/** Upper bound of each size class, in tokens. The first is always allowed. */
const SIZES = [16, 32, TILE - 1, TILE, 128, 256, 512] as const;
const TILED = SIZES.indexOf(TILE);
/** First step, while no rate is known; small in case the model is slow. */
const FIRST_TOKENS = 32;
/** Weight of the newest step. Slowdowns count more, since other streams wait for the next step. */
const FASTER = 1 / 4;
const SLOWER = 3 / 4;
/** A step of one tile may exceed its budget by this factor, because smaller steps are wasteful. */
const OVER = 1.1;
/** Each smaller step lowers the estimated cost of tiles by this factor, until they are tried. */
const TRUST = 0.98;

export class PromptPace {
  /** Moving average of milliseconds per token by size class; 0 if unknown. */
  readonly #costs: number[] = SIZES.map(() => 0);

  /** Size of the largest step expected to take at most `ms`; whole tiles, if any; at least `least`. */
  tokensWithin(ms: number, least: number = SIZES[0]): number {
    let cost = 0;
    let tokens = least;
    for (const [i, size] of SIZES.entries()) {
      cost = this.#costs[i] || cost;
      if (cost === 0) continue;
      const time = size === TILE ? ms * OVER : ms;
      const fitting = inTiles(Math.min(size, Math.floor(time / cost)));
      // Too few tokens for this size class: its rate does not apply.
      if (fitting > (SIZES[i - 1] ?? 0)) tokens = Math.max(tokens, fitting);
    }
    return cost === 0 ? FIRST_TOKENS : tokens;
  }

  /** Expected duration of this many tokens; 0 if nothing is known. */
  msOf(tokens: number): number {
    const size = SIZES.findIndex((largest) => tokens <= largest);
    // Of the next smaller size that is known, else of a larger one.
    const known = this.#costs.slice(0, size + 1).findLast((cost) => cost > 0) ?? this.#costs.find((cost) => cost > 0);
    return tokens * (known ?? 0);
  }

  /**
   * Record the duration of a step.
   *
   * @param piece Its most tokens of one sequence, if each was computed on its own.
   */
  learn(tokens: number, ms: number, piece = tokens): void {
    const size = SIZES.findIndex((largest) => piece <= largest);
    if (size < 0) return;
    const newest = Math.max(ms, 0.001) / tokens;
    const before = this.#costs[size] || newest;
    const cost = before + (newest - before) * (newest > before ? SLOWER : FASTER);
    // Other classes may have been measured at a different machine speed. A change in this class applies to larger ones
    // too, except across the tile boundary. Larger steps never cost more per token, smaller ones never less.
    const trend = cost / before;
    for (const [i, other] of this.#costs.entries()) {
      if (i === size) this.#costs[i] = cost;
      else if (i >= TILED && size < TILED) this.#costs[i] = Math.min((other || cost) * TRUST, cost);
      else if (other > 0) this.#costs[i] = i < size ? Math.max(other, cost) : Math.min(other * trend, cost);
    }
  }
}

/** Learns the duration of steps with one token per answer, by number of answers. */
export class AnswerTimes {
  readonly #ms: number[] = [];

  learn(answers: number, ms: number): void {
    const before = this.#ms[answers] ?? ms;
    this.#ms[answers] = before + (ms - before) * FASTER;
  }

  /** Milliseconds; of fewer answers where so many are unknown, 0 if nothing is known. */
  of(answers: number): number {
    for (let count = answers; count > 0; count--) {
      const ms = this.#ms[count];
      if (ms !== undefined) return ms;
    }
    return 0;
  }
}

/** Rounds down to whole tiles. */
export function inTiles(tokens: number): number {
  return tokens < TILE ? tokens : tokens - tokens % TILE;
}
