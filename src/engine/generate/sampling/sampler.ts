/**
 * Samples the next token from a logits row: biases and penalties, top-k, top-p, min-p, temperature (llama.cpp's order)
 * and a seeded draw, constrained by a token mask if there is a grammar. Pure. In JavaScript because it is cheaper than
 * a native sampler chain: one pass over the row, and no copy of the vocabulary per token.
 */
import type { Allowed } from "../../../grammar/constraint.ts";
import type { Sampling } from "../../../inference/request.ts";
import type { TokenOdds } from "../../answer/text_logprobs.ts";
import { Adjustments } from "./adjustments.ts";
import {
  candidateToken,
  candidateWeight,
  cutAtMass,
  largest,
  massOf,
  reserve,
  selectAllowed,
  selectFrom,
  selectLargest,
  selectMass,
  sortLargest,
} from "./candidates.ts";
import { type InfillVocabulary, keepSure } from "./infill.ts";

export const NO_TOKEN = -1;
/** The token mask is not known yet. */
export const NOT_YET = -2;

/** Draws before the full token mask is requested. Affects which token is drawn. */
const TRIES = 8;

export class Sampler {
  readonly #temperature: number;
  readonly #topP: number;
  readonly #topK: number;
  /** Distance from the largest logit that min-p allows. */
  readonly #minPBelow: number;
  readonly #adjustments: Adjustments | undefined;
  readonly #infill: InfillVocabulary | undefined;
  readonly #random: RandomNumbers;
  /** Candidates of the last draw; 0: the token was the only one. */
  #drawnFrom = 0;

  /**
   * @param prompt Preceding tokens, for the penalties.
   * @param infill The vocabulary, to sample as for filling in text; never with a constraint.
   */
  constructor(sampling: Sampling, prompt: ArrayLike<number> = [], infill?: InfillVocabulary) {
    this.#infill = infill;
    this.#temperature = sampling.temperature;
    this.#topP = sampling.topP;
    this.#topK = sampling.topK;
    this.#minPBelow = -Math.log(sampling.minP ?? 0);
    this.#adjustments = Adjustments.of(sampling, prompt);
    this.#random = new RandomNumbers(sampling.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] as number);
  }

  /**
   * The next token, `NO_TOKEN` if none is allowed, or `NOT_YET` if the mask is unknown. `NOT_YET` leaves no trace: the
   * same row gives the same token later.
   *
   * @param logits One row; unchanged on return.
   * @param allowed The constraint. The result does not depend on how much of it is already computed.
   */
  sample(logits: Float32Array, allowed?: Allowed): number {
    const before = this.#random.state;
    this.#adjustments?.apply(logits);
    try {
      const token = this.#sample(logits, allowed);
      if (token === NOT_YET) this.#random.state = before;
      return token;
    } finally {
      this.#adjustments?.restore(logits);
    }
  }

  /**
   * Log probabilities that the last token was drawn with, of it and of the top tokens. Call it before another row is
   * sampled.
   */
  odds(token: number, top: number): TokenOdds {
    if (this.#drawnFrom === 0) return { logprob: 0, top: [[token, 0] as const].slice(0, top) };
    let mass = 0;
    let own = 0;
    /** Weights in descending order; candidates may be very many, and are seldom sorted. */
    const best: (readonly [token: number, weight: number])[] = [];
    for (let i = 0; i < this.#drawnFrom; i++) {
      const one = candidateToken[i] as number;
      const weight = candidateWeight[i] as number;
      mass += weight;
      if (one === token) own = weight;
      if (weight === 0 || best.length === top && weight <= (best.at(-1)?.[1] ?? Infinity)) continue;
      best.splice(best.findLastIndex(([, other]) => other >= weight) + 1, 0, [one, weight]);
      if (best.length > top) best.pop();
    }
    return { logprob: Math.log(own / mass), top: best.map(([one, weight]) => [one, Math.log(weight / mass)]) };
  }

  accept(token: number): void {
    this.#adjustments?.accept(token);
  }

  #sample(logits: Float32Array, allowed: Allowed | undefined): number {
    this.#drawnFrom = 0;
    if (this.#temperature === 0) {
      const token = this.#infill === undefined ? largest(logits) : this.#surest(logits);
      if (allowed === undefined) return token;
      const isAllowed = allowed.allows(token);
      if (isAllowed === undefined) return NOT_YET;
      return isAllowed ? token : largestAllowed(logits, allowed);
    }
    let count = this.#candidates(logits);
    if (allowed === undefined) return this.#drawn(count);
    // Draw from the likely tokens, dropping those the grammar rejects. If it rejects all, draw from those it allows.
    for (let tries = 0; tries < TRIES && count > 0; tries++) {
      const drawn = this.#draw(count);
      const token = candidateToken[drawn] as number;
      const isAllowed = allowed.allows(token);
      if (isAllowed === undefined) return NOT_YET;
      if (isAllowed) {
        this.#drawnFrom = count;
        return token;
      }
      candidateToken.copyWithin(drawn, drawn + 1, count);
      candidateWeight.copyWithin(drawn, drawn + 1, count);
      count--;
    }
    if (mustFind(allowed)) return NOT_YET;
    count = keepAllowed(count, allowed);
    return count > 0 ? this.#drawn(count) : this.#drawnFromAllowed(logits, allowed);
  }

