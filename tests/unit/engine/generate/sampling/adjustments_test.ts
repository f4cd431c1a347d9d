/** Biases, penalties and min-p: what they do to a row, and that the row is the same afterwards. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { PENALTY_TOKENS } from "@inferd/client/protocol";
import { Adjustments } from "../../../../../src/engine/generate/sampling/adjustments.ts";
import { Sampler } from "../../../../../src/engine/generate/sampling/sampler.ts";
import type { Sampling } from "../../../../../src/inference/request.ts";

const PLAIN: Sampling = { temperature: 1, topP: 1, topK: 0, seed: 1 };

/** The row as it is sampled from. */
function adjusted(logits: readonly number[], sampling: Partial<Sampling>, prompt: readonly number[] = []): number[] {
  const row = Float32Array.from(logits);
  Adjustments.of({ ...PLAIN, ...sampling }, prompt)?.apply(row);
  return [...row];
}

Deno.test("Adjustments change nothing when nothing is asked for", () => {
  assertEquals(Adjustments.of(PLAIN, [1, 2]), undefined);
  const off = { presencePenalty: 0, frequencyPenalty: 0, repeatPenalty: 1, logitBias: [] };
  assertEquals(Adjustments.of({ ...PLAIN, ...off }, [1, 2]), undefined);
});

Deno.test("Adjustments penalise as llama.cpp does: repeat first, a negative logit multiplied, then count and presence", () => {
  const sampling = { repeatPenalty: 2, frequencyPenalty: 0.5, presencePenalty: 0.25 };
  assertEquals(adjusted([4, -4, 4, 0], sampling, [0, 1, 1]), [4 / 2 - 0.75, -4 * 2 - 1.25, 4, 0]);
});

Deno.test("Adjustments add the bias before they penalise", () => {
  const bias = [[0, 4], [2, -100]] as const;
  assertEquals(adjusted([2, 2, 2], { logitBias: bias, repeatPenalty: 2 }, [0]), [3, 2, -98]);
});

Deno.test("Adjustments look at the last tokens of prompt and answer, and forget older ones", () => {
  const prompt = [9, ...new Array<number>(PENALTY_TOKENS - 1).fill(0), 1];
  const adjustments = Adjustments.of({ ...PLAIN, presencePenalty: 1 }, prompt);
  const at = (token: number): number | undefined => {
    const row = new Float32Array(10);
    adjustments?.apply(row);
    return row[token];
  };
  assertEquals([at(9), at(0), at(1), at(2)], [0, -1, -1, 0]);
  for (let i = 0; i < PENALTY_TOKENS - 1; i++) adjustments?.accept(2);
  assertEquals([at(0), at(1), at(2)], [0, -1, -1]);
  adjustments?.accept(2);
  assertEquals([at(1), at(2)], [0, -1]);
});

Deno.test("Sampler leaves the row as it was", () => {
  const logits = Float32Array.of(1, 2, 3, 4);
  const sampler = new Sampler({ ...PLAIN, logitBias: [[3, -100], [2, 1.1]], repeatPenalty: 1.3 }, [0, 2, 3]);
  for (let i = 0; i < 20; i++) sampler.accept(sampler.sample(logits));
  assertEquals(logits, Float32Array.of(1, 2, 3, 4));
});

Deno.test("Sampler follows a bias and a penalty, greedy and drawn", () => {
  const logits = Float32Array.of(0, 1, 2);
  for (const temperature of [0, 1]) {
    const banned = new Sampler({ ...PLAIN, temperature, logitBias: [[2, -100], [1, -100]] });
    assertEquals(banned.sample(logits), 0);
    const repeating = new Sampler({ ...PLAIN, temperature, topK: 1, presencePenalty: 2 }, [2]);
    assertEquals(repeating.sample(logits), 1);
    repeating.accept(1);
    assertEquals(repeating.sample(logits), 0);
  }
});

Deno.test("Sampler leaves out what min_p says, whatever narrows before it", () => {
  const probabilities = [0.5, 0.3, 0.15, 0.05];
  const logits = Float32Array.from(probabilities, Math.log);
  for (const narrow of [{}, { topK: 3 }, { topP: 0.99 }]) {
    const sampler = new Sampler({ ...PLAIN, ...narrow, minP: 0.55 });
    const drawn = Array.from({ length: 4000 }, () => sampler.sample(logits));
    assertEquals([...new Set(drawn)].sort(), [0, 1], JSON.stringify(narrow));
    assertAlmostEquals(drawn.filter((token) => token === 0).length / drawn.length, 0.625, 0.03);
  }
  assertEquals(new Sampler({ ...PLAIN, minP: 1 }).sample(logits), 0);
});

Deno.test("Sampler measures min_p before the temperature", () => {
  const logits = Float32Array.from([0.6, 0.3, 0.1], Math.log);
  const sampler = new Sampler({ ...PLAIN, temperature: 2, minP: 0.4 });
  const drawn = new Set(Array.from({ length: 500 }, () => sampler.sample(logits)));
  assert(!drawn.has(2) && drawn.has(1));
});
