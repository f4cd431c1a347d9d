/**
 * The candidates for the next token: what is likely enough of one row of logits. A row of a large vocabulary has some
 * 150 000 numbers and little time, so it is looked through once: what is surely too small, as a sample of the row tells,
 * is passed over.
 */

// One set for all requests: the engine looks at one row at a time.
export let candidateToken = new Int32Array(0);
/** Logits, until the sampler makes them weights. */
export let candidateWeight = new Float64Array(0);

/** About so many numbers of a row are looked at to guess which are large. */
const SAMPLED = 2400;
/** As many as this times those wanted are expected above the guess, so that it is seldom too high. */
const SPARE = 4;
/** What is collected of a row when it is not known how many are wanted. */
const COLLECTED = 64;
/** For more than this the guess costs more than it saves. */
const MOST_GUESSED = 512;

/** Steps of the table of exponentials for each unit of the exponent. */
const STEPS = 1024;
/** Beyond this an exponential is nothing, also 150 000 times. */
const EXPONENT_END = 32;
/** e to the power of minus the middle of each step: off by 5 · 10⁻⁴ at most, and in sums by some 10⁻⁶. */
const EXPONENTIALS = Float32Array.from(
  { length: EXPONENT_END * STEPS },
  (_, step) => Math.exp(-(step + 0.5) / STEPS),
);
/** Classes of logits, for each unit, where very many tokens are likely. */
const CLASSES = 256;

/** Make room for the candidates of a row. */
export function reserve(size: number): void {
  if (candidateToken.length >= size) return;
  candidateToken = new Int32Array(size);
  candidateWeight = new Float64Array(size);
}

/** The first of the largest. */
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

/** Put the `limit` largest logits into the candidates, the largest first; of equal ones the first token first. */
export function selectLargest(logits: Float32Array, limit: number): number {
  reserve(logits.length);
  if (limit <= MOST_GUESSED && logits.length > SAMPLED * SPARE) {
    const count = selectFrom(logits, guess(logits, limit));
    if (count >= limit) return sortLargest(count, limit);
  }
  return sortLargest(selectFrom(logits, -Infinity), Math.min(limit, logits.length));
}

/** Put all logits from `least` on into the candidates, in the order of their tokens. */
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

/**
 * Put the largest logits that together have this share of all probability into the candidates; at least one. They are in
 * order, the largest first, unless there are very many.
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

/** Sum of the candidates' probabilities up to a common factor: relative to the first. */
export function massOf(count: number): number {
  const top = candidateWeight[0] as number;
  let mass = 0;
  for (let i = 0; i < count; i++) mass += Math.exp((candidateWeight[i] as number) - top);
  return mass;
}

/** Natural logarithm of the sum of the exponentials of all logits. */
export function logOfSum(logits: Float32Array): number {
  const least = logits.length > SAMPLED * SPARE ? guess(logits, COLLECTED) : -Infinity;
  const { count, below } = selectWithMass(logits, least);
  let top = -Infinity;
  for (let i = 0; i < count; i++) if ((candidateWeight[i] as number) > top) top = candidateWeight[i] as number;
  let sum = below * Math.exp(least - top);
  for (let i = 0; i < count; i++) sum += Math.exp((candidateWeight[i] as number) - top);
  return top + Math.log(sum);
}

/** How many of the candidates it takes, from the first, to reach a mass. At least one. */
export function cutAtMass(count: number, mass: number): { readonly kept: number; readonly reached: boolean } {
  const top = candidateWeight[0] as number;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += Math.exp((candidateWeight[i] as number) - top);
    if (sum >= mass) return { kept: i + 1, reached: true };
  }
  return { kept: count, reached: false };
}

/** A number that probably some more logits than `wanted` are not below. */
function guess(logits: Float32Array, wanted: number): number {
  const stride = Math.floor(logits.length / SAMPLED) | 1;
  const rank = Math.ceil(SPARE * Math.max(wanted, COLLECTED) / stride);
  // The largest of the sample, the least first.
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

/** As `selectFrom`; `below`: the sum of the exponentials of the others, relative to that of `least`. */
function selectWithMass(logits: Float32Array, least: number): { readonly count: number; readonly below: number } {
  if (least === -Infinity) return { count: selectFrom(logits, least), below: 0 };
  const tokens = candidateToken;
  const weights = candidateWeight;
  const end = EXPONENT_END * STEPS;
  let count = 0;
  // Two sums, so that one addition need not wait for the other.
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
 * What has a mass, where that is thousands of tokens: they are not sorted, but for those at the border.
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

/** Keep the `limit` largest of the candidates and sort them. */
function sortLargest(all: number, limit: number): number {
  const tokens = candidateToken;
  const weights = candidateWeight;
  let count = 0;
  let least = -Infinity;
  for (let next = 0; next < all; next++) {
    const token = tokens[next] as number;
    const logit = weights[next] as number;
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
