/**
 * Which token comes next: top-k, top-p, temperature and a seeded draw over one row of logits, bound by a grammar where
 * there is one. Pure: it sees numbers only. In JavaScript because that is cheaper than a native chain of samplers: one
 * pass over the row, and no copy of the vocabulary for each token.
 */
import type { Sampling } from "../../inference/request.ts";

/** Says which tokens may come next. */
export interface Allowed {
  allows(token: number): boolean;
  /** All of them, a bit for each; `undefined` or absent: they have to be asked for one by one. */
  allowed?(): Uint32Array | undefined;
}

/** Nothing may come next. */
export const NO_TOKEN = -1;

/** With no `top_k`, candidates are sorted in portions of this size until they hold `top_p`. */
const FIRST_PORTION = 64;
const PORTION_GROWTH = 8;
/** So many likely tokens are tried before it is asked for all that are allowed. What is drawn depends on it. */
const TRIES = 8;

/** Draws tokens for one request. */
export class Sampler {
  readonly #temperature: number;
  readonly #topP: number;
  readonly #topK: number;
  readonly #random: () => number;

  constructor(sampling: Sampling) {
    this.#temperature = sampling.temperature;
    this.#topP = sampling.topP;
    this.#topK = sampling.topK;
    this.#random = randomNumbers(sampling.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] as number);
  }

  /**
   * The next token, or `NO_TOKEN` if none is allowed.
   *
   * @param logits One row, a number for each token.
   * @param allowed What a grammar says. What is drawn does not depend on whether it can tell all tokens at once.
   */
  sample(logits: Float32Array, allowed?: Allowed): number {
    if (this.#temperature === 0) {
      const token = largest(logits);
      return allowed === undefined || allowed.allows(token) ? token : largestAllowed(logits, allowed);
    }
    let count = this.#candidates(logits);
    if (allowed === undefined) return candidateToken[this.#draw(count)] as number;
    // Draw from what is likely; what the grammar refuses is taken out. If it refuses all of it, the best it allows.
    for (let tries = 0; tries < TRIES && count > 0; tries++) {
      const drawn = this.#draw(count);
      const token = candidateToken[drawn] as number;
      if (allowed.allows(token)) return token;
      candidateToken.copyWithin(drawn, drawn + 1, count);
      candidateWeight.copyWithin(drawn, drawn + 1, count);
      count--;
    }
    count = keepAllowed(count, allowed);
    return count > 0 ? candidateToken[this.#draw(count)] as number : largestAllowed(logits, allowed);
  }

  /** Fill the candidates with what top-k and top-p leave, and their weights at this temperature. */
  #candidates(logits: Float32Array): number {
    const size = logits.length;
    reserve(size);
    const limit = this.#topK > 0 && this.#topK < size ? this.#topK : size;
    let count: number;
    if (limit < size) {
      count = selectLargest(logits, limit);
      if (this.#topP < 1) count = cutAtMass(count, this.#topP * massOf(count));
    } else if (this.#topP < 1) {
      const mass = this.#topP * massOfAll(logits);
      let portion = Math.min(FIRST_PORTION, size);
      for (;;) {
        const selected = selectLargest(logits, portion);
        count = cutAtMass(selected, mass);
        if (count < selected || portion === size) break;
        portion = Math.min(portion * PORTION_GROWTH, size);
      }
    } else {
      count = size;
      for (let token = 0; token < size; token++) {
        candidateToken[token] = token;
        candidateWeight[token] = logits[token] as number;
      }
    }
    let top = -Infinity;
    for (let i = 0; i < count; i++) if ((candidateWeight[i] as number) > top) top = candidateWeight[i] as number;
    for (let i = 0; i < count; i++) {
      candidateWeight[i] = Math.exp(((candidateWeight[i] as number) - top) / this.#temperature);
    }
    return count;
  }

  /** An index among the candidates, by weight. */
  #draw(count: number): number {
    let mass = 0;
    for (let i = 0; i < count; i++) mass += candidateWeight[i] as number;
    let point = this.#random() * mass;
    for (let i = 0; i < count; i++) {
      point -= candidateWeight[i] as number;
      if (point < 0) return i;
    }
    return count - 1;
  }
}

// One set for all requests: the engine samples one row at a time.
let candidateToken = new Int32Array(0);
let candidateWeight = new Float64Array(0);

function reserve(size: number): void {
  if (candidateToken.length >= size) return;
  candidateToken = new Int32Array(size);
  candidateWeight = new Float64Array(size);
}

function largest(logits: Float32Array): number {
  let best = 0;
  let top = logits[0] as number;
  for (let token = 1; token < logits.length; token++) {
    const logit = logits[token] as number;
    if (logit > top) {
      top = logit;
      best = token;
    }
  }
  return best;
}

function largestAllowed(logits: Float32Array, allowed: Allowed): number {
  reserve(logits.length);
  const tries = selectLargest(logits, Math.min(TRIES, logits.length));
  for (let i = 0; i < tries; i++) {
    const token = candidateToken[i] as number;
    if (allowed.allows(token)) return token;
  }
  const bits = allowed.allowed?.();
  return bits === undefined ? largestAsked(logits, allowed) : largestOf(logits, bits);
}

/** A token is only looked at by the grammar if it would be the best so far. */
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

/** The first of the largest among those whose bits are set. */
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

/** Take out of the candidates what is not allowed; returns how many are left. */
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

/** Put the `limit` largest logits into the candidates, the largest first; of equal ones the first token first. */
function selectLargest(logits: Float32Array, limit: number): number {
  const tokens = candidateToken;
  const weights = candidateWeight;
  let count = 0;
  let least = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    if (count < limit) {
      // The heap's root is the least of the candidates.
      let at = count++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!before(weights[parent] as number, tokens[parent] as number, logit, token)) break;
        weights[at] = weights[parent] as number;
        tokens[at] = tokens[parent] as number;
        at = parent;
      }
      weights[at] = logit;
      tokens[at] = token;
      least = weights[0] as number;
    } else if (logit > least) {
      sink(limit, logit, token);
      least = weights[0] as number;
    }
  }
  // Take the least off, again and again, into the places that become free at the end.
  for (let end = count - 1; end > 0; end--) {
    const weight = weights[end] as number;
    const token = tokens[end] as number;
    const leastWeight = weights[0] as number;
    const leastToken = tokens[0] as number;
    sink(end, weight, token);
    weights[end] = leastWeight;
    tokens[end] = leastToken;
  }
  return count;
}

