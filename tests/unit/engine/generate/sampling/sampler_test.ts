import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { NO_TOKEN, Sampler } from "../../../../../src/engine/generate/sampling/sampler.ts";

const GREEDY = { temperature: 0, topP: 1, topK: 0 };
const LOGITS = Float32Array.of(1, 4, 2, 3, 4, -1);

function countUp(counts: number[], at: number): void {
  counts[at] = (counts[at] as number) + 1;
}

/** How often each token is drawn in so many draws. */
function counts(sampling: ConstructorParameters<typeof Sampler>[0], logits: Float32Array, draws = 4000): number[] {
  const sampler = new Sampler({ seed: 1, ...sampling });
  const drawn: number[] = new Array(logits.length).fill(0);
  for (let i = 0; i < draws; i++) countUp(drawn, sampler.sample(logits));
  return drawn;
}

function softmax(logits: ArrayLike<number>, temperature = 1): number[] {
  const weights = Array.from(logits, (logit) => Math.exp(logit / temperature));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

function assertShares(drawn: readonly number[], expected: readonly number[]): void {
  const all = drawn.reduce((a, b) => a + b);
  for (const [i, count] of drawn.entries()) {
    assert(Math.abs(count / all - (expected[i] ?? 0)) < 0.04, `${drawn.map((n) => n / all)} and not ${expected}`);
  }
}

Deno.test("Sampler takes the first of the largest when it is greedy", () => {
  assertEquals(new Sampler(GREEDY).sample(LOGITS), 1);
});

Deno.test("Sampler draws by probability when nothing narrows it", () => {
  assertShares(counts({ temperature: 1, topP: 1, topK: 0 }, LOGITS), softmax(LOGITS));
});

Deno.test("Sampler flattens the probabilities when the temperature is high", () => {
  assertShares(counts({ temperature: 2, topP: 1, topK: 0 }, LOGITS), softmax(LOGITS, 2));
});

Deno.test("Sampler draws from the largest when top_k is set, of equal ones the first", () => {
  assertShares(counts({ temperature: 1, topP: 1, topK: 1 }, LOGITS), [0, 1]);
  assertShares(counts({ temperature: 1, topP: 1, topK: 3 }, LOGITS), [
    0,
    ...softmax([4, 3, 4]).flatMap((p, i) => i === 0 ? [p, 0] : [p]),
  ]);
});

Deno.test("Sampler draws from those that make up top_p, with and without top_k", () => {
  const logits = Float32Array.from([0.5, 0.3, 0.15, 0.05], Math.log);
  for (const topK of [0, 3]) {
    assertShares(counts({ temperature: 1, topP: 0.7, topK }, logits), [0.625, 0.375]);
    assertShares(counts({ temperature: 1, topP: 0.0001, topK }, logits), [1]);
  }
});

Deno.test("Sampler narrows a large vocabulary the same way when it sorts only a part of it", () => {
  // Half of the tokens share all of the probability: 0.2 of it are 100 of them, more than are sorted at first.
  const logits = Float32Array.from({ length: 1000 }, (_, i) => i % 2 === 0 ? 5 : -20);
  const drawn = counts({ temperature: 1, topP: 0.1999, topK: 0 }, logits, 3000);
  assertEquals(drawn.filter((count) => count > 0).length, 100);
  assert(drawn.slice(200).every((count) => count === 0));
});

Deno.test("Sampler keeps exactly the largest when there are many in any order", () => {
  // A permutation of 0 … 1008.
  const logits = Float32Array.from({ length: 1009 }, (_, i) => (i * 601) % 1009 / 1009);
  const drawn = counts({ temperature: 1, topP: 1, topK: 20 }, logits, 5000);
  const expected = [...logits.keys()].filter((i) => (logits[i] as number) * 1009 > 988.5);
  assertEquals([...drawn.keys()].filter((i) => (drawn[i] as number) > 0), expected);
});

Deno.test("Sampler draws the same when the seed is the same, and else not", () => {
  const draw = (seed: number): number[] => {
    const sampler = new Sampler({ temperature: 1, topP: 1, topK: 0, seed });
    return Array.from({ length: 40 }, () => sampler.sample(LOGITS));
  };
  const seeds = [0, 1, 2, -1, 2 ** 31, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER];
  for (const seed of seeds) assertEquals(draw(seed), draw(seed));
  assertEquals(new Set(seeds.map((seed) => draw(seed).join())).size, seeds.length);
});

Deno.test("Sampler takes the largest that is allowed when the largest is not", () => {
  assertEquals(new Sampler(GREEDY).sample(LOGITS, { allows: (token) => token % 2 === 1 && token !== 1 }), 3);
});

Deno.test("Sampler draws by probability from what is allowed among the likely", () => {
  const sampler = new Sampler({ temperature: 1, topP: 1, topK: 4, seed: 1 });
  const drawn: number[] = new Array(6).fill(0);
  for (let i = 0; i < 4000; i++) countUp(drawn, sampler.sample(LOGITS, { allows: (token) => token > 1 }));
  const [two, three, four] = softmax([2, 3, 4]);
  assertShares(drawn, [0, 0, two ?? 0, three ?? 0, four ?? 0]);
});

Deno.test("Sampler draws by probability from what is allowed when nothing likely is, narrowed as without a grammar", () => {
  const allows = (token: number): boolean => token === 0 || token === 2 || token === 5;
  const bits = Uint32Array.of(0b100101);
  const [zero, two] = softmax([1, 2]);
  const [low, high, lowest] = softmax([1, 2, -1]);
  for (
    const [sampling, expected] of [
      [{ topP: 1, topK: 2 }, [zero, 0, two]],
      [{ topP: 0.5, topK: 3 }, [0, 0, 1]],
      [{ topP: 0.6, topK: 0 }, [0, 0, 1]],
      [{ topP: 1, topK: 3 }, [low, 0, high, 0, 0, lowest]],
      [{ topP: 1, topK: 3, minP: 0.2 }, [zero, 0, two]],
    ] as const
  ) {
    for (const allowed of [{ allows }, { allows, allowed: () => bits }]) {
      const sampler = new Sampler({ temperature: 1, seed: 1, ...sampling });
      const likely = Float32Array.of(1, 14, 2, 13, 14, -1);
      const drawn: number[] = new Array(6).fill(0);
      for (let i = 0; i < 4000; i++) countUp(drawn, sampler.sample(likely, allowed));
      assertShares(drawn, expected.map((share) => share ?? 0));
      const token = sampler.sample(likely, allowed);
      assertAlmostEquals(Math.exp(sampler.odds(token, 0).logprob), expected[token] ?? 0, 1e-9);
    }
  }
});

Deno.test("Sampler takes no token when none is allowed", () => {
  for (const temperature of [0, 1]) {
    assertEquals(new Sampler({ temperature, topP: 0.9, topK: 3 }).sample(LOGITS, { allows: () => false }), NO_TOKEN);
  }
});

Deno.test("Sampler draws the same when the grammar tells all tokens at once and when it does not", () => {
  const logits = Float32Array.from({ length: 500 }, (_, i) => (i * 601) % 499 / 30 + (i % 7 === 0 ? 3 : 0));
  for (const every of [1, 2, 17, 250, 501]) {
    const allows = (token: number): boolean => token % every === every - 1;
    const bits = new Uint32Array(16);
    for (let token = 0; token < 500; token++) {
      if (allows(token)) bits[token >> 5] = (bits[token >> 5] ?? 0) | 1 << (token & 31);
    }
    for (
      const sampling of [
        { temperature: 0, topP: 1, topK: 0 },
        { temperature: 1, topP: 1, topK: 0 },
        { temperature: 1.5, topP: 0.9, topK: 0 },
        { temperature: 1, topP: 0.95, topK: 40 },
      ]
    ) {
      const [asking, told] = [0, 1].map(() => new Sampler({ ...sampling, seed: 5 })) as [Sampler, Sampler];
      for (let i = 0; i < 50; i++) {
        const token = asking.sample(logits, { allows });
        assertEquals(told.sample(logits, { allows, allowed: () => bits }), token);
        assert(every === 501 ? token === NO_TOKEN : allows(token));
      }
    }
  }
});

Deno.test("Sampler draws by probability from what is allowed when most of the likely is not", () => {
  const logits = new Float32Array(100);
  const drawn: number[] = new Array(100).fill(0);
  const sampler = new Sampler({ temperature: 1, topP: 1, topK: 0, seed: 1 });
  for (let i = 0; i < 4000; i++) countUp(drawn, sampler.sample(logits, { allows: (token) => token >= 96 }));
  assertShares(drawn.slice(96), [0.25, 0.25, 0.25, 0.25]);
});

Deno.test("Sampler asks for few tokens when the grammar tells all at once", () => {
  const logits = Float32Array.from({ length: 10_000 }, (_, i) => i);
  for (const temperature of [0, 1]) {
    let asked = 0;
    const token = new Sampler({ temperature, topP: 1, topK: 0, seed: 1 }).sample(logits, {
      allows: () => ++asked < 0,
      allowed: () => Uint32Array.of(4),
    });
    assertEquals(token, 2);
    assert(asked < 20, `${asked}`);
  }
});

Deno.test("odds are those that the token was drawn with, of the tokens that were left", () => {
  const sampler = new Sampler({ temperature: 0.5, topP: 1, topK: 3, seed: 1 });
  const token = sampler.sample(LOGITS);
  const shares = softmax([4, 4, 3], 0.5);
  const { logprob, top } = sampler.odds(token, 5);
  assertEquals(top.map(([one]) => one), [1, 4, 3]);
  for (const [at, [, odds]] of top.entries()) assertAlmostEquals(Math.exp(odds), shares[at] ?? 0, 1e-9);
  assertEquals(logprob, top.find(([one]) => one === token)?.[1]);
  assertEquals(sampler.odds(token, 2).top, top.slice(0, 2));
  const greedy = new Sampler(GREEDY);
  assertEquals(greedy.odds(greedy.sample(LOGITS), 3), { logprob: 0, top: [[1, 0]] });
});

Deno.test("odds leave out what a grammar does not allow, once it was asked", () => {
  const allowed = { allows: (token: number): boolean => token === 2 };
  const sampler = new Sampler({ temperature: 1, topP: 1, topK: 0, seed: 3 });
  const token = sampler.sample(LOGITS, allowed);
  assertEquals(token, 2);
  const { top } = sampler.odds(token, 10);
  assert(top.some(([one]) => one === 2));
  assertAlmostEquals(top.reduce((sum, [, odds]) => sum + Math.exp(odds), 0), 1, 1e-9);
});
