/**
 * Selects the likely tokens of a logits row. A large vocabulary has some 150,000 logits and little time, so the row is
 * scanned once, skipping logits below a threshold that is estimated from a sample.
 */

import type { Allowed } from "../../../grammar/constraint.ts";

// Shared by all requests: the engine samples one row at a time.
export let candidateToken = new Int32Array(0);
/** Logits, until the sampler turns them into weights. */
export let candidateWeight = new Float64Array(0);

/** Approximate sample size for the threshold. */
const SAMPLED = 2400;
/** The threshold aims at this many times the wanted candidates, so that it is seldom too high. */
const SPARE = 4;
/** Candidates to aim for if the wanted number is unknown. */
const COLLECTED = 64;
/** Beyond this, the estimate costs more than it saves. */
const MOST_GUESSED = 512;

/** Resolution of the exponential table, per unit of the exponent. */
const STEPS = 1024;
/** Beyond this exponent, even 150,000 exponentials are negligible. */
const EXPONENT_END = 32;
/** exp(-x) at the middle of each step; relative error at most 5 · 10⁻⁴, about 10⁻⁶ in sums. */
const EXPONENTIALS = Float32Array.from(
  { length: EXPONENT_END * STEPS },
  (_, step) => Math.exp(-(step + 0.5) / STEPS),
);
/** From so many candidates on they are sorted by their bits. */
const MANY = 4096;
const DIGIT_BITS = 11;
const DIGITS = 3;

/** Histogram buckets per logit unit, for distributions with very many likely tokens. */
const CLASSES = 256;

/** Ensures capacity for a row. */
export function reserve(size: number): void {
  if (candidateToken.length >= size) return;
  candidateToken = new Int32Array(size);
  candidateWeight = new Float64Array(size);
}

/** Index of the largest logit; the first one on a tie. */
export function largest(logits: Float32Array): number {
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

/** Select the `limit` largest logits, in descending order; ties go to the lower token. */
export function selectLargest(logits: Float32Array, limit: number): number {
  reserve(logits.length);
  if (limit <= MOST_GUESSED && logits.length > SAMPLED * SPARE) {
    const count = selectFrom(logits, guess(logits, limit));
    if (count >= limit) return sortLargest(count, limit);
  }
  return sortLargest(selectFrom(logits, -Infinity), Math.min(limit, logits.length));
}

/** Selects all logits of at least `least`, in token order. */
export function selectFrom(logits: Float32Array, least: number): number {
  reserve(logits.length);
  const tokens = candidateToken;
  const weights = candidateWeight;
  let count = 0;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    if (logit >= least) {
      tokens[count] = token;
      weights[count++] = logit;
    }
  }
  return count;
}

/** Selects the tokens that a constraint allows, in token order. Its mask is known, or it can be asked for each token. */
export function selectAllowed(logits: Float32Array, allowed: Allowed): number {
  reserve(logits.length);
  const bits = allowed.allowed?.();
  let count = 0;
  const select = (token: number): void => {
    candidateToken[count] = token;
    candidateWeight[count++] = logits[token] as number;
  };
  if (bits === undefined) {
    for (let token = 0; token < logits.length; token++) if (allowed.allows(token)) select(token);
    return count;
  }
  for (let word = 0; word < bits.length; word++) {
    for (let left = bits[word] as number; left !== 0; left &= left - 1) {
      select(word * 32 + 31 - Math.clz32(left & -left));
    }
  }
  return count;
}

/**
 * Select the largest logits whose probabilities add up to this share; at least one. In descending order, unless there
 * are very many.
 */
export function selectMass(logits: Float32Array, share: number): number {
  reserve(logits.length);
  const least = logits.length > SAMPLED * SPARE ? guess(logits, COLLECTED) : -Infinity;
  const { count, below } = selectWithMass(logits, least);
  sortLargest(count, count);
  const mass = share * (massOf(count) + below * Math.exp(least - (candidateWeight[0] as number)));
  const { kept, reached } = cutAtMass(count, mass);
  return reached || count === logits.length ? kept : selectMany(logits, mass);
}