/** Whether the first ranks above the second. */
function before(weight: number, token: number, otherWeight: number, otherToken: number): boolean {
  return weight > otherWeight || (weight === otherWeight && token < otherToken);
}

/** Replace the root of the heap of this size and let it sink to its place. */
function sink(size: number, weight: number, token: number): void {
  const tokens = candidateToken;
  const weights = candidateWeight;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    const right = child + 1;
    if (
      right < size &&
      before(weights[child] as number, tokens[child] as number, weights[right] as number, tokens[right] as number)
    ) child = right;
    if (!before(weight, token, weights[child] as number, tokens[child] as number)) break;
    weights[at] = weights[child] as number;
    tokens[at] = tokens[child] as number;
    at = child;
  }
  weights[at] = weight;
  tokens[at] = token;
}

/** Sum of probabilities up to a common factor: relative to the largest candidate. */
function massOf(count: number): number {
  const top = candidateWeight[0] as number;
  let mass = 0;
  for (let i = 0; i < count; i++) mass += Math.exp((candidateWeight[i] as number) - top);
  return mass;
}

function massOfAll(logits: Float32Array): number {
  const top = logits[largest(logits)] as number;
  let mass = 0;
  for (let token = 0; token < logits.length; token++) mass += Math.exp((logits[token] as number) - top);
  return mass;
}

/** How many of the candidates it takes, from the largest, to reach a mass. At least one. */
function cutAtMass(count: number, mass: number): number {
  const top = candidateWeight[0] as number;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += Math.exp((candidateWeight[i] as number) - top);
    if (sum >= mass) return i + 1;
  }
  return count;
}

/** Numbers in [0, 1), the same for the same seed (sfc32). */
function randomNumbers(seed: number): () => number {
  let a = 0x9e3779b9 | 0;
  let b = Math.trunc(seed / 0x100000000) | 0;
  let c = seed | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 0x100000000;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}
