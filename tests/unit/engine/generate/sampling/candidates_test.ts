/** Candidates of large rows, beside what is found by sorting the whole row. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import {
  candidateToken,
  candidateWeight,
  logOfSum,
  selectLargest,
  selectMass,
} from "../../../../../src/engine/generate/sampling/candidates.ts";
import { oddsOf } from "../../../../../src/engine/generate/sampling/token_odds.ts";
import { randomFrom } from "../../../../support/random.ts";

const SIZE = 50_001;

/** As models have them: most are noise of this spread, a few stand out. */
function row(spread: number, likely: number, seed = 1): Float32Array {
  const random = randomFrom(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const logits = Float32Array.from({ length: SIZE }, () => normal() * spread);
  for (let i = 0; i < likely; i++) logits[(i * 3777) % SIZE] = 20 - i * 0.3;
  return logits;
}

function sorted(logits: Float32Array): number[] {
  return [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
}

function tokens(count: number): number[] {
  return [...candidateToken.subarray(0, count)];
}

const ROWS: readonly (readonly [string, Float32Array])[] = [
  ["peaked", row(3, 40)],
  ["flat", row(1, 0)],
  ["equal", new Float32Array(SIZE)],
  ["coarse", row(3, 40).map(Math.round)],
  // A sample of the row finds these alone.
  ["misleading", Float32Array.from({ length: SIZE }, (_, i) => i % 21 === 0 && i < 840 ? 10 : i % 1000 / 1000)],
  ["ascending", Float32Array.from({ length: SIZE }, (_, i) => i / 1000)],
];

for (const [name, logits] of ROWS) {
  Deno.test(`selectLargest finds the largest in order, of equal ones the first: ${name}`, () => {
    const expected = sorted(logits);
    for (const limit of [1, 20, 64, 500, 2000, 4096, 20_000, SIZE - 1, SIZE]) {
      assertEquals(tokens(selectLargest(logits, limit)), expected.slice(0, limit), `${limit}`);
    }
  });

  Deno.test(`selectMass finds the least that has the mass: ${name}`, () => {
    const expected = sorted(logits);
    const top = logits[expected[0] ?? 0] ?? 0;
    const weights = expected.map((token) => Math.exp((logits[token] ?? 0) - top));
    const all = weights.reduce((a, b) => a + b);
    for (const share of [0.1, 0.5, 0.95, 0.999]) {
      const count = selectMass(logits, share);
      const mass = weights.slice(0, count).reduce((a, b) => a + b) / all;
      const last = (weights[count - 1] ?? 0) / all;
      // The mass of the tail is a sum of rounded exponentials.
      assert(mass > share - 5e-4 && mass - last < share + 5e-4, `${share}: ${count} tokens have ${mass}`);
      assertEquals(tokens(count).sort((a, b) => a - b), expected.slice(0, count).sort((a, b) => a - b), `${share}`);
      for (let i = 0; i < count; i++) assertEquals(candidateWeight[i], logits[candidateToken[i] ?? 0]);
    }
  });

  Deno.test(`logOfSum is the logarithm of the whole mass: ${name}`, () => {
    const top = logits.reduce((a, b) => Math.max(a, b));
    const expected = top + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
    assertAlmostEquals(logOfSum(logits), expected, 1e-5);
  });
}

Deno.test("oddsOf tells the token's probability and the likeliest ones", () => {
  const probabilities = [0.1, 0.6, 0.3];
  const odds = oddsOf(Float32Array.from(probabilities, (p) => Math.log(p) + 7), 0, 2);
  assertAlmostEquals(odds.logprob, Math.log(0.1), 1e-6);
  assertEquals(odds.top.map(([token]) => token), [1, 2]);
  assertAlmostEquals(odds.top[0]?.[1] ?? 0, Math.log(0.6), 1e-6);
  assertEquals(oddsOf(Float32Array.of(1, 2), 1, 0).top, []);
});