/** Sum of the candidates' probabilities, relative to the first. */
export function massOf(count: number): number {
  const top = candidateWeight[0] as number;
  let mass = 0;
  for (let i = 0; i < count; i++) mass += Math.exp((candidateWeight[i] as number) - top);
  return mass;
}

export function logOfSum(logits: Float32Array): number {
  const least = logits.length > SAMPLED * SPARE ? guess(logits, COLLECTED) : -Infinity;
  const { count, below } = selectWithMass(logits, least);
  let top = -Infinity;
  for (let i = 0; i < count; i++) if ((candidateWeight[i] as number) > top) top = candidateWeight[i] as number;
  let sum = below * Math.exp(least - top);
  for (let i = 0; i < count; i++) sum += Math.exp((candidateWeight[i] as number) - top);
  return top + Math.log(sum);
}

/** Number of leading candidates that reach this mass; at least one. */
export function cutAtMass(count: number, mass: number): { readonly kept: number; readonly reached: boolean } {
  const top = candidateWeight[0] as number;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += Math.exp((candidateWeight[i] as number) - top);
    if (sum >= mass) return { kept: i + 1, reached: true };
  }
  return { kept: count, reached: false };
}

/** Estimates a threshold that slightly more than `wanted` logits reach. */
function guess(logits: Float32Array, wanted: number): number {
  const stride = Math.floor(logits.length / SAMPLED) | 1;
  const rank = Math.ceil(SPARE * Math.max(wanted, COLLECTED) / stride);
  // The largest of the sample, in ascending order.
  const found = new Float64Array(rank).fill(-Infinity);
  for (let token = 0; token < logits.length; token += stride) {
    const logit = logits[token] as number;
    if (!(logit > (found[0] as number))) continue;
    let at = 1;
    for (; at < rank && (found[at] as number) < logit; at++) found[at - 1] = found[at] as number;
    found[at - 1] = logit;
  }
  return found[0] as number;
}

/** Like `selectFrom`; `below` is the sum of exponentials of the rest, relative to `least`. */
function selectWithMass(logits: Float32Array, least: number): { readonly count: number; readonly below: number } {
  if (least === -Infinity) return { count: selectFrom(logits, least), below: 0 };
  const tokens = candidateToken;
  const weights = candidateWeight;
  const end = EXPONENT_END * STEPS;
  let count = 0;
  // Two accumulators, so that consecutive additions are independent.
  let even = 0;
  let odd = 0;
  const pairs = logits.length - 1;
  let token = 0;
  for (; token < pairs; token += 2) {
    const first = logits[token] as number;
    const at = (least - first) * STEPS;
    if (at > 0) {
      if (at < end) even += EXPONENTIALS[at | 0] as number;
    } else if (first >= least) {
      tokens[count] = token;
      weights[count++] = first;
    }
    const second = logits[token + 1] as number;
    const next = (least - second) * STEPS;
    if (next > 0) {
      if (next < end) odd += EXPONENTIALS[next | 0] as number;
    } else if (second >= least) {
      tokens[count] = token + 1;
      weights[count++] = second;
    }
  }
  if (token < logits.length) {
    const last = logits[token] as number;
    if (last >= least) {
      tokens[count] = token;
      weights[count++] = last;
    } else even += Math.exp(last - least);
  }
  return { count, below: even + odd };
}

/**
 * Top-p for thousands of tokens: a histogram instead of sorting; only the boundary bucket is sorted.
 *
 * @param mass Relative to the largest.
 */