  /** Draws as if the vocabulary had no other tokens. */
  #drawnFromAllowed(logits: Float32Array, allowed: Allowed): number {
    let count = selectAllowed(logits, allowed);
    if (count === 0) return NO_TOKEN;
    const isCut = this.#topK > 0 && this.#topK < count;
    if (isCut || this.#topP < 1) count = sortLargest(count, isCut ? this.#topK : count);
    if (this.#topP < 1) count = cutAtMass(count, this.#topP * massOf(count)).kept;
    return this.#drawn(this.#weighed(count));
  }

  #drawn(count: number): number {
    this.#drawnFrom = count;
    return candidateToken[this.#draw(count)] as number;
  }

  /** The largest logit that is left as for filling in text. */
  #surest(logits: Float32Array): number {
    const count = this.#narrowed(this.#selected(logits));
    return candidateToken[this.#largestOf(count)] as number;
  }

  /** Selects candidates by top-k, top-p and min-p, and computes their weights at this temperature. */
  #candidates(logits: Float32Array): number {
    return this.#weighed(this.#selected(logits));
  }

  #selected(logits: Float32Array): number {
    const size = logits.length;
    let count: number;
    if (this.#topK > 0 && this.#topK < size) {
      count = selectLargest(logits, this.#topK);
      if (this.#topP < 1) count = cutAtMass(count, this.#topP * massOf(count)).kept;
    } else if (this.#topP < 1) count = selectMass(logits, this.#topP);
    else {
      const isNarrowed = this.#minPBelow !== Infinity;
      count = selectFrom(logits, isNarrowed ? (logits[largest(logits)] as number) - this.#minPBelow : -Infinity);
    }
    return count;
  }

  /** Narrows candidates by min-p, and as for filling in text. */
  #narrowed(count: number): number {
    if (this.#minPBelow !== Infinity) {
      count = keepFrom(count, (candidateWeight[this.#largestOf(count)] as number) - this.#minPBelow);
    }
    return this.#infill === undefined ? count : keepSure(count, this.#infill);
  }

  /** Narrows candidates, and turns their logits into weights. */
  #weighed(all: number): number {
    const count = this.#narrowed(all);
    const top = candidateWeight[this.#largestOf(count)] as number;
    for (let i = 0; i < count; i++) {
      candidateWeight[i] = Math.exp(((candidateWeight[i] as number) - top) / this.#temperature);
    }
    return count;
  }

  #largestOf(count: number): number {
    let best = 0;
    for (let i = 1; i < count; i++) if ((candidateWeight[i] as number) > (candidateWeight[best] as number)) best = i;
    return best;
  }

  #draw(count: number): number {
    let mass = 0;
    for (let i = 0; i < count; i++) mass += candidateWeight[i] as number;
    let point = this.#random.next() * mass;
    for (let i = 0; i < count; i++) {
      point -= candidateWeight[i] as number;
      if (point < 0) return i;
    }
    return count - 1;
  }
}

function mustFind(allowed: Allowed): boolean {
  return allowed.find !== undefined && allowed.allowed?.() === undefined;
}

function largestAllowed(logits: Float32Array, allowed: Allowed): number {
  reserve(logits.length);
  const tries = selectLargest(logits, Math.min(TRIES, logits.length));
  for (let i = 0; i < tries; i++) {
    const token = candidateToken[i] as number;
    const isAllowed = allowed.allows(token);
    if (isAllowed === undefined) return NOT_YET;
    if (isAllowed) return token;
  }
  if (mustFind(allowed)) return NOT_YET;
  const bits = allowed.allowed?.();
  return bits === undefined ? largestAsked(logits, allowed) : largestOf(logits, bits);
}

/** Asks the grammar only about tokens that would be the best so far. */
function largestAsked(logits: Float32Array, allowed: Allowed): number {
  let best = NO_TOKEN;
  let top = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    if (logit > top && allowed.allows(token)) {
      top = logit;
      best = token;
    }
  }
  return best;
}

/** Largest logit whose mask bit is set; the first one on a tie. */
function largestOf(logits: Float32Array, bits: Uint32Array): number {
  let best = NO_TOKEN;
  let top = -Infinity;
  for (let word = 0; word < bits.length; word++) {
    for (let left = bits[word] as number; left !== 0; left &= left - 1) {
      const token = word * 32 + 31 - Math.clz32(left & -left);
      const logit = logits[token] as number;
      if (logit > top) {
        top = logit;
        best = token;
      }
    }
  }
  return best;
}

/** Drops candidates below a logit; returns the number kept. */
function keepFrom(count: number, least: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if ((candidateWeight[i] as number) < least) continue;
    candidateToken[kept] = candidateToken[i] as number;
    candidateWeight[kept++] = candidateWeight[i] as number;
  }
  return kept;
}

/** Drops candidates that are not allowed; returns the number kept. */
function keepAllowed(count: number, allowed: Allowed): number {
  if (count === 0) return 0;
  const bits = allowed.allowed?.();
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const token = candidateToken[i] as number;
    const isAllowed = bits === undefined
      ? allowed.allows(token)
      : ((bits[token >> 5] as number) >>> (token & 31) & 1) === 1;
    if (!isAllowed) continue;
    candidateToken[kept] = token;
    candidateWeight[kept++] = candidateWeight[i] as number;
  }
  return kept;
}

/** Seeded random numbers in [0, 1) (sfc32). */
class RandomNumbers {
  state: readonly [a: number, b: number, c: number, counter: number];

  constructor(seed: number) {
    this.state = [0x9e3779b9 | 0, Math.trunc(seed / 0x100000000) | 0, seed | 0, 1];
    for (let i = 0; i < 12; i++) this.next();
  }

  next(): number {
    const [a, b, c, counter] = this.state;
    const sum = (a + b + counter) | 0;
    this.state = [b ^ (b >>> 9), (b + (c << 3)) | 0, (((c << 21) | (c >>> 11)) + sum) | 0, (counter + 1) | 0];
    return (sum >>> 0) / 0x100000000;
  }
}