function selectMany(logits: Float32Array, mass: number): number {
  const top = logits[largest(logits)] as number;
  const masses = new Float64Array(EXPONENT_END * CLASSES);
  for (let token = 0; token < logits.length; token++) {
    const below = top - (logits[token] as number);
    if (below < EXPONENT_END) {
      masses[(below * CLASSES) | 0] = (masses[(below * CLASSES) | 0] as number) + Math.exp(-below);
    }
  }
  let border = 0;
  for (let sum = masses[0] as number; sum < mass && border < masses.length - 1;) sum += masses[++border] as number;
  const tokens = candidateToken;
  const weights = candidateWeight;
  const at: number[] = [];
  let count = 0;
  let sum = 0;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    const below = top - logit;
    const cls = below < EXPONENT_END ? (below * CLASSES) | 0 : masses.length;
    if (cls === border) at.push(token);
    else if (cls < border) {
      tokens[count] = token;
      weights[count++] = logit;
      sum += Math.exp(-below);
    }
  }
  at.sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
  for (const token of at) {
    if (sum >= mass && count > 0) break;
    tokens[count] = token;
    weights[count++] = logits[token] as number;
    sum += Math.exp((logits[token] as number) - top);
  }
  return count;
}

/** Keeps the `limit` largest candidates, in descending order; ties go to the lower token. */
export function sortLargest(all: number, limit: number): number {
  if (limit >= MANY && all >= MANY) return sortByBits(all, limit);
  const tokens = candidateToken;
  const weights = candidateWeight;
  let count = 0;
  let least = -Infinity;
  for (let next = 0; next < all; next++) {
    const token = tokens[next] as number;
    const logit = weights[next] as number;
    if (count < limit) {
      // A min-heap of the candidates.
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
  // Heapsort: move the minimum to the end, repeatedly.
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

/** The same for very many candidates, which are logits in token order: a radix sort, whose time does not depend on order. */
function sortByBits(all: number, limit: number): number {
  // The sign of a zero does not count.
  const logits = Float32Array.from({ length: all }, (_, i) => (candidateWeight[i] as number) + 0);
  const bits = new Uint32Array(logits.buffer);
  // Ascending keys are descending logits: positive ones have their order of bits turned round, negative ones keep it.
  for (let i = 0; i < all; i++) {
    const one = bits[i] as number;
    bits[i] = one >>> 31 === 0 ? ~one & 0x7fffffff : one;
  }
  let [keys, sortedKeys] = [bits, new Uint32Array(all)];
  let [tokens, sortedTokens] = [candidateToken.slice(0, all), new Int32Array(all)];
  const ends = new Uint32Array(1 << DIGIT_BITS);
  for (let digit = 0; digit < DIGITS; digit++) {
    const shift = digit * DIGIT_BITS;
    ends.fill(0);
    for (let i = 0; i < all; i++) {
      const value = digitAt(keys[i] as number, shift);
      ends[value] = (ends[value] as number) + 1;
    }
    let sum = 0;
    for (let value = 0; value < ends.length; value++) {
      const many = ends[value] as number;
      ends[value] = sum;
      sum += many;
    }
    for (let i = 0; i < all; i++) {
      const key = keys[i] as number;
      const value = digitAt(key, shift);
      const at = ends[value] as number;
      ends[value] = at + 1;
      sortedKeys[at] = key;
      sortedTokens[at] = tokens[i] as number;
    }
    [keys, sortedKeys] = [sortedKeys, keys];
    [tokens, sortedTokens] = [sortedTokens, tokens];
  }
  for (let i = 0; i < all; i++) {
    const key = keys[i] as number;
    keys[i] = key >>> 31 === 0 ? ~key & 0x7fffffff : key;
  }
  const count = Math.min(all, limit);
  const sorted = new Float32Array(keys.buffer);
  for (let i = 0; i < count; i++) candidateWeight[i] = sorted[i] as number;
  candidateToken.set(count === all ? tokens : tokens.subarray(0, count));
  return count;
}

function digitAt(key: number, shift: number): number {
  return key >>> shift & (1 << DIGIT_BITS) - 1;
}

/** Descending by weight, then ascending by token. */
function before(weight: number, token: number, otherWeight: number, otherToken: number): boolean {
  return weight > otherWeight || (weight === otherWeight && token < otherToken);
}

/** Replaces the heap's root and sifts it down. */
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
